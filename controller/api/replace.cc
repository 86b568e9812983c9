#include "controller/api/replace.h"

#include <algorithm>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/clock/show_utc.h"
#include "common/clock/timestamp.h"
#include "common/status/status.h"
#include "controller/acme/issuer.h"
#include "controller/acme/revocation_reason.h"
#include "controller/api/check_challenge.h"
#include "controller/api/issuing_account.h"
#include "controller/api/note.h"
#include "controller/api/obtain.h"
#include "controller/api/revoke_generation.h"
#include "controller/api/roll_out.h"
#include "controller/store/records.h"
#include "controller/store/replacement_records.h"

namespace certcast::controller {
namespace {

using state::v1::Generation;
using Phase = state::v1::Replacement;

absl::Status Stopped() {
  return absl::CancelledError("stopped as asked; `certcast replace` goes on where this run ended");
}

bool WentWell(const v1::Rollout& rollout) {
  return rollout.state() == v1::Rollout::COMPLETED;
}

bool WasHalted(const v1::Rollout& rollout) {
  const v1::Rollout::State state = rollout.state();
  return state == v1::Rollout::HALTED || state == v1::Rollout::REVERTING || state == v1::Rollout::REVERTED;
}

}  // namespace

absl::StatusOr<v1::ReplaceResponse> Replacement::Run() {
  RETURN_IF_ERROR(BeginOrResume());
  for (;;) {
    if (context_.stop) return Stopped();
    const Record::Phase before = record_.phase();
    switch (before) {
      case Phase::ISSUING:
        RETURN_IF_ERROR(Issue());
        break;
      case Phase::ROLLING_OUT:
        RETURN_IF_ERROR(RollOut());
        break;
      case Phase::REVOKING:
        RETURN_IF_ERROR(Revoke());
        break;
      default:
        return Describe();
    }
    if (record_.phase() == before) return Describe();
  }
}

absl::Status Replacement::BeginOrResume() {
  ReplacementRecords records(*context_.session.store);
  ASSIGN_OR_RETURN(const std::optional<Record> left, records.Get(context_.certificate.name));
  if (!left.has_value() || left->phase() == Phase::DONE) {
    ASSIGN_OR_RETURN(record_, NewRecord());
    return records.PutAndForgetOrder(record_, context_.session.epoch());
  }
  record_ = *left;
  Note(absl::StrCat("going on with the replacement that was begun on ", ShowUtc(FromTimestamp(record_.started_at()))));
  if (context_.request.generation() != 0) RETURN_IF_ERROR(AddKeyOf(context_.request.generation()));
  // That all nodes have it was seen by an earlier run: it is seen again before anything is revoked.
  if (record_.phase() == Phase::REVOKING) record_.set_phase(Phase::ROLLING_OUT);
  return absl::OkStatus();
}

absl::StatusOr<Replacement::Record> Replacement::NewRecord() {
  const std::string& name = context_.certificate.name;
  ASSIGN_OR_RETURN(const std::optional<Generation> latest, GenerationRecords(*context_.session.store).Wanted(name));
  if (!latest.has_value()) {
    return FailInput(absl::StrCat("nothing of ", name, " was issued yet, so no key of it can be out"),
                     absl::StrCat("certcast apply ", name));
  }
  const uint64_t number = context_.request.generation() == 0 ? latest->generation() : context_.request.generation();
  ASSIGN_OR_RETURN(const Generation compromised, LoadGeneration(number));
  Record record;
  record.set_certificate(name);
  record.set_phase(Phase::ISSUING);
  record.add_compromised_spki_sha256(compromised.spki_sha256());
  record.set_after_generation(latest->generation());
  *record.mutable_started_at() = ToTimestamp(context_.machine.clock->Now());
  return record;
}

// The operator names one more key that is out, while a replacement is under way: where it is the new one's, that is
// replaced as well.
absl::Status Replacement::AddKeyOf(uint64_t number) {
  ASSIGN_OR_RETURN(const Generation generation, LoadGeneration(number));
  if (IsCompromised(generation)) return absl::OkStatus();
  record_.add_compromised_spki_sha256(generation.spki_sha256());
  ReplacementRecords records(*context_.session.store);
  if (record_.generation() != number) return records.Put(record_, context_.session.epoch());
  ASSIGN_OR_RETURN(const auto latest, GenerationRecords(*context_.session.store).Wanted(context_.certificate.name));
  record_.set_phase(Phase::ISSUING);
  record_.set_after_generation(latest->generation());
  record_.clear_generation();
  return records.PutAndForgetOrder(record_, context_.session.epoch());
}

absl::Status Replacement::Issue() {
  GenerationRecords generations(*context_.session.store);
  ASSIGN_OR_RETURN(std::optional<Generation> latest, generations.Wanted(context_.certificate.name));
  // An earlier run may have ended right after it was saved.
  const bool is_there =
      latest.has_value() && latest->generation() > record_.after_generation() && !IsCompromised(*latest);
  if (!is_there) {
    Note("obtaining a generation with a new key");
    v1::ApplyEvent::Progress progress;
    progress.set_phase(v1::ApplyEvent::Progress::ISSUING);
    progress.set_certificate(context_.certificate.name);
    Issuer issuer = MakeIssuer(context_.config, context_.machine, context_.session, context_.certificate);
    absl::StatusOr<Generation> issued =
        issuer.IssueFromAny(context_.certificate, AccountsOf(context_.config, context_.certificate),
                            context_.session.epoch(), [&](absl::string_view text) {
                              progress.set_text(std::string(text));
                              context_.on_progress(progress);
                            });
    if (!issued.ok()) {
      if (ReasonOf(issued.status()) == Reason::STALE_EPOCH) return issued.status();
      *response_.mutable_certificate()->mutable_failure() = FailureOf(issued.status());
      return absl::OkStatus();
    }
    response_.mutable_certificate()->set_issued(true);
    latest = *std::move(issued);
    if (IsCompromised(*latest)) {
      *response_.mutable_certificate()->mutable_failure() = FailureOf(
          Fail(Reason::CERTIFICATE_UNEXPECTED, absl::StrCat("generation ", latest->generation(), " has the old key")));
      return absl::OkStatus();
    }
  }
  record_.set_generation(latest->generation());
  return Enter(Phase::ROLLING_OUT);
}

// `apply` may have renewed it meanwhile, and nodes take nothing older than what they have.
absl::Status Replacement::TakeUpNewer() {
  ASSIGN_OR_RETURN(const std::optional<Generation> wanted,
                   GenerationRecords(*context_.session.store).Wanted(context_.certificate.name));
  if (!wanted.has_value() || wanted->generation() <= record_.generation() || IsCompromised(*wanted)) {
    return absl::OkStatus();
  }
  Note(absl::StrCat("generation ", wanted->generation(),
                    " has come since, with another key than the one that is out: going on with it"));
  record_.set_generation(wanted->generation());
  return ReplacementRecords(*context_.session.store).Put(record_, context_.session.epoch());
}

absl::Status Replacement::RollOut() {
  RETURN_IF_ERROR(TakeUpNewer());
  ASSIGN_OR_RETURN(const Generation generation, LoadGeneration(record_.generation()));
  ASSIGN_OR_RETURN(const bool may_be_forced, RunRollouts(generation));
  if (context_.stop) return Stopped();
  ASSIGN_OR_RETURN(const bool proven, Prove(generation));
  if (!proven && !(context_.request.force() && may_be_forced)) return absl::OkStatus();
  return Enter(Phase::REVOKING);
}

// False when a rollout was halted: nodes were put back then, so that nothing may be revoked, whatever the operator
// says.
absl::StatusOr<bool> Replacement::RunRollouts(const Generation& generation) {
  const Context& context = context_;
  ASSIGN_OR_RETURN(RolloutRunner runner, RolloutRunner::Make(context.config, context.machine, context.session,
                                                             context.on_progress, context.stop));
  // A key that is out waits for no window.
  runner.OverrideWindows(context.request.by());
  RETURN_IF_ERROR(runner.EndOthers(context.certificate, generation.generation()));
  ASSIGN_OR_RETURN(std::vector<v1::Rollout> rollouts, runner.ResumeUnfinished(context.certificate));
  const bool failed = !std::all_of(rollouts.begin(), rollouts.end(), WentWell);
  if (!failed && !context.stop) {
    ASSIGN_OR_RETURN(const FleetView view,
                     ViewFleet(context.config, context.machine, context.session, {&context.certificate}));
    response_.mutable_warnings()->Assign(view.warnings.begin(), view.warnings.end());
    const std::vector<FleetMember> fleet = MembersOf(context.config, context.certificate, view);
    if (!AllSettled(fleet)) {
      Note(absl::StrCat("bringing generation ", generation.generation(), " to every node"));
      ASSIGN_OR_RETURN(v1::Rollout rollout, runner.Run(context.certificate, generation, fleet));
      rollouts.push_back(std::move(rollout));
    }
  }
  const bool halted = std::any_of(rollouts.begin(), rollouts.end(), WasHalted);
  for (v1::Rollout& rollout : rollouts) *response_.add_rollouts() = std::move(rollout);
  return !halted;
}

// Asks every node and looks at every endpoint.
absl::StatusOr<bool> Replacement::Prove(const Generation& generation) {
  ASSIGN_OR_RETURN(const std::vector<Generation> to_revoke, ToRevoke());
  std::vector<DoomedLeaf> doomed;
  doomed.reserve(to_revoke.size());
  for (const Generation& old : to_revoke) doomed.push_back({old.leaf_sha256(), old.generation()});
  ASSIGN_OR_RETURN(const FleetLook look, LookForHolders(context_.config, context_.machine, context_.session,
                                                        context_.certificate, generation, doomed));
  response_.set_total(static_cast<int32_t>(look.own_nodes));
  std::set<std::string> own;
  for (size_t i = 0; i < look.own_nodes; ++i) {
    const v1::StatusResponse::Node& row = look.status.rows[i];
    own.insert(row.name());
    if (row.state() == v1::StatusResponse::Node::CONVERGED) {
      response_.set_converged(response_.converged() + 1);
    } else {
      *response_.add_nodes() = row;
    }
  }
  for (const v1::VerifyResponse::Endpoint& endpoint : look.endpoints) {
    if (own.count(endpoint.node()) == 0) continue;
    response_.set_endpoints_total(response_.endpoints_total() + 1);
    if (endpoint.ok()) {
      response_.set_endpoints_ok(response_.endpoints_ok() + 1);
    } else {
      *response_.add_endpoints() = endpoint;
    }
  }
  response_.mutable_holders()->Assign(look.holders.begin(), look.holders.end());
  return response_.nodes().empty() && response_.endpoints().empty() && response_.holders().empty();
}

absl::Status Replacement::Revoke() {
  ASSIGN_OR_RETURN(const std::vector<Generation> to_revoke, ToRevoke());
  bool all = true;
  for (const Generation& generation : to_revoke) {
    if (context_.stop) return Stopped();
    absl::Status status = RevokeOne(generation);
    if (ReasonOf(status) == Reason::STALE_EPOCH) return status;
    if (status.ok()) continue;
    // What was imported is its CA's and the operator's affair.
    all &= generation.account().empty();
    v1::ReplaceResponse::Revocation& failed = *response_.add_revocations();
    failed.set_generation(generation.generation());
    *failed.mutable_failure() = FailureOf(status);
  }
  return all ? Enter(Phase::DONE) : absl::OkStatus();
}

absl::Status Replacement::RevokeOne(const Generation& generation) {
  ASSIGN_OR_RETURN(const AccountConfig* account, AccountOf(context_.config, generation));
  Note(absl::StrCat("revoking generation ", generation.generation(), " (keyCompromise)"));
  ASSIGN_OR_RETURN(const RevocationAnswer answer,
                   RevokeGeneration(context_.machine, context_.session, *account, generation, kKeyCompromise));
  return StatusOfAnswer(answer);
}

absl::Status Replacement::Enter(Record::Phase phase) {
  Record next = record_;
  next.set_phase(phase);
  if (phase == Phase::DONE) *next.mutable_finished_at() = ToTimestamp(context_.machine.clock->Now());
  RETURN_IF_ERROR(ReplacementRecords(*context_.session.store).Put(next, context_.session.epoch()));
  record_ = std::move(next);
  return absl::OkStatus();
}

absl::StatusOr<Generation> Replacement::LoadGeneration(uint64_t number) {
  ASSIGN_OR_RETURN(std::optional<Generation> generation,
                   GenerationRecords(*context_.session.store).Get(context_.certificate.name, number));
  if (generation.has_value()) return *std::move(generation);
  return FailInput(absl::StrCat("there is no generation ", number, " of ", context_.certificate.name),
                   absl::StrCat("certcast certificates ", context_.certificate.name));
}

bool Replacement::IsCompromised(const Generation& generation) const {
  const auto& keys = record_.compromised_spki_sha256();
  return std::find(keys.begin(), keys.end(), generation.spki_sha256()) != keys.end();
}

absl::StatusOr<std::vector<Generation>> Replacement::ToRevoke() {
  ASSIGN_OR_RETURN(std::vector<Generation> all,
                   GenerationRecords(*context_.session.store).List(context_.certificate.name));
  const absl::Time now = context_.machine.clock->Now();
  std::vector<Generation> chosen;
  for (Generation& generation : all) {
    if (!IsCompromised(generation) || generation.has_revoked_at()) continue;
    if (FromTimestamp(generation.not_after()) > now) chosen.push_back(std::move(generation));
  }
  return chosen;
}

absl::StatusOr<v1::ReplaceResponse> Replacement::Describe() {
  // The same names and numbers.
  response_.set_phase(static_cast<v1::ReplaceResponse::Phase>(record_.phase()));
  *response_.mutable_started_at() = record_.started_at();
  v1::ApplyResponse::Certificate& shown = *response_.mutable_certificate();
  const bool issued = shown.issued();
  const std::optional<v1::Failure> failure =
      shown.has_failure() ? std::optional<v1::Failure>(shown.failure()) : std::nullopt;
  std::optional<Generation> generation;
  if (record_.generation() != 0) {
    ASSIGN_OR_RETURN(generation, LoadGeneration(record_.generation()));
  }
  shown = ShowCertificate(context_.certificate.name, generation);
  shown.set_issued(issued);
  shown.set_renew_reason("its key is out");
  if (failure.has_value()) *shown.mutable_failure() = *failure;

  ASSIGN_OR_RETURN(std::vector<Generation> all,
                   GenerationRecords(*context_.session.store).List(context_.certificate.name));
  std::vector<v1::ReplaceResponse::Revocation> revocations;
  for (const Generation& old : all) {
    const bool expired = FromTimestamp(old.not_after()) <= context_.machine.clock->Now();
    if (!IsCompromised(old) || (expired && !old.has_revoked_at())) continue;
    v1::ReplaceResponse::Revocation& revocation = revocations.emplace_back();
    revocation.set_generation(old.generation());
    revocation.set_leaf_sha256(old.leaf_sha256());
    revocation.set_revoked(old.has_revoked_at());
    if (old.has_revoked_at()) *revocation.mutable_revoked_at() = old.revoked_at();
    for (const auto& failed : response_.revocations()) {
      if (failed.generation() == old.generation()) *revocation.mutable_failure() = failed.failure();
    }
  }
  response_.mutable_revocations()->Assign(revocations.begin(), revocations.end());
  return response_;
}

void Replacement::Note(const std::string& text) const {
  context_.on_progress(MakeNote(text, context_.certificate.name));
}

absl::StatusOr<v1::ReplaceResponse> Controller::Replace(const v1::ReplaceRequest& request,
                                                        const OnProgress& on_progress, const std::atomic<bool>& stop) {
  ASSIGN_OR_RETURN(std::vector<const CertificateConfig*> selected,
                   SelectCertificates(config_, {request.certificate()}));
  const CertificateConfig& certificate = *selected.front();
  if (!request.compromised()) {
    return FailInput(absl::StrCat("to replace ", certificate.name, " is to have what it had revoked"),
                     absl::StrCat("say --compromised when its key is out; a new generation without a revocation: "
                                  "certcast apply ",
                                  certificate.name, " --force-renewal"));
  }
  if (certificate.imported()) {
    return FailInput(
        absl::StrCat("certificate ", certificate.name,
                     " is imported: certcast can neither order another one nor have this one revoked"),
        absl::StrCat("get one with a new key from its CA; then `certcast import`, `certcast apply ", certificate.name,
                     "`, and when `certcast verify ", certificate.name, "` says all: have that CA revoke the old one"));
  }
  ASSIGN_OR_RETURN(Session session, OpenToChange(config_, machine_, "replace"));
  return Replacement({.config = config_,
                      .machine = machine_,
                      .session = session,
                      .certificate = certificate,
                      .request = request,
                      .on_progress = on_progress,
                      .stop = stop})
      .Run();
}

absl::StatusOr<std::vector<std::string>> WarnOfReplacements(Store& store,
                                                            const std::vector<const CertificateConfig*>& certificates) {
  std::vector<std::string> warnings;
  ReplacementRecords records(store);
  for (const CertificateConfig* certificate : certificates) {
    ASSIGN_OR_RETURN(const auto record, records.Get(certificate->name));
    if (!record.has_value() || record->phase() == Phase::DONE) continue;
    warnings.push_back(absl::StrCat("the key of ", certificate->name, " is out since ",
                                    ShowUtc(FromTimestamp(record->started_at())), ", and its replacement is not over (",
                                    Phase::Phase_Name(record->phase()), "): certcast replace ", certificate->name,
                                    " --compromised"));
  }
  return warnings;
}

}  // namespace certcast::controller
