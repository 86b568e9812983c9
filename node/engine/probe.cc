#include "node/engine/probe.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <variant>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/status/status.h"
#include "node/engine/content.h"
#include "node/engine/visible.h"

namespace certcast::node {
namespace {

constexpr absl::Duration kFirstPause = absl::Milliseconds(100);
constexpr absl::Duration kLongestPause = absl::Seconds(1);
// A reloaded nginx takes connections with its old workers for another 100 ms: so long would the luck of three looks at
// new ones go unnoticed.
constexpr absl::Duration kPauseInARow = absl::Milliseconds(75);
// For what is only looked at once, and for the end of a row after the deadline.
constexpr absl::Duration kGlance = absl::Seconds(2);

bool SeesLeaf(const ProbeSpec& spec) {
  if (std::holds_alternative<TlsProbe>(spec.what)) return true;
  const auto* http = std::get_if<HttpProbe>(&spec.what);
  return http != nullptr && absl::StartsWithIgnoreCase(http->url, "https://");
}

// What is not as expected in a chain whose leaf is right; empty: nothing.
std::string WrongChain(const std::vector<std::string>& served, const std::vector<std::string>& expected) {
  if (served == expected) return "";
  const std::string lengths =
      absl::StrCat("serves the right leaf in a chain of ", served.size(), ", not ", expected.size(), ": ");
  for (size_t i = 0; i < expected.size(); ++i) {
    if (i >= served.size()) return absl::StrCat(lengths, "the one at place ", i + 1, ", ", expected[i], ", is missing");
    if (served[i] != expected[i]) {
      return absl::StrCat(lengths, "at place ", i + 1, " is ", served[i], ", not ", expected[i]);
    }
  }
  return absl::StrCat(lengths, served[expected.size()], " does not belong there");
}

// Empty when the certificate is as it should be.
std::string WrongCertificate(const Expectation& expectation, const ProbeSpec& spec, const Observation& seen) {
  const std::string& expected = expectation.leaf_sha256;
  if (!SeesLeaf(spec) || expected.empty()) return "";
  if (seen.served_sha256 != expected) return absl::StrCat("serves ", seen.served_sha256, ", not ", expected);
  const auto* tls = std::get_if<TlsProbe>(&spec.what);
  if (tls == nullptr) return "";
  if (!expectation.former_chain_sha256.empty() && seen.chain_sha256 == expectation.former_chain_sha256) {
    return "serves the right leaf, but still in the chain of the generation before";
  }
  if (!tls->expects_chain || expectation.chain_sha256.empty()) return "";
  return WrongChain(seen.chain_sha256, expectation.chain_sha256);
}

v1::ProbeResult Named(const Expectation& expectation, const ProbeSpec& spec) {
  v1::ProbeResult result;
  result.set_service(expectation.service->name);
  result.set_probe(spec.Describe());
  if (SeesLeaf(spec)) result.set_certificate(expectation.certificate);
  if (const auto* tls = std::get_if<TlsProbe>(&spec.what)) {
    result.set_address(tls->address);
    result.set_server_name(tls->server_name);
  }
  return result;
}

v1::ProbeResult NotLookedAt(const Expectation& expectation, const ProbeSpec& spec, absl::Duration altogether) {
  v1::ProbeResult result = Named(expectation, spec);
  result.set_detail(
      absl::StrCat("not looked at: those before it took ", absl::FormatDuration(altogether), ", the time for all"));
  return result;
}

v1::ProbeResult Look(const EngineContext& engine, const Expectation& expectation, const ProbeSpec& spec,
                     absl::Duration patience) {
  const Observation seen = engine.environment.prober->Look(spec, patience);
  v1::ProbeResult result = Named(expectation, spec);
  result.set_served_sha256(seen.served_sha256);
  result.set_detail(seen.ok ? WrongCertificate(expectation, spec, seen) : seen.detail);
  result.set_ok(seen.ok && result.detail().empty());
  return result;
}

// What the looks through one probe have shown so far.
class Tally {
 public:
  explicit Tally(int in_a_row) : needed_(in_a_row) {}

  void Add(bool ok) {
    ++looks_;
    if (ok) {
      ++passed_;
      ++row_;
      came_back_ = came_back_ || broken_;
      return;
    }
    if (row_ > 0) {
      broken_ = true;
      needed_ = std::max(needed_, std::min(2 * needed_, kLongestRow));
    }
    row_ = 0;
  }

  bool has_passed() const { return row_ >= needed_; }
  // Passed, failed, passed.
  bool flaps() const { return came_back_; }
  // What to say beside why the last look failed; empty: nothing.
  std::string Describe() const {
    if (passed_ == 0) return "";
    const std::string counts = absl::StrCat(passed_, " of ", looks_, " looks passed");
    return came_back_ ? absl::StrCat("it flaps: ", counts, ", but never ", needed_, " in a row")
                      : absl::StrCat("it passed at first: ", counts);
  }

 private:
  static constexpr int kLongestRow = 32;

