// Messages in and out of the store, for records.cc and rollout_records.cc.
#ifndef CERTCAST_CONTROLLER_STORE_RECORD_IO_H_
#define CERTCAST_CONTROLLER_STORE_RECORD_IO_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/status/status.h"
#include "controller/store/store.h"
#include "google/protobuf/message_lite.h"

namespace certcast::controller {

// OK when `name` can stand between two slashes of a key: kInvalidArgument, naming `what`, otherwise.
absl::Status CheckKeyPart(absl::string_view what, absl::string_view name);

absl::Status ParseRecord(const StoredRecord& record, google::protobuf::MessageLite& message);

template <typename Message>
struct Revisioned {
  Message message;
  // 0: there was none, and `message` is empty.
  int64_t revision = 0;
};

// An absent record is one of revision 0.
template <typename Message>
absl::StatusOr<Revisioned<Message>> ReadRevisioned(Store& store, absl::string_view key) {
  Revisioned<Message> result;
  absl::StatusOr<StoredRecord> record = store.Get(key);
  if (absl::IsNotFound(record.status())) return result;
  if (!record.ok()) return record.status();
  RETURN_IF_ERROR(ParseRecord(*record, result.message));
  result.revision = record->revision;
  return result;
}

template <typename Message>
absl::StatusOr<std::optional<Message>> ReadRecord(Store& store, absl::string_view key) {
  ASSIGN_OR_RETURN(Revisioned<Message> record, ReadRevisioned<Message>(store, key));
  if (record.revision == 0) return std::optional<Message>();
  return std::optional<Message>(std::move(record.message));
}

template <typename Message>
absl::StatusOr<std::vector<Message>> ListRecords(Store& store, absl::string_view prefix) {
  ASSIGN_OR_RETURN(const std::vector<StoredRecord> records, store.List(prefix));
  std::vector<Message> messages(records.size());
  for (size_t i = 0; i < records.size(); ++i) RETURN_IF_ERROR(ParseRecord(records[i], messages[i]));
  return messages;
}

Transaction::Write PutOf(std::string key, const google::protobuf::MessageLite& message);
Transaction::Write DeleteOf(std::string key);

absl::Status WriteRecord(Store& store, std::string key, const google::protobuf::MessageLite& message, uint64_t epoch);
absl::Status DeleteRecord(Store& store, std::string key, uint64_t epoch);

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_STORE_RECORD_IO_H_
