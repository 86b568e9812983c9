// Revocation: of a generation, or of a certificate in a file.
#include "controller/acme/revoke.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/clock/timestamp.h"
#include "common/status/status.h"
#include "common/x509/certificate.h"
#include "common/x509/private_key.h"
#include "controller/acme/revocation_reason.h"
#include "controller/api/controller.h"
#include "controller/api/holders.h"
#include "controller/api/issuing_account.h"
#include "controller/api/revoke_generation.h"
#include "controller/api/session.h"
#include "controller/store/records.h"

namespace certcast::controller {
namespace {

using state::v1::Generation;

// What is to be revoked, and by whom.
struct Target {
  // nullopt: a certificate that certcast does not know.
  std::optional<Generation> generation;
  std::optional<Certificate> leaf;
  // What the operator gave; a generation's is in the store.
  std::optional<PrivateKey> key;
  const AccountConfig* account = nullptr;
};

absl::Status CheckRequest(const v1::RevokeRequest& request) {
  if (request.certificate_pem().empty() && !request.private_key_pem().empty()) {
    return FailInput("a key was given without its certificate",
                     "--key belongs to --certificate; a generation's own key is in the store");
  }
  if (!request.certificate_pem().empty() && request.generation() != 0) {
    return FailInput("both a generation and a certificate's file were given", "give one of them");
  }
  return absl::OkStatus();
}

absl::StatusOr<Generation> ChooseGeneration(Session& session, const CertificateConfig& certificate, uint64_t number) {
  ASSIGN_OR_RETURN(std::vector<Generation> all, GenerationRecords(*session.store).List(certificate.name));
  if (all.empty()) return FailInput(absl::StrCat("nothing of ", certificate.name, " was issued or imported yet"));
  if (number == 0) return std::move(all.back());
  for (Generation& generation : all) {
    if (generation.generation() == number) return std::move(generation);
  }
  return FailInput(
      absl::StrCat("there is no generation ", number, " of ", certificate.name),
      absl::StrCat("there are 1 to ", all.back().generation(), ": certcast certificates ", certificate.name));
}

// The generation that the file is, if it is one.
absl::StatusOr<std::optional<Generation>> GenerationWith(const Config& config, Session& session,
                                                         const CertificateConfig& certificate,
                                                         const std::string& leaf_sha256) {
  for (const CertificateConfig& known : config.certificates) {
    ASSIGN_OR_RETURN(std::vector<Generation> all, GenerationRecords(*session.store).List(known.name));
    for (Generation& generation : all) {
      if (generation.leaf_sha256() != leaf_sha256) continue;
      if (known.name == certificate.name) return std::optional<Generation>(std::move(generation));
      const std::string there = absl::StrCat("generation ", generation.generation(), " of ", known.name);
      return FailInput(absl::StrCat("the file is ", there, ", not of ", certificate.name),
                       absl::StrCat("certcast revoke ", known.name, " --generation ", generation.generation()));
    }
  }
  return std::optional<Generation>();
}

// Of a file that the operator named by `option`.
absl::Status WrongFile(absl::string_view option, const absl::Status& failed, absl::string_view expected) {
  const std::string hint = FailureOf(failed).hint();
  return WithReason(FailInput(absl::StrCat(option, ": ", failed.message()), hint.empty() ? expected : hint),
                    ReasonOf(failed));
}

absl::StatusOr<Target> TargetInFile(const Config& config, Session& session, const CertificateConfig& certificate,
                                    const v1::RevokeRequest& request) {
  Target target;
  absl::StatusOr<std::vector<Certificate>> chain = ParseChainPem(request.certificate_pem());
  if (!chain.ok()) {
    return WrongFile("--certificate", chain.status(), "it names a PEM file with -----BEGIN CERTIFICATE-----");
  }
  target.leaf = chain->front();
  if (!request.private_key_pem().empty()) {
    absl::StatusOr<PrivateKey> key = PrivateKey::FromPem(request.private_key_pem());
    if (!key.ok()) return WrongFile("--key", key.status(), "it names a PEM file with a key that is not encrypted");
    RETURN_IF_ERROR(CheckKeyMatches(*target.leaf, *key));
    target.key.emplace(*std::move(key));
  }
  ASSIGN_OR_RETURN(target.generation, GenerationWith(config, session, certificate, target.leaf->sha256()));
  return target;
}

// By what the operator says, by what obtained it, or by who issued it.
absl::StatusOr<const AccountConfig*> ChooseAccount(const Config& config, Session& session,
                                                   const CertificateConfig& certificate, const Target& target,
                                                   const std::string& named) {
  const std::string obtained_by = target.generation.has_value() ? target.generation->account() : "";
  if (!named.empty()) {
    if (obtained_by.empty() || obtained_by == named) return SelectAccount(config, named);
    return FailInput(absl::StrCat("generation ", target.generation->generation(), " of ", certificate.name,
                                  " was obtained from the account `", obtained_by, "`, not from `", named, "`"),
                     "leave --account out");
  }
  if (!obtained_by.empty()) return AccountOf(config, *target.generation);
  if (!target.generation.has_value()) return AccountForFile(config, session, certificate, *target.leaf);
  ASSIGN_OR_RETURN(const std::vector<Certificate> chain, ParseChainPem(target.generation->fullchain_pem()));
  ASSIGN_OR_RETURN(const AccountConfig* account, AccountAtIssuerOf(config, session, certificate, chain.front()));
  return account != nullptr ? account : AccountOf(config, *target.generation);
}

absl::StatusOr<Target> FindTarget(const Config& config, Session& session, const CertificateConfig& certificate,
                                  const v1::RevokeRequest& request) {
  Target target;
  if (request.certificate_pem().empty()) {
    ASSIGN_OR_RETURN(target.generation, ChooseGeneration(session, certificate, request.generation()));
  } else {
    ASSIGN_OR_RETURN(target, TargetInFile(config, session, certificate, request));
  }
  ASSIGN_OR_RETURN(target.account, ChooseAccount(config, session, certificate, target, request.account()));
  return target;
}

absl::StatusOr<RevocationAnswer> Send(const Machine& machine, Session& session, const Target& target, int reason) {
  if (target.generation.has_value()) {
    return RevokeGeneration(machine, session, *target.account, *target.generation, reason);
  }
  RevocationRequest request;
  request.certificate_der = target.leaf->der();
  request.reason = reason;
  if (target.key.has_value()) {
    request.certificate_key = &*target.key;
    request.by_certificate_key_alone = true;
  }
  const AcmeAccount::Keep keep{
      .store = *session.store, .sealer = *session.keyring, .clock = *machine.clock, .epoch = session.epoch()};
  return RevokeAtCa(*machine.http, *target.account, keep, request);
}

v1::RevokeResponse Describe(const CertificateConfig& certificate, const Target& target, int reason) {
  v1::RevokeResponse response;
  response.set_certificate(certificate.name);
  response.set_reason(RevocationReasonName(reason));
  response.set_account(target.account->name);
  if (target.generation.has_value()) {
    response.set_generation(target.generation->generation());
    response.set_leaf_sha256(target.generation->leaf_sha256());
  } else {
    response.set_leaf_sha256(target.leaf->sha256());
  }
  return response;
}

}  // namespace

absl::StatusOr<v1::RevokeResponse> Controller::Revoke(const v1::RevokeRequest& request) {
  ASSIGN_OR_RETURN(std::vector<const CertificateConfig*> selected,
                   SelectCertificates(config_, {request.certificate()}));
  const CertificateConfig& certificate = *selected.front();
  ASSIGN_OR_RETURN(const int reason, ParseRevocationReason(request.reason()));
  RETURN_IF_ERROR(CheckRequest(request));

  ASSIGN_OR_RETURN(Session session, OpenToChange(config_, machine_, "revoke"));
  ASSIGN_OR_RETURN(const Target target, FindTarget(config_, session, certificate, request));
  v1::RevokeResponse response = Describe(certificate, target, reason);
  if (target.generation.has_value() && target.generation->has_revoked_at()) {
    response.set_revoked(true);
    response.set_already_revoked(true);
    response.set_reason(RevocationReasonName(target.generation->revocation_reason()));
    *response.mutable_revoked_at() = target.generation->revoked_at();
    return response;
  }
  ASSIGN_OR_RETURN(const auto wanted, GenerationRecords(*session.store).Wanted(certificate.name));
  ASSIGN_OR_RETURN(const FleetLook look, LookForHolders(config_, machine_, session, certificate, wanted,
                                                        {{response.leaf_sha256(), response.generation()}}));
  response.mutable_holders()->Assign(look.holders.begin(), look.holders.end());
  if (!look.holders.empty() && !request.force()) return response;

  absl::StatusOr<RevocationAnswer> answer = Send(machine_, session, target, reason);
  if (!answer.ok()) return answer.status();
  RETURN_IF_ERROR(StatusOfAnswer(*answer));
  response.set_revoked(true);
  response.set_already_revoked(answer->verdict == RevocationAnswer::Verdict::kAlreadyRevoked);
  *response.mutable_revoked_at() = ToTimestamp(machine_.clock->Now());
  return response;
}

}  // namespace certcast::controller
