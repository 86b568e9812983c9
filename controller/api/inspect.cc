// Calls that look and change nothing: status, certificates, nodes.
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/clock/timestamp.h"
#include "common/status/status.h"
#include "controller/acme/revocation_reason.h"
#include "controller/api/controller.h"
#include "controller/api/replace.h"
#include "controller/api/session.h"
#include "controller/api/windows.h"
#include "controller/rollout/record.h"
#include "controller/schedule/contract.h"
#include "controller/schedule/renewal.h"
#include "controller/store/records.h"

namespace certcast::controller {
namespace {

std::vector<std::string> Names(const std::string& one_or_all) {
  return one_or_all.empty() ? std::vector<std::string>() : std::vector<std::string>{one_or_all};
}

using ShownGeneration = v1::ListCertificatesResponse::Generation;

ShownGeneration ShowGeneration(const state::v1::Generation& generation, bool wanted, absl::Time now) {
  ShownGeneration shown;
  shown.set_generation(generation.generation());
  shown.set_leaf_sha256(generation.leaf_sha256());
  *shown.mutable_not_before() = generation.not_before();
  *shown.mutable_not_after() = generation.not_after();
  *shown.mutable_dns_names() = generation.dns_names();
  shown.set_issuer(generation.issuer());
  shown.set_source(generation.account().empty() ? "import" : absl::StrCat("acme ", generation.account()));
  if (generation.has_revoked_at()) *shown.mutable_revoked_at() = generation.revoked_at();
  if (MayBeRevoked(generation)) shown.set_revocation_reason(RevocationReasonName(generation.revocation_reason()));
  if (generation.has_revoked_at()) {
    shown.set_state(ShownGeneration::REVOKED);
  } else if (MayBeRevoked(generation)) {
    shown.set_state(ShownGeneration::REVOKING);
  } else if (FromTimestamp(generation.not_after()) <= now) {
    shown.set_state(ShownGeneration::EXPIRED);
  } else {
    shown.set_state(wanted ? ShownGeneration::WANTED : ShownGeneration::SUPERSEDED);
  }
  return shown;
}

// Unset where it is never renewed by itself, or never was issued.
template <typename Message>
void SetRenewAt(Message& message, absl::Time renew_at) {
  if (renew_at == absl::InfiniteFuture() || renew_at == absl::InfinitePast()) return;
  *message.mutable_renew_at() = ToTimestamp(renew_at);
}

using ShownCertificate = v1::ListCertificatesResponse::Certificate;

void ShowWindow(const state::v1::RenewalInfo& info, const state::v1::Generation& latest, ShownCertificate& shown) {
  if (info.leaf_sha256() != latest.leaf_sha256() || !info.has_window_start()) return;
  *shown.mutable_window_start() = info.window_start();
  *shown.mutable_window_end() = info.window_end();
  shown.set_explanation_url(info.explanation_url());
}

void AddFailed(const std::string& account, const state::v1::Schedule& schedule, ShownCertificate& shown) {
  if (schedule.failures() == 0) return;
  ShownCertificate::Failed& failed = *shown.add_failed();
  failed.set_account(account);
  failed.set_error(schedule.last_error());
  failed.set_failures(schedule.failures());
  failed.set_told_by_ca(schedule.told_by_ca());
  if (schedule.told_by_ca()) *failed.mutable_retry_at() = schedule.not_before();
}

// An order that is under way, and what failed before.
absl::Status ShowUnfinished(Store& store, const CertificateConfig& certificate, ShownCertificate& shown) {
  ASSIGN_OR_RETURN(const auto order, OrderRecords(store).Get(certificate.name));
  if (order.has_value() && !order->order_url().empty()) {
    shown.set_order_url(order->order_url());
    *shown.mutable_ordered_at() = order->created_at();
  }
  ASSIGN_OR_RETURN(const auto schedule, ScheduleRecords(store).Get(certificate.name));
  if (!schedule.has_value()) return absl::OkStatus();
  AddFailed(certificate.account, *schedule, shown);
  for (const std::string& account : certificate.further_accounts) {
    const auto further = schedule->further_accounts().find(account);
    if (further != schedule->further_accounts().end()) AddFailed(account, further->second, shown);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<v1::StatusResponse> Controller::GetStatus(const v1::StatusRequest& request) {
  ASSIGN_OR_RETURN(auto selected, SelectCertificates(config_, Names(request.certificate())));
  ASSIGN_OR_RETURN(Session session, OpenToRead(config_, machine_));
  ASSIGN_OR_RETURN(FleetView view, ViewFleet(config_, machine_, session, std::move(selected)));
  v1::StatusResponse response;
  for (size_t i = 0; i < view.certificates.size(); ++i) {
    v1::StatusResponse::Certificate& shown = *response.add_certificates();
    shown.set_name(view.certificates[i]->name);
    const std::optional<state::v1::Generation>& generation = view.generations[i];
    if (generation.has_value()) {
      shown.set_generation(generation->generation());
      shown.set_leaf_sha256(generation->leaf_sha256());
      *shown.mutable_not_after() = generation->not_after();
      ASSIGN_OR_RETURN(const auto info, RenewalInfoRecords(*session.store).Get(shown.name()));
      const RenewalDecision decision = DecideRenewal(*view.certificates[i], &*generation, machine_.clock->Now(),
                                                     /*force=*/false, info.has_value() ? &*info : nullptr);
      SetRenewAt(shown, decision.renew_at);
      if (decision.due || generation->has_revoked_at()) shown.set_renew_reason(decision.reason);
    }
    for (const v1::StatusResponse::Node* row : RowsOf(view, shown.name())) {
      shown.set_total(shown.total() + 1);
      shown.set_converged(shown.converged() + (row->state() == v1::StatusResponse::Node::CONVERGED));
    }
    if (view.rollouts[i].has_value()) {
      shown.set_rollout_id(view.rollouts[i]->id());
      shown.set_rollout_state(view.rollouts[i]->state());
      shown.set_rollout_because(
          ShowRolloutAt(*view.rollouts[i], view.certificates[i], machine_.clock->Now()).because());
    }
  }
  for (v1::StatusResponse::Node& row : view.status.rows) *response.add_nodes() = std::move(row);
  response.set_total(response.nodes_size());
  response.set_converged(view.status.converged);
  response.mutable_warnings()->Assign(view.warnings.begin(), view.warnings.end());
  ASSIGN_OR_RETURN(const std::vector<std::string> replacements, WarnOfReplacements(*session.store, view.certificates));
  for (const std::string& warning : replacements) response.add_warnings(warning);
  for (const ContractNotice& notice : ContractNotices(config_.accounts, machine_.clock->Now())) {
    if (notice.urgency != ContractNotice::Urgency::kNone) response.add_warnings(notice.text + ": " + notice.hint);
  }
  return response;
}

absl::StatusOr<v1::ListCertificatesResponse> Controller::ListCertificates(const v1::ListCertificatesRequest& request) {
  ASSIGN_OR_RETURN(auto selected, SelectCertificates(config_, Names(request.certificate())));
  ASSIGN_OR_RETURN(Session session, OpenToRead(config_, machine_));
  const absl::Time now = machine_.clock->Now();
  v1::ListCertificatesResponse response;
  for (const CertificateConfig* certificate : selected) {
    ASSIGN_OR_RETURN(std::vector<state::v1::Generation> generations,
                     GenerationRecords(*session.store).List(certificate->name));
    v1::ListCertificatesResponse::Certificate& shown = *response.add_certificates();
    shown.set_name(certificate->name);
    const state::v1::Generation* latest = generations.empty() ? nullptr : &generations.back();
    if (latest != nullptr) {
      shown.set_generation(latest->generation());
      shown.set_leaf_sha256(latest->leaf_sha256());
      *shown.mutable_not_after() = latest->not_after();
    }
    ASSIGN_OR_RETURN(const auto info, RenewalInfoRecords(*session.store).Get(certificate->name));
    const RenewalDecision decision =
        DecideRenewal(*certificate, latest, now, /*force=*/false, info.has_value() ? &*info : nullptr);
    SetRenewAt(shown, decision.renew_at);
    shown.set_renew_reason(decision.reason);
    if (info.has_value() && latest != nullptr) ShowWindow(*info, *latest, shown);
    RETURN_IF_ERROR(ShowUnfinished(*session.store, *certificate, shown));
    for (const state::v1::Generation& generation : generations) {
      *shown.add_generations() = ShowGeneration(generation, &generation == latest, now);
    }
  }
  return response;
}

absl::StatusOr<v1::ListNodesResponse> Controller::ListNodes(const v1::ListNodesRequest& request) {
  if (!request.name().empty() && config_.FindNode(request.name()) == nullptr) {
    return FailInput(absl::StrCat("there is no node ", request.name(), " in ", config_.path));
  }
  ASSIGN_OR_RETURN(Session session, OpenToRead(config_, machine_));
  ASSIGN_OR_RETURN(std::vector<state::v1::Node> records, NodeRecords(*session.store).List());
  std::map<std::string, const state::v1::Node*> by_name;
  for (const state::v1::Node& record : records) by_name[record.name()] = &record;
  std::map<std::string, std::vector<std::string>> certificates;
  for (const CertificateConfig& certificate : config_.certificates) {
    for (const NodeConfig* node : config_.NodesOf(certificate)) certificates[node->name].push_back(certificate.name);
  }
  v1::ListNodesResponse response;
  for (const NodeConfig& node : config_.nodes) {
    if (!request.name().empty() && node.name != request.name()) continue;
    v1::ListNodesResponse::Node& shown = *response.add_nodes();
    shown.set_name(node.name);
    shown.set_address(absl::StrCat(node.ssh.has_value() ? "ssh://" : "grpc://", node.address));
    shown.set_hosted(node.ssh.has_value() && node.ssh->hosted());
    shown.mutable_labels()->insert(node.labels.begin(), node.labels.end());
    for (const std::string& certificate : certificates[node.name]) shown.add_certificates(certificate);
    const auto record = by_name.find(node.name);
    if (record == by_name.end()) continue;
    // Whatever it was once signed for: it is known by the login.
    if (!shown.hosted()) {
      shown.set_enrolled(record->second->has_identity_not_after());
      *shown.mutable_identity_not_after() = record->second->identity_not_after();
    }
    if (record->second->has_last_seen()) *shown.mutable_last_seen() = record->second->last_seen();
  }
  return response;
}

}  // namespace certcast::controller
