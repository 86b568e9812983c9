#include "common/file/atomic.h"

#include <sys/random.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "common/status/status.h"

namespace certcast {
namespace {

constexpr absl::string_view kTemporaryPrefix = ".certcast-";
constexpr size_t kRandomDigits = 16;
// Trees here are a handful of levels deep; each level holds a descriptor.
constexpr int kMaxDepth = 32;
constexpr int kMaxLinks = 40;

// Random, so that nobody can put something in its way, and two processes never meet.
absl::StatusOr<std::string> TemporaryName() {
  uint64_t number = 0;
  ssize_t size;
  do {
    size = getrandom(&number, sizeof number, 0);
  } while (size < 0 && errno == EINTR);
  if (size != sizeof number) return FailErrno(errno, "getting random bytes");
  return absl::StrFormat("%s%016x", kTemporaryPrefix, number);
}

bool IsTemporaryName(absl::string_view name) {
  if (!absl::ConsumePrefix(&name, kTemporaryPrefix) || name.size() != kRandomDigits) return false;
  for (const char digit : name) {
    if (!absl::ascii_isxdigit(static_cast<unsigned char>(digit)) || absl::ascii_isupper(digit)) return false;
  }
  return true;
}

bool IsAbsent(const absl::Status& status) {
  return absl::IsNotFound(status);
}

// OK also when it was not there.
absl::Status RemoveIfThere(Directory& directory, absl::string_view name) {
  absl::Status removed = directory.Remove(name);
  return IsAbsent(removed) ? absl::OkStatus() : removed;
}

// Gives `temporary` its name. What fails before the rename leaves no temporary behind.
absl::Status Publish(Directory& directory, absl::Status made, absl::string_view temporary, absl::string_view name) {
  if (made.ok()) made = directory.Rename(temporary, name);
  if (!made.ok()) return KeepFirst(std::move(made), RemoveIfThere(directory, temporary));
  return directory.Sync();
}

absl::Status RemoveTreeAt(Directory& parent, absl::string_view name, int depth) {
  const absl::StatusOr<FileInfo> found = parent.Stat(name);
  if (IsAbsent(found.status())) return absl::OkStatus();
  if (!found.ok()) return found.status();
  if (found->kind != FileInfo::Kind::kDirectory) return RemoveIfThere(parent, name);
  if (depth == 0) {
    return Fail(Reason::STORAGE_FAILED, absl::StrCat(parent.path(), "/", name, " lies deeper than anything made here"),
                "look what is in it and remove it by hand");
  }
  {
    ASSIGN_OR_RETURN(const std::unique_ptr<Directory> directory, parent.OpenDirectory(name));
    ASSIGN_OR_RETURN(const std::vector<std::string> children, directory->List());
    for (const std::string& child : children) RETURN_IF_ERROR(RemoveTreeAt(*directory, child, depth - 1));
  }
  absl::Status removed = parent.RemoveDirectory(name);
  return IsAbsent(removed) ? absl::OkStatus() : removed;
}

// Where the link `name` leads, when it may be followed.
absl::StatusOr<std::string> FollowLink(Directory& directory, absl::string_view name, const FileInfo& link) {
  ASSIGN_OR_RETURN(const FileInfo around, directory.StatSelf());
  if (!IsTrustedOwner(link.attributes.owner) || !IsTrustedOwner(around.attributes.owner)) {
    return Fail(Reason::PERMISSION_DENIED,
                absl::StrCat(directory.path(), "/", name, " is a symbolic link that another user can change"),
                "a link must belong, with its directory, to root or to the user certcast runs as");
  }
  ASSIGN_OR_RETURN(std::string target, directory.ReadLink(name));
  return absl::StartsWith(target, "/") ? target : absl::StrCat(directory.path(), "/", target);
}

}  // namespace

absl::Status ReplaceFile(Directory& directory, absl::string_view name, absl::string_view bytes,
                         const FileAttributes& attributes) {
  RETURN_IF_ERROR(CheckFileName(name));
  ASSIGN_OR_RETURN(const std::string temporary, TemporaryName());
  return Publish(directory, directory.CreateFile(temporary, bytes, attributes), temporary, name);
}

absl::Status ReplaceLink(Directory& directory, absl::string_view name, absl::string_view target) {
  RETURN_IF_ERROR(CheckFileName(name));
  ASSIGN_OR_RETURN(const std::string temporary, TemporaryName());
  return Publish(directory, directory.MakeLink(temporary, target), temporary, name);
}

absl::Status RemoveTemporaries(Directory& directory) {
  ASSIGN_OR_RETURN(const std::vector<std::string> names, directory.List());
  bool removed = false;
  for (const std::string& name : names) {
    if (!IsTemporaryName(name)) continue;
    RETURN_IF_ERROR(RemoveIfThere(directory, name));
    removed = true;
  }
  return removed ? directory.Sync() : absl::OkStatus();
}

absl::Status RemoveTree(Directory& parent, absl::string_view name) {
  return RemoveTreeAt(parent, name, kMaxDepth);
}

absl::StatusOr<std::unique_ptr<Directory>> OpenOrMakeDirectory(FileSystem& files, absl::string_view path,
                                                               const FileAttributes& attributes) {
  absl::StatusOr<std::unique_ptr<Directory>> there = files.OpenDirectory(path);
  if (!IsAbsent(there.status())) return there;
  ASSIGN_OR_RETURN(const PathParts parts, SplitPath(path));
  const FileAttributes of_parents = {.mode = 0755, .owner = geteuid(), .group = getegid()};
  ASSIGN_OR_RETURN(const std::unique_ptr<Directory> parent, OpenOrMakeDirectory(files, parts.directory, of_parents));
  const absl::Status made = parent->MakeDirectory(parts.name, attributes);
  // Another process may have made it since.
  if (!made.ok() && !absl::IsAlreadyExists(made)) return made;
  RETURN_IF_ERROR(parent->Sync());
  return parent->OpenDirectory(parts.name);
}

absl::StatusOr<FoundEntry> FindThroughLinks(FileSystem& files, absl::string_view path) {
  std::string at(path);
  for (int links = 0; links <= kMaxLinks; ++links) {
    ASSIGN_OR_RETURN(PathParts parts, SplitPath(at));
    ASSIGN_OR_RETURN(std::unique_ptr<Directory> directory, files.OpenDirectory(parts.directory));
    ASSIGN_OR_RETURN(const FileInfo found, directory->Stat(parts.name));
    if (found.kind != FileInfo::Kind::kLink) {
      return FoundEntry{.directory = std::move(directory), .name = std::move(parts.name), .info = found};
    }
    ASSIGN_OR_RETURN(at, FollowLink(*directory, parts.name, found));
  }
  return FailErrno(ELOOP, absl::StrCat("following the links from ", path));
}

absl::StatusOr<std::string> ReadWholeFile(FileSystem& files, absl::string_view path, size_t limit) {
  ASSIGN_OR_RETURN(const FoundEntry found, FindThroughLinks(files, path));
  return found.directory->ReadFile(found.name, limit);
}

absl::StatusOr<PathParts> SplitPath(absl::string_view path) {
  const absl::string_view whole = path;
  if (!absl::StartsWith(path, "/")) {
    return FailInput(absl::StrCat("\"", whole, "\" is not an absolute path"), "paths start with a slash");
  }
  while (absl::EndsWith(path, "/")) path.remove_suffix(1);
  const size_t slash = path.rfind('/');
  if (path.empty() || !CheckFileName(path.substr(slash + 1)).ok()) {
    return FailInput(absl::StrCat("\"", whole, "\" does not end in a file name"));
  }
  PathParts parts;
  parts.name = std::string(path.substr(slash + 1));
  path.remove_suffix(parts.name.size());
  while (path.size() > 1 && absl::EndsWith(path, "/")) path.remove_suffix(1);
  parts.directory = std::string(path);
  return parts;
}

}  // namespace certcast
