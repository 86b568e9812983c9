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

// Replaces `name` by a file with these bytes and attributes: temporary file, fsync, rename, fsync of the directory.
// After a crash at any point the old or the new file is there, whole. Idempotent. A link that is there is replaced
// itself, not what it leads to. A temporary file may stay after a crash: see RemoveTemporaries. After an error in the
// last fsync the new file is in place, but may not survive a power loss.
absl::Status ReplaceFile(Directory& directory, absl::string_view name, absl::string_view bytes,
                         const FileAttributes& attributes);

// Makes `name` a symbolic link to `target`, replacing a file or link that is there, in the same way.
absl::Status ReplaceLink(Directory& directory, absl::string_view name, absl::string_view target);

// Removes what ReplaceFile and ReplaceLink left behind for any name in this directory.
absl::Status RemoveTemporaries(Directory& directory);

// Removes a directory and all in it, or a file or link. Absent: OK. Not atomic, and not durable before parent.Sync().
absl::Status RemoveTree(Directory& parent, absl::string_view name);

// The directory `path`, made with its parents where missing: the last one with `attributes`, others 0755 and of this
// process's user. Each made directory is durable. One that is there keeps its attributes.
absl::StatusOr<std::unique_ptr<Directory>> OpenOrMakeDirectory(FileSystem& files, absl::string_view path,
                                                               const FileAttributes& attributes);

// What `path` names when a link in the last place is followed too, by the rule of FileSystem::OpenDirectory: operators
// name /etc/letsencrypt/live/... where they mean the file behind it. Never a link. kNotFound for one that leads
// nowhere.
struct FoundEntry {
  std::unique_ptr<Directory> directory;
  std::string name;
  FileInfo info;
};
absl::StatusOr<FoundEntry> FindThroughLinks(FileSystem& files, absl::string_view path);

// A whole file by its absolute path, of at most `limit` bytes, found through links as above.
absl::StatusOr<std::string> ReadWholeFile(FileSystem& files, absl::string_view path, size_t limit);

// "/a/b/c" -> {"/a/b", "c"}. INVALID_ARGUMENT when it is not absolute or does not end in a name.
struct PathParts {
  std::string directory;
  std::string name;
};
absl::StatusOr<PathParts> SplitPath(absl::string_view path);

}  // namespace certcast

#endif  // CERTCAST_COMMON_FILE_ATOMIC_H_
