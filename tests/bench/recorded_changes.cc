#include "tests/bench/recorded_changes.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/file/descriptor.h"
#include "common/status/status.h"

namespace certcast::bench {
namespace {

using Kind = Change::Kind;

// Keeps a change when the file system has made it.
class RecordingDirectory final : public Directory {
 public:
  RecordingDirectory(std::unique_ptr<Directory> directory, std::vector<Change>& changes)
      : directory_(std::move(directory)), changes_(changes) {}

  const std::string& path() const override { return directory_->path(); }

  absl::StatusOr<std::unique_ptr<Directory>> OpenDirectory(absl::string_view name) override {
    ASSIGN_OR_RETURN(std::unique_ptr<Directory> opened, directory_->OpenDirectory(name));
    return std::make_unique<RecordingDirectory>(std::move(opened), changes_);
  }
  absl::Status MakeDirectory(absl::string_view name, const FileAttributes& attributes) override {
    return Keep(directory_->MakeDirectory(name, attributes), {Kind::kMakeDirectory, PathOf(name), "", 0});
  }
  absl::Status CreateFile(absl::string_view name, absl::string_view bytes, const FileAttributes& attributes) override {
    return Keep(directory_->CreateFile(name, bytes, attributes), {Kind::kCreateFile, PathOf(name), "", bytes.size()});
  }
  absl::Status OverwriteFile(absl::string_view name, absl::string_view bytes) override {
    return Keep(directory_->OverwriteFile(name, bytes), {Kind::kOverwriteFile, PathOf(name), "", bytes.size()});
  }
  absl::StatusOr<std::string> ReadFile(absl::string_view name, size_t limit) override {
    return directory_->ReadFile(name, limit);
  }
  absl::StatusOr<std::string> ReadStart(absl::string_view name, size_t size, size_t limit) override {
    return directory_->ReadStart(name, size, limit);
  }
  absl::StatusOr<Secret> ReadSecret(absl::string_view name, size_t limit) override {
    return directory_->ReadSecret(name, limit);
  }
  absl::Status MakeLink(absl::string_view name, absl::string_view target) override {
    return Keep(directory_->MakeLink(name, target), {Kind::kMakeLink, PathOf(name), std::string(target), 0});
  }
  absl::StatusOr<std::string> ReadLink(absl::string_view name) override { return directory_->ReadLink(name); }
  absl::StatusOr<FileInfo> Stat(absl::string_view name) override { return directory_->Stat(name); }
  absl::Status Rename(absl::string_view from, absl::string_view to) override {
    return Keep(directory_->Rename(from, to), {Kind::kRename, PathOf(from), PathOf(to), 0});
  }
  absl::Status Remove(absl::string_view name) override {
    return Keep(directory_->Remove(name), {Kind::kRemove, PathOf(name), "", 0});
  }
  absl::Status RemoveDirectory(absl::string_view name) override {
    return Keep(directory_->RemoveDirectory(name), {Kind::kRemoveDirectory, PathOf(name), "", 0});
  }
  absl::StatusOr<std::vector<std::string>> List() override { return directory_->List(); }
  absl::StatusOr<FileInfo> StatSelf() override { return directory_->StatSelf(); }
  absl::StatusOr<uint64_t> FreeBytes() override { return directory_->FreeBytes(); }
  absl::Status CheckWritable() override { return directory_->CheckWritable(); }
  absl::Status Sync() override { return Keep(directory_->Sync(), {Kind::kSync, path(), "", 0}); }

 private:
  std::string PathOf(absl::string_view name) const { return absl::StrCat(path(), "/", name); }
  absl::Status Keep(absl::Status done, Change change) {
    if (done.ok()) changes_.push_back(std::move(change));
    return done;
  }

  const std::unique_ptr<Directory> directory_;
  std::vector<Change>& changes_;
};

int WriteZeros(const Change& change, int flags, int (&sync)(int)) {
  const Descriptor file(open(change.path.c_str(), flags | O_WRONLY | O_CLOEXEC, 0600));
  if (!file.valid()) return -1;
  const std::string zeros(change.bytes, '\0');
  if (pwrite(file.get(), zeros.data(), zeros.size(), 0) != static_cast<ssize_t>(zeros.size())) return -1;
  return sync(file.get());
}

int SyncDirectory(const std::string& path) {
  const Descriptor directory(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  return directory.valid() ? fsync(directory.get()) : -1;
}

int Make(const Change& change) {
  switch (change.kind) {
    case Kind::kMakeDirectory:
      return mkdir(change.path.c_str(), 0700);
    case Kind::kCreateFile:
      return WriteZeros(change, O_CREAT | O_EXCL, fsync);
    case Kind::kOverwriteFile:
      return WriteZeros(change, 0, fdatasync);
    case Kind::kMakeLink:
      return symlink(change.other.c_str(), change.path.c_str());
    case Kind::kRename:
      return rename(change.path.c_str(), change.other.c_str());
    case Kind::kRemove:
      return unlink(change.path.c_str());
    case Kind::kRemoveDirectory:
      return rmdir(change.path.c_str());
    case Kind::kSync:
      return SyncDirectory(change.path);
  }
  errno = EINVAL;
  return -1;
}

bool MovePath(std::string& path, absl::string_view from, absl::string_view to) {
  if (path != from && !absl::StartsWith(path, absl::StrCat(from, "/"))) return false;
  path = absl::StrCat(to, path.substr(from.size()));
  return true;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Directory>> RecordingFileSystem::OpenDirectory(absl::string_view path) {
  ASSIGN_OR_RETURN(std::unique_ptr<Directory> opened, FileSystem::Real().OpenDirectory(path));
  return std::make_unique<RecordingDirectory>(std::move(opened), changes_);
}

std::vector<Change> RecordingFileSystem::TakeChanges() {
  return std::exchange(changes_, {});
}

bool Move(Change& change, absl::string_view from, absl::string_view to) {
  if (change.kind == Kind::kRename && !MovePath(change.other, from, to)) return false;
  return MovePath(change.path, from, to);
}

absl::Status MakeAgain(const std::vector<Change>& changes) {
  for (const Change& change : changes) {
    if (Make(change) != 0) return FailErrno(errno, absl::StrCat("making a recorded change of ", change.path));
  }
  return absl::OkStatus();
}

}  // namespace certcast::bench
