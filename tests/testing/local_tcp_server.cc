#include "tests/testing/local_tcp_server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "absl/strings/str_cat.h"

namespace certcast::testing {
namespace {

void Require(bool condition, const char* what) {
  if (condition) return;
  std::perror(what);
  std::abort();
}

}  // namespace

LocalSocket::LocalSocket(bool is_v6, int port)
    : is_v6_(is_v6), fd_(socket(is_v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  Require(fd_ >= 0, "socket");
  const int on = 1;
  if (is_v6) Require(setsockopt(fd_, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) == 0, "setsockopt");
  sockaddr_in v4 = {};
  v4.sin_family = AF_INET;
  v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  v4.sin_port = htons(static_cast<uint16_t>(port));
  sockaddr_in6 v6 = {};
  v6.sin6_family = AF_INET6;
  v6.sin6_addr = in6addr_loopback;
  v6.sin6_port = htons(static_cast<uint16_t>(port));
  sockaddr* const address = is_v6 ? reinterpret_cast<sockaddr*>(&v6) : reinterpret_cast<sockaddr*>(&v4);
  socklen_t size = is_v6 ? sizeof v6 : sizeof v4;
  Require(bind(fd_, address, size) == 0, "bind");
  Require(getsockname(fd_, address, &size) == 0, "getsockname");
  port_ = ntohs(is_v6 ? v6.sin6_port : v4.sin_port);
  Require(pipe2(stop_, O_CLOEXEC) == 0, "pipe");
}

LocalSocket::~LocalSocket() {
  close(fd_);
  close(stop_[0]);
  close(stop_[1]);
}

void LocalSocket::Listen() const {
  Require(listen(fd_, SOMAXCONN) == 0, "listen");
}

int LocalSocket::Accept() const {
  while (true) {
    pollfd fds[] = {{fd_, POLLIN, 0}, {stop_[0], POLLIN, 0}};
    poll(fds, 2, -1);
    if (fds[1].revents != 0) return -1;
    if (fds[0].revents == 0) continue;
    const int connection = accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC);
    if (connection < 0) continue;
    const timeval limit = {.tv_sec = 10, .tv_usec = 0};
    setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(connection, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    return connection;
  }
}

void LocalSocket::Stop() const {
  Require(write(stop_[1], "", 1) == 1, "write");
}

std::string LocalSocket::address() const {
  return absl::StrCat(is_v6_ ? "[::1]:" : "127.0.0.1:", port_);
}

TalkingServer::TalkingServer(absl::string_view bytes) : bytes_(bytes) {
  socket_.Listen();
  thread_ = std::thread([this] {
    for (int connection; (connection = socket_.Accept()) >= 0; close(connection)) {
      if (send(connection, bytes_.data(), bytes_.size(), MSG_NOSIGNAL) < 0) continue;
      shutdown(connection, SHUT_WR);
      char dropped[4096];
      while (recv(connection, dropped, sizeof dropped, 0) > 0) {
      }
    }
  });
}

TalkingServer::~TalkingServer() {
  socket_.Stop();
  thread_.join();
}

}  // namespace certcast::testing
