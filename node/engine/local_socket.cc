#include "node/engine/local_socket.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "common/clock/clock.h"
#include "common/file/descriptor.h"
#include "common/status/status.h"

namespace certcast::node {
namespace {

constexpr size_t kMaxAnswer = size_t{64} * 1024;

class Conversation {
 public:
  Conversation(const std::string& path, absl::Duration timeout)
      : path_(path), deadline_(Clock::Real().Monotonic() + timeout) {}

  absl::Status Connect() {
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    if (path_.size() >= sizeof address.sun_path) {
      return Fail(Reason::NO_ROUTE, absl::StrCat(path_, " is too long for the path of a socket"));
    }
    std::memcpy(address.sun_path, path_.data(), path_.size());
    fd_ = Descriptor(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!fd_.valid()) return Failed(Reason::NO_ROUTE, "connecting");
    // A full backlog is EAGAIN here, for which there is nothing to poll.
    while (connect(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
      if (errno == EINTR) continue;
      if (errno != EAGAIN) return Failed(Reason::NO_ROUTE, "connecting", HintForConnect(errno));
      if (Remaining() == absl::ZeroDuration()) return TimedOut("it to accept a connection");
      Clock::Real().Sleep(absl::Milliseconds(10));
    }
    return absl::OkStatus();
  }

  absl::Status Write(absl::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t size = send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (size >= 0) {
        bytes.remove_prefix(static_cast<size_t>(size));
      } else if (errno == EAGAIN) {
        RETURN_IF_ERROR(WaitFor(POLLOUT, "it to read"));
      } else if (errno != EINTR) {
        return Failed(Reason::LINK_LOST, "sending");
      }
    }
    return absl::OkStatus();
  }

  absl::StatusOr<std::string> ReadToEnd() {
    std::string answer;
    while (answer.size() <= kMaxAnswer) {
      char buffer[4096];
      const ssize_t size = recv(fd_.get(), buffer, sizeof buffer, 0);
      if (size == 0) return answer;
      if (size > 0) {
        answer.append(buffer, static_cast<size_t>(size));
      } else if (errno == EAGAIN) {
        RETURN_IF_ERROR(WaitFor(POLLIN, "its answer"));
      } else if (errno != EINTR) {
        return Failed(Reason::LINK_LOST, "receiving");
      }
    }
    return Fail(Reason::PROTOCOL, absl::StrCat(path_, " answered with more than 64 KiB"));
  }

 private:
  absl::Duration Remaining() const { return std::max(deadline_ - Clock::Real().Monotonic(), absl::ZeroDuration()); }

  static absl::string_view HintForConnect(int error) {
    if (error == ENOENT || error == ECONNREFUSED) return "is the server running, and is this its socket?";
    return error == EACCES ? "certcast-node must be able to write to the socket" : "";
  }

  absl::Status Failed(Reason::Code reason, absl::string_view doing, absl::string_view hint = "") const {
    return Fail(reason, FailureOf(FailErrno(errno, absl::StrCat(path_, ": ", doing))).detail(), hint);
  }

  absl::Status TimedOut(absl::string_view awaited) const {
    return Fail(Reason::TIMED_OUT, absl::StrCat(path_, ": timed out while waiting for ", awaited));
  }

  absl::Status WaitFor(short events, absl::string_view awaited) const {
    const absl::Duration remaining = std::min<absl::Duration>(Remaining(), absl::Hours(1));
    pollfd polled = {fd_.get(), events, 0};
    const int ready =
        poll(&polled, 1, static_cast<int>(absl::ToInt64Milliseconds(absl::Ceil(remaining, absl::Milliseconds(1)))));
    if (ready > 0 || (ready < 0 && errno == EINTR)) return absl::OkStatus();
    return ready == 0 ? TimedOut(awaited) : Failed(Reason::LINK_LOST, "poll");
  }

  const std::string path_;
  const absl::Duration deadline_;
  Descriptor fd_;
};

class RealLocalSocket : public LocalSocket {
 public:
  absl::StatusOr<std::string> Ask(const std::string& path, absl::string_view request, absl::Duration timeout) override {
    Conversation conversation(path, timeout);
    RETURN_IF_ERROR(conversation.Connect());
    RETURN_IF_ERROR(conversation.Write(request));
    return conversation.ReadToEnd();
  }
};

}  // namespace

LocalSocket& LocalSocket::Real() {
  static auto* const sockets = new RealLocalSocket;
  return *sockets;
}

}  // namespace certcast::node
