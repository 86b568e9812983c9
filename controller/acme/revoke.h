// Has a CA revoke a certificate (RFC 8555 section 7.6).
#ifndef CERTCAST_CONTROLLER_ACME_REVOKE_H_
#define CERTCAST_CONTROLLER_ACME_REVOKE_H_

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/x509/private_key.h"
#include "controller/acme/account.h"
#include "controller/acme/http_client.h"
#include "controller/config/config.h"

namespace certcast::controller {

struct RevocationRequest {
  std::string certificate_der;
  // Of RFC 5280 section 5.3.1; 0 is left out, as the RFC wants.
  int reason = 0;
  // The certificate's own; nullptr: not at hand.
  const PrivateKey* certificate_key = nullptr;
  // It alone signs: whoever has it need not have an account.
  bool by_certificate_key_alone = false;
  // Called once the CA is known to take such requests, before the first of them is sent; an error ends it.
  std::function<absl::Status()> before_sending;
};

struct RevocationAnswer {
  enum class Verdict {
    kRevoked,
    kAlreadyRevoked,
    kRefused,  // it did not
    kUnknown,  // it may have: ask again
  };
  Verdict verdict = Verdict::kUnknown;
  // OK when it is revoked.
  absl::Status status;
};

// Signed by the account's key, or by the certificate's own. For keyCompromise the latter comes first: it shows that the
// key is out, and CAs block such keys. Where one of the two is refused for another reason than the revocation's, the
// other one is tried. An account that is not registered yet is not made for this.
//
// What the CA says is in the answer; errors are what kept us from asking: the directory could not be read, or which key
// an account has whose change of it was interrupted (then nothing was sent), before_sending, the store.
absl::StatusOr<RevocationAnswer> RevokeAtCa(HttpClient& http, const AccountConfig& account,
                                            const AcmeAccount::Keep& keep, const RevocationRequest& request);

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_ACME_REVOKE_H_
