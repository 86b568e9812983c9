// Why a node can't be reached, in words: gRPC only says that the connection failed.
#ifndef CERTCAST_CONTROLLER_TRANSPORT_DIAGNOSE_H_
#define CERTCAST_CONTROLLER_TRANSPORT_DIAGNOSE_H_

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "controller/transport/grpc_transport.h"

namespace certcast::controller {

// Connects once more, by OpenSSL alone, and says what is wrong: NO_ROUTE (unknown host, refused, no answer), TIMED_OUT
// (connected, but no handshake), AUTH_FAILED (whose certificate, and what about it), PROTOCOL (not TLS, or it hung up).
// OK when it sees nothing wrong. `was_cut` is set when the node ended the connection and our certificate does not
// explain it: another one may fare better. Takes no longer than `timeout`. Changes nothing.
absl::Status Diagnose(const NodeConfig& node, const LinkIdentity& identity, absl::Duration timeout, bool& was_cut);

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_TRANSPORT_DIAGNOSE_H_
