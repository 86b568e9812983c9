// The controller's own handshakes: what do nodes serve, seen from here?
#ifndef CERTCAST_CONTROLLER_ROLLOUT_VERIFY_H_
#define CERTCAST_CONTROLLER_ROLLOUT_VERIFY_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "certcast/v1/api.pb.h"
#include "common/clock/clock.h"
#include "common/probe/probe.h"
#include "common/probe/resolver.h"
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
  // Which of the addresses of a host name is meant, as digits with the port; empty: all of them, in one look that wants
  // the same from each.
  std::string ip_address = {};
};

// The node's `verify` endpoints for one certificate, without those that are another's; plain addresses are asked for
// `default_server_name`.
std::vector<ExpectedEndpoint> EndpointsOf(const NodeConfig& node, absl::string_view certificate,
                                          absl::string_view default_server_name, absl::string_view leaf_sha256);

// Of one node at once: its endpoints are not to wait for each other, and not to be flooded.
inline constexpr int kLooksAtANode = 8;

struct VerifyOptions {
  // Handshakes at once.
  int parallel = 64;
  // Of one handshake.
  absl::Duration timeout = absl::Seconds(5);
  // Of all together: endpoints that aren't right are tried again until this is over. Each is tried once at least.
  absl::Duration patience = absl::ZeroDuration();
  absl::Duration pause = absl::Milliseconds(500);
  // Called from one thread at a time, for each that was looked at; may be empty.
  std::function<void(const v1::VerifyResponse::Endpoint&)> on_look = {};
};

// One handshake with each endpoint, a fresh connection each; results in the order of `endpoints`. Changes nothing.
std::vector<v1::VerifyResponse::Endpoint> VerifyEndpoints(const std::vector<ExpectedEndpoint>& endpoints,
                                                          Prober& prober, Clock& clock, const VerifyOptions& options);

// The same for each address of each endpoint's host name, IPv4 and IPv6: the result has a line for each of them, in the
// order in which the resolver gives them. A name that has none is a line that is not ok. A name is looked up once,
// however many endpoints have it. `on_begin` is told how many lines there will be; may be empty.
std::vector<v1::VerifyResponse::Endpoint> VerifyEveryAddress(const std::vector<ExpectedEndpoint>& endpoints,
                                                             Resolver& resolver, Prober& prober, Clock& clock,
                                                             const VerifyOptions& options,
                                                             const std::function<void(size_t lines)>& on_begin);

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_ROLLOUT_VERIFY_H_
