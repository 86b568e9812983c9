// ACME Renewal Information (RFC 9773): when a CA wants its certificates renewed.
#ifndef CERTCAST_CONTROLLER_ACME_RENEWAL_INFO_H_
#define CERTCAST_CONTROLLER_ACME_RENEWAL_INFO_H_

#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "certcast/state/v1/store.pb.h"
#include "common/clock/clock.h"
#include "common/x509/certificate.h"
#include "controller/acme/acme_client.h"

namespace certcast::controller {

// Section 4.1: base64url of the authority key identifier, a dot, base64url of the serial number's DER contents. CAs
// give every certificate such an identifier; MALFORMED for one without.
absl::StatusOr<std::string> RenewalId(const Certificate& leaf);

struct RenewalWindow {
  absl::Time start;
  // After start.
  absl::Time end;
  // https; empty: the CA gives none.
  std::string explanation_url;
};

// PROTOCOL when a member is missing, of another type or no RFC 3339 time, or when the window has no length (then it is
// not to be used, says the RFC).
absl::StatusOr<RenewalWindow> ParseRenewalWindow(const nlohmann::json& body);

// What the CA says now of `leaf`, and when it may be asked again (between a minute and a day from now; 6 h where it
// does not say). nullopt: this CA has no such information. Asked without an account.
struct RenewalAnswer {
  RenewalWindow window;
  absl::Time next_check;
};
absl::StatusOr<std::optional<RenewalAnswer>> AskRenewalInfo(AcmeClient& client, Clock& clock, const Certificate& leaf);

// A number from 0 until before 1, any as likely as any other.
using RandomShare = std::function<double()>;
// The machine's.
double RealRandomShare();

// Whether the CA is to be asked now: `before` is about another certificate, or its time has come.
bool RenewalCheckIsDue(const std::optional<state::v1::RenewalInfo>& before, const std::string& leaf_sha256,
                       absl::Time now);

// The record after a check that brought `answer`. A time is picked when the window is another one than in `before`. A
// failed check (6 h until the next one) and a window that can't be used keep nothing of a suggestion but say why; a
// failed check of the same certificate keeps the window that it had.
state::v1::RenewalInfo AfterRenewalCheck(const std::optional<state::v1::RenewalInfo>& before,
                                         const std::string& certificate, const std::string& leaf_sha256,
                                         const absl::StatusOr<std::optional<RenewalAnswer>>& answer, absl::Time now,
                                         const RandomShare& random);

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_ACME_RENEWAL_INFO_H_
