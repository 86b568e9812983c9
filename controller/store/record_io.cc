#include "controller/store/record_io.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace certcast::controller {
namespace {

// Leaves room in a key for what is around the names.
constexpr size_t kMaxKeyPart = 200;

}  // namespace

absl::Status CheckKeyPart(absl::string_view what, absl::string_view name) {
  const bool printable =
      std::all_of(name.begin(), name.end(), [](char c) { return absl::ascii_isgraph(c) && c != '/'; });
  if (!name.empty() && name.size() <= kMaxKeyPart && printable) return absl::OkStatus();
  return FailInput(absl::StrCat("`", absl::CHexEscape(name.substr(0, kMaxKeyPart)), "` is no name of a ", what),
                   absl::StrCat("1 to ", kMaxKeyPart, " printable ASCII characters without space and slash"));
}

absl::Status ParseRecord(const StoredRecord& record, google::protobuf::MessageLite& message) {
  if (message.ParseFromString(record.value)) return absl::OkStatus();
  return Fail(Reason::STORAGE_FAILED, absl::StrCat("the record ", record.key, " is damaged"),
              "put the state directory back from a backup");
}

Transaction::Write PutOf(std::string key, const google::protobuf::MessageLite& message) {
  return {std::move(key), message.SerializeAsString()};
}

Transaction::Write DeleteOf(std::string key) {
  return {std::move(key), std::nullopt};
}

absl::Status WriteRecord(Store& store, std::string key, const google::protobuf::MessageLite& message, uint64_t epoch) {
  Transaction transaction;
  transaction.writes.push_back(PutOf(std::move(key), message));
  transaction.epoch = epoch;
  return store.Commit(transaction).status();
}

absl::Status DeleteRecord(Store& store, std::string key, uint64_t epoch) {
  Transaction transaction;
  transaction.writes.push_back(DeleteOf(std::move(key)));
  transaction.epoch = epoch;
  return store.Commit(transaction).status();
}

}  // namespace certcast::controller
