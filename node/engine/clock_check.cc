#include "node/engine/clock_check.h"

#include <algorithm>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/clock/show_utc.h"
#include "common/clock/timestamp.h"
#include "common/status/status.h"
#include "node/engine/elapsed.h"

namespace certcast::node {
namespace {

// Clocks that are kept in step differ by less, and the fleet's CA dates identities back by it.
constexpr absl::Duration kBehind = absl::Minutes(1);
// Longer than machines are off for and come back as they were.
constexpr absl::Duration kAhead = absl::Hours(24 * 365);

std::string WayOut(const EngineConfig& config) {
  const absl::string_view what =
      "set the clock (timedatectl). Where it is right, and the time that is known is wrong: ";
  if (!config.hosted) {
    return absl::StrCat(what, "stop the agent, run `certcast-node recover --trust-clock`, start it again");
  }
  return absl::StrCat(what, "run `certcast-node recover --state ", config.state,
                      " --trust-clock` on that host, with the agent that is there (docs/operations.md, \"What is "
                      "where\")");
}

absl::Status Suspicious(absl::Time now, absl::string_view because, absl::string_view hint) {
  return Fail(Reason::CLOCK_SUSPICIOUS, absl::StrCat("this machine's clock says ", ShowUtcSecond(now), because), hint);
}

std::string LatestBundle(const std::optional<absl::Time>& known) {
  return known.has_value() ? absl::StrCat(", the latest bundle that it accepted was signed at ", ShowUtcSecond(*known))
                           : "";
}

// It was set since, or it was wrong then.
bool ContradictsBeginning(const Journal& journal, absl::Time now) {
  if (!journal.has_started_at()) return false;
  const absl::Time began = FromTimestamp(journal.started_at());
  return now + kBehind < began || now > began + kAhead;
}

}  // namespace

absl::Status CheckClock(const EngineContext& engine) {
  const absl::Time now = engine.clock().Now();
  const std::optional<absl::Time> known = engine.state->KnownTime();
  if (known.has_value() && now + kBehind < *known) {
    return Suspicious(now,
                      absl::StrCat(", but a bundle that this node has accepted was signed at ", ShowUtcSecond(*known)),
                      WayOut(engine.config));
  }
  const std::optional<absl::Time>& valid_from = engine.config.identity_not_before;
  if (valid_from.has_value() && now + kBehind < *valid_from) {
    return Suspicious(now, absl::StrCat(", but this node's identity is valid from ", ShowUtcSecond(*valid_from)),
                      "set the clock (timedatectl). Where it is right, the controller's was wrong: have the identity "
                      "signed again");
  }
  const std::optional<absl::Time>& valid_until = engine.config.identity_not_after;
  if (!valid_until.has_value()) return absl::OkStatus();
  const absl::Time latest = std::max(*valid_until, known.value_or(*valid_until));
  if (now <= latest + kAhead) return absl::OkStatus();
  return Suspicious(now,
                    absl::StrCat(", more than a year after all that this node knows: its identity was valid until ",
                                 ShowUtcSecond(*valid_until), LatestBundle(known)),
                    WayOut(engine.config));
}

absl::Status CheckClockAgainst(const EngineContext& engine, const v1::Bundle& bundle) {
  const EngineConfig& config = engine.config;
  v1::Manifest manifest;
  if (config.identity_not_after.has_value() || !manifest.ParseFromString(bundle.manifest())) return absl::OkStatus();
  const absl::Time now = engine.clock().Now();
  const std::optional<absl::Time> known = engine.state->KnownTime();
  const absl::Time signed_at = FromTimestamp(manifest.signed_at());
  const absl::Time counts_until = FromTimestamp(manifest.expires_at());
  const bool is_ahead = now > std::max(counts_until, known.value_or(counts_until)) + kAhead;
  const bool is_behind = now + kAhead < signed_at;
  if (!is_ahead && !is_behind) return absl::OkStatus();
  if (!config.fleet->key.Verifies(bundle.manifest(), bundle.signature())) return absl::OkStatus();
  if (manifest.fleet_id() != config.fleet->id) return absl::OkStatus();
  constexpr absl::string_view kHint =
      "set the clock of this machine (timedatectl). Where it is right, the controller's was wrong when it signed: set "
      "that one; then apply again";
  if (is_behind) {
    return Suspicious(
        now, absl::StrCat(", more than a year before this bundle was signed, at ", ShowUtcSecond(signed_at)), kHint);
  }
  return Suspicious(now,
                    absl::StrCat(", more than a year after all that this node knows: this bundle counted until ",
                                 ShowUtcSecond(counts_until), LatestBundle(known)),
                    kHint);
}

void NoteKnownTime(NodeState& state, const v1::Manifest& manifest) {
  const absl::Time signed_at = FromTimestamp(manifest.signed_at());
  if (state.has_known_time() && FromTimestamp(state.known_time()) >= signed_at) return;
  *state.mutable_known_time() = ToTimestamp(signed_at);
}

absl::Status CheckNotExpiredNow(const EngineContext& engine, const GenerationRecord& record, const Journal& journal) {
  if (const std::optional<absl::Time> now = NowSinceBeginning(journal, engine.clock())) {
    return CheckNotExpired(record, *now);
  }
  const absl::Time now = engine.clock().Now();
  if (!CheckClock(engine).ok() || ContradictsBeginning(journal, now)) return absl::OkStatus();
  return CheckNotExpired(record, now);
}

}  // namespace certcast::node
