#include "controller/rollout/verify.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/probe/address.h"
#include "common/status/status.h"
#include "controller/rollout/worker_threads.h"

namespace certcast::controller {
namespace {

v1::VerifyResponse::Endpoint LineOf(const ExpectedEndpoint& expected) {
  v1::VerifyResponse::Endpoint endpoint;
  endpoint.set_node(expected.node);
  endpoint.set_certificate(expected.certificate);
  endpoint.set_address(expected.address);
  endpoint.set_ip_address(expected.ip_address);
  endpoint.set_server_name(expected.server_name);
  endpoint.set_expected_sha256(expected.leaf_sha256);
  return endpoint;
}

v1::VerifyResponse::Endpoint LookOnce(const ExpectedEndpoint& expected, Prober& prober, absl::Duration timeout) {
  TlsProbe probe = {.address = expected.ip_address.empty() ? expected.address : expected.ip_address,
                    .server_name = expected.server_name};
  probe.starttls = expected.starttls;
  const Observation seen = prober.Look({.what = std::move(probe)}, timeout);
  v1::VerifyResponse::Endpoint endpoint = LineOf(expected);
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
                                           absl::Duration until, const VerifyOptions& options) {
  while (true) {
    v1::VerifyResponse::Endpoint endpoint = LookOnce(expected, prober, options.timeout);
    if (endpoint.ok() || clock.Monotonic() + options.pause > until) return endpoint;
    clock.Sleep(options.pause);
  }
}

// What a host name leads to, or why it leads nowhere.
using Lookup = absl::StatusOr<std::vector<std::string>>;

Lookup AddressesOf(const std::string& address, Resolver& resolver, absl::Duration timeout) {
  ASSIGN_OR_RETURN(const HostPort to, ParseHostPort(address));
  // Empty: as it stands.
  if (IsNumericAddress(to.host)) return std::vector<std::string>{""};
  ASSIGN_OR_RETURN(const std::vector<SocketAddress> found, resolver.Resolve(to, timeout));
  std::vector<std::string> addresses;
  for (const SocketAddress& one : found) {
    std::string numeric = ToNumeric(one).ToString();
    // /etc/hosts may name it twice.
    if (std::find(addresses.begin(), addresses.end(), numeric) == addresses.end()) addresses.push_back(numeric);
  }
  return addresses;
}

std::string TextOf(const absl::Status& status) {
  const v1::Failure failure = FailureOf(status);
  return failure.hint().empty() ? failure.detail() : absl::StrCat(failure.detail(), " (", failure.hint(), ")");
}

std::map<std::string, Lookup> LookUpAll(const std::vector<ExpectedEndpoint>& endpoints, Resolver& resolver,
                                        const VerifyOptions& options) {
  std::map<std::string, Lookup> lookups;
  for (const ExpectedEndpoint& endpoint : endpoints) lookups.emplace(endpoint.address, absl::UnknownError(""));
  std::vector<std::pair<const std::string, Lookup>*> places;
  places.reserve(lookups.size());
  for (auto& entry : lookups) places.push_back(&entry);
  ForEachAtOnce(places.size(), options.parallel,
                [&](size_t i) { places[i]->second = AddressesOf(places[i]->first, resolver, options.timeout); });
  return lookups;
}

// Of an endpoint, to which address; or why to none.
struct Place {
  ExpectedEndpoint endpoint;
  std::optional<absl::Status> nowhere = {};
};

std::vector<Place> PlacesOf(const std::vector<ExpectedEndpoint>& endpoints,
                            const std::map<std::string, Lookup>& lookups) {
  std::vector<Place> places;
  for (const ExpectedEndpoint& endpoint : endpoints) {
    const Lookup& lookup = lookups.at(endpoint.address);
    if (!lookup.ok()) {
      places.push_back({endpoint, lookup.status()});
      continue;
    }
    for (const std::string& ip_address : *lookup) {
      places.push_back({endpoint});
      places.back().endpoint.ip_address = ip_address;
    }
  }
  return places;
}

v1::VerifyResponse::Endpoint LookAt(const Place& place, Prober& prober, Clock& clock, absl::Duration until,
                                    const VerifyOptions& options) {
  if (!place.nowhere.has_value()) return LookPatiently(place.endpoint, prober, clock, until, options);
  v1::VerifyResponse::Endpoint line = LineOf(place.endpoint);
  line.set_detail(TextOf(*place.nowhere));
  return line;
}

std::vector<v1::VerifyResponse::Endpoint> LookAtAll(const std::vector<Place>& places, Prober& prober, Clock& clock,
                                                    const VerifyOptions& options) {
  std::vector<v1::VerifyResponse::Endpoint> seen(places.size());
  const absl::Duration until = clock.Monotonic() + options.patience;
  absl::Mutex telling;
  ForEachAtOnce(places.size(), options.parallel, [&](size_t i) {
    seen[i] = LookAt(places[i], prober, clock, until, options);
    if (!options.on_look) return;
    absl::MutexLock lock(&telling);
    options.on_look(seen[i]);
  });
  return seen;
}

}  // namespace

std::vector<ExpectedEndpoint> EndpointsOf(const NodeConfig& node, absl::string_view certificate,
                                          absl::string_view default_server_name, absl::string_view leaf_sha256) {
  std::vector<ExpectedEndpoint> endpoints;
  for (const VerifyEndpoint& endpoint : node.verify) {
    if (!endpoint.certificate.empty() && endpoint.certificate != certificate) continue;
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
  std::vector<Place> places;
  places.reserve(endpoints.size());
  for (const ExpectedEndpoint& endpoint : endpoints) places.push_back({endpoint});
  return LookAtAll(places, prober, clock, options);
}

std::vector<v1::VerifyResponse::Endpoint> VerifyEveryAddress(const std::vector<ExpectedEndpoint>& endpoints,
                                                             Resolver& resolver, Prober& prober, Clock& clock,
                                                             const VerifyOptions& options,
                                                             const std::function<void(size_t lines)>& on_begin) {
  const std::vector<Place> places = PlacesOf(endpoints, LookUpAll(endpoints, resolver, options));
  if (on_begin) on_begin(places.size());
  return LookAtAll(places, prober, clock, options);
}

}  // namespace certcast::controller
