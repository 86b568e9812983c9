#include "common/listen/listening_socket.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "common/status/status.h"

namespace certcast {
namespace {

// What bind(2) takes; the host is digits.
socklen_t ToSocketAddress(const HostPort& address, sockaddr_storage& storage) {
  auto* v4 = reinterpret_cast<sockaddr_in*>(&storage);
  if (inet_pton(AF_INET, address.host.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(address.port);
    return sizeof(*v4);
  }
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&storage);
  v6->sin6_family = AF_INET6;
  v6->sin6_port = htons(address.port);
  inet_pton(AF_INET6, address.host.c_str(), &v6->sin6_addr);
  return sizeof(*v6);
}

void SetOption(int fd, int level, int option, int value) {
  setsockopt(fd, level, option, &value, sizeof value);
}

const char* HintFor(int error) {
  switch (error) {
    case EADDRINUSE:
      return "is another one running? `ss -ltnp` shows who has the port";
    case EADDRNOTAVAIL:
      return "no interface of this machine has that address";
    case EAFNOSUPPORT:
      return "this machine has no IPv6: 0.0.0.0 listens on every IPv4 address";
    case EACCES:
      return "ports below 1024 are for root and who has CAP_NET_BIND_SERVICE";
    default:
      return "";
  }
}

}  // namespace

absl::Status CannotListen(const HostPort& address, int error) {
  return Fail(Reason::NO_ROUTE, absl::StrCat("can't listen on ", address.ToString(), ": ", strerror(error)),
              HintFor(error));
}

absl::StatusOr<Descriptor> ListenOn(const HostPort& address, const ListenOptions& options) {
  sockaddr_storage storage{};
  const socklen_t size = ToSocketAddress(address, storage);
  Descriptor fd(socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return CannotListen(address, errno);
  SetOption(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1);
  // Connections inherit it.
  if (options.receive_buffer > 0) SetOption(fd.get(), SOL_SOCKET, SO_RCVBUF, options.receive_buffer);
  if (storage.ss_family == AF_INET6) SetOption(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, 0);
  if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&storage), size) != 0 ||
      listen(fd.get(), options.backlog) != 0) {
    return CannotListen(address, errno);
  }
  return fd;
}

uint16_t PortOf(const sockaddr_storage& storage) {
  return ntohs(storage.ss_family == AF_INET ? reinterpret_cast<const sockaddr_in&>(storage).sin_port
                                            : reinterpret_cast<const sockaddr_in6&>(storage).sin6_port);
}

uint16_t LocalPortOf(int fd) {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &size) != 0) return 0;
  return PortOf(storage);
}

}  // namespace certcast
