// What an engine changed on the disk, and the same changes made again with nothing around them.
#ifndef CERTCAST_TESTS_BENCH_RECORDED_CHANGES_H_
#define CERTCAST_TESTS_BENCH_RECORDED_CHANGES_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/file/file_system.h"

namespace certcast::bench {

// One call that changed something or made it durable. What was only looked at is not kept.
struct Change {
  enum class Kind {
    kMakeDirectory,
    // Creates, writes `bytes` bytes, fsync.
    kCreateFile,
    // Writes `bytes` bytes over what is there, fdatasync.
    kOverwriteFile,
    kMakeLink,
    kRename,
    kRemove,
    kRemoveDirectory,
    // fsync of the directory `path`.
    kSync,
  };
  Kind kind;
  std::string path;
  // kMakeLink: what the link holds. kRename: the new path.
  std::string other;
  size_t bytes = 0;

  bool IsSync() const { return kind == Kind::kCreateFile || kind == Kind::kOverwriteFile || kind == Kind::kSync; }
};

// The machine's file system; keeps what was changed through it. Thread-compatible.
class RecordingFileSystem final : public FileSystem {
 public:
  absl::StatusOr<std::unique_ptr<Directory>> OpenDirectory(absl::string_view path) override;
  // Since the last call of this.
  std::vector<Change> TakeChanges();

 private:
  std::vector<Change> changes_;
};

// `change` below `to` instead of `from`. False when it is not below `from`.
bool Move(Change& change, absl::string_view from, absl::string_view to);

// Makes the changes by bare system calls: no check, no digest, nothing read back. What is written is zeros.
absl::Status MakeAgain(const std::vector<Change>& changes);

}  // namespace certcast::bench

#endif  // CERTCAST_TESTS_BENCH_RECORDED_CHANGES_H_
