#include "controller/schedule/retry.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/clock/timestamp.h"
#include "common/status/status.h"

namespace certcast::controller {
namespace {

constexpr absl::Duration kLongestWord = absl::Hours(24 * 30);

}  // namespace

absl::Duration RetryDelay(int failures) {
  switch (failures) {
    case 0:
    case 1:
      return absl::Minutes(1);
    case 2:
      return absl::Minutes(10);
    case 3:
      return absl::Minutes(100);
    default:
      return absl::Hours(24);
  }
}

state::v1::Schedule AfterFailure(const state::v1::Schedule& before, const absl::Status& error, absl::Time now) {
  const v1::Failure failure = FailureOf(error);
  if (failure.reason() == v1::Reason::ORDER_PENDING) return before;
  state::v1::Schedule after;
  after.set_failures(before.failures() + 1);
  after.set_last_error(failure.detail());
  absl::Time not_before = now + RetryDelay(after.failures());
  if (failure.has_retry_at()) {
    const absl::Time named = FromTimestamp(failure.retry_at());
    not_before = std::clamp(named, now, now + kLongestWord);
    after.set_told_by_ca(true);
  }
  *after.mutable_not_before() = ToTimestamp(not_before);
  return after;
}

absl::Status CheckMayTry(const state::v1::Schedule& schedule, Trigger trigger, absl::Time now) {
  const absl::Time not_before = FromTimestamp(schedule.not_before());
  if (!schedule.has_not_before() || now >= not_before) return absl::OkStatus();
  if (!schedule.told_by_ca() && trigger == Trigger::kByHand) return absl::OkStatus();
  const std::string until = absl::FormatTime(absl::RFC3339_sec, not_before, absl::UTCTimeZone());
  if (schedule.told_by_ca()) {
    return Fail(
        Reason::CA_RATE_LIMITED,
        absl::StrCat("the CA said not to ask again before ", until, "; it had answered: ", schedule.last_error()),
        "run it again then; until then the certificate that is in force stays");
  }
  return Fail(Reason::BUSY, absl::StrCat("the next try is at ", until, " after ", schedule.failures(),
                                         " failures in a row; the last: ", schedule.last_error()));
}

}  // namespace certcast::controller
