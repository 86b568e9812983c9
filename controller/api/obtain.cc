#include "controller/api/obtain.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/clock/show_utc.h"
#include "common/clock/timestamp.h"
#include "common/status/status.h"
#include "controller/acme/issuer.h"
#include "controller/api/ca_news.h"
#include "controller/api/check_challenge.h"
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

std::vector<const AccountConfig*> AccountsOf(const Config& config, const CertificateConfig& certificate) {
  std::vector<const AccountConfig*> accounts;
  for (const std::string& name : certificate.Accounts()) accounts.push_back(config.FindAccount(name));
  return accounts;
}

absl::StatusOr<Obtained> DecideOnly(const Machine& machine, Session& session, const CertificateConfig& certificate,
                                    bool force) {
  Obtained obtained;
  ASSIGN_OR_RETURN(obtained.generation, GenerationRecords(*session.store).Wanted(certificate.name));
  ASSIGN_OR_RETURN(const auto info, RenewalInfoRecords(*session.store).Get(certificate.name));
  const RenewalDecision decision =
      DecideRenewal(certificate, obtained.generation.has_value() ? &*obtained.generation : nullptr,
                    machine.clock->Now(), force, info.has_value() ? &*info : nullptr);
  obtained.shown = ShowCertificate(certificate.name, obtained.generation);
  obtained.shown.set_issued(decision.due);
  obtained.shown.set_renew_reason(decision.reason);
  if (decision.due) return obtained;
  // One that was asked for by hand, or before it was due no more: who asked for it is still waiting.
  ASSIGN_OR_RETURN(const auto order, OrderRecords(*session.store).Get(certificate.name));
  if (certificate.imported() || !order || order->order_url().empty()) return obtained;
  obtained.shown.set_issued(true);
  obtained.shown.set_renew_reason(
      absl::StrCat("its order of ", ShowUtc(FromTimestamp(order->created_at())), " is not finished"));
  return obtained;
}

namespace {

absl::Status AbandonOrder(const Config& config, const Machine& machine, Session& session,
                          const CertificateConfig& certificate, const OnProgress& on_progress) {
  ASSIGN_OR_RETURN(const bool abandoned,
                   MakeIssuer(config, machine, session, certificate).AbandonOrder(certificate, session.epoch()));
  v1::ApplyEvent::Progress progress;
  progress.set_phase(v1::ApplyEvent::Progress::ISSUING);
  progress.set_certificate(certificate.name);
  progress.set_text(abandoned ? "its order is given up: what the CA may still issue for it is not used"
                              : "there is no order to give up");
  on_progress(progress);
  return absl::OkStatus();
}

// What an order presented and could not take away, where there is no order that would see to it.
absl::Status RemoveLeftovers(const Config& config, const Machine& machine, Session& session,
                             const CertificateConfig& certificate, const OnIssueProgress& say) {
  const absl::Status removed =
      MakeIssuer(config, machine, session, certificate).RemoveLeftovers(certificate, session.epoch(), say);
  if (removed.ok() || ReasonOf(removed) == Reason::STALE_EPOCH) return removed;
  say(removed.message());
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckHasAccount(const Config& config, const CertificateConfig& certificate) {
  if (!certificate.imported()) return absl::OkStatus();
  return FailInput(
      absl::StrCat("certificate ", certificate.name, " has no account in ", config.path),
      absl::StrCat("bring one by hand: certcast import ", certificate.name, " --fullchain FILE --key FILE"));
}

absl::StatusOr<Obtained> ObtainIfDue(const Config& config, const Machine& machine, Session& session,
                                     const CertificateConfig& certificate, bool force, const OnProgress& on_progress) {
  v1::ApplyEvent::Progress progress;
  progress.set_phase(v1::ApplyEvent::Progress::ISSUING);
  progress.set_certificate(certificate.name);
  const auto say = [&](absl::string_view text) {
    progress.set_text(std::string(text));
    on_progress(progress);
  };
  RETURN_IF_ERROR(LearnWhenToRenew(config, machine, session, certificate));
  ASSIGN_OR_RETURN(Obtained obtained, DecideOnly(machine, session, certificate, force));
  const std::string reason = obtained.shown.renew_reason();
  if (!obtained.shown.issued()) {
    RETURN_IF_ERROR(RemoveLeftovers(config, machine, session, certificate, say));
    if (!obtained.generation.has_value()) return obtained;
    ASSIGN_OR_RETURN(auto renewed, RenewChainIfDue(config, machine, session, certificate, *obtained.generation, say));
    if (!renewed.has_value()) return obtained;
    obtained.generation = std::move(renewed);
    obtained.shown = ShowCertificate(certificate.name, obtained.generation);
    obtained.shown.set_issued(true);
    obtained.shown.set_renew_reason("the CA has another chain for the same certificate");
    obtained.shown.set_account(obtained.generation->account());
    return obtained;
  }

  say(absl::StrCat("obtaining it from ", absl::StrJoin(certificate.Accounts(), ", else "), ": ", reason));
  Issuer issuer = MakeIssuer(config, machine, session, certificate);
  absl::StatusOr<state::v1::Generation> issued =
      issuer.IssueFromAny(certificate, AccountsOf(config, certificate), session.epoch(), say);
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
  obtained.shown.set_account(obtained.generation->account());
  return obtained;
}

absl::StatusOr<v1::IssueResponse> Controller::Issue(const v1::IssueRequest& request, const OnProgress& on_progress) {
  ASSIGN_OR_RETURN(std::vector<const CertificateConfig*> selected,
                   SelectCertificates(config_, {request.certificate()}));
  const CertificateConfig& certificate = *selected.front();
  RETURN_IF_ERROR(CheckHasAccount(config_, certificate));
  ASSIGN_OR_RETURN(Session session, OpenToChange(config_, machine_, "issue"));
  if (request.abandon_order()) RETURN_IF_ERROR(AbandonOrder(config_, machine_, session, certificate, on_progress));
  ASSIGN_OR_RETURN(Obtained obtained,
                   ObtainIfDue(config_, machine_, session, certificate, request.force_renewal(), on_progress));
  v1::IssueResponse response;
  *response.add_certificates() = std::move(obtained.shown);
  return response;
}

}  // namespace certcast::controller
