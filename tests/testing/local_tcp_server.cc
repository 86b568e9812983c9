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

LocalSocket::LocalSocket() : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  Require(fd_ >= 0, "socket");
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  Require(bind(fd_, reinterpret_cast<sockaddr*>(&address), size) == 0, "bind");
  Require(getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size) == 0, "getsockname");
  port_ = ntohs(address.sin_port);
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
  return absl::StrCat("127.0.0.1:", port_);
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
