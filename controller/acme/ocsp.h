// What a CA says of a certificate by OCSP (RFC 6960), where that names a responder.
#ifndef CERTCAST_CONTROLLER_ACME_OCSP_H_
#define CERTCAST_CONTROLLER_ACME_OCSP_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/clock/clock.h"
#include "common/x509/certificate.h"
#include "controller/acme/http_client.h"

namespace certcast::controller {

struct OcspAnswer {
  enum class Verdict {
    kGood,
    kRevoked,
    // The responder does not know it, or not yet: CAs publish minutes after they issue.
    kUnknown,
  };
  Verdict verdict = Verdict::kUnknown;
  // Of kRevoked.
  absl::Time revoked_at;
  // By name (RFC 5280 section 5.3.1); empty: it does not say.
  std::string reason;
};

// The first http or https URL of the certificate's authority information access; empty: it has none.
std::string OcspResponderOf(const Certificate& leaf);

// Asks the responder of the chain's leaf, once, for at most ten seconds. nullopt: the leaf names none, or its issuer is
// not in the chain. Errors: those of HttpClient, and PROTOCOL for an answer that is none, is out of date, or is not
// signed by the issuer or by whom it authorized (section 4.2.2.2): nobody else can say anything by it.
absl::StatusOr<std::optional<OcspAnswer>> AskOcsp(HttpClient& http, Clock& clock,
                                                  const std::vector<Certificate>& chain);

// The same of an answer's body, at `now`.
absl::StatusOr<OcspAnswer> ReadOcspAnswer(absl::string_view der, const Certificate& leaf, const Certificate& issuer,
                                          absl::Time now);

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_ACME_OCSP_H_
