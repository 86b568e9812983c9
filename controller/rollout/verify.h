// The controller's own handshakes: what do nodes serve, seen from here?
#ifndef CERTCAST_CONTROLLER_ROLLOUT_VERIFY_H_
#define CERTCAST_CONTROLLER_ROLLOUT_VERIFY_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "certcast/v1/api.pb.h"
#include "common/clock/clock.h"
#include "common/probe/probe.h"
#include "controller/config/config.h"

namespace certcast::controller {

// An endpoint of a node, and the leaf that it should serve.
struct ExpectedEndpoint {
  std::string node;
  std::string certificate;
  std::string address;
  std::string server_name;
  std::string leaf_sha256;
  StartTlsProtocol starttls = StartTlsProtocol::kNone;
};

// The node's `verify` endpoints for one certificate; plain addresses are asked for `default_server_name`.
std::vector<ExpectedEndpoint> EndpointsOf(const NodeConfig& node, absl::string_view certificate,
                                          absl::string_view default_server_name, absl::string_view leaf_sha256);

struct VerifyOptions {
  // Handshakes at once.
  int parallel = 64;
  // Of one handshake.
  absl::Duration timeout = absl::Seconds(5);
  // An endpoint that isn't right is tried again until this is over; zero: once.
  absl::Duration patience = absl::ZeroDuration();
  absl::Duration pause = absl::Milliseconds(500);
};

// One handshake with each endpoint, a fresh connection each; results in the order of `endpoints`. Changes nothing.
std::vector<v1::VerifyResponse::Endpoint> VerifyEndpoints(const std::vector<ExpectedEndpoint>& endpoints,
                                                          Prober& prober, Clock& clock, const VerifyOptions& options);

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_ROLLOUT_VERIFY_H_
