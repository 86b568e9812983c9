// Linux. Each operation is one *at call on an open directory (and, for files, what is done with the descriptor it
// gave), so that nobody can swap a directory on the way for another one between two calls.
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "common/file/descriptor.h"
#include "common/file/file_system.h"
#include "common/status/status.h"

namespace certcast {
namespace {

constexpr int kDirectoryFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
// As the kernel's own limit for one path.
constexpr int kMaxLinks = 40;

// The result of `call`, made again for as long as a signal interrupts it. Also where only remote and user-space file
// systems answer so: what they interrupt they have not done.
template <typename Call>
auto Uninterrupted(Call call) {
  decltype(call()) result;
  do {
    result = call();
  } while (result < 0 && errno == EINTR);
  return result;
}

// At `name` in `directory`, or `directory` itself where it is empty. Never follows a link, and never asks for times: a
// file whose times were looked at gets new ones with its next write, however soon that is (Linux 6.13), which makes the
// fsync after it write the inode too.
int Look(int directory, const char* name, struct statx& found) {
  constexpr unsigned int kWanted = STATX_TYPE | STATX_MODE | STATX_UID | STATX_GID | STATX_SIZE;
  return Uninterrupted([&] { return statx(directory, name, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH, kWanted, &found); });
}

absl::Status LinkInTheWay(absl::string_view path) {
  return Fail(Reason::PERMISSION_DENIED, absl::StrCat(path, " is a symbolic link where none is expected"),
              "look who made it; remove it, or name the place it leads to");
}

// What openat with O_NOFOLLOW left in errno for `name`: a link gives ELOOP or, with O_DIRECTORY, ENOTDIR.
absl::Status OpenError(int directory, const std::string& name, absl::string_view path, absl::string_view doing) {
  const int error = errno;
  struct statx found;
  if ((error == ELOOP || error == ENOTDIR) && Look(directory, name.c_str(), found) == 0 && S_ISLNK(found.stx_mode)) {
    return LinkInTheWay(path);
  }
  return FailErrno(error, absl::StrCat(doing, " ", path));
}

FileInfo InfoOf(const struct statx& found) {
  FileInfo info;
  if (S_ISREG(found.stx_mode)) info.kind = FileInfo::Kind::kFile;
  if (S_ISDIR(found.stx_mode)) info.kind = FileInfo::Kind::kDirectory;
  if (S_ISLNK(found.stx_mode)) info.kind = FileInfo::Kind::kLink;
  info.attributes = {.mode = found.stx_mode & 07777U, .owner = found.stx_uid, .group = found.stx_gid};
  info.size = static_cast<uint64_t>(found.stx_size);
  return info;
}

// Owner and group first, since changing them clears set-id bits, and so that the mode never opens it to another group
// than the final one. What is so already is not asked for: an ordinary user may not even give a file to itself on some
// file systems.
absl::Status SetAttributes(int fd, const FileAttributes& attributes, absl::string_view path) {
  struct statx found;
  if (Look(fd, "", found) != 0) {
    return FailErrno(errno, absl::StrCat("looking at ", path));
  }
  if ((found.stx_uid != attributes.owner || found.stx_gid != attributes.group) &&
      Uninterrupted([&] { return fchown(fd, attributes.owner, attributes.group); }) != 0) {
    return FailErrno(errno,
                     absl::StrCat("giving ", path, " to user ", attributes.owner, " and group ", attributes.group),
                     geteuid() == 0 ? "" : "only root may give files to other users");
  }
  if ((found.stx_mode & 07777U) == attributes.mode) return absl::OkStatus();
  if (Uninterrupted([&] { return fchmod(fd, attributes.mode); }) != 0) {
    return FailErrno(errno, absl::StrCat("setting the mode of ", path));
  }
  return absl::OkStatus();
}

// `bytes` from the start of the file.
absl::Status WriteAll(int fd, absl::string_view bytes, absl::string_view path) {
  off_t offset = 0;
  while (!bytes.empty()) {
    const ssize_t written = Uninterrupted([&] { return pwrite(fd, bytes.data(), bytes.size(), offset); });
    if (written < 0) return FailErrno(errno, absl::StrCat("writing ", path));
    if (written == 0) return FailErrno(EIO, absl::StrCat("writing ", path));
    bytes.remove_prefix(static_cast<size_t>(written));
    offset += written;
  }
  return absl::OkStatus();
}

absl::Status TooLarge(absl::string_view path, size_t limit) {
  return Fail(Reason::MALFORMED, absl::StrCat(path, " is larger than the ", limit, " bytes it may have"));
}

absl::StatusOr<std::string> ReadToEnd(int fd, size_t limit, absl::string_view path) {
  struct statx found;
  if (Look(fd, "", found) != 0) return FailErrno(errno, absl::StrCat("looking at ", path));
  std::string bytes;
  // At once, not by doubling: records whose space is reserved are large, and read at each contact.
  bytes.reserve(std::min(static_cast<size_t>(found.stx_size), limit));
  char buffer[16 * 1024];
  while (true) {
    const ssize_t count = Uninterrupted([&] { return read(fd, buffer, sizeof buffer); });
    if (count < 0) return FailErrno(errno, absl::StrCat("reading ", path));
    if (count == 0) return bytes;
    bytes.append(buffer, static_cast<size_t>(count));
    if (bytes.size() > limit) return TooLarge(path, limit);
  }
}

absl::StatusOr<std::string> ReadUpTo(int fd, size_t size, absl::string_view path) {
  std::string bytes(size, '\0');
  size_t have = 0;
  while (have < size) {
    const ssize_t count = Uninterrupted([&] { return read(fd, bytes.data() + have, size - have); });
    if (count < 0) return FailErrno(errno, absl::StrCat("reading ", path));
    if (count == 0) break;
    have += static_cast<size_t>(count);
  }
  bytes.resize(have);
  return bytes;
}

// Straight into memory that is wiped, which is larger than the file by a byte, so that its end is seen.
absl::StatusOr<Secret> ReadSecretToEnd(int fd, size_t limit, absl::string_view path) {
  struct statx found;
  if (Look(fd, "", found) != 0) return FailErrno(errno, absl::StrCat("looking at ", path));
  Secret buffer = Secret::OfSize(std::min(static_cast<size_t>(found.stx_size), limit) + 1);
  size_t size = 0;
  while (true) {
    const ssize_t count = Uninterrupted([&] { return read(fd, buffer.MutableBytes() + size, buffer.size() - size); });
    if (count < 0) return FailErrno(errno, absl::StrCat("reading ", path));
    if (count == 0) return Secret(buffer.ExposeSecret().substr(0, size));
    size += static_cast<size_t>(count);
    if (size > limit) return TooLarge(path, limit);
    if (size < buffer.size()) continue;
    // It grew meanwhile.
    Secret larger = Secret::OfSize(2 * buffer.size());
    std::memcpy(larger.MutableBytes(), buffer.ExposeSecret().data(), size);
    buffer = std::move(larger);
  }
}

absl::StatusOr<std::string> ReadLinkAt(int directory, const char* name, absl::string_view path) {
  char target[PATH_MAX];
  const ssize_t size = Uninterrupted([&] { return readlinkat(directory, name, target, sizeof target); });
  if (size < 0) return FailErrno(errno, absl::StrCat("reading the link ", path));
  if (static_cast<size_t>(size) == sizeof target)
    return FailErrno(ENAMETOOLONG, absl::StrCat("reading the link ", path));
  return std::string(target, static_cast<size_t>(size));
}

class RealDirectory : public Directory {
 public:
  RealDirectory(Descriptor fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}

