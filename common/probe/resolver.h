// From host names to socket addresses.
//
// getaddrinfo loads NSS modules, which a static binary can't count on, so names are looked up through this seam: the
// agent probes itself and its neighbours, and gets by on numeric addresses and /etc/hosts; the controller, which is
// linked dynamically, asks the system (system_resolver.h).
#ifndef CERTCAST_COMMON_PROBE_RESOLVER_H_
#define CERTCAST_COMMON_PROBE_RESOLVER_H_

#include <sys/socket.h>

#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/file/file_system.h"
#include "common/probe/address.h"

namespace certcast {

struct SocketAddress {
  sockaddr_storage storage = {};
  socklen_t size = 0;

  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

// As digits, with its port.
HostPort ToNumeric(const SocketAddress& address);

// Thread-safe.
class Resolver {
 public:
  virtual ~Resolver() = default;
  // At least one address, in the order in which they are to be tried. NO_ROUTE with a hint when there is none,
  // TIMED_OUT when nobody answered in time.
  virtual absl::StatusOr<std::vector<SocketAddress>> Resolve(const HostPort& host, absl::Duration timeout) = 0;

  // Numeric addresses and /etc/hosts; lives for ever.
  static Resolver& Local();
};

// As Resolver::Local, with the /etc/hosts of these files. Reads it again each time. `files` outlives it.
class HostsResolver final : public Resolver {
 public:
  explicit HostsResolver(FileSystem& files) : files_(files) {}
  absl::StatusOr<std::vector<SocketAddress>> Resolve(const HostPort& host, absl::Duration timeout) override;

 private:
  FileSystem& files_;
};

}  // namespace certcast

#endif  // CERTCAST_COMMON_PROBE_RESOLVER_H_
