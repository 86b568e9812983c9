// Recipes over file_system.h.
#ifndef CERTCAST_COMMON_FILE_ATOMIC_H_
#define CERTCAST_COMMON_FILE_ATOMIC_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/file/file_system.h"

namespace certcast {

// Replaces `name` by a file with these bytes and attributes: temporary file, fsync, rename, fsync of the directory. After a
// crash at any point the old or the new file is there, whole. Idempotent. A temporary file may stay after a crash: see
// RemoveTemporaries.
absl::Status ReplaceFile(Directory& directory, absl::string_view name, absl::string_view bytes,
                         const FileAttributes& attributes);

// Makes `name` a symbolic link to `target`, replacing a file or link that is there, in the same way.
absl::Status ReplaceLink(Directory& directory, absl::string_view name, absl::string_view target);

// Removes what ReplaceFile and ReplaceLink left behind for any name in this directory.
absl::Status RemoveTemporaries(Directory& directory);

// Removes a directory and all in it. Absent: OK. Not atomic.
absl::Status RemoveTree(Directory& parent, absl::string_view name);

// The directory `path`, made with its parents where missing (the last one with `attributes`, others root's 0755 alike).
// Each made directory is durable.
absl::StatusOr<std::unique_ptr<Directory>> OpenOrMakeDirectory(FileSystem& files, absl::string_view path,
                                                               const FileAttributes& attributes);

// A whole file by its absolute path.
absl::StatusOr<std::string> ReadWholeFile(FileSystem& files, absl::string_view path, size_t limit);

// "/a/b/c" -> {"/a/b", "c"}.
struct PathParts {
  std::string directory;
  std::string name;
};
absl::StatusOr<PathParts> SplitPath(absl::string_view path);

// User and group ids from /etc/passwd and /etc/group (a static binary can't ask NSS), else from `getent`; numbers are
// taken as they are.
absl::StatusOr<uid_t> FindUser(FileSystem& files, absl::string_view name);
absl::StatusOr<gid_t> FindGroup(FileSystem& files, absl::string_view name);

}  // namespace certcast

#endif  // CERTCAST_COMMON_FILE_ATOMIC_H_
