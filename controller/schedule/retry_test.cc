#include "controller/schedule/retry.h"

#include "common/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace certcast::controller {
namespace {

using testing::HasReason;
using ::testing::HasSubstr;
using testing::IsOk;

const absl::Time kNow = absl::FromUnixSeconds(1893456000);

absl::Status Refused() {
  return Fail(Reason::CA_REFUSED, "no");
}

absl::Status LimitedUntil(absl::Time time) {
  v1::Failure failure = FailureOf(Fail(Reason::CA_RATE_LIMITED, "too many certificates"));
  failure.mutable_retry_at()->set_seconds(absl::ToUnixSeconds(time));
  return StatusOf(failure);
}

absl::Time NotBefore(const state::v1::Schedule& schedule) {
  return absl::FromUnixSeconds(schedule.not_before().seconds());
}

TEST(Retry, WaitsLongerWithEachFailure) {
  state::v1::Schedule schedule;
  for (const absl::Duration wait :
       {absl::Minutes(1), absl::Minutes(10), absl::Minutes(100), absl::Hours(24), absl::Hours(24)}) {
    schedule = AfterFailure(schedule, Refused(), kNow);
    EXPECT_EQ(NotBefore(schedule), kNow + wait);
  }
  EXPECT_EQ(schedule.failures(), 5);
  EXPECT_EQ(schedule.last_error(), "no");
}

TEST(Retry, OurOwnWaitBindsTheScheduleAndNotAPerson) {
  const state::v1::Schedule schedule = AfterFailure({}, Refused(), kNow);
  EXPECT_THAT(CheckMayTry(schedule, Trigger::kByHand, kNow), IsOk());
  EXPECT_THAT(CheckMayTry(schedule, Trigger::kBySchedule, kNow), HasReason(Reason::BUSY, HasSubstr("the last: no")));
  EXPECT_THAT(CheckMayTry(schedule, Trigger::kBySchedule, kNow + absl::Minutes(1)), IsOk());
}

TEST(Retry, TheCasWordBindsBoth) {
  const absl::Time until = kNow + absl::Hours(3);
  const state::v1::Schedule schedule = AfterFailure({}, LimitedUntil(until), kNow);
  EXPECT_EQ(NotBefore(schedule), until);
  for (const Trigger trigger : {Trigger::kByHand, Trigger::kBySchedule}) {
    EXPECT_THAT(CheckMayTry(schedule, trigger, until - absl::Seconds(1)),
                HasReason(Reason::CA_RATE_LIMITED, HasSubstr("2030-01-01T03:00:00")));
    EXPECT_THAT(CheckMayTry(schedule, trigger, until), IsOk());
  }
}

TEST(Retry, TheNextFailureForgetsTheCasWord) {
  state::v1::Schedule schedule = AfterFailure({}, LimitedUntil(kNow + absl::Hours(3)), kNow);
  schedule = AfterFailure(schedule, Refused(), kNow + absl::Hours(3));
  EXPECT_THAT(CheckMayTry(schedule, Trigger::kByHand, kNow + absl::Hours(3)), IsOk());
}

TEST(Retry, TheCasWordIsBounded) {
  EXPECT_EQ(NotBefore(AfterFailure({}, LimitedUntil(kNow + absl::Hours(24) * 300), kNow)), kNow + absl::Hours(24) * 30);
  EXPECT_EQ(NotBefore(AfterFailure({}, LimitedUntil(kNow - absl::Hours(1)), kNow)), kNow);
}

TEST(Retry, AnOrderThatIsStillProcessedIsNoFailure) {
  const state::v1::Schedule before = AfterFailure({}, Refused(), kNow);
  const state::v1::Schedule after = AfterFailure(before, Fail(Reason::ORDER_PENDING, "wait"), kNow);
  EXPECT_EQ(after.SerializeAsString(), before.SerializeAsString());
}

TEST(Retry, NothingRecordedMeansAnyTime) {
  EXPECT_THAT(CheckMayTry({}, Trigger::kBySchedule, kNow), IsOk());
}

}  // namespace
}  // namespace certcast::controller
