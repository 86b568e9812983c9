// The agent's listening side: NodeLink over gRPC with mutual TLS.
#ifndef CERTCAST_NODE_FRONTEND_GRPC_SERVER_H_
#define CERTCAST_NODE_FRONTEND_GRPC_SERVER_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "certcast/v1/link.pb.h"
#include "common/link/bounds.h"
#include "node/engine/engine.h"
#include "node/identity/identity.h"

namespace certcast::node {

struct GrpcServerOptions {
  // host:port; the host is a number (a static binary resolves no names), [v6] in brackets; port 0 picks a free one.
  std::string listen;
  std::string version;
  // Peers that were refused, a line each.
  std::function<void(absl::string_view)> on_refused;
  // After each command.
  std::function<void()> on_handled;
  // A peer that has been silent for the first is asked whether it is there, and has the second to say so.
  absl::Duration keepalive_time = kKeepaliveTime;
  absl::Duration keepalive_timeout = kKeepaliveTimeout;
};

// Thread-safe.
class GrpcServer {
 public:
  // Listens when it returns. A peer must show a certificate of the fleet's CA and be the fleet's controller, or its
  // handshake fails. `engine` outlives this; identity is copied. Errors:
  // kInvalidArgument for an address that is none, NO_ROUTE with the reason when it can't be listened on.
  static absl::StatusOr<std::unique_ptr<GrpcServer>> Start(const GrpcServerOptions& options, const Identity& identity,
                                                           Engine& engine);
  virtual ~GrpcServer() = default;

  // Where it listens, with the port that was picked.
  virtual const std::string& address() const = 0;
  // Takes nothing new, lets the commands under way finish and be answered, then returns. Called by the destructor too.
  virtual void Stop() = 0;
};

}  // namespace certcast::node

#endif  // CERTCAST_NODE_FRONTEND_GRPC_SERVER_H_
