#include "controller/transport/ssh/exec_channel.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status/status.h"

namespace certcast::controller {
namespace {

constexpr size_t kMaxErrorOutput = 4096;
// Of standard error, before something else has its turn.
constexpr int kMostReads = 64;
constexpr size_t kReadSize = size_t{16} * 1024;
// Between two looks at the window. More would only lie in libssh's buffer.
constexpr size_t kWriteSize = size_t{256} * 1024;

}  // namespace

absl::StatusOr<std::unique_ptr<ExecChannel>> ExecChannel::Start(std::unique_ptr<SshSession> session,
                                                                const char* command, Deadline deadline) {
  SshSession& on = *session;
  const ssh_channel raw = ssh_channel_new(on.get());
  if (raw == nullptr) return Fail(Reason::PROTOCOL, absl::StrCat(on.peer(), ": libssh has no memory for a channel"));
  std::unique_ptr<ExecChannel> channel(new ExecChannel(std::move(session), raw));
  ASSIGN_OR_RETURN(const int opened, on.Drive("a channel", deadline, [&] { return ssh_channel_open_session(raw); }));
  if (opened != SSH_OK) {
    if (!on.alive()) return on.Lost();
    return Fail(Reason::AUTH_FAILED, absl::StrCat(on.peer(), " logged in, but opened no session: ", on.Error()),
                "its sshd_config may forbid it (MaxSessions, PermitTTY, a chroot)");
  }
  ASSIGN_OR_RETURN(const int started, on.Drive("the start of a command", deadline,
                                               [&] { return ssh_channel_request_exec(raw, command); }));
  if (started != SSH_OK) {
    if (!on.alive()) return on.Lost();
    return Fail(Reason::AUTH_FAILED, absl::StrCat(on.peer(), " logged in, but runs no command: ", on.Error()),
                "the login may be restricted to another use (SFTP only)");
  }
  return channel;
}

ExecChannel::~ExecChannel() {
  ssh_channel_free(channel_);
}

void ExecChannel::DrainErrorOutput() {
  std::array<char, 4096> buffer;
  for (int reads = 0; reads < kMostReads; ++reads) {
    const int size = ssh_channel_read_nonblocking(channel_, buffer.data(), buffer.size(), 1);
    if (size <= 0) return;
    absl::StrAppend(&error_output_, absl::string_view(buffer.data(), static_cast<size_t>(size)));
    if (error_output_.size() > kMaxErrorOutput) error_output_.erase(0, error_output_.size() - kMaxErrorOutput);
  }
}

absl::Status ExecChannel::Write(absl::string_view bytes, Deadline deadline) {
  while (!bytes.empty()) {
    const size_t size = std::min({bytes.size(), kWriteSize, size_t{ssh_channel_window_size(channel_)}});
    if (size > 0) {
      const int written = ssh_channel_write(channel_, bytes.data(), static_cast<uint32_t>(size));
      if (written < 0 && written != SSH_AGAIN) return session_->Lost();
      if (written > 0) {
        bytes.remove_prefix(static_cast<size_t>(written));
        continue;
      }
    }
    // Also takes in what widens the window.
    DrainErrorOutput();
    if (!session_->alive()) return session_->Lost();
    // While its last words have not been read, libssh calls the channel neither closed nor at its end.
    const bool exited = ssh_channel_get_exit_status(channel_) >= 0;
    if (exited || ssh_channel_is_closed(channel_) != 0 || ssh_channel_is_eof(channel_) != 0) {
      return Fail(Reason::LINK_LOST, absl::StrCat("the program on ", peer(), " ended before it had read all"));
    }
    if (size > 0 || ssh_channel_window_size(channel_) == 0) {
      RETURN_IF_ERROR(session_->Wait("it to read", deadline));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> ExecChannel::Read(Deadline deadline) {
  std::string bytes(kReadSize, '\0');
  while (true) {
    const uint64_t before = session_->received();
    DrainErrorOutput();
    const int size = ssh_channel_read_nonblocking(channel_, bytes.data(), static_cast<uint32_t>(bytes.size()), 0);
    if (size > 0) {
      bytes.resize(static_cast<size_t>(size));
      return bytes;
    }
    if (!session_->alive()) return session_->Lost();
    if (ssh_channel_is_eof(channel_) != 0 || ssh_channel_is_closed(channel_) != 0) return std::string();
    if (size == SSH_ERROR) return session_->Lost();
    if (session_->received() == before || deadline.IsOver()) RETURN_IF_ERROR(session_->Wait("an answer", deadline));
  }
}

std::optional<int> ExecChannel::AwaitExit(Deadline deadline) {
  while (session_->alive() && ssh_channel_get_exit_status(channel_) < 0 && ssh_channel_is_closed(channel_) == 0) {
    DrainErrorOutput();
    if (ssh_channel_get_exit_status(channel_) >= 0 || ssh_channel_is_closed(channel_) != 0) break;
    if (!session_->Wait("the end of the program", deadline).ok()) break;
  }
  DrainErrorOutput();
  const int status = ssh_channel_get_exit_status(channel_);
  return status < 0 ? std::nullopt : std::optional<int>(status);
}

}  // namespace certcast::controller
