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

constexpr char kWayOut[] =
    "set the clock (timedatectl). Where it is right, and the time that is known is wrong: stop the agent, run "
    "`certcast-node recover --trust-clock`, start it again";

std::optional<absl::Time> KnownTime(const EngineContext& engine) {
  const NodeState state = engine.state->Get();
  if (!state.has_known_time()) return std::nullopt;
  return FromTimestamp(state.known_time());
}

absl::Status Suspicious(absl::Time now, absl::string_view because, absl::string_view hint) {
  return Fail(Reason::CLOCK_SUSPICIOUS, absl::StrCat("this machine's clock says ", ShowUtcSecond(now), because), hint);
}

}  // namespace

absl::Status CheckClock(const EngineContext& engine) {
  const absl::Time now = engine.clock().Now();
  const std::optional<absl::Time> known = KnownTime(engine);
  if (known.has_value() && now + kBehind < *known) {
    return Suspicious(
        now, absl::StrCat(", but a bundle that this node has accepted was signed at ", ShowUtcSecond(*known)), kWayOut);
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
  return Suspicious(
      now,
      absl::StrCat(", more than a year after all that this node knows: its identity was valid until ",
                   ShowUtcSecond(*valid_until),
                   known.has_value() ? absl::StrCat(", the latest bundle was signed at ", ShowUtcSecond(*known))
                                     : std::string()),
      kWayOut);
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
  if (!CheckClock(engine).ok()) return absl::OkStatus();
  return CheckNotExpired(record, engine.clock().Now());
}

}  // namespace certcast::node
