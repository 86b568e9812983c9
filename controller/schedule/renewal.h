// When a certificate is due: a pure function of configuration, latest generation and time.
#ifndef CERTCAST_CONTROLLER_SCHEDULE_RENEWAL_H_
#define CERTCAST_CONTROLLER_SCHEDULE_RENEWAL_H_

#include <string>

#include "absl/time/time.h"
#include "certcast/state/v1/store.pb.h"
#include "controller/config/config.h"

namespace certcast::controller {

struct RenewalDecision {
  bool due = false;
  // Since when it is due, or when it will be; never later than now where it is. Now itself for what has no date: a
  // change of the configuration, `force`. InfinitePast when nothing was issued yet, InfiniteFuture when it is never
  // renewed by itself (imported).
  absl::Time renew_at;
  // One line for people, never empty: "never issued", "2/3 of its lifetime is over on 2026-03-01T...".
  std::string reason;
};

// `latest` is the certificate's highest generation, nullptr when there is none. `force`: due in any case (except
// imported certificates: nothing can be ordered for them, and the reason says what to do instead).
//
// Where `info` is about `latest` and has a time, and the configuration follows the CA, that time counts (RFC 9773), but
// for what it puts off too long: a tenth of the lifetime is left for when the CA is down. Where none of the rollout's
// windows opens from that time until the end of what the CA suggests, it is a day before the last one that opens
// earlier, in the second half of the lifetime. Otherwise, without `at` and `before_expiry`: at 2/3 of the lifetime, at
// 1/2 where the lifetime is below 10 days.
//
// A certificate is due at once when it was revoked or may have been, or when the configured names, profile or key type
// are not those it was ordered with.
RenewalDecision DecideRenewal(const CertificateConfig& certificate, const state::v1::Generation* latest, absl::Time now,
                              bool force, const state::v1::RenewalInfo* info = nullptr);

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_SCHEDULE_RENEWAL_H_
