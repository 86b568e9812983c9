#include "controller/api/obtain.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status/status.h"
#include "controller/acme/issuer.h"
#include "controller/store/records.h"

namespace certcast::controller {

v1::ApplyResponse::Certificate ShowCertificate(const std::string& name,
                                               const std::optional<state::v1::Generation>& generation) {
  v1::ApplyResponse::Certificate shown;
  shown.set_name(name);
  if (!generation.has_value()) return shown;
  shown.set_generation(generation->generation());
  shown.set_leaf_sha256(generation->leaf_sha256());
  *shown.mutable_not_after() = generation->not_after();
  return shown;
}

absl::StatusOr<Obtained> DecideOnly(const Machine& machine, Session& session, const CertificateConfig& certificate,
                                    bool force) {
  Obtained obtained;
  ASSIGN_OR_RETURN(obtained.generation, GenerationRecords(*session.store).Wanted(certificate.name));
  const RenewalDecision decision = DecideRenewal(
      certificate, obtained.generation.has_value() ? &*obtained.generation : nullptr, machine.clock->Now(), force);
  obtained.shown = ShowCertificate(certificate.name, obtained.generation);
  obtained.shown.set_issued(decision.due);
  obtained.shown.set_renew_reason(decision.reason);
  return obtained;
}

absl::StatusOr<Obtained> ObtainIfDue(const Config& config, const Machine& machine, Session& session,
                                     const CertificateConfig& certificate, bool force, const OnProgress& on_progress) {
  ASSIGN_OR_RETURN(Obtained obtained, DecideOnly(machine, session, certificate, force));
  if (!obtained.shown.issued()) return obtained;
  const std::string reason = obtained.shown.renew_reason();

  v1::ApplyEvent::Progress progress;
  progress.set_phase(v1::ApplyEvent::Progress::ISSUING);
  progress.set_certificate(certificate.name);
  progress.set_text(absl::StrCat("obtaining it from ", certificate.account, ": ", reason));
  on_progress(progress);
  Issuer issuer(*machine.http, *machine.dns, *machine.processes, *machine.clock, *session.store, *session.keyring);
  absl::StatusOr<state::v1::Generation> issued =
      issuer.Issue(certificate, *config.FindAccount(certificate.account), session.epoch(), [&](absl::string_view text) {
        progress.set_text(std::string(text));
        on_progress(progress);
      });
  if (!issued.ok()) {
    // Another controller took over: nothing more may be done here.
    if (ReasonOf(issued.status()) == Reason::STALE_EPOCH) return issued.status();
    obtained.shown.set_issued(false);
    *obtained.shown.mutable_failure() = FailureOf(issued.status());
    return obtained;
  }
  obtained.generation = *std::move(issued);
  obtained.shown = ShowCertificate(certificate.name, obtained.generation);
  obtained.shown.set_issued(true);
  obtained.shown.set_renew_reason(reason);
  return obtained;
}

absl::StatusOr<v1::IssueResponse> Controller::Issue(const v1::IssueRequest& request, const OnProgress& on_progress) {
  ASSIGN_OR_RETURN(std::vector<const CertificateConfig*> selected,
                   SelectCertificates(config_, {request.certificate()}));
  const CertificateConfig& certificate = *selected.front();
  if (certificate.imported()) {
    return FailInput(
        absl::StrCat("certificate ", certificate.name, " has no account in ", config_.path),
        absl::StrCat("bring one by hand: certcast import ", certificate.name, " --fullchain FILE --key FILE"));
  }
  ASSIGN_OR_RETURN(Session session, OpenToChange(config_, machine_, "issue"));
  ASSIGN_OR_RETURN(Obtained obtained,
                   ObtainIfDue(config_, machine_, session, certificate, request.force_renewal(), on_progress));
  v1::IssueResponse response;
  *response.add_certificates() = std::move(obtained.shown);
  return response;
}

}  // namespace certcast::controller
