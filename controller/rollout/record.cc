#include "controller/rollout/record.h"

#include <google/protobuf/util/time_util.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/clock/timestamp.h"
#include "common/x509/digest.h"

namespace certcast::controller {
namespace {

using google::protobuf::util::TimeUtil;

state::v1::Rollout::Policy KeepPolicy(const RolloutPolicy& policy) {
  state::v1::Rollout::Policy kept;
  kept.set_parallel(policy.parallel);
  kept.set_max_failures(policy.max_failures);
  if (policy.max_unreachable.has_value()) kept.set_max_unreachable(*policy.max_unreachable);
  kept.set_revert_on_halt(policy.on_halt == RolloutPolicy::OnHalt::kRevert);
  *kept.mutable_soak() = ToProto(policy.soak);
  *kept.mutable_confirm_timeout() = ToProto(policy.confirm_timeout);
  *kept.mutable_node_timeout() = ToProto(policy.node_timeout);
  if (policy.timeout != absl::InfiniteDuration()) *kept.mutable_timeout() = ToProto(policy.timeout);
  kept.set_spread_label(policy.spread_label);
  kept.set_spread_in_flight(policy.spread_in_flight);
  return kept;
}

absl::string_view RoleName(CommandRole role) {
  switch (role) {
    case CommandRole::kDescribe:
      return "describe";
    case CommandRole::kInstall:
      return "install";
    case CommandRole::kConfirm:
      return "confirm";
    case CommandRole::kRevertUnverified:
      return "unverified";
    case CommandRole::kRevertHalted:
      return "halted";
  }
  return "";
}

}  // namespace

google::protobuf::Duration ToProto(absl::Duration duration) {
  return TimeUtil::NanosecondsToDuration(absl::ToInt64Nanoseconds(duration));
}

absl::Duration FromProto(const google::protobuf::Duration& duration) {
  return absl::Nanoseconds(TimeUtil::DurationToNanoseconds(duration));
}

state::v1::Rollout MakeRollout(const RolloutSubject& subject, const std::vector<FleetMember>& fleet,
                               const RolloutPolicy& policy, uint64_t seed, absl::Time now) {
  state::v1::Rollout rollout;
  rollout.set_certificate(subject.certificate);
  rollout.set_generation(subject.generation);
  rollout.set_leaf_sha256(subject.leaf_sha256);
  rollout.set_state(v1::Rollout::PLANNED);
  rollout.set_seed(seed);
  *rollout.mutable_policy() = KeepPolicy(policy);
  *rollout.mutable_started_at() = ToTimestamp(now);

  const RolloutPlan plan = PlanRollout(fleet, policy, seed);
  for (const std::vector<size_t>& members : plan.waves) {
    v1::Rollout::Wave& wave = *rollout.add_waves();
    wave.set_index(rollout.waves_size());
    wave.set_size(static_cast<int32_t>(members.size()));
    for (size_t member : members) {
      state::v1::Rollout::Node& node = *rollout.add_nodes();
      node.set_had_before(fleet[member].has_it);
      node.set_ask_first(fleet[member].unseen);
      node.mutable_result()->set_name(fleet[member].name);
      node.mutable_result()->set_wave(wave.index());
    }
  }
  for (size_t member : plan.settled) {
    state::v1::Rollout::Node& node = *rollout.add_nodes();
    node.set_step(state::v1::Rollout::Node::DONE);
    node.mutable_result()->set_name(fleet[member].name);
    node.mutable_result()->set_outcome(v1::Outcome::UNCHANGED);
    node.mutable_result()->set_served_sha256(subject.leaf_sha256);
  }
  return rollout;
}

void AddTo(v1::Rollout::Counts& counts, Standing standing, int nodes) {
  switch (standing) {
    case Standing::kOpen:
      return counts.set_open(counts.open() + nodes);
    case Standing::kGood:
      return counts.set_good(counts.good() + nodes);
    case Standing::kFailed:
      return counts.set_failed(counts.failed() + nodes);
    case Standing::kMissing:
      return counts.set_missing(counts.missing() + nodes);
    case Standing::kInconclusive:
      return counts.set_inconclusive(counts.inconclusive() + nodes);
    case Standing::kSkipped:
      return counts.set_skipped(counts.skipped() + nodes);
  }
}

v1::Rollout::Counts CountNodes(const state::v1::Rollout& rollout) {
  v1::Rollout::Counts counts;
  for (const state::v1::Rollout::Node& node : rollout.nodes()) AddTo(counts, StandingOf(node), 1);
  return counts;
}

bool IsFinished(const state::v1::Rollout& rollout) {
  return rollout.has_finished_at();
}

bool GoesOn(v1::Rollout::State state) {
  switch (state) {
    case v1::Rollout::PLANNED:
    case v1::Rollout::RUNNING:
    case v1::Rollout::SOAKING:
    case v1::Rollout::WAITING_FOR_WINDOW:
      return true;
    default:
      return false;
  }
}

v1::Rollout ShowRollout(const state::v1::Rollout& rollout) {
  v1::Rollout shown;
  shown.set_id(rollout.id());
  shown.set_certificate(rollout.certificate());
  shown.set_generation(rollout.generation());
  shown.set_state(rollout.state());
  *shown.mutable_waves() = rollout.waves();
  for (const state::v1::Rollout::Node& node : rollout.nodes()) *shown.add_nodes() = node.result();
  if (rollout.has_started_at()) *shown.mutable_started_at() = rollout.started_at();
  if (rollout.has_finished_at()) *shown.mutable_finished_at() = rollout.finished_at();
  *shown.mutable_windows_overridden() = rollout.windows_overridden();
  shown.set_because(rollout.paused_because().empty() ? rollout.halted_because() : rollout.paused_because());
  if (rollout.has_paused_by()) *shown.mutable_paused_by() = rollout.paused_by();
  *shown.mutable_counts() = rollout.nodes().empty() ? rollout.counts() : CountNodes(rollout);
  shown.set_wave(rollout.wave());
  if (rollout.state() == v1::Rollout::SOAKING && rollout.has_soak_started_at()) {
    *shown.mutable_soak_until() =
        ToTimestamp(FromTimestamp(rollout.soak_started_at()) + FromProto(rollout.policy().soak()));
  }
  return shown;
}

state::v1::Rollout EndPaused(state::v1::Rollout rollout, absl::string_view because, absl::Time now) {
  using Node = state::v1::Rollout::Node;
  for (Node& node : *rollout.mutable_nodes()) {
    if (node.step() == Node::DONE) continue;
    const bool begun = node.step() != Node::PENDING;
    node.set_step(Node::DONE);
    node.set_changed(begun && !node.had_before());
    v1::Rollout::Node& result = *node.mutable_result();
    result.set_outcome(begun ? v1::Outcome::UNREACHABLE : v1::Outcome::SKIPPED);
    if (begun) result.set_reason(v1::Reason::LINK_LOST);
    result.set_detail(absl::StrCat(begun ? "what it did is not known: " : "its turn did not come: ", because));
  }
  rollout.set_state(v1::Rollout::INCOMPLETE);
  rollout.clear_paused_because();
  rollout.clear_paused_by();
  *rollout.mutable_finished_at() = ToTimestamp(now);
  return rollout;
}

RolloutPolicy PolicyOf(const state::v1::Rollout& rollout) {
  const state::v1::Rollout::Policy& kept = rollout.policy();
  RolloutPolicy policy;
  policy.waves.clear();
  policy.parallel = kept.parallel();
  policy.max_failures = kept.max_failures();
  if (kept.has_max_unreachable()) policy.max_unreachable = kept.max_unreachable();
  policy.on_halt = kept.revert_on_halt() ? RolloutPolicy::OnHalt::kRevert : RolloutPolicy::OnHalt::kStop;
  policy.soak = FromProto(kept.soak());
  policy.confirm_timeout = FromProto(kept.confirm_timeout());
  policy.node_timeout = FromProto(kept.node_timeout());
  if (kept.has_timeout()) policy.timeout = FromProto(kept.timeout());
  policy.spread_label = kept.spread_label();
  policy.spread_in_flight = kept.spread_in_flight();
  return policy;
}

Standing StandingOf(const state::v1::Rollout::Node& node) {
  if (node.step() != state::v1::Rollout::Node::DONE) return Standing::kOpen;
  switch (node.result().outcome()) {
    case v1::Outcome::INSTALLED:
    case v1::Outcome::UNCHANGED:
      return Standing::kGood;
    case v1::Outcome::UNREACHABLE:
      return node.changed() && !node.confirmed() ? Standing::kFailed : Standing::kMissing;
    case v1::Outcome::SKIPPED:
      return Standing::kSkipped;
    case v1::Outcome::REVERTED:
    case v1::Outcome::FAILED:
      return node.result().reason() == v1::Reason::PROBE_INCONCLUSIVE ? Standing::kInconclusive : Standing::kFailed;
    default:
      return Standing::kFailed;
  }
}

std::string CommandId(absl::string_view rollout_id, size_t node, CommandRole role, int attempt) {
  constexpr size_t kLongest = 64;
  std::string id =
      absl::StrCat(rollout_id, ".", node, ".", RoleName(role), attempt == 0 ? "" : absl::StrCat(".", attempt));
  return id.size() <= kLongest ? id : Sha256Hex(id);
}

}  // namespace certcast::controller
