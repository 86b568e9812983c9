#include "tests/testing/tcp_relay.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/file/descriptor.h"
#include "common/probe/deadline.h"
#include "common/probe/stream.h"
#include "common/probe/system_resolver.h"

namespace certcast::testing {
namespace {

constexpr long kSlicesPerSecond = 50;
constexpr absl::Duration kLongestConnect = absl::Seconds(5);

int Must(int result, const char* what) {
  if (result < 0) {
    perror(what);
    abort();
  }
  return result;
}

// Bound to a free port, which `address` names; not listening yet.
int BindToFreePort(std::string& address) {
  const int fd = Must(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
  sockaddr_in bound{.sin_family = AF_INET, .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
  socklen_t size = sizeof bound;
  Must(bind(fd, reinterpret_cast<sockaddr*>(&bound), size), "bind");
  Must(getsockname(fd, reinterpret_cast<sockaddr*>(&bound), &size), "getsockname");
  address = "127.0.0.1:" + std::to_string(ntohs(bound.sin_port));
  return fd;
}

HostPort Parse(const std::string& to) {
  absl::StatusOr<HostPort> parsed = ParseHostPort(to);
  Must(parsed.ok() ? 0 : -1, to.c_str());
  return *std::move(parsed);
}

// A blocking socket; -1: nobody takes it there.
int Connect(const HostPort& to) {
  absl::StatusOr<Descriptor> connected = ConnectTcp(to, SystemResolver(), Deadline::In(kLongestConnect));
  if (!connected.ok()) return -1;
  Must(fcntl(connected->get(), F_SETFL, 0), "fcntl");
  return connected->Release();
}

// With a reset, as when a machine has forgotten the connection.
void Reset(int fd) {
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  close(fd);
}

}  // namespace

TcpRelay::TcpRelay(const std::string& to, const TcpRelayOptions& options) : options_(options), to_(Parse(to)) {
  listener_ = BindToFreePort(address_);
  Must(listen(listener_, 64), "listen");
  Must(pipe(stop_), "pipe");
  thread_ = std::thread([this] { Loop(); });
}

TcpRelay::~TcpRelay() {
  Cut();
  close(stop_[0]);
  close(stop_[1]);
}

void TcpRelay::Cut() {
  if (!thread_.joinable()) return;
  Must(static_cast<int>(write(stop_[1], "x", 1)), "write");
  thread_.join();
}

int TcpRelay::port() const {
  return std::stoi(address_.substr(address_.rfind(':') + 1));
}

bool TcpRelay::Forward(int from, int to, long& left) {
  char buffer[16384];
  size_t most = sizeof buffer;
  if (options_.bytes_per_second > 0) {
    most = std::min(most, static_cast<size_t>(options_.bytes_per_second / kSlicesPerSecond));
    usleep(1000000 / kSlicesPerSecond);
  }
  if (options_.cut_after >= 0) most = std::min(most, static_cast<size_t>(left));
  if (most == 0) return false;
  const ssize_t count = read(from, buffer, most);
  if (count <= 0) return false;
  left -= count;
  if (frozen_) return true;
  forwarded_ += count;
  return send(to, buffer, static_cast<size_t>(count), MSG_NOSIGNAL) == count;
}

void TcpRelay::Loop() {
  std::map<int, int> other_end;
  // By the lower descriptor of the two.
  std::map<int, long> left;
  while (true) {
    std::vector<pollfd> watched = {{.fd = stop_[0], .events = POLLIN}, {.fd = listener_, .events = POLLIN}};
    for (const auto& [from, to] : other_end) watched.push_back({.fd = from, .events = POLLIN});
    Must(poll(watched.data(), watched.size(), -1), "poll");
    if (watched[0].revents != 0) break;
    if (watched[1].revents != 0) {
      const int near = Must(accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC), "accept");
      const int far = Connect(to_);
      if (far < 0) {
        Reset(near);
        continue;
      }
      other_end[near] = far;
      other_end[far] = near;
      left[std::min(near, far)] = options_.cut_after;
    }
    for (size_t i = 2; i < watched.size(); ++i) {
      const int from = watched[i].fd;
      if (watched[i].revents == 0 || !other_end.contains(from)) continue;
      const int to = other_end[from];
      long& budget = left[std::min(from, to)];
      if (Forward(from, to, budget)) continue;
      other_end.erase(from);
      other_end.erase(to);
      for (const int fd : {from, to}) budget == 0 ? Reset(fd) : static_cast<void>(close(fd));
    }
  }
  close(listener_);
  for (const auto& [from, to] : other_end) Reset(from);
}

}  // namespace certcast::testing
