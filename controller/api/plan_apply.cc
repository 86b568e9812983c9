#include "controller/api/plan_apply.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/status/status.h"
#include "controller/api/obtain.h"
#include "controller/api/roll_out.h"
#include "controller/api/session.h"
#include "controller/api/windows.h"
#include "controller/rollout/estimate.h"
#include "controller/rollout/planner.h"
#include "controller/rollout/record.h"
#include "controller/store/records.h"
#include "controller/store/rollout_records.h"

namespace certcast::controller {
namespace {

using StatusNode = v1::StatusResponse::Node;

class Planning {
 public:
  Planning(const Config& config, const Machine& machine, const v1::ApplyRequest& request, Session& session,
           const FleetView& view, const std::vector<state::v1::Rollout>& unfinished)
      : config_(config),
        request_(request),
        machine_(machine),
        session_(session),
        view_(view),
        unfinished_(unfinished),
        now_(machine.clock->Now()) {
    for (const SeenNode& seen : view.status.seen) seen_[seen.name] = &seen;
  }

  absl::Status Add(const CertificateConfig& certificate, v1::ApplyResponse& response) {
    ASSIGN_OR_RETURN(const Obtained obtained, DecideOnly(machine_, session_, certificate, request_.force_renewal()));
    v1::ApplyResponse::Certificate& shown = *response.add_certificates();
    shown = obtained.shown;
    ASSIGN_OR_RETURN(const bool held, AddHeld(certificate, response));
    if (held) {
      shown.set_issued(false);
      return absl::OkStatus();
    }
    if (shown.issued()) response.set_changes_pending(true);
    const bool keeps = obtained.generation.has_value() && !shown.issued();
    const absl::Status usable = keeps ? CheckUsable(*obtained.generation, now_) : absl::OkStatus();
    if (!usable.ok()) *shown.mutable_failure() = FailureOf(usable);
    ASSIGN_OR_RETURN(const bool goes_on, AddUnfinished(certificate, obtained, response));
    std::vector<FleetMember> fleet = MembersOf(config_, certificate, view_);
    RolloutSubject subject{certificate.name, shown.generation(), shown.leaf_sha256()};
    if (shown.issued()) {
      // A new generation: nobody has it.
      for (FleetMember& member : fleet) member.settled = member.has_it = false;
      ASSIGN_OR_RETURN(subject.generation, GenerationRecords(*session_.store).NextNumber(certificate.name));
      subject.leaf_sha256.clear();
    }
    // Apply gives one that is not usable to nobody.
    if (subject.generation == 0 || !usable.ok() || AllSettled(fleet)) return absl::OkStatus();
    response.set_changes_pending(true);
    ASSIGN_OR_RETURN(const NodeDurations history, HistoryOf(*session_.store, certificate.name));
    if (!goes_on) AddNew(certificate, subject, fleet, history, response);
    const state::v1::Generation* wanted = keeps ? &*obtained.generation : nullptr;
    ASSIGN_OR_RETURN(const Deadline deadline, DeadlineOf(*session_.store, view_, certificate, fleet, wanted, now_));
    const absl::Status in_time = CheckWindows(certificate, now_, deadline, TimeNeeded(certificate, fleet, history));
    if (!request_.now() && !in_time.ok()) *shown.mutable_failure() = FailureOf(in_time);
    return absl::OkStatus();
  }

 private:
  // One that an operator has paused: Apply does nothing with the certificate.
  absl::StatusOr<bool> AddHeld(const CertificateConfig& certificate, v1::ApplyResponse& response) {
    for (const state::v1::Rollout& head : unfinished_) {
      if (head.certificate() != certificate.name || !head.has_paused_by()) continue;
      ASSIGN_OR_RETURN(const std::optional<state::v1::Rollout> rollout, RolloutRecords(*session_.store).Get(head.id()));
      v1::Rollout& shown = *response.add_rollouts();
      shown = ShowRollout(rollout.value_or(head));
      response.add_warnings(SayHeld(shown));
      return true;
    }
    return false;
  }

  // Rollouts that an earlier call left, as Apply would go on with them first. Whether one of them is of what is wanted.
  absl::StatusOr<bool> AddUnfinished(const CertificateConfig& certificate, const Obtained& obtained,
                                     v1::ApplyResponse& response) {
    bool goes_on = false;
    for (auto head = unfinished_.rbegin(); head != unfinished_.rend(); ++head) {
      if (head->certificate() != certificate.name) continue;
      response.set_changes_pending(true);
      const bool wanted = obtained.generation.has_value() && obtained.generation->generation() == head->generation();
      // Apply ends it instead.
      if (!wanted && IsAtRest(*head)) continue;
      ASSIGN_OR_RETURN(const std::optional<state::v1::Rollout> rollout,
                       RolloutRecords(*session_.store).Get(head->id()));
      if (!rollout.has_value()) continue;
      goes_on |= wanted && !obtained.shown.issued();
      v1::Rollout& shown = *response.add_rollouts();
      shown = ShowRolloutAt(*rollout, &certificate, now_);
      ASSIGN_OR_RETURN(const NodeDurations history, HistoryOf(*session_.store, certificate.name));
      Explain(certificate, MembersOf(config_, certificate, view_), history, shown);
    }
    return goes_on;
  }

