// The operating system's files as certcast uses them: by directory descriptors, one call an operation, so that a test
// can make each of them fail or be the last one before a crash.
//
// Nothing here retries or cleans up; file/atomic.h has the few recipes that the rest is made of.
// Errors carry the whole path and NO_SPACE, PERMISSION_DENIED or STORAGE_FAILED; absence is
// absl::StatusCode::kNotFound, something being there already kAlreadyExists, a file larger than it may be MALFORMED.
#ifndef CERTCAST_COMMON_FILE_FILE_SYSTEM_H_
#define CERTCAST_COMMON_FILE_FILE_SYSTEM_H_

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/secret/secret.h"

namespace certcast {

// Who may do what with a file or directory.
struct FileAttributes {
  mode_t mode = 0600;
  uid_t owner = 0;
  gid_t group = 0;

  friend bool operator==(const FileAttributes&, const FileAttributes&) = default;
};

struct FileInfo {
  enum class Kind { kFile, kDirectory, kLink, kOther };
  Kind kind = Kind::kOther;
  // mode: permission bits alone.
  FileAttributes attributes;
  uint64_t size = 0;
};

// OK for what a Directory takes as a name: a single path component of 1 to 255 bytes, without slash or zero byte, not
// "." or "..".
absl::Status CheckFileName(absl::string_view name);

// Whether a link that `owner` owns, or one in a directory of theirs, may be followed: root or this process's user.
bool IsTrustedOwner(uid_t owner);

// An open directory. Every name is checked with CheckFileName. Links are never followed: what reads or opens one fails.
// Thread-compatible.
class Directory {
 public:
  virtual ~Directory() = default;

  // For messages.
  virtual const std::string& path() const = 0;

  virtual absl::StatusOr<std::unique_ptr<Directory>> OpenDirectory(absl::string_view name) = 0;
  // Made with exactly these attributes, whatever the umask (which must leave this process its own access). Not durable
  // before Sync. On an error it may be there, with other attributes.
  virtual absl::Status MakeDirectory(absl::string_view name, const FileAttributes& attributes) = 0;

  // Creates `name`, which must not exist, writes it whole and fsyncs it. Owner, group and mode are set before the first
  // byte. On an error the file may be there, incomplete. Its name is not durable before Sync.
  virtual absl::Status CreateFile(absl::string_view name, absl::string_view bytes,
                                  const FileAttributes& attributes) = 0;
  // Overwrites `bytes` at the start of an existing file of at least that size. They are durable on return, by
  // fdatasync: the file's times need not be. Needs no free space.
  virtual absl::Status OverwriteFile(absl::string_view name, absl::string_view bytes) = 0;
  // At most `limit` bytes; a larger file is an error. Only regular files.
  virtual absl::StatusOr<std::string> ReadFile(absl::string_view name, size_t limit) = 0;
  // The same, but at most its first `size` bytes: of a file that is larger than what is in it.
  virtual absl::StatusOr<std::string> ReadStart(absl::string_view name, size_t size, size_t limit) = 0;
  // The same for what may hold a key: nothing of it stays in this process's memory but what is returned.
  virtual absl::StatusOr<Secret> ReadSecret(absl::string_view name, size_t limit) = 0;

  virtual absl::Status MakeLink(absl::string_view name, absl::string_view target) = 0;
  virtual absl::StatusOr<std::string> ReadLink(absl::string_view name) = 0;
  // Of the name itself, not of what a link leads to.
  virtual absl::StatusOr<FileInfo> Stat(absl::string_view name) = 0;
  // Within this directory; replaces what `to` named. Atomic, not durable before Sync.
  virtual absl::Status Rename(absl::string_view from, absl::string_view to) = 0;
  // A file or link.
  virtual absl::Status Remove(absl::string_view name) = 0;
  // An empty directory.
  virtual absl::Status RemoveDirectory(absl::string_view name) = 0;
  // Sorted, without "." and "..".
  virtual absl::StatusOr<std::vector<std::string>> List() = 0;
  virtual absl::StatusOr<FileInfo> StatSelf() = 0;
  virtual absl::StatusOr<uint64_t> FreeBytes() = 0;
  // Whether something may be made here, as far as that is told without doing so: the mode, and a read-only mount.
  virtual absl::Status CheckWritable() = 0;
  // fsync: what was made, renamed or removed here survives a power loss.
  virtual absl::Status Sync() = 0;
};

// Thread-safe.
class FileSystem {
 public:
  virtual ~FileSystem() = default;

  // `path` is absolute; ".." is the parent of the directory reached so far. Opened component by component; a link on
  // the way is followed only when root or this process's user owns it and the directory it is in (so /var/run -> /run
  // works and a link planted by another user is refused: PERMISSION_DENIED).
  virtual absl::StatusOr<std::unique_ptr<Directory>> OpenDirectory(absl::string_view path) = 0;

  // The machine's; lives for ever.
  static FileSystem& Real();
};

}  // namespace certcast

#endif  // CERTCAST_COMMON_FILE_FILE_SYSTEM_H_
