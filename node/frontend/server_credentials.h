// Who gets through the agent's TLS handshake.
#ifndef CERTCAST_NODE_FRONTEND_SERVER_CREDENTIALS_H_
#define CERTCAST_NODE_FRONTEND_SERVER_CREDENTIALS_H_

#include <grpcpp/security/server_credentials.h>

#include <functional>
#include <memory>

#include "absl/strings/string_view.h"
#include "node/identity/identity.h"

namespace certcast::node {

// The controller of the identity's fleet, with a certificate of the fleet's CA, and nobody else: another node of the
// fleet is turned away before it can send a byte of HTTP/2. It learns that by the end of its connection; `on_refused`
// gets it in words, on any thread.
std::shared_ptr<grpc::ServerCredentials> ForControllerOnly(const Identity& identity,
                                                           std::function<void(absl::string_view)> on_refused);

}  // namespace certcast::node

#endif  // CERTCAST_NODE_FRONTEND_SERVER_CREDENTIALS_H_