  void AddNew(const CertificateConfig& certificate, const RolloutSubject& subject,
              const std::vector<FleetMember>& fleet, const NodeDurations& history, v1::ApplyResponse& response) {
    v1::Rollout& shown = *response.add_rollouts();
    shown = ShowRollout(
        MakeRollout(subject, fleet, certificate.rollout, SeedOf(certificate.name, subject.generation), now_));
    Explain(certificate, fleet, history, shown);
  }

  // What is to come: the nodes that have no outcome yet.
  void Explain(const CertificateConfig& certificate, const std::vector<FleetMember>& fleet,
               const NodeDurations& history, v1::Rollout& shown) {
    std::map<absl::string_view, const StatusNode*> rows;
    for (const StatusNode* row : RowsOf(view_, certificate.name)) rows[row->name()] = row;
    std::map<absl::string_view, size_t> members;
    for (size_t i = 0; i < fleet.size(); ++i) members[fleet[i].name] = i;
    std::vector<std::vector<size_t>> waves(static_cast<size_t>(shown.waves_size()));
    for (v1::Rollout::Node& node : *shown.mutable_nodes()) {
      if (node.outcome() != v1::Outcome::OUTCOME_UNSPECIFIED) continue;
      if (const auto member = members.find(node.name()); member != members.end() && node.wave() > 0) {
        waves[static_cast<size_t>(node.wave() - 1)].push_back(member->second);
      }
      if (const auto row = rows.find(node.name()); row != rows.end()) ShowWhy(*row->second, node);
      if (const auto seen = seen_.find(node.name()); seen != seen_.end()) {
        ShowServices(seen->second->inventory, certificate.name, node);
      }
    }
    if (!request_.now()) ShowOpening(certificate, now_, shown);
    if (history.nodes == 0) return;
    std::erase_if(waves, [](const std::vector<size_t>& wave) { return wave.empty(); });
    const absl::Duration estimate = EstimateRollout(waves, SpreadGroups(fleet, certificate.rollout.spread_label),
                                                    certificate.rollout, history.median);
    shown.set_estimated_ms(absl::ToInt64Milliseconds(estimate));
    shown.set_estimated_from(history.nodes);
  }

  // Why there is something to do, but that it has not got it yet.
  static void ShowWhy(const StatusNode& row, v1::Rollout::Node& node) {
    const bool changed = row.state() == StatusNode::DRIFTED && row.reason() == Reason::REASON_UNSPECIFIED;
    if (row.state() != StatusNode::UNREACHABLE && !changed) return;
    node.set_reason(row.reason());
    node.set_detail(row.detail());
  }

  static void ShowServices(const v1::Inventory& inventory, const std::string& certificate, v1::Rollout::Node& node) {
    for (const v1::Inventory::Service& service : inventory.services()) {
      if (service.certificate() != certificate) continue;
      service.disruptive() ? node.add_restarts(service.name()) : node.add_reloads(service.name());
      for (const std::string& obstacle : service.obstacles()) {
        node.add_obstacles(absl::StrCat(service.name(), ": ", obstacle));
      }
    }
    if (inventory.has_clock_failure()) node.add_obstacles(inventory.clock_failure().detail());
  }

  const Config& config_;
  const v1::ApplyRequest& request_;
  const Machine& machine_;
  Session& session_;
  const FleetView& view_;
  const std::vector<state::v1::Rollout>& unfinished_;
  const absl::Time now_;
  std::map<absl::string_view, const SeenNode*> seen_;
};

}  // namespace

absl::StatusOr<v1::ApplyResponse> PlanApply(const Config& config, const Machine& machine,
                                            const std::vector<const CertificateConfig*>& selected,
                                            const v1::ApplyRequest& request) {
  ASSIGN_OR_RETURN(Session session, OpenToRead(config, machine));
  ASSIGN_OR_RETURN(const FleetView view, ViewFleet(config, machine, session, selected));
  ASSIGN_OR_RETURN(const std::vector<state::v1::Rollout> unfinished, RolloutRecords(*session.store).Unfinished());
  Planning planning(config, machine, request, session, view, unfinished);
  v1::ApplyResponse response;
  for (const CertificateConfig* certificate : selected) RETURN_IF_ERROR(planning.Add(*certificate, response));
  for (const std::string& warning : view.warnings) response.add_warnings(warning);
  return response;
}

}  // namespace certcast::controller
