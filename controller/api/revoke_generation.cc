#include "controller/api/revoke_generation.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/status/status.h"
#include "common/x509/certificate.h"
#include "common/x509/private_key.h"
#include "controller/keyring/purposes.h"
#include "controller/store/records.h"

namespace certcast::controller {

absl::StatusOr<RevocationAnswer> RevokeGeneration(const Machine& machine, Session& session,
                                                  const AccountConfig& account, const state::v1::Generation& generation,
                                                  int reason) {
  const std::string& certificate = generation.certificate();
  const uint64_t number = generation.generation();
  const bool in_doubt = MayBeRevoked(generation);
  ASSIGN_OR_RETURN(const std::vector<Certificate> chain, ParseChainPem(generation.fullchain_pem()));
  ASSIGN_OR_RETURN(const Secret pem,
                   session.keyring->Open(GenerationKeyPurpose(certificate, number), generation.private_key()));
  ASSIGN_OR_RETURN(const PrivateKey key, PrivateKey::FromPem(pem.ExposeSecret()));
  GenerationRecords records(*session.store);
  RevocationRequest request;
  request.certificate_der = chain.front().der();
  request.reason = reason;
  request.certificate_key = &key;
  request.before_sending = [&] {
    return records.BeginRevocation(certificate, number, reason, machine.clock->Now(), session.epoch());
  };
  const AcmeAccount::Keep keep{
      .store = *session.store, .sealer = *session.keyring, .clock = *machine.clock, .epoch = session.epoch()};
  ASSIGN_OR_RETURN(const RevocationAnswer answer, RevokeAtCa(*machine.http, account, keep, request));
  switch (answer.verdict) {
    case RevocationAnswer::Verdict::kRevoked:
    case RevocationAnswer::Verdict::kAlreadyRevoked:
      RETURN_IF_ERROR(records.MarkRevoked(certificate, number, machine.clock->Now(), session.epoch()));
      break;
    case RevocationAnswer::Verdict::kRefused:
      // A refusal of this request says nothing of an earlier one, whose answer was lost.
      if (!in_doubt) RETURN_IF_ERROR(records.CancelRevocation(certificate, number, session.epoch()));
      break;
    case RevocationAnswer::Verdict::kUnknown:
      break;
  }
  return answer;
}

absl::Status StatusOfAnswer(const RevocationAnswer& answer) {
  if (answer.verdict != RevocationAnswer::Verdict::kUnknown) return answer.status;
  v1::Failure failure = FailureOf(answer.status);
  failure.set_detail(absl::StrCat("the CA was asked, and may have revoked it: ", failure.detail()));
  failure.set_hint("run the same command again: what is revoked already counts as done");
  return StatusOf(failure, answer.status.code());
}

}  // namespace certcast::controller
