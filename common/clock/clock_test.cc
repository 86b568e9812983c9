#include "common/clock/clock.h"

#include <string>
#include <thread>

#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "tests/testing/fake_clock.h"

namespace certcast {
namespace {

using ::certcast::testing::FakeClock;

TEST(RealClockTest, SleepsAtLeastAsLongAsAsked) {
  Clock& clock = Clock::Real();
  const absl::Duration start = clock.Monotonic();
  clock.Sleep(absl::Milliseconds(5));
  EXPECT_GE(clock.Monotonic() - start, absl::Milliseconds(5));
}

TEST(RealClockTest, ReturnsAtOnceFromANegativeDuration) {
  Clock& clock = Clock::Real();
  const absl::Duration start = clock.Monotonic();
  clock.Sleep(-absl::InfiniteDuration());
  EXPECT_LT(clock.Monotonic() - start, absl::Seconds(5));
}

TEST(RealClockTest, NowIsTheWallClock) {
  const absl::Time before = absl::Now();
  const absl::Time now = Clock::Real().Now();
  EXPECT_LE(before, now);
  EXPECT_LE(now, absl::Now());
}

TEST(RealClockTest, KnowsTheMachinesBoot) {
  Clock& clock = Clock::Real();
  EXPECT_EQ(clock.BootId().size(), 36u);
  EXPECT_EQ(clock.BootId(), clock.BootId());
  const absl::Duration since = clock.SinceBoot();
  EXPECT_GT(since, absl::ZeroDuration());
  clock.Sleep(absl::Milliseconds(2));
  EXPECT_GE(clock.SinceBoot() - since, absl::Milliseconds(2));
}

TEST(FakeClockTest, ARebootIsAnotherBootAndTheTimeSinceItStartsAnew) {
  FakeClock clock(absl::FromUnixSeconds(1000));
  const std::string id = clock.BootId();
  const absl::Duration since = clock.SinceBoot();
  clock.Advance(absl::Seconds(5));
  EXPECT_EQ(clock.SinceBoot(), since + absl::Seconds(5));
  EXPECT_EQ(clock.BootId(), id);
  clock.Reboot();
  EXPECT_NE(clock.BootId(), id);
  EXPECT_EQ(clock.SinceBoot(), absl::ZeroDuration());
  EXPECT_EQ(clock.Now(), absl::FromUnixSeconds(1005));
}

TEST(FakeClockTest, SleepMovesBothClocks) {
  FakeClock clock(absl::FromUnixSeconds(1000));
  const absl::Duration start = clock.Monotonic();
  clock.Sleep(absl::Seconds(7));
  EXPECT_EQ(clock.Now(), absl::FromUnixSeconds(1007));
  EXPECT_EQ(clock.Monotonic() - start, absl::Seconds(7));
  EXPECT_EQ(clock.slept(), absl::Seconds(7));
}

TEST(FakeClockTest, NegativeSleepMovesNothing) {
  FakeClock clock(absl::FromUnixSeconds(1000));
  clock.Sleep(absl::Seconds(-7));
  EXPECT_EQ(clock.Now(), absl::FromUnixSeconds(1000));
}

TEST(FakeClockTest, WallClockMayJumpAlone) {
  FakeClock clock(absl::FromUnixSeconds(1000));
  const absl::Duration start = clock.Monotonic();
  clock.JumpTo(absl::FromUnixSeconds(10));
  EXPECT_EQ(clock.Now(), absl::FromUnixSeconds(10));
  EXPECT_EQ(clock.Monotonic(), start);
  clock.Advance(absl::Seconds(1));
  EXPECT_EQ(clock.Now(), absl::FromUnixSeconds(11));
  EXPECT_EQ(clock.Monotonic() - start, absl::Seconds(1));
  EXPECT_EQ(clock.slept(), absl::ZeroDuration());
}

TEST(FakeClockTest, SleepsOfThreadsAddUp) {
  FakeClock clock(absl::FromUnixSeconds(0));
  const auto spend = [&] {
    for (int i = 0; i < 1000; ++i) clock.Sleep(absl::Seconds(1));
  };
  std::thread other(spend);
  spend();
  other.join();
  EXPECT_EQ(clock.Now(), absl::FromUnixSeconds(2000));
}

}  // namespace
}  // namespace certcast