  const std::string& path() const override { return path_; }

  absl::StatusOr<std::unique_ptr<Directory>> OpenDirectory(absl::string_view name) override {
    ASSIGN_OR_RETURN(Descriptor fd, Open(name, kDirectoryFlags, "opening the directory"));
    return std::make_unique<RealDirectory>(std::move(fd), PathOf(name));
  }

  absl::Status MakeDirectory(absl::string_view name, const FileAttributes& attributes) override {
    RETURN_IF_ERROR(CheckFileName(name));
    // Nobody else gets in before owner and group are as they should be.
    const std::string file(name);
    if (Uninterrupted([&] { return mkdirat(fd_.get(), file.c_str(), attributes.mode & 0700); }) != 0) {
      return FailErrno(errno, absl::StrCat("making the directory ", PathOf(name)));
    }
    ASSIGN_OR_RETURN(const Descriptor made, Open(name, kDirectoryFlags, "opening the directory"));
    return SetAttributes(made.get(), attributes, PathOf(name));
  }

  absl::Status CreateFile(absl::string_view name, absl::string_view bytes, const FileAttributes& attributes) override {
    // For its owner alone until owner and group are as they should be, and never wider than it ends.
    ASSIGN_OR_RETURN(const Descriptor file,
                     Open(name, O_WRONLY | O_CREAT | O_EXCL, "creating", attributes.mode & 0600));
    RETURN_IF_ERROR(SetAttributes(file.get(), attributes, PathOf(name)));
    RETURN_IF_ERROR(WriteAll(file.get(), bytes, PathOf(name)));
    if (Uninterrupted([&] { return fsync(file.get()); }) == 0) return absl::OkStatus();
    return FailErrno(errno, absl::StrCat("fsync of ", PathOf(name)));
  }

