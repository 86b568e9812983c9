#include "controller/rollout/verify.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "controller/rollout/worker_threads.h"

namespace certcast::controller {
namespace {

v1::VerifyResponse::Endpoint LookOnce(const ExpectedEndpoint& expected, Prober& prober, absl::Duration timeout) {
  TlsProbe probe = {.address = expected.address, .server_name = expected.server_name};
  probe.starttls = expected.starttls;
  const Observation seen = prober.Look({.what = std::move(probe)}, timeout);
  v1::VerifyResponse::Endpoint endpoint;
  endpoint.set_node(expected.node);
  endpoint.set_certificate(expected.certificate);
  endpoint.set_address(expected.address);
  endpoint.set_server_name(expected.server_name);
  endpoint.set_expected_sha256(expected.leaf_sha256);
  endpoint.set_served_sha256(seen.served_sha256);
  endpoint.set_ok(seen.ok && !expected.leaf_sha256.empty() && seen.served_sha256 == expected.leaf_sha256);
  if (endpoint.ok()) return endpoint;
  if (!seen.ok || seen.served_sha256.empty()) {
    endpoint.set_detail(seen.detail.empty() ? "no TLS handshake" : seen.detail);
  } else if (expected.leaf_sha256.empty()) {
    endpoint.set_detail("there is no generation to compare it with");
  } else {
    endpoint.set_detail(absl::StrCat("serves ", seen.served_sha256, ", expected ", expected.leaf_sha256));
  }
  return endpoint;
}

v1::VerifyResponse::Endpoint LookPatiently(const ExpectedEndpoint& expected, Prober& prober, Clock& clock,
                                           const VerifyOptions& options) {
  const absl::Duration until = clock.Monotonic() + options.patience;
  while (true) {
    v1::VerifyResponse::Endpoint endpoint = LookOnce(expected, prober, options.timeout);
    if (endpoint.ok() || clock.Monotonic() + options.pause > until) return endpoint;
    clock.Sleep(options.pause);
  }
}

}  // namespace

std::vector<ExpectedEndpoint> EndpointsOf(const NodeConfig& node, absl::string_view certificate,
                                          absl::string_view default_server_name, absl::string_view leaf_sha256) {
  std::vector<ExpectedEndpoint> endpoints;
  for (const VerifyEndpoint& endpoint : node.verify) {
    endpoints.push_back(
        {.node = node.name,
         .certificate = std::string(certificate),
         .address = endpoint.address,
         .server_name = endpoint.server_name.empty() ? std::string(default_server_name) : endpoint.server_name,
         .leaf_sha256 = std::string(leaf_sha256),
         .starttls = endpoint.starttls});
  }
  return endpoints;
}

std::vector<v1::VerifyResponse::Endpoint> VerifyEndpoints(const std::vector<ExpectedEndpoint>& endpoints,
                                                          Prober& prober, Clock& clock, const VerifyOptions& options) {
  std::vector<v1::VerifyResponse::Endpoint> seen(endpoints.size());
  ForEachAtOnce(endpoints.size(), options.parallel,
                [&](size_t i) { seen[i] = LookPatiently(endpoints[i], prober, clock, options); });
  return seen;
}

}  // namespace certcast::controller