  int needed_;
  int looks_ = 0;
  int passed_ = 0;
  // Passed without a failure since.
  int row_ = 0;
  bool broken_ = false;
  bool came_back_ = false;
};

struct Trial {
  v1::ProbeResult result;
  Reason::Code reason = Reason::PROBE_FAILED;
};

Trial TryUntilItPasses(const EngineContext& engine, const Expectation& expectation, const ProbeSpec& spec) {
  const absl::Duration deadline = engine.clock().Monotonic() + spec.timeout;
  Tally tally(spec.consecutive);
  absl::Duration pause = kFirstPause;
  absl::Duration left = spec.timeout;
  while (true) {
    Trial trial = {.result = Look(engine, expectation, spec, left)};
    tally.Add(trial.result.ok());
    if (tally.has_passed()) return trial;
    left = deadline - engine.clock().Monotonic();
    if (trial.result.ok()) {
      engine.clock().Sleep(kPauseInARow);
      left = std::max(deadline - engine.clock().Monotonic(), kGlance);
      continue;
    }
    // The last try needs some time of its own.
    if (left <= kFirstPause) {
      if (tally.flaps()) trial.reason = Reason::PROBE_INCONCLUSIVE;
      const std::string story = tally.Describe();
      if (!story.empty()) trial.result.set_detail(absl::StrCat(story, "; last: ", trial.result.detail()));
      return trial;
    }
    engine.clock().Sleep(std::min(pause, left - kFirstPause));
    left = std::max(deadline - engine.clock().Monotonic(), kFirstPause);
    pause = std::min(pause * 2, kLongestPause);
  }
}

absl::string_view HintFor(const Trial& trial) {
  if (trial.reason == Reason::PROBE_INCONCLUSIVE) {
    return "do all of its workers and all servers behind this address reload, and does nothing else listen there?";
  }
  return trial.result.served_sha256().empty()
             ? "does the service run, and listen there?"
             : "does the service read the files that certcast puts in place, and does nothing else listen there?";
}

// Said where it isn't clear.
std::string OfCertificate(const Expectation& expectation) {
  return expectation.service->Certificates().size() > 1 ? absl::StrCat(", for certificate ", expectation.certificate)
                                                        : "";
}

absl::Status Failed(const Expectation& expectation, const ProbeSpec& spec, const Trial& trial) {
  return Fail(
      trial.reason,
      absl::StrCat("service ", trial.result.service(), ", probe ", trial.result.probe(), ": ", trial.result.detail(),
                   OfCertificate(expectation), " (tried for ", absl::FormatDuration(spec.timeout), ")"),
      HintFor(trial));
}

}  // namespace

std::vector<Expectation> ExpectationsOf(const EngineContext& engine, absl::string_view certificate,
                                        const GenerationRecord& record, const Service& service) {
  std::vector<Expectation> expectations;
  for (const std::string& name : service.Certificates()) {
    if (name == certificate) {
      expectations.push_back({.service = &service,
                              .certificate = name,
                              .leaf_sha256 = LeafOf(record, service),
                              .chain_sha256 = ChainOf(record, service)});
    } else {
      expectations.push_back(
          {.service = &service, .certificate = name, .leaf_sha256 = ReadInstalledLeaf(engine, service, name)});
    }
  }
  return expectations;
}

void ExpectAnotherChain(absl::string_view certificate, const GenerationRecord& former,
                        std::vector<Expectation>& expectations) {
  for (Expectation& expectation : expectations) {
    if (expectation.certificate != certificate) continue;
    std::vector<std::string> chain = ChainOf(former, *expectation.service);
    // A leaf alone, as it was found in files, is all that some services are given and ever serve.
    const bool same_leaf = chain.size() > 1 && chain.front() == expectation.leaf_sha256;
    if (same_leaf && chain != expectation.chain_sha256) expectation.former_chain_sha256 = std::move(chain);
  }
}

std::string ReadInstalledLeaf(const EngineContext& engine, const Service& service, absl::string_view certificate) {
  for (const ServiceFile* file : service.FilesOf(certificate)) {
    const auto found = ReadDeclared(engine, service, *file);
    if (!found.ok() || !found->has_value()) continue;
    const std::optional<Certificate> leaf = LeafIn(*file, (*found)->bytes.ExposeSecret());
    if (leaf.has_value()) return leaf->sha256();
  }
  return "";
}

std::vector<v1::ProbeResult> LookOnce(const EngineContext& engine, const std::vector<Expectation>& expectations,
                                      absl::Duration patience, absl::Duration altogether) {
  const absl::Duration end = engine.clock().Monotonic() + altogether;
  std::vector<v1::ProbeResult> results;
  for (const Expectation& expectation : expectations) {
    for (const ProbeSpec& spec : expectation.service->probes) {
      if (!expectation.IsAbout(spec)) continue;
      const absl::Duration left = end - engine.clock().Monotonic();
      results.push_back(left > absl::ZeroDuration()
                            ? Look(engine, expectation, spec, std::min({patience, spec.timeout, left}))
                            : NotLookedAt(expectation, spec, altogether));
    }
  }
  return results;
}

absl::Status ProbeServices(const EngineContext& engine, const std::vector<Expectation>& expectations,
                           std::vector<v1::ProbeResult>* results) {
  absl::Status status;
  for (const Expectation& expectation : expectations) {
    for (const ProbeSpec& spec : expectation.service->probes) {
      if (!expectation.IsAbout(spec)) continue;
      if (!status.ok()) {
        results->push_back(Look(engine, expectation, spec, std::min(kGlance, spec.timeout)));
        continue;
      }
      const Trial trial = TryUntilItPasses(engine, expectation, spec);
      if (!trial.result.ok()) status = Failed(expectation, spec, trial);
      results->push_back(trial.result);
    }
  }
  return status;
}

}  // namespace certcast::node
