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

TEST(Retry, AFailureIsCountedAndMayBeTriedAgainAtOnce) {
  state::v1::Schedule schedule;
  for (int failures = 1; failures <= 5; ++failures) {
    schedule = AfterFailure(schedule, Refused(), kNow);
    EXPECT_EQ(schedule.failures(), failures);
    EXPECT_EQ(schedule.last_error(), "no");
    EXPECT_FALSE(schedule.has_not_before());
    EXPECT_THAT(CheckMayTry(schedule, kNow), IsOk());
  }
}

TEST(Retry, TheCasWordBinds) {
  const absl::Time until = kNow + absl::Hours(3);
  const state::v1::Schedule schedule = AfterFailure({}, LimitedUntil(until), kNow);
  EXPECT_EQ(NotBefore(schedule), until);
  EXPECT_THAT(CheckMayTry(schedule, until - absl::Seconds(1)),
              HasReason(Reason::CA_RATE_LIMITED, HasSubstr("2030-01-01T03:00:00")));
  EXPECT_THAT(CheckMayTry(schedule, until), IsOk());
}

TEST(Retry, WhatAnEarlierVersionWouldHaveWaitedForDoesNotBind) {
  state::v1::Schedule schedule = AfterFailure({}, LimitedUntil(kNow + absl::Hours(3)), kNow);
  schedule.set_told_by_ca(false);
  EXPECT_THAT(CheckMayTry(schedule, kNow), IsOk());
}

TEST(Retry, TheNextFailureForgetsTheCasWord) {
  state::v1::Schedule schedule = AfterFailure({}, LimitedUntil(kNow + absl::Hours(3)), kNow);
  schedule = AfterFailure(schedule, Refused(), kNow + absl::Hours(3));
  EXPECT_THAT(CheckMayTry(schedule, kNow + absl::Hours(3)), IsOk());
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
  EXPECT_THAT(CheckMayTry({}, kNow), IsOk());
}

}  // namespace
}  // namespace certcast::controller