  absl::Status OverwriteFile(absl::string_view name, absl::string_view bytes) override {
    ASSIGN_OR_RETURN(const Descriptor file, OpenRegular(name, O_WRONLY, bytes.size(), SIZE_MAX));
    RETURN_IF_ERROR(WriteAll(file.get(), bytes, PathOf(name)));
    // The time of change is all else that is new, and not worth a write of the inode, or a commit of the file system's
    // own journal.
    if (Uninterrupted([&] { return fdatasync(file.get()); }) == 0) return absl::OkStatus();
    return FailErrno(errno, absl::StrCat("fdatasync of ", PathOf(name)));
  }

  absl::StatusOr<std::string> ReadFile(absl::string_view name, size_t limit) override {
    ASSIGN_OR_RETURN(const Descriptor file, OpenRegular(name, O_RDONLY, 0, limit));
    return ReadToEnd(file.get(), limit, PathOf(name));
  }

  absl::StatusOr<std::string> ReadStart(absl::string_view name, size_t size, size_t limit) override {
    ASSIGN_OR_RETURN(const Descriptor file, OpenRegular(name, O_RDONLY, 0, limit));
    return ReadUpTo(file.get(), size, PathOf(name));
  }

  absl::StatusOr<Secret> ReadSecret(absl::string_view name, size_t limit) override {
    ASSIGN_OR_RETURN(const Descriptor file, OpenRegular(name, O_RDONLY, 0, limit));
    return ReadSecretToEnd(file.get(), limit, PathOf(name));
  }

  absl::Status MakeLink(absl::string_view name, absl::string_view target) override {
    RETURN_IF_ERROR(CheckFileName(name));
    const std::string file(name), leads_to(target);
    if (Uninterrupted([&] { return symlinkat(leads_to.c_str(), fd_.get(), file.c_str()); }) != 0) {
      return FailErrno(errno, absl::StrCat("making the link ", PathOf(name)));
    }
    return absl::OkStatus();
  }

  absl::StatusOr<std::string> ReadLink(absl::string_view name) override {
    RETURN_IF_ERROR(CheckFileName(name));
    return ReadLinkAt(fd_.get(), std::string(name).c_str(), PathOf(name));
  }

  absl::StatusOr<FileInfo> Stat(absl::string_view name) override {
    RETURN_IF_ERROR(CheckFileName(name));
    const std::string file(name);
    struct statx found;
    if (Look(fd_.get(), file.c_str(), found) != 0) {
      return FailErrno(errno, absl::StrCat("looking at ", PathOf(name)));
    }
    return InfoOf(found);
  }

  absl::Status Rename(absl::string_view from, absl::string_view to) override {
    RETURN_IF_ERROR(CheckFileName(from));
    RETURN_IF_ERROR(CheckFileName(to));
    const std::string old_name(from), new_name(to);
    if (Uninterrupted([&] { return renameat(fd_.get(), old_name.c_str(), fd_.get(), new_name.c_str()); }) != 0) {
      return FailErrno(errno, absl::StrCat("renaming ", PathOf(from), " to ", to));
    }
    return absl::OkStatus();
  }

  absl::Status Remove(absl::string_view name) override { return Unlink(name, 0); }
  absl::Status RemoveDirectory(absl::string_view name) override { return Unlink(name, AT_REMOVEDIR); }

