// A file system in memory that behaves as the real one does, and that can lose power.
//
// What was written by CreateFile or OverwriteFile is on the disk at once. Names are not before Sync of their directory:
// Crash drops those changes, or some of them.
#ifndef CERTCAST_TESTS_TESTING_MEMORY_FILE_SYSTEM_H_
#define CERTCAST_TESTS_TESTING_MEMORY_FILE_SYSTEM_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "common/file/file_system.h"

namespace certcast::testing {

// Everybody may do everything here: modes and owners are kept, not enforced, but for links on the way of OpenDirectory.
// Thread-safe; its directories must not outlive it.
class MemoryFileSystem final : public FileSystem {
 public:
  // Only "/" is there, mode 0755 of this process's user.
  MemoryFileSystem();
  ~MemoryFileSystem() override;

  absl::StatusOr<std::unique_ptr<Directory>> OpenDirectory(absl::string_view path) override;

  // Power loss: every change of a directory since its Sync is lost. Directories that are open then fail for ever after,
  // as do those of the two below.
  void Crash();
  // The same, but each such change is lost or not as the dice fall: file systems may write them back in any order.
  void Crash(uint64_t seed);
  // The same, but of the changes that are looked at, oldest first in each directory, the i-th is kept where that bit of
  // `kept` is set. With the numbers below 2 to the power of UnsyncedChanges(), and at most 64 changes, every subset
  // that can be left is tried.
  void CrashKeeping(uint64_t kept);
  // Changes of directories since their Sync, those in directories included that are not durable themselves.
  int UnsyncedChanges();
  // kill -9: nothing is lost.
  void Restart();

  // Bytes that files can take in all from now on; more is ENOSPC, with the file there in part. Unlimited at first.
  void SetFreeBytes(uint64_t bytes);

  // For setting a test up and looking at its end. Durable at once; parents are made (0755), what is there is replaced,
  // links on the way are not followed.
  void PutFile(absl::string_view path, absl::string_view bytes, const FileAttributes& attributes = {});
  void PutLink(absl::string_view path, absl::string_view target, uid_t owner);
  void PutDirectory(absl::string_view path, const FileAttributes& attributes);
  // Through links, whoever made them; nothing when it doesn't lead to a file.
  std::optional<std::string> GetFile(absl::string_view path);
  // Of the name itself, not of what a link leads to.
  bool Exists(absl::string_view path);

 private:
  friend class MemoryDirectory;
  struct Node;
  using NodePtr = std::shared_ptr<Node>;

  // Where a path leads, for the functions above; nullptr: nowhere.
  NodePtr Resolve(absl::string_view path, bool follow_last) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Put(absl::string_view path, NodePtr node) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  uint64_t UsedBytes() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  uint64_t FreeBytes() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  mutable absl::Mutex mutex_;
  NodePtr root_ ABSL_GUARDED_BY(mutex_);
  uint64_t capacity_ ABSL_GUARDED_BY(mutex_);
  // Of the processes that ran here; a directory opened in an earlier one is dead.
  int life_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace certcast::testing

#endif  // CERTCAST_TESTS_TESTING_MEMORY_FILE_SYSTEM_H_
