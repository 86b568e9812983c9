#include "common/secret/reference.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/status/status.h"

namespace certcast {
namespace {

constexpr size_t kMaxSecret = size_t{64} * 1024;

absl::Status FailMissing(absl::string_view detail, absl::string_view hint) {
  v1::Failure failure;
  failure.set_detail(std::string(detail));
  failure.set_hint(std::string(hint));
  return StatusOf(failure, absl::StatusCode::kNotFound);
}

// Checks what the descriptor leads to, so that it can't be exchanged between check and use.
absl::Status CheckFile(int descriptor, const std::string& path, bool check_mode) {
  struct stat info = {};
  if (fstat(descriptor, &info) != 0) return FailErrno(errno, absl::StrCat("looking at ", path));
  if (!S_ISREG(info.st_mode)) return FailInput(absl::StrCat(path, " is not a regular file"));
  if (check_mode && (info.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
    return Fail(Reason::PERMISSION_DENIED,
                absl::StrFormat("%s holds a secret but is open to group or others (mode %04o)", path,
                                static_cast<unsigned>(info.st_mode & 07777)),
                absl::StrCat("chmod go= ", path));
  }
  return absl::OkStatus();
}

// At most one byte more than is allowed, so that the caller sees that there is more.
absl::StatusOr<Secret> ReadAll(int descriptor, const std::string& path) {
  Secret buffer = Secret::OfSize(kMaxSecret + 1);
  size_t size = 0;
  while (size < buffer.size()) {
    const ssize_t count = read(descriptor, buffer.MutableBytes() + size, buffer.size() - size);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return FailErrno(errno, absl::StrCat("reading ", path));
    if (count == 0) break;
    size += static_cast<size_t>(count);
  }
  return Secret(buffer.ExposeSecret().substr(0, size));
}

absl::StatusOr<Secret> ReadFile(const std::string& path, bool check_mode) {
  // O_NONBLOCK: opening a FIFO must not wait for its writer.
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  if (descriptor < 0) return FailErrno(errno, absl::StrCat("opening ", path));
  const auto closer = absl::MakeCleanup([descriptor] { close(descriptor); });
  RETURN_IF_ERROR(CheckFile(descriptor, path, check_mode));
  return ReadAll(descriptor, path);
}

absl::StatusOr<Secret> ReadEnvironment(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  if (value == nullptr) {
    return FailMissing(absl::StrCat("environment variable ", name, " is not set"),
                       "set it where this program is started");
  }
  return Secret(value);
}

absl::StatusOr<Secret> ReadCredential(const std::string& name) {
  if (name.empty() || name == "." || name == ".." || name.find('/') != std::string::npos) {
    return FailInput(absl::StrCat("\"", name, "\" is not the name of a systemd credential"));
  }
  const char* directory = std::getenv("CREDENTIALS_DIRECTORY");
  if (directory == nullptr || *directory == '\0') {
    return FailMissing(absl::StrCat("credential ", name, ": $CREDENTIALS_DIRECTORY is not set"),
                       absl::StrCat("start this program by systemd with LoadCredential=", name, ":PATH"));
  }
  return ReadFile(absl::StrCat(directory, "/", name), /*check_mode=*/false);
}

absl::StatusOr<Secret> ReadRaw(const SecretReference& reference) {
  switch (reference.kind) {
    case SecretReference::Kind::kFile:
      return ReadFile(reference.name, /*check_mode=*/true);
    case SecretReference::Kind::kEnvironment:
      return ReadEnvironment(reference.name);
    case SecretReference::Kind::kCredential:
      return ReadCredential(reference.name);
    case SecretReference::Kind::kNone:
      break;
  }
  return FailInput("no secret is configured", "give {file: PATH}, {env: NAME} or {credential: NAME}");
}

absl::string_view WithoutLineEnd(absl::string_view text) {
  if (!text.empty() && text.back() == '\n') {
    text.remove_suffix(1);
    if (!text.empty() && text.back() == '\r') text.remove_suffix(1);
  }
  return text;
}

}  // namespace

std::string SecretReference::Describe() const {
  switch (kind) {
    case Kind::kFile:
      return absl::StrCat("file ", name);
    case Kind::kEnvironment:
      return absl::StrCat("environment variable ", name);
    case Kind::kCredential:
      return absl::StrCat("credential ", name);
    case Kind::kNone:
      break;
  }
  return "nothing";
}

absl::StatusOr<Secret> ReadSecret(const SecretReference& reference) {
  ASSIGN_OR_RETURN(const Secret raw, ReadRaw(reference));
  if (raw.size() > kMaxSecret) return FailInput(absl::StrCat(reference.Describe(), " is larger than 64 KiB"));
  const absl::string_view value = WithoutLineEnd(raw.ExposeSecret());
  if (value.empty()) return FailInput(absl::StrCat(reference.Describe(), " is empty"));
  return Secret(value);
}

}  // namespace certcast