  absl::StatusOr<std::vector<std::string>> List() override {
    const int copy = Uninterrupted([&] { return openat(fd_.get(), ".", kDirectoryFlags); });
    if (copy < 0) return FailErrno(errno, absl::StrCat("listing ", path_));
    const std::unique_ptr<DIR, int (*)(DIR*)> stream(fdopendir(copy), closedir);
    if (stream == nullptr) {
      const absl::Status error = FailErrno(errno, absl::StrCat("listing ", path_));
      close(copy);
      return error;
    }
    std::vector<std::string> names;
    errno = 0;
    while (const dirent* entry = readdir(stream.get())) {
      const absl::string_view name = entry->d_name;
      if (name != "." && name != "..") names.emplace_back(name);
      errno = 0;
    }
    if (errno != 0) return FailErrno(errno, absl::StrCat("listing ", path_));
    std::sort(names.begin(), names.end());
    return names;
  }

  absl::StatusOr<FileInfo> StatSelf() override {
    struct statx found;
    if (Look(fd_.get(), "", found) != 0) {
      return FailErrno(errno, absl::StrCat("looking at ", path_));
    }
    return InfoOf(found);
  }

  absl::StatusOr<uint64_t> FreeBytes() override {
    struct statvfs found;
    if (Uninterrupted([&] { return fstatvfs(fd_.get(), &found); }) != 0) {
      return FailErrno(errno, absl::StrCat("asking for the free space of ", path_));
    }
    return static_cast<uint64_t>(found.f_bavail) * found.f_frsize;
  }

  absl::Status CheckWritable() override {
    if (Uninterrupted([&] { return faccessat(fd_.get(), ".", W_OK | X_OK, AT_EACCESS); }) != 0) {
      return FailErrno(errno, absl::StrCat("writing to ", path_));
    }
    return absl::OkStatus();
  }

  absl::Status Sync() override {
    if (Uninterrupted([&] { return fsync(fd_.get()); }) != 0) return FailErrno(errno, absl::StrCat("fsync of ", path_));
    return absl::OkStatus();
  }

 private:
  std::string PathOf(absl::string_view name) const {
    return absl::StrCat(path_, absl::EndsWith(path_, "/") ? "" : "/", name);
  }

  // `mode`: of a file that this creates.
  absl::StatusOr<Descriptor> Open(absl::string_view name, int flags, absl::string_view doing, mode_t mode = 0) {
    RETURN_IF_ERROR(CheckFileName(name));
    const std::string file(name);
    Descriptor fd(Uninterrupted([&] { return openat(fd_.get(), file.c_str(), flags | O_NOFOLLOW | O_CLOEXEC, mode); }));
    if (!fd.valid()) return OpenError(fd_.get(), file, PathOf(name), doing);
    return fd;
  }

  // O_NONBLOCK: opening a pipe or a terminal must not wait for its other end before it is refused.
  absl::StatusOr<Descriptor> OpenRegular(absl::string_view name, int flags, uint64_t min_size, uint64_t max_size) {
    ASSIGN_OR_RETURN(Descriptor file, Open(name, flags | O_NONBLOCK | O_NOCTTY, "opening"));
    struct statx found;
    if (Look(file.get(), "", found) != 0) {
      return FailErrno(errno, absl::StrCat("looking at ", PathOf(name)));
    }
    if (!S_ISREG(found.stx_mode)) {
      return Fail(Reason::STORAGE_FAILED, absl::StrCat(PathOf(name), " is not a regular file"));
    }
    const auto size = static_cast<uint64_t>(found.stx_size);
    if (size > max_size) {
      return Fail(Reason::MALFORMED,
                  absl::StrCat(PathOf(name), " has ", size, " bytes, more than the ", max_size, " it may have"));
    }
    if (size < min_size) {
      return Fail(Reason::STORAGE_FAILED, absl::StrCat(PathOf(name), " has only ", size, " bytes, so ", min_size,
                                                       " can't be written over them"));
    }
    return file;
  }

  absl::Status Unlink(absl::string_view name, int flags) {
    RETURN_IF_ERROR(CheckFileName(name));
    const std::string file(name);
    if (Uninterrupted([&] { return unlinkat(fd_.get(), file.c_str(), flags); }) != 0) {
      return FailErrno(errno, absl::StrCat("removing ", PathOf(name)));
    }
    return absl::OkStatus();
  }

  const Descriptor fd_;
  const std::string path_;
};

// Walks one path, a component at a time, holding the directory reached so far.
class Walk {
 public:
  explicit Walk(absl::string_view path) : path_(path) {}

