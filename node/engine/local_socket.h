// Asks a server something over its Unix socket.
#ifndef CERTCAST_NODE_ENGINE_LOCAL_SOCKET_H_
#define CERTCAST_NODE_ENGINE_LOCAL_SOCKET_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace certcast::node {

// Thread-safe.
class LocalSocket {
 public:
  virtual ~LocalSocket() = default;

  // Connects to the socket at `path`, writes `request` and reads what comes until the other side ends the connection,
  // all within `timeout`. Errors: NO_ROUTE when there is no connection, TIMED_OUT, LINK_LOST, PROTOCOL for more than
  // 64 KiB. After any but the first the request may have been carried out. Nothing of the request is in an error.
  virtual absl::StatusOr<std::string> Ask(const std::string& path, absl::string_view request,
                                          absl::Duration timeout) = 0;

  // The machine's; lives for ever.
  static LocalSocket& Real();
};

}  // namespace certcast::node

#endif  // CERTCAST_NODE_ENGINE_LOCAL_SOCKET_H_
