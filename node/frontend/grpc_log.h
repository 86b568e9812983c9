// gRPC's own log lines, as an operator wants them: one clear line for a peer that was refused, silence otherwise.
#ifndef CERTCAST_NODE_FRONTEND_GRPC_LOG_H_
#define CERTCAST_NODE_FRONTEND_GRPC_LOG_H_

#include <functional>
#include <string>

#include "absl/strings/string_view.h"

namespace certcast::node {

using OnLine = std::function<void(absl::string_view)>;

// From now on `on_line` hears of refused handshakes, at most 20 of them in a minute, then how many more there were. For
// the whole process and its life; call it before the first server starts. A second call replaces the first.
void CaptureGrpcLog(OnLine on_line);

// Says `line` about a peer that was refused for another reason, under the same limit.
void LogRefusal(absl::string_view line);

// What gRPC's line about a failed handshake means: "peer did not present a certificate of this fleet: certificate has
// expired". Empty for any other line. `verify_error` is X509_V_*, what OpenSSL thought of the peer's certificate.
std::string ExplainHandshakeFailure(absl::string_view line, long verify_error);

}  // namespace certcast::node

#endif  // CERTCAST_NODE_FRONTEND_GRPC_LOG_H_
