#include "node/frontend/confirm_watch.h"

#include <atomic>

#include "gtest/gtest.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/fake_engine.h"

namespace certcast::node {
namespace {

using testing::FakeClock;
using testing::FakeEngine;

const ConfirmWatch::OnFailure kUnexpected = [](const absl::Status& status) { ADD_FAILURE() << status; };

TEST(ConfirmWatch, GoesBackWhatWasOverdueAtTheStart) {
  FakeClock clock;
  FakeEngine engine;
  engine.SetConfirmBy(clock.Now() - absl::Seconds(1));
  ConfirmWatch watch(engine, clock, kUnexpected);
  engine.AwaitReverts(1);
  EXPECT_EQ(engine.ConfirmBy(), std::nullopt);
}

TEST(ConfirmWatch, GoesBackOnceTheTimeIsOver) {
  FakeClock clock;
  FakeEngine engine;
  ConfirmWatch watch(engine, clock, kUnexpected);
  engine.SetConfirmBy(clock.Now() + absl::Minutes(1));
  watch.Look();
  EXPECT_EQ(engine.reverts(), 0);
  clock.Advance(absl::Minutes(1));
  watch.Look();
  engine.AwaitReverts(1);
}

TEST(ConfirmWatch, TriesAgainWhenTheWayBackFails) {
  FakeClock clock;
  FakeEngine engine;
  engine.SetConfirmBy(clock.Now());
  engine.SetRevertResult(Fail(Reason::REVERT_FAILED, "disk is gone"));
  std::atomic<int> failures = 0;
  ConfirmWatch watch(engine, clock, [&](const absl::Status& status) {
    EXPECT_EQ(ReasonOf(status), Reason::REVERT_FAILED);
    ++failures;
  });
  engine.AwaitReverts(1);
  engine.SetRevertResult(absl::OkStatus());
  watch.Look();  // as after any command; without it, it tries again by itself
  engine.AwaitReverts(2);
  EXPECT_EQ(engine.ConfirmBy(), std::nullopt);
  EXPECT_GE(failures, 1);
}

TEST(ConfirmWatch, EndsWhileItWaits) {
  FakeClock clock;
  FakeEngine engine;
  engine.SetConfirmBy(clock.Now() + absl::Hours(1));
  { ConfirmWatch watch(engine, clock, kUnexpected); }
  EXPECT_EQ(engine.reverts(), 0);
}

}  // namespace
}  // namespace certcast::node
