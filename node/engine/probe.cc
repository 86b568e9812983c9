#include "node/engine/probe.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/status/status.h"

namespace certcast::node {
namespace {

constexpr absl::Duration kFirstPause = absl::Milliseconds(100);
constexpr absl::Duration kLongestPause = absl::Seconds(1);
// For what is only looked at once.
constexpr absl::Duration kGlance = absl::Seconds(2);

bool SeesLeaf(const ProbeSpec& spec) {
  if (std::holds_alternative<TlsProbe>(spec.what)) return true;
  const auto* http = std::get_if<HttpProbe>(&spec.what);
  return http != nullptr && absl::StartsWithIgnoreCase(http->url, "https://");
}

v1::ProbeResult Look(const EngineContext& engine, const Expectation& expectation, const ProbeSpec& spec,
                     absl::Duration patience) {
  const Observation seen = engine.environment.prober->Look(spec, patience);
  v1::ProbeResult result;
  result.set_service(expectation.service->name);
  result.set_probe(spec.Describe());
  if (const auto* tls = std::get_if<TlsProbe>(&spec.what)) {
    result.set_address(tls->address);
    result.set_server_name(tls->server_name);
  }
  result.set_served_sha256(seen.served_sha256);
  result.set_detail(seen.detail);
  const std::string& expected = expectation.leaf_sha256;
  const bool wrong_leaf = SeesLeaf(spec) && !expected.empty() && seen.served_sha256 != expected;
  result.set_ok(seen.ok && !wrong_leaf);
  if (seen.ok && wrong_leaf) result.set_detail(absl::StrCat("serves ", seen.served_sha256, ", not ", expected));
  return result;
}

v1::ProbeResult TryUntilItPasses(const EngineContext& engine, const Expectation& expectation, const ProbeSpec& spec) {
  const absl::Duration deadline = engine.clock().Monotonic() + spec.timeout;
  absl::Duration pause = kFirstPause;
  absl::Duration left = spec.timeout;
  while (true) {
    v1::ProbeResult result = Look(engine, expectation, spec, left);
    left = deadline - engine.clock().Monotonic();
    // The last try needs some time of its own.
    if (result.ok() || left <= kFirstPause) return result;
    engine.clock().Sleep(std::min(pause, left - kFirstPause));
    left = std::max(deadline - engine.clock().Monotonic(), kFirstPause);
    pause = std::min(pause * 2, kLongestPause);
  }
}

absl::Status Failed(const ProbeSpec& spec, const v1::ProbeResult& result) {
  return Fail(Reason::PROBE_FAILED,
              absl::StrCat("service ", result.service(), ", probe ", result.probe(), ": ", result.detail(),
                           " (tried for ", absl::FormatDuration(spec.timeout), ")"),
              result.served_sha256().empty()
                  ? "does the service run, and listen there?"
                  : "does the service read the paths that node.yaml names, and does nothing else listen there?");
}

}  // namespace

std::vector<v1::ProbeResult> LookOnce(const EngineContext& engine, const std::vector<Expectation>& expectations,
                                      absl::Duration patience) {
  std::vector<v1::ProbeResult> results;
  for (const Expectation& expectation : expectations) {
    for (const ProbeSpec& spec : expectation.service->probes) {
      results.push_back(Look(engine, expectation, spec, std::min(patience, spec.timeout)));
    }
  }
  return results;
}

absl::Status ProbeServices(const EngineContext& engine, const std::vector<Expectation>& expectations,
                           std::vector<v1::ProbeResult>* results) {
  absl::Status status;
  for (const Expectation& expectation : expectations) {
    for (const ProbeSpec& spec : expectation.service->probes) {
      results->push_back(status.ok() ? TryUntilItPasses(engine, expectation, spec)
                                     : Look(engine, expectation, spec, std::min(kGlance, spec.timeout)));
      if (status.ok() && !results->back().ok()) status = Failed(spec, results->back());
    }
  }
  return status;
}

}  // namespace certcast::node
