// What services serve, seen from outside.
#ifndef CERTCAST_NODE_ENGINE_PROBE_H_
#define CERTCAST_NODE_ENGINE_PROBE_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "certcast/v1/link.pb.h"
#include "node/engine/context.h"

namespace certcast::node {

struct Expectation {
  const Service* service = nullptr;
  // What tls and https probes must see; empty: whatever they see is right.
  std::string leaf_sha256;
};

// One look through every probe, each no longer than `patience` or its own timeout. What a probe sees goes to
// served_sha256.
std::vector<v1::ProbeResult> LookOnce(const EngineContext& engine, const std::vector<Expectation>& expectations,
                                      absl::Duration patience);

// Tries each probe until it passes or its timeout is over. `results` gets one for each, in order, whatever comes of it.
// PROBE_FAILED names the first that did not pass; those after it are looked at once.
absl::Status ProbeServices(const EngineContext& engine, const std::vector<Expectation>& expectations,
                           std::vector<v1::ProbeResult>* results);

}  // namespace certcast::node

#endif  // CERTCAST_NODE_ENGINE_PROBE_H_
