#include "node/frontend/bounded_write.h"

#include <limits.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "common/clock/clock.h"

namespace certcast::node {
namespace {

// A socket takes what it has room for. A pipe that poll calls writable takes PIPE_BUF bytes without blocking (pipe(7)).
ssize_t WriteSome(int fd, absl::string_view bytes) {
  const ssize_t sent = send(fd, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent >= 0 || errno != ENOTSOCK) return sent;
  return write(fd, bytes.data(), std::min<size_t>(bytes.size(), PIPE_BUF));
}

}  // namespace

bool WriteWithin(int fd, absl::string_view bytes, const WriteBounds& bounds) {
  const Clock& clock = Clock::Real();  // as poll's
  const absl::Duration end = clock.Monotonic() + bounds.all;
  while (!bytes.empty()) {
    const absl::Duration left = std::min(bounds.stall, end - clock.Monotonic());
    if (left <= absl::ZeroDuration()) return false;
    pollfd item{.fd = fd, .events = POLLOUT, .revents = 0};
    const int ready = poll(&item, 1, static_cast<int>(absl::ToInt64Milliseconds(left)) + 1);
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0 || (item.revents & POLLNVAL) != 0) return false;
    const ssize_t count = WriteSome(fd, bytes);
    if (count < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (count < 0) return false;
    bytes.remove_prefix(static_cast<size_t>(count));
  }
  return true;
}

}  // namespace certcast::node
