// A file system that fails where a test wants it to, in front of any other one.
//
// To try a crash at every operation of something:
//   for (int n = 1;; ++n) {
//     MemoryFileSystem disk;  FaultFileSystem files(disk);
//     files.CrashAt(n);
//     Something(files);
//     if (!files.has_crashed()) break;       // n is beyond the last operation
//     disk.Crash(seed);  Recover(disk);  EXPECT...
//   }
#ifndef CERTCAST_TESTS_TESTING_FAULT_FILE_SYSTEM_H_
#define CERTCAST_TESTS_TESTING_FAULT_FILE_SYSTEM_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "common/file/file_system.h"

namespace certcast::testing {

// Of operations by their names: makes, writes, renames or removes something; takes a file descriptor.
bool ChangesDisk(absl::string_view operation);
bool TakesDescriptor(absl::string_view operation);

// Every call of the file system and of its directories but path() is an operation. They are numbered from 1, and named
// "CreateFile /a/b", "Rename /a/b to c", "Sync /a", "OpenDirectory /a/b".
// Thread-safe when `inner` is; must outlive its directories, as `inner` must.
class FaultFileSystem final : public FileSystem {
 public:
  explicit FaultFileSystem(FileSystem& inner) : inner_(inner) {}

  absl::StatusOr<std::unique_ptr<Directory>> OpenDirectory(absl::string_view path) override;

  // The n-th operation fails with this errno, and does nothing; the rest goes on.
  void FailAt(int n, int error);
  // The same, but when the n-th is CreateFile or OverwriteFile, half of its bytes are written.
  void FailInTheMiddleOf(int n, int error);
  // The same, but all of them are, and it fails at their fsync.
  void FailAtFsyncOf(int n, int error);
  // Every operation for which this is true fails so, until Heal. It gets the operation's name.
  void FailWhere(std::function<bool(absl::string_view operation)> is_hit, int error);
  // The n-th operation and those after it for which this is true fail so, until Heal.
  void FailFrom(int n, std::function<bool(absl::string_view operation)> is_hit, int error);
  // The n-th operation and all after it fail, and do nothing: the process ended there.
  void CrashAt(int n);
  // The same, but when the n-th is CreateFile or OverwriteFile, half of its bytes are written.
  void CrashInTheMiddleOf(int n);
  // The same, but of its bytes those sectors (512 bytes) are written that the dice say, in whatever order they are; the
  // others are zero in a new file, which may also be shorter, and what they were in an old one.
  void CrashInTheMiddleOf(int n, uint64_t seed);
  // No faults from now on. Counting goes on.
  void Heal();

  // Of the operations so far, the failed ones included.
  int count() const;
  std::vector<std::string> operations() const;
  bool has_crashed() const;
  // Of directories that somebody holds: each is a file descriptor.
  int open_directories() const;

 private:
  friend class FaultDirectory;

  // What becomes of a write that does not come to its end.
  class Tear;

  // Counts an operation and says what is to come of it: with an error it is not done, or only as far as `tear` says.
  struct Decision {
    std::shared_ptr<Tear> tear;
    absl::Status error;
  };
  Decision Next(const std::string& operation);
  void NoteOpen(int change);

  FileSystem& inner_;
  mutable absl::Mutex mutex_;
  std::vector<std::string> operations_ ABSL_GUARDED_BY(mutex_);
  int fail_at_ ABSL_GUARDED_BY(mutex_) = 0;
  int fail_error_ ABSL_GUARDED_BY(mutex_) = 0;
  std::shared_ptr<Tear> fail_tear_ ABSL_GUARDED_BY(mutex_);
  int hit_from_ ABSL_GUARDED_BY(mutex_) = 0;
  std::function<bool(absl::string_view)> is_hit_ ABSL_GUARDED_BY(mutex_);
  int hit_error_ ABSL_GUARDED_BY(mutex_) = 0;
  int crash_at_ ABSL_GUARDED_BY(mutex_) = 0;
  std::shared_ptr<Tear> tear_ ABSL_GUARDED_BY(mutex_);
  bool has_crashed_ ABSL_GUARDED_BY(mutex_) = false;
  int open_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace certcast::testing

#endif  // CERTCAST_TESTS_TESTING_FAULT_FILE_SYSTEM_H_
