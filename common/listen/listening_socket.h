// A TCP socket that listens.
#ifndef CERTCAST_COMMON_LISTEN_LISTENING_SOCKET_H_
#define CERTCAST_COMMON_LISTEN_LISTENING_SOCKET_H_

#include <sys/socket.h>

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/file/descriptor.h"
#include "common/probe/address.h"

namespace certcast {

struct ListenOptions {
  int backlog = 64;
  // Of each connection, in bytes; 0: the system's.
  int receive_buffer = 0;
};

// Bound and listening, non-blocking; its connections too should be made so (accept4). The host is digits; [::] takes
// IPv4 as well, 0.0.0.0 nothing else; port 0 picks a free one. NO_ROUTE with the reason otherwise.
absl::StatusOr<Descriptor> ListenOn(const HostPort& address, const ListenOptions& options = ListenOptions());

// NO_ROUTE for what errno said.
absl::Status CannotListen(const HostPort& address, int error);

uint16_t PortOf(const sockaddr_storage& storage);
// 0 when it is bound to none.
uint16_t LocalPortOf(int fd);

}  // namespace certcast

#endif  // CERTCAST_COMMON_LISTEN_LISTENING_SOCKET_H_
