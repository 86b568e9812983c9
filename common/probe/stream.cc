#include "common/probe/stream.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/status/status.h"

namespace certcast {
namespace {

absl::Status TimedOut(absl::string_view peer, absl::string_view awaited) {
  return Fail(Reason::TIMED_OUT, absl::StrCat(peer, ": timed out while waiting for ", awaited));
}

// FailErrno knows how to say an errno; its reasons are those of files.
absl::Status NetworkError(int error, absl::string_view doing, Reason::Code reason, absl::string_view hint = "") {
  return Fail(reason, FailureOf(FailErrno(error, doing)).detail(), hint);
}

absl::string_view HintForConnect(int error) {
  switch (error) {
    case ECONNREFUSED:
      return "nothing listens there: is it running, and on this address and port?";
    case EHOSTUNREACH:
    case ENETUNREACH:
      return "there is no way to this address: check routes and firewalls";
    default:
      return "";
  }
}

// 1 when an event is there, 0 when time is over.
int PollUntil(int fd, short events, Deadline deadline) {
  while (true) {
    const absl::Duration remaining = std::min<absl::Duration>(deadline.Remaining(), absl::Hours(1));
    pollfd polled = {fd, events, 0};
    const int count =
        poll(&polled, 1, static_cast<int>(absl::ToInt64Milliseconds(absl::Ceil(remaining, absl::Milliseconds(1)))));
    if (count > 0) return 1;
    if (count < 0 && errno != EINTR) return -1;
    if (deadline.IsOver()) return 0;
  }
}

absl::StatusOr<Descriptor> ConnectTo(const SocketAddress& address, absl::string_view peer, Deadline deadline) {
  const std::string doing = absl::StrCat("connecting to ", peer);
  Descriptor fd(socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return NetworkError(errno, doing, Reason::NO_ROUTE);
  // A request is one small write; it must not wait for an acknowledgement. Where it can't be set, it is only slower.
  const int on = 1;
  setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (connect(fd.get(), address.get(), address.size) == 0) return fd;
  if (errno != EINPROGRESS && errno != EINTR) {
    return NetworkError(errno, doing, Reason::NO_ROUTE, HintForConnect(errno));
  }
  const int ready = PollUntil(fd.get(), POLLOUT, deadline);
  if (ready < 0) return NetworkError(errno, doing, Reason::NO_ROUTE);
  if (ready == 0) {
    return Fail(Reason::NO_ROUTE, absl::StrCat(doing, ": no answer in time"), "is a firewall dropping the packets?");
  }
  int error = 0;
  socklen_t size = sizeof error;
  if (getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
  if (error != 0) return NetworkError(error, doing, Reason::NO_ROUTE, HintForConnect(error));
  return fd;
}

}  // namespace

absl::StatusOr<Descriptor> ConnectTcp(const HostPort& to, Resolver& resolver, Deadline deadline) {
  const std::string peer = to.ToString();
  auto addresses = resolver.Resolve(to, deadline.Remaining());
  if (!addresses.ok()) return Annotate(addresses.status(), absl::StrCat("connecting to ", peer));
  absl::Status first;
  for (size_t i = 0; i < addresses->size(); ++i) {
    // None may use up the time of those after it.
    const Deadline share = deadline.ButWithin(deadline.Remaining() / static_cast<int64_t>(addresses->size() - i));
    absl::StatusOr<Descriptor> fd = ConnectTo((*addresses)[i], peer, share);
    if (fd.ok()) return fd;
    if (first.ok()) first = fd.status();
  }
  return first;
}

absl::StatusOr<std::unique_ptr<TcpStream>> TcpStream::Connect(const HostPort& to, Resolver& resolver,
                                                              Deadline deadline) {
  ASSIGN_OR_RETURN(Descriptor fd, ConnectTcp(to, resolver, deadline));
  return std::unique_ptr<TcpStream>(new TcpStream(std::move(fd), to.ToString(), deadline));
}

absl::Status TcpStream::WaitFor(short events, absl::string_view awaited, Deadline deadline) const {
  const int ready = PollUntil(fd_.get(), events, deadline);
  if (ready < 0) return NetworkError(errno, absl::StrCat(peer_, ": poll"), Reason::LINK_LOST);
  return ready == 0 ? TimedOut(peer_, awaited) : absl::OkStatus();
}

absl::Status TcpStream::Write(absl::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t size = send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (size >= 0) {
      bytes.remove_prefix(static_cast<size_t>(size));
    } else if (errno == EAGAIN) {
      RETURN_IF_ERROR(WaitFor(POLLOUT, "it to read"));
    } else if (errno != EINTR) {
      return NetworkError(errno, absl::StrCat(peer_, ": sending"), Reason::LINK_LOST);
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> TcpStream::Read() {
  char buffer[16 * 1024];
  while (true) {
    const ssize_t size = recv(fd_.get(), buffer, sizeof buffer, 0);
    if (size >= 0) return std::string(buffer, static_cast<size_t>(size));
    if (errno == EAGAIN) {
      RETURN_IF_ERROR(WaitFor(POLLIN, "an answer"));
    } else if (errno != EINTR) {
      return NetworkError(errno, absl::StrCat(peer_, ": receiving"), Reason::LINK_LOST);
    }
  }
}

}  // namespace certcast
