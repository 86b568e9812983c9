#include "node/engine/reserved_record.h"

#include <array>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/file/atomic.h"
#include "common/status/status.h"
#include "common/x509/digest.h"
#include "node/engine/layout.h"

namespace certcast::node {
namespace {

constexpr absl::string_view kMagic = "certcast";
constexpr size_t kSchemaAt = 8;
constexpr size_t kLengthAt = 12;
constexpr size_t kSequenceAt = 16;
constexpr size_t kDigestAt = 24;
constexpr size_t kDigestBytes = 64;
constexpr size_t kHeaderBytes = kDigestAt + kDigestBytes;
// Of a slot, most of which is reserved for what may have to be written when the disk is full. It is read at each
// contact over SSH.
constexpr size_t kUsuallyEnough = size_t{16} * 1024;

template <typename Number>
void Append(std::string& bytes, Number number) {
  for (size_t i = 0; i < sizeof(Number); ++i) bytes += static_cast<char>((number >> (8 * i)) & 0xff);
}

template <typename Number>
Number Parse(absl::string_view bytes, size_t at) {
  Number number = 0;
  for (size_t i = 0; i < sizeof(Number); ++i) {
    number |= static_cast<Number>(static_cast<unsigned char>(bytes[at + i])) << (8 * i);
  }
  return number;
}

std::string Encode(uint32_t schema, uint64_t sequence, absl::string_view payload) {
  std::string numbers;
  Append(numbers, schema);
  Append(numbers, static_cast<uint32_t>(payload.size()));
  Append(numbers, sequence);
  return absl::StrCat(kMagic, numbers, Sha256Hex(absl::StrCat(numbers, payload)), payload);
}

struct Slot {
  enum class Kind { kMissing, kBlank, kDamaged, kWhole };
  Kind kind = Kind::kMissing;
  uint32_t schema = 0;
  uint64_t sequence = 0;
  std::string payload;
};

Slot Decode(absl::string_view bytes) {
  Slot slot;
  slot.kind = bytes.find_first_not_of('\0') == absl::string_view::npos ? Slot::Kind::kBlank : Slot::Kind::kDamaged;
  if (bytes.size() < kHeaderBytes || bytes.substr(0, kMagic.size()) != kMagic) return slot;
  const auto length = Parse<uint32_t>(bytes, kLengthAt);
  if (length > bytes.size() - kHeaderBytes) return slot;
  const absl::string_view payload = bytes.substr(kHeaderBytes, length);
  const absl::string_view numbers = bytes.substr(kSchemaAt, kDigestAt - kSchemaAt);
  if (Sha256Hex(absl::StrCat(numbers, payload)) != bytes.substr(kDigestAt, kDigestBytes)) return slot;
  slot.kind = Slot::Kind::kWhole;
  slot.schema = Parse<uint32_t>(bytes, kSchemaAt);
  slot.sequence = Parse<uint64_t>(bytes, kSequenceAt);
  slot.payload = std::string(payload);
  return slot;
}

absl::StatusOr<Slot> ReadSlot(Directory& directory, absl::string_view name, size_t limit) {
  const absl::StatusOr<std::string> start = directory.ReadStart(name, kUsuallyEnough, limit);
  if (absl::IsNotFound(start.status())) return Slot();
  if (!start.ok()) return start.status();
  Slot slot = Decode(*start);
  if (slot.kind == Slot::Kind::kWhole || start->size() < kUsuallyEnough) return slot;
  ASSIGN_OR_RETURN(const std::string bytes, directory.ReadFile(name, limit));
  return Decode(bytes);
}

}  // namespace

absl::StatusOr<ReservedRecord> ReservedRecord::Open(std::unique_ptr<Directory> directory, std::string name,
                                                    size_t slot_bytes, uint32_t schema) {
  ReservedRecord record(std::move(directory), std::move(name), slot_bytes, schema);
  RETURN_IF_ERROR(record.Load(/*may_make=*/true));
  return record;
}

absl::StatusOr<ReservedRecord> ReservedRecord::OpenReadOnly(std::unique_ptr<Directory> directory, std::string name,
                                                            size_t slot_bytes, uint32_t schema) {
  ReservedRecord record(std::move(directory), std::move(name), slot_bytes, schema);
  if (record.directory_ != nullptr) RETURN_IF_ERROR(record.Load(/*may_make=*/false));
  return record;
}

size_t ReservedRecord::capacity() const {
  return slot_bytes_ - kHeaderBytes;
}

std::string ReservedRecord::SlotName(int slot) const {
  return absl::StrCat(name_, ".", slot);
}

absl::Status ReservedRecord::Load(bool may_make) {
  using Kind = Slot::Kind;
  std::array<Slot, 2> slots;
  for (int i = 0; i < 2; ++i) {
    ASSIGN_OR_RETURN(slots[i], ReadSlot(*directory_, SlotName(i), slot_bytes_));
  }

  const std::string where = absl::StrCat(directory_->path(), "/", name_);
  const bool first_whole = slots[0].kind == Kind::kWhole;
  const bool second_whole = slots[1].kind == Kind::kWhole;
  for (int i = 0; i < 2; ++i) {
    if (slots[i].kind == Kind::kMissing && slots[1 - i].kind != Kind::kMissing && slots[1 - i].kind != Kind::kBlank) {
      return Fail(Reason::STORAGE_FAILED, absl::StrCat(where, ".", i, " is missing beside its other half"));
    }
    if (slots[i].kind == Kind::kWhole && slots[i].schema > schema_) {
      return Fail(Reason::STORAGE_FAILED,
                  absl::StrCat(where, ".", i, " has schema ", slots[i].schema,
                               "; this certcast-node knows those up to ", schema_),
                  "it was written by a newer certcast-node: install that version again");
    }
  }
  // A blank slot beside a damaged one is what a torn first write leaves: nothing was recorded yet.
  if (slots[0].kind == Kind::kDamaged && slots[1].kind == Kind::kDamaged) {
    return Fail(Reason::STORAGE_FAILED, absl::StrCat(where, ".0 and ", name_, ".1 are both damaged"));
  }
  if (first_whole || second_whole) {
    const int newest = !first_whole || (second_whole && slots[1].sequence > slots[0].sequence) ? 1 : 0;
    payload_ = std::move(slots[newest].payload);
    sequence_ = slots[newest].sequence;
    next_slot_ = 1 - newest;
    return absl::OkStatus();
  }
  if (!may_make) return absl::OkStatus();
  for (int i = 0; i < 2; ++i) {
    if (slots[i].kind != Kind::kMissing) continue;
    RETURN_IF_ERROR(ReplaceFile(*directory_, SlotName(i), std::string(slot_bytes_, '\0'), PrivateFileAttributes()));
  }
  // A torn first write is written over first, so that the blank slot stays as long as there is no whole one.
  next_slot_ = slots[1].kind == Kind::kDamaged ? 1 : 0;
  return absl::OkStatus();
}

absl::Status ReservedRecord::Write(absl::string_view payload) {
  if (payload.size() > capacity()) {
    return Fail(Reason::STORAGE_FAILED, absl::StrCat(directory_->path(), "/", name_, ": ", payload.size(),
                                                     " bytes do not fit the ", capacity(), " that are reserved"));
  }
  RETURN_IF_ERROR(directory_->OverwriteFile(SlotName(next_slot_), Encode(schema_, sequence_ + 1, payload)));
  payload_ = std::string(payload);
  ++sequence_;
  next_slot_ = 1 - next_slot_;
  return absl::OkStatus();
}

}  // namespace certcast::node
