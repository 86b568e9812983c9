#include "controller/store/lease_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/status/status.h"

namespace certcast::controller {
namespace {

constexpr size_t kMaxHolder = 256;
constexpr size_t kMaxText = 1024;

absl::Status Held(int descriptor, const std::string& path) {
  char text[kMaxText];
  const ssize_t size = pread(descriptor, text, sizeof text, 0);
  std::string holder = size > 0 ? std::string(text, static_cast<size_t>(size)) : std::string();
  absl::StripAsciiWhitespace(&holder);
  // Before its first text. A new holder's text may also still be its predecessor's for a moment.
  if (holder.empty()) holder = "another process";
  return Fail(Reason::BUSY, absl::StrCat("in use by ", holder),
              absl::StrCat("wait until it has ended (", path, " is its lock)"));
}

absl::Status WriteHolder(int descriptor, const std::string& path, const std::string& text) {
  if (ftruncate(descriptor, 0) != 0 ||
      pwrite(descriptor, text.data(), text.size(), 0) != static_cast<ssize_t>(text.size())) {
    return FailErrno(errno, absl::StrCat("writing ", path));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<LeaseFile> LeaseFile::Take(const std::string& path, absl::string_view holder, absl::Time since) {
  const int descriptor = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (descriptor < 0) return FailErrno(errno, absl::StrCat("opening ", path));
  LeaseFile file(descriptor);
  while (flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
    if (errno == EINTR) continue;
    if (errno != EWOULDBLOCK) return FailErrno(errno, absl::StrCat("locking ", path));
    return Held(descriptor, path);
  }
  RETURN_IF_ERROR(
      WriteHolder(descriptor, path,
                  absl::StrCat(absl::CHexEscape(holder.substr(0, kMaxHolder)), " (process ", getpid(), ") since ",
                               absl::FormatTime(absl::RFC3339_sec, since, absl::UTCTimeZone()), "\n")));
  return file;
}

LeaseFile::LeaseFile(LeaseFile&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {
}

LeaseFile::~LeaseFile() {
  if (descriptor_ < 0) return;
  // A child between fork and exec shares the lock; closing alone would leave it to that child.
  flock(descriptor_, LOCK_UN);
  close(descriptor_);
}

}  // namespace certcast::controller
