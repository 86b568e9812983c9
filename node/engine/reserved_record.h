// A record whose space is reserved: it can be written when the disk is full.
#ifndef CERTCAST_NODE_ENGINE_RESERVED_RECORD_H_
#define CERTCAST_NODE_ENGINE_RESERVED_RECORD_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/file/file_system.h"

namespace certcast::node {

// Bytes kept in two files of fixed size, `<name>.0` and `<name>.1`, filled with zeros when they are made. Each write
// goes over the older of the two with a sequence number and a SHA-256, and is fsynced; what a crash tears is the older
// one, and reading takes the newest that is whole. Thread-compatible.
//
// A slot: magic (8 bytes), schema (4), length (4), sequence (8), SHA-256 as hex over schema, length, sequence and
// payload (64), payload. Numbers are little-endian.
class ReservedRecord {
 public:
  // Reads what is there and makes what is missing, when nothing was there at all. Fails for anything it can't make
  // sense of: both slots damaged, one of a pair missing, a schema above `schema`. What to do about the former two is
  // the caller's to say: see lost_record.h.
  static absl::StatusOr<ReservedRecord> Open(std::unique_ptr<Directory> directory, std::string name, size_t slot_bytes,
                                             uint32_t schema);
  // The same without making anything; Write must not be called. Null: there is no directory, so nothing was ever
  // written.
  static absl::StatusOr<ReservedRecord> OpenReadOnly(std::unique_ptr<Directory> directory, std::string name,
                                                     size_t slot_bytes, uint32_t schema);

  // What was written last; empty when nothing ever was.
  const std::string& payload() const { return payload_; }
  size_t capacity() const;

  // Durable on return. After an error the next Open finds this payload or the one before; payload() is the one before.
  absl::Status Write(absl::string_view payload);

 private:
  ReservedRecord(std::unique_ptr<Directory> directory, std::string name, size_t slot_bytes, uint32_t schema)
      : directory_(std::move(directory)), name_(std::move(name)), slot_bytes_(slot_bytes), schema_(schema) {}

  absl::Status Load(bool may_make);
  std::string SlotName(int slot) const;

  std::unique_ptr<Directory> directory_;
  std::string name_;
  size_t slot_bytes_;
  uint32_t schema_;
  std::string payload_;
  uint64_t sequence_ = 0;
  // The one to write next: never the one that holds payload_.
  int next_slot_ = 0;
};

}  // namespace certcast::node

#endif  // CERTCAST_NODE_ENGINE_RESERVED_RECORD_H_
