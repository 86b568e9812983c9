// When an order that failed may be tried again. Pure; the record is kept by the caller.
//
// Two kinds of waiting. Our own (1, 10, 100 minutes, then daily) is for programs that run by themselves: a person who
// runs `apply` has probably just mended something, and is not kept waiting. The CA's own word (Retry-After with a rate
// limit or an outage) binds both: asking earlier is refused anyway, and prolongs the limit at some CAs.
#ifndef CERTCAST_CONTROLLER_SCHEDULE_RETRY_H_
#define CERTCAST_CONTROLLER_SCHEDULE_RETRY_H_

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "certcast/state/v1/store.pb.h"

namespace certcast::controller {

// How long to wait after so many failures in a row; at least one.
absl::Duration RetryDelay(int failures);

// The record after one more failure. A time that the CA named (Failure.retry_at) wins over our
// own, but for no longer than 30 days. ORDER_PENDING is no failure: the record stays as it was.
state::v1::Schedule AfterFailure(const state::v1::Schedule& before, const absl::Status& error, absl::Time now);

enum class Trigger { kByHand, kBySchedule };

// OK, or CA_RATE_LIMITED (by the CA's word) or BUSY (our own schedule) with the time and the last error.
absl::Status CheckMayTry(const state::v1::Schedule& schedule, Trigger trigger, absl::Time now);

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_SCHEDULE_RETRY_H_
