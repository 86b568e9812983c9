// Rollouts as they are in the store: history and status.
#include <string>
#include <utility>
#include <vector>

#include "common/status/status.h"
#include "controller/api/controller.h"
#include "controller/api/find_rollout.h"
#include "controller/api/session.h"
#include "controller/api/windows.h"
#include "controller/rollout/record.h"
#include "controller/store/rollout_records.h"
#include "controller/store/rollout_requests.h"

namespace certcast::controller {
namespace {

// Of a head alone. One that was written before heads had counts is counted by its nodes.
absl::StatusOr<v1::Rollout> ShowHead(RolloutRecords& records, const state::v1::Rollout& head,
                                     const CertificateConfig* certificate, absl::Time now) {
  if (head.has_counts()) return ShowRolloutAt(head, certificate, now);
  ASSIGN_OR_RETURN(const std::optional<state::v1::Rollout> whole, records.Get(head.id()));
  v1::Rollout shown = ShowRolloutAt(whole.value_or(head), certificate, now);
  shown.clear_nodes();
  return shown;
}

}  // namespace

absl::StatusOr<v1::ListRolloutsResponse> Controller::ListRollouts(const v1::ListRolloutsRequest& request) {
  ASSIGN_OR_RETURN(Session session, OpenToRead(config_, machine_));
  RolloutRecords records(*session.store);
  ASSIGN_OR_RETURN(std::vector<state::v1::Rollout> heads, records.List(""));
  v1::ListRolloutsResponse response;
  if (heads.empty() && request.id().empty()) return response;
  ASSIGN_OR_RETURN(heads, MatchRollouts(heads, config_, request.id()));
  for (const state::v1::Rollout& head : heads) {
    ASSIGN_OR_RETURN(*response.add_rollouts(),
                     ShowHead(records, head, config_.FindCertificate(head.certificate()), machine_.clock->Now()));
  }
  return response;
}

absl::StatusOr<v1::GetRolloutResponse> Controller::GetRollout(const v1::GetRolloutRequest& request) {
  ASSIGN_OR_RETURN(Session session, OpenToRead(config_, machine_));
  RolloutRecords records(*session.store);
  ASSIGN_OR_RETURN(const std::vector<state::v1::Rollout> heads, records.List(""));
  ASSIGN_OR_RETURN(const state::v1::Rollout head, FindRollout(heads, config_, request.id(), RolloutDefault::kLatest));
  ASSIGN_OR_RETURN(const std::optional<state::v1::Rollout> rollout, records.Get(head.id()));
  v1::GetRolloutResponse response;
  *response.mutable_rollout() =
      ShowRolloutAt(rollout.value_or(head), config_.FindCertificate(head.certificate()), machine_.clock->Now());
  if (IsFinished(head)) return response;
  ASSIGN_OR_RETURN(const std::optional<PendingRequest> pending, RolloutRequests(*session.store).Get(head.id()));
  if (!pending.has_value()) return response;
  const bool abort = pending->request.wish() == state::v1::RolloutRequest::ABORT;
  response.mutable_requested()->set_action(abort ? v1::ChangeRolloutRequest::ABORT : v1::ChangeRolloutRequest::PAUSE);
  *response.mutable_requested()->mutable_by() = pending->request.by();
  return response;
}

}  // namespace certcast::controller
