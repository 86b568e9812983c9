#include "node/engine/lock.h"

#include <memory>
#include <string>

#include "common/status/status.h"
#include "gtest/gtest.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temporary_directory.h"

namespace certcast::node {
namespace {

using testing::HasReason;
using testing::IsOk;

TEST(StateLocker, OneHoldsItAtATime) {
  const testing::TemporaryDirectory state;
  auto first = StateLocker::Real().Lock(state.path());
  ASSERT_THAT(first, IsOk());
  EXPECT_THAT(StateLocker::Real().Lock(state.path()), HasReason(Reason::BUSY));
  first->reset();
  EXPECT_THAT(StateLocker::Real().Lock(state.path()), IsOk());
}

// Held by somebody else the first so many times.
class HeldLocker : public StateLocker {
 public:
  explicit HeldLocker(int times) : times_(times) {}
  absl::StatusOr<std::unique_ptr<StateLock>> Lock(const std::string& state) override {
    if (times_-- > 0) return Fail(Reason::BUSY, state);
    return std::make_unique<StateLock>();
  }

 private:
  int times_;
};

TEST(LockWithin, WaitsForAsLongAsItMay) {
  testing::FakeClock clock;
  int waits = 0;
  HeldLocker in_a_moment(3);
  EXPECT_THAT(LockWithin(kLockOutlives, "/state", in_a_moment, clock, [&waits] { ++waits; }), IsOk());
  EXPECT_EQ(waits, 1);
  EXPECT_LT(clock.slept(), kLockOutlives);
  HeldLocker at_work(1000);
  EXPECT_THAT(LockWithin(kLockOutlives, "/state", at_work, clock), HasReason(Reason::BUSY));
  EXPECT_LT(clock.slept(), 2 * kLockOutlives);
}

TEST(StateLocker, NamesTheDirectoryThatIsNotThere) {
  EXPECT_THAT(StateLocker::Real().Lock("/nowhere/at/all"),
              HasReason(Reason::STORAGE_FAILED, ::testing::HasSubstr("/nowhere/at/all/lock")));
}

}  // namespace
}  // namespace certcast::node
