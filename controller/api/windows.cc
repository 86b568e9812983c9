#include "controller/api/windows.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/clock/show_utc.h"
#include "common/clock/timestamp.h"
#include "common/status/status.h"
#include "common/yaml/grammar.h"
#include "controller/rollout/record.h"
#include "controller/schedule/window.h"
#include "controller/store/renewal_ends.h"
#include "controller/store/rollout_records.h"

namespace certcast::controller {
namespace {

constexpr size_t kRolloutsMeasured = 3;

std::string WhyItWaits(const CertificateConfig* certificate, absl::Time now) {
  const absl::Time opens = certificate == nullptr ? now : MayBeginAt(*certificate, now);
  if (opens <= now) return "its window is open: `certcast apply` goes on with it";
  if (opens == absl::InfiniteFuture()) return "its windows do not open within three years";
  return absl::StrCat("its window opens ", ShowInZone(certificate->rollout.windows->zone, opens));
}

}  // namespace

absl::Time MayBeginAt(const CertificateConfig& certificate, absl::Time now) {
  const std::optional<RolloutWindows>& windows = certificate.rollout.windows;
  return windows.has_value() ? NextOpening(*windows, now) : now;
}

absl::StatusOr<NodeDurations> HistoryOf(Store& store, const std::string& certificate) {
  RolloutRecords records(store);
  ASSIGN_OR_RETURN(const std::vector<state::v1::Rollout> heads, records.List(certificate));
  std::vector<state::v1::Rollout> measured;
  for (const state::v1::Rollout& head : heads) {
    if (measured.size() == kRolloutsMeasured) break;
    if (!IsFinished(head)) continue;
    ASSIGN_OR_RETURN(std::optional<state::v1::Rollout> rollout, records.Get(head.id()));
    if (rollout.has_value()) measured.push_back(*std::move(rollout));
  }
  return MeasureNodes(measured);
}

absl::Duration TimeNeeded(const CertificateConfig& certificate, const std::vector<FleetMember>& fleet,
                          const NodeDurations& history) {
  if (history.nodes == 0) return absl::ZeroDuration();
  // Which node comes when does not matter much.
  const RolloutPlan plan = PlanRollout(fleet, certificate.rollout, 0);
  return EstimateRollout(plan.waves, SpreadGroups(fleet, certificate.rollout.spread_label), certificate.rollout,
                         history.median);
}

absl::StatusOr<Deadline> DeadlineOf(Store& store, const FleetView& view, const CertificateConfig& certificate,
                                    const std::vector<FleetMember>& fleet, const state::v1::Generation* wanted,
                                    absl::Time now) {
  Deadline deadline;
  const auto offer = [&deadline](absl::Time at, std::string what, bool by_ca = false) {
    if (at < deadline.at) deadline = {at, std::move(what), by_ca};
  };
  if (wanted != nullptr) {
    offer(FromTimestamp(wanted->not_after()), absl::StrCat("generation ", wanted->generation()));
  }
  std::map<std::string, absl::Time> renewal_ends;
  if (certificate.renewal.ari) {
    ASSIGN_OR_RETURN(renewal_ends, RenewalEnds(store, certificate.name));
  }
  // What is wanted now is not on its way out.
  if (wanted != nullptr) renewal_ends.erase(wanted->leaf_sha256());
  std::map<absl::string_view, const SeenNode*> seen;
  for (const SeenNode& node : view.status.seen) seen[node.name] = &node;
  for (const FleetMember& member : fleet) {
    const auto found = seen.find(member.name);
    if (member.settled || found == seen.end()) continue;
    for (const v1::Inventory::Certificate& in_force : found->second->inventory.certificates()) {
      if (in_force.name() != certificate.name || !in_force.has_not_after()) continue;
      const std::string what = absl::StrCat("what node ", member.name, " serves");
      const auto renewal_end = renewal_ends.find(in_force.leaf_sha256());
      if (renewal_end != renewal_ends.end()) offer(renewal_end->second, what, /*by_ca=*/true);
      const absl::Time end = FromTimestamp(in_force.not_after());
      if (in_force.generation() == 0 && end <= now) continue;
      offer(end, what);
    }
  }
  return deadline;
}

absl::Status CheckWindows(const CertificateConfig& certificate, absl::Time now, const Deadline& deadline,
                          absl::Duration needed) {
  const absl::Time opens = MayBeginAt(certificate, now);
  if (opens <= now) return absl::OkStatus();
  const RolloutWindows& windows = *certificate.rollout.windows;
  const bool opens_in_time = opens < deadline.at;
  const absl::Duration open =
      opens_in_time ? OpenTime(windows, opens, deadline.at, std::max(needed, absl::Seconds(1))) : absl::ZeroDuration();
  if (opens_in_time && opens != absl::InfiniteFuture() && open >= needed) return absl::OkStatus();

  std::string detail;
  if (opens == absl::InfiniteFuture()) {
    detail = "its windows do not open within three years";
  } else {
    detail = absl::StrCat("its window opens ", ShowInZone(windows.zone, opens));
  }
  if (deadline.by_ca) {
    absl::StrAppend(&detail, ", and the CA wants ", deadline.what,
                    deadline.at <= now ? " to have been renewed by " : " renewed by ", ShowUtc(deadline.at));
  } else if (deadline.at != absl::InfiniteFuture()) {
    absl::StrAppend(&detail, ", and ", deadline.what, deadline.at <= now ? " expired on " : " expires on ",
                    ShowUtc(deadline.at));
  }
  if (opens_in_time && opens != absl::InfiniteFuture()) {
    absl::StrAppend(&detail, ": until then it is open for ", ShowDuration(open),
                    ", and the rollout is estimated to take ", ShowDuration(needed));
  }
  return Fail(Reason::WINDOW_TOO_LATE, detail,
              absl::StrCat("`certcast apply --now ", certificate.name,
                           "` rolls it out at once; or widen rollout.windows, or take dates from its blackout"));
}

v1::Rollout ShowRolloutAt(const state::v1::Rollout& rollout, const CertificateConfig* certificate, absl::Time now) {
  v1::Rollout shown = ShowRollout(rollout);
  if (rollout.state() != v1::Rollout::WAITING_FOR_WINDOW) return shown;
  shown.set_because(WhyItWaits(certificate, now));
  if (certificate != nullptr) ShowOpening(*certificate, now, shown);
  return shown;
}

void ShowOpening(const CertificateConfig& certificate, absl::Time now, v1::Rollout& shown) {
  const absl::Time opens = MayBeginAt(certificate, now);
  if (opens <= now) return;
  shown.set_window_opens(ShowInZone(certificate.rollout.windows->zone, opens));
  if (opens != absl::InfiniteFuture()) *shown.mutable_window_opens_at() = ToTimestamp(opens);
}

}  // namespace certcast::controller
