#include "node/engine/journal.h"

#include <utility>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "common/status/status.h"

namespace certcast::node {
namespace {

constexpr size_t kSlotBytes = 64 * 1024;
constexpr uint32_t kSchema = 1;

}  // namespace

absl::StatusOr<std::unique_ptr<JournalFile>> JournalFile::Open(std::unique_ptr<Directory> directory, bool read_only) {
  const std::string path = absl::StrCat(directory == nullptr ? "" : directory->path(), "/journal");
  auto record = read_only ? ReservedRecord::OpenReadOnly(std::move(directory), "journal", kSlotBytes, kSchema)
                          : ReservedRecord::Open(std::move(directory), "journal", kSlotBytes, kSchema);
  if (!record.ok()) return record.status();
  Journal journal;
  if (!journal.ParseFromString(record->payload()) || !Journal::Step_IsValid(journal.step())) {
    return Fail(Reason::STORAGE_FAILED, absl::StrCat(path, " holds a record that this certcast-node can't read"),
                "it was written by a newer certcast-node: install that version again");
  }
  return absl::WrapUnique(new JournalFile(*std::move(record), std::move(journal)));
}

Journal JournalFile::Get() const {
  absl::MutexLock lock(&mutex_);
  return journal_;
}

absl::Status JournalFile::Save(Journal record) {
  absl::MutexLock lock(&mutex_);
  record.set_schema(kSchema);
  std::string bytes = record.SerializeAsString();
  if (bytes.size() > record_.capacity()) {
    // Nice to have in the result; recovery does not need it.
    record.clear_before();
    bytes = record.SerializeAsString();
  }
  RETURN_IF_ERROR(record_.Write(bytes));
  journal_ = std::move(record);
  return absl::OkStatus();
}

}  // namespace certcast::node
