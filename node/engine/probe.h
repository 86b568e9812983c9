// What services serve, seen from outside.
#ifndef CERTCAST_NODE_ENGINE_PROBE_H_
#define CERTCAST_NODE_ENGINE_PROBE_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "certcast/v1/link.pb.h"
#include "node/engine/context.h"
#include "node/engine/generation.h"

namespace certcast::node {

// Of one service and one of its certificates.
struct Expectation {
  const Service* service = nullptr;
  std::string certificate;
  // What tls and https probes of the certificate must see; empty: whatever they see is right.
  std::string leaf_sha256;
  // The same for probes that expect the whole chain; empty: not known, so that they look at the leaf alone.
  std::vector<std::string> chain_sha256 = {};
  // The chain in which the same leaf was served before: who still shows that has loaded nothing. Empty: it was another
  // leaf, or the same chain.
  std::vector<std::string> former_chain_sha256 = {};

  // Whether it is about that probe of the service. Those that see no certificate go with the service's `certificate`.
  bool IsAbout(const ProbeSpec& probe) const { return service->CertificateOf(probe) == certificate; }
};

// What a service must serve once it has loaded this generation: that of the certificate, and of its other certificates
// what its files hold now, whoever put it there.
std::vector<Expectation> ExpectationsOf(const EngineContext& engine, absl::string_view certificate,
                                        const GenerationRecord& record, const Service& service);

// Where it is the same leaf in another chain, which the leaf alone would not tell apart: tls probes must not see that
// of `former`, a generation of `certificate`.
void ExpectAnotherChain(absl::string_view certificate, const GenerationRecord& former,
                        std::vector<Expectation>& expectations);

// The leaf in the first file of the certificate that holds one, as the service reads it now; empty: none.
std::string ReadInstalledLeaf(const EngineContext& engine, const Service& service, absl::string_view certificate);

// One look through every probe, each no longer than `patience` or its own timeout, and all of them no longer than
// `altogether`: those that are left then are not looked at, and say so. What a probe sees goes to served_sha256.
std::vector<v1::ProbeResult> LookOnce(const EngineContext& engine, const std::vector<Expectation>& expectations,
                                      absl::Duration patience, absl::Duration altogether = absl::InfiniteDuration());

// Tries each probe until it has passed as many times in a row as it must, or its timeout is over; a row that has begun
// then is looked at to its end. There is a pause between two looks, since a server that reloads may go on taking
// connections with its old workers for a moment. A look that fails after one that passed makes the row that is asked
// for twice as long, up to 32: where workers answer by turns, a short row is seen by luck.
//
// `results` gets one for each, in order, whatever comes of it. The status names the first that did not pass; those
// after it are looked at once. PROBE_FAILED; PROBE_INCONCLUSIVE for one that failed after it had passed, and then
// passed again: what is served can't be told.
absl::Status ProbeServices(const EngineContext& engine, const std::vector<Expectation>& expectations,
                           std::vector<v1::ProbeResult>* results);

}  // namespace certcast::node

#endif  // CERTCAST_NODE_ENGINE_PROBE_H_
