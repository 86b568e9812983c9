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

state::v1::Schedule AfterFailure(const state::v1::Schedule& before, const absl::Status& error, absl::Time now) {
  const v1::Failure failure = FailureOf(error);
  if (failure.reason() == v1::Reason::ORDER_PENDING) return before;
  state::v1::Schedule after;
  after.set_failures(before.failures() + 1);
  after.set_last_error(failure.detail());
  if (failure.has_retry_at()) {
    const absl::Time named = FromTimestamp(failure.retry_at());
    *after.mutable_not_before() = ToTimestamp(std::clamp(named, now, now + kLongestWord));
    after.set_told_by_ca(true);
  }
  return after;
}

absl::Status CheckMayTry(const state::v1::Schedule& schedule, absl::Time now) {
  const absl::Time not_before = FromTimestamp(schedule.not_before());
  if (!schedule.told_by_ca() || now >= not_before) return absl::OkStatus();
  return Fail(Reason::CA_RATE_LIMITED,
              absl::StrCat("the CA said not to ask again before ",
                           absl::FormatTime(absl::RFC3339_sec, not_before, absl::UTCTimeZone()),
                           "; it had answered: ", schedule.last_error()),
              "run it again then; until then the certificate that is in force stays");
}

}  // namespace certcast::controller
