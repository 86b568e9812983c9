// Why a certificate is revoked: CRLReason of RFC 5280 section 5.3.1.
#ifndef CERTCAST_CONTROLLER_ACME_REVOCATION_REASON_H_
#define CERTCAST_CONTROLLER_ACME_REVOCATION_REASON_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace certcast::controller {

constexpr int kKeyCompromise = 1;

// By name in any case or by number, `keyCompromise` or `1`: 0 to 6 and 8 to 10. 7 is not used. Which of them a CA takes
// is its own affair. FailInput for anything else, with all names in its hint.
absl::StatusOr<int> ParseRevocationReason(absl::string_view text);
// As in the RFC; the number itself where it has none.
std::string RevocationReasonName(int reason);

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_ACME_REVOCATION_REASON_H_