  absl::StatusOr<std::unique_ptr<Directory>> ToEnd() {
    if (!absl::StartsWith(path_, "/")) {
      return FailInput(absl::StrCat("\"", path_, "\" is not an absolute path"), "paths start with a slash");
    }
    if (absl::StrContains(path_, '\0')) return FailInput("a path holds a zero byte");
    RETURN_IF_ERROR(Push(path_));
    while (!rest_.empty()) {
      const std::string component = std::move(rest_.front());
      rest_.pop_front();
      RETURN_IF_ERROR(Enter(component));
    }
    // So far it is only a place; reading its entries needs a descriptor of the ordinary kind.
    Descriptor directory(Uninterrupted([&] { return openat(here_.get(), ".", kDirectoryFlags); }));
    if (!directory.valid()) return FailErrno(errno, absl::StrCat("opening the directory ", path_));
    return std::make_unique<RealDirectory>(std::move(directory), path_);
  }

 private:
  // Puts the components of `path`, which may be a link's target, before the rest.
  absl::Status Push(absl::string_view path) {
    if (absl::StartsWith(path, "/")) {
      here_ = Descriptor(Uninterrupted([] { return open("/", O_PATH | O_DIRECTORY | O_CLOEXEC); }));
      if (!here_.valid()) return FailErrno(errno, "opening /");
    }
    std::vector<std::string> components = absl::StrSplit(path, '/', absl::SkipEmpty());
    rest_.insert(rest_.begin(), std::make_move_iterator(components.begin()), std::make_move_iterator(components.end()));
    return absl::OkStatus();
  }

  absl::Status Enter(const std::string& component) {
    if (component == ".") return absl::OkStatus();
    Descriptor next(
        Uninterrupted([&] { return openat(here_.get(), component.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC); }));
    struct statx found;
    if (!next.valid() || Look(next.get(), "", found) != 0) return At(component, errno);
    if (S_ISLNK(found.stx_mode)) return Follow(next, found, component);
    if (!S_ISDIR(found.stx_mode)) return At(component, ENOTDIR);
    here_ = std::move(next);
    return absl::OkStatus();
  }

  absl::Status Follow(const Descriptor& link, const struct statx& found, const std::string& component) {
    struct statx around;
    if (Look(here_.get(), "", around) != 0) return At(component, errno);
    if (!IsTrustedOwner(found.stx_uid) || !IsTrustedOwner(around.stx_uid)) {
      return Fail(Reason::PERMISSION_DENIED,
                  absl::StrCat("opening the directory ", path_, ": \"", component, "\" is a symbolic link that user ",
                               IsTrustedOwner(found.stx_uid) ? around.stx_uid : found.stx_uid, " can change"),
                  "links on the way must belong, with their directory, to root or to the user certcast runs as");
    }
    if (++links_ > kMaxLinks) return At(component, ELOOP);
    // An empty name means the link that the descriptor itself stands for: nobody can have changed it since.
    ASSIGN_OR_RETURN(const std::string target, ReadLinkAt(link.get(), "", path_));
    return Push(target);
  }

  absl::Status At(const std::string& component, int error) const {
    return FailErrno(error, absl::StrCat("opening the directory ", path_, " at \"", component, "\""));
  }

  const std::string path_;
  Descriptor here_;
  std::deque<std::string> rest_;
  int links_ = 0;
};

// The directory in one call where no link is on the way, as is usual. Invalid where there is one, where there is no
// such directory, and where the kernel (before 5.6) or a container has no openat2.
Descriptor OpenWithoutLinks(const std::string& path) {
#ifdef SYS_openat2
  open_how how = {.flags = kDirectoryFlags, .mode = 0, .resolve = RESOLVE_NO_SYMLINKS};
  return Descriptor(
      static_cast<int>(Uninterrupted([&] { return syscall(SYS_openat2, AT_FDCWD, path.c_str(), &how, sizeof how); })));
#else
  return Descriptor();
#endif
}

class RealFileSystem : public FileSystem {
 public:
  absl::StatusOr<std::unique_ptr<Directory>> OpenDirectory(absl::string_view path) override {
    if (absl::StartsWith(path, "/") && !absl::StrContains(path, '\0')) {
      const std::string name(path);
      if (Descriptor fd = OpenWithoutLinks(name); fd.valid()) {
        return std::make_unique<RealDirectory>(std::move(fd), name);
      }
    }
    // Follows the links that may be followed, or finds the place and the reason why there is no way.
    return Walk(path).ToEnd();
  }
};

}  // namespace

FileSystem& FileSystem::Real() {
  static auto* const files = new RealFileSystem;
  return *files;
}

}  // namespace certcast
