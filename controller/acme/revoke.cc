#include "controller/acme/revoke.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/status/status.h"
#include "controller/acme/acme_client.h"
#include "controller/acme/jose.h"
#include "controller/acme/revocation_reason.h"

namespace certcast::controller {
namespace {

using Verdict = RevocationAnswer::Verdict;

// Nobody is asked with these: the answer would be no.
absl::Status NobodyToSign(const AccountConfig& account) {
  return Fail(
      Reason::CA_REFUSED,
      absl::StrCat("the account `", account.name, "` is not registered, so it can't have a certificate revoked"),
      "sign with the certificate's own key: --certificate FILE --key FILE");
}

absl::Status NotOffered(const AccountConfig& account) {
  return Fail(Reason::CA_REFUSED, absl::StrCat(account.directory, " offers no revocation (revokeCert)"),
              "revoke it on the CA's customer page, or ask its support");
}

absl::Status ExplainRefusal(const AcmeAnswer& answer, bool has_certificate_key) {
  absl::Status refused = answer.Check("revoking a certificate");
  // smallstep says malformed of a certificate that it does not know.
  const bool is_unknown = answer.Is("malformed");
  if (!is_unknown && !answer.Is("unauthorized") && !answer.Is("accountDoesNotExist")) return refused;
  v1::Failure failure = FailureOf(refused);
  failure.set_hint(
      is_unknown ? "is it this CA's certificate?"
      : has_certificate_key
          ? "the CA takes neither the account nor the certificate's key for it: is it this CA's certificate?"
          : "this account may not revoke it: sign with the certificate's own key (--key FILE), or name the "
            "account that obtained it (--account NAME)");
  return StatusOf(failure, refused.code());
}

// Only the certificate's key could be tried.
absl::Status WithUnusableAccount(const absl::Status& refused, const absl::Status& unusable) {
  v1::Failure failure = FailureOf(refused);
  failure.set_detail(absl::StrCat(failure.detail(), "; the account can't sign: ", FailureOf(unusable).detail()));
  return StatusOf(failure, refused.code());
}

RevocationAnswer Judge(const absl::StatusOr<AcmeAnswer>& answer, bool has_certificate_key) {
  if (!answer.ok()) return {Verdict::kUnknown, answer.status()};
  if (answer->ok()) return {Verdict::kRevoked, absl::OkStatus()};
  if (answer->Is("alreadyRevoked")) return {Verdict::kAlreadyRevoked, absl::OkStatus()};
  const absl::Status refused = ExplainRefusal(*answer, has_certificate_key);
  const bool sure = answer->status < 500 && ReasonOf(refused) == Reason::CA_REFUSED;
  return {sure ? Verdict::kRefused : Verdict::kUnknown, refused};
}

// Another signature would change nothing.
bool IsAboutTheReason(const absl::StatusOr<AcmeAnswer>& answer) {
  return answer.ok() && answer->Is("badRevocationReason");
}

}  // namespace

absl::StatusOr<RevocationAnswer> RevokeAtCa(HttpClient& http, const AccountConfig& account,
                                            const AcmeAccount::Keep& keep, const RevocationRequest& request) {
  AcmeClient client(http, keep.clock, {.directory_url = account.directory, .ca_file = account.ca_file});
  const bool has_certificate_key = request.certificate_key != nullptr;
  std::vector<AcmeSigner> signers;
  std::optional<AcmeAccount> registered;
  absl::Status unusable;
  if (!request.by_certificate_key_alone) {
    auto found = AcmeAccount::FindRegistered(client, account, keep);
    unusable = found.status();
    // Without the account the certificate's key may do.
    if (!found.ok() && !has_certificate_key) return unusable;
    if (found.ok()) registered = *std::move(found);
    if (registered) signers.push_back(registered->signer());
  }
  if (has_certificate_key) signers.push_back({.key = request.certificate_key->get()});
  if (signers.empty()) return RevocationAnswer{Verdict::kRefused, NobodyToSign(account)};
  if (request.reason == kKeyCompromise) std::reverse(signers.begin(), signers.end());

  ASSIGN_OR_RETURN(const AcmeDirectory directory, client.GetDirectory());
  if (directory.revoke_cert.empty()) return RevocationAnswer{Verdict::kRefused, NotOffered(account)};
  if (request.before_sending) RETURN_IF_ERROR(request.before_sending());

  nlohmann::ordered_json payload = {{"certificate", Base64UrlEncode(request.certificate_der)}};
  if (request.reason != 0) payload["reason"] = request.reason;
  RevocationAnswer answer;
  for (const AcmeSigner& signer : signers) {
    const absl::StatusOr<AcmeAnswer> said = client.Revoke(signer, directory.revoke_cert, payload);
    answer = Judge(said, has_certificate_key);
    if (answer.verdict != Verdict::kRefused || IsAboutTheReason(said)) break;
  }
  if (!answer.status.ok() && !unusable.ok()) answer.status = WithUnusableAccount(answer.status, unusable);
  return answer;
}

}  // namespace certcast::controller
