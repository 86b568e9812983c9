// When an order that failed may be tried again. Pure; the record is kept by the caller.
//
// At any time: whoever runs `apply` has perhaps just mended something, and a timer is as slow as it was set. But the
// CA's own word (Retry-After with a rate limit or an outage) binds: asking earlier is refused anyway, and prolongs the
// limit at some CAs.
#ifndef CERTCAST_CONTROLLER_SCHEDULE_RETRY_H_
#define CERTCAST_CONTROLLER_SCHEDULE_RETRY_H_

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "certcast/state/v1/store.pb.h"

namespace certcast::controller {

// The record after one more failure. A time that the CA named (Failure.retry_at) binds for no longer than 30 days.
// ORDER_PENDING is no failure: the record stays as it was.
state::v1::Schedule AfterFailure(const state::v1::Schedule& before, const absl::Status& error, absl::Time now);

// OK, or CA_RATE_LIMITED with the time and the last error.
absl::Status CheckMayTry(const state::v1::Schedule& schedule, absl::Time now);

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_SCHEDULE_RETRY_H_
