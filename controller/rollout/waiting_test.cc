// Nodes begin only while a window is open: what is at work when it closes is finished, the rest waits for the next one,
// and the way back waits for nobody.
#include <atomic>
#include <string>
#include <vector>

#include "common/status/status.h"
#include "controller/rollout/executor.h"
#include "controller/rollout/record.h"
#include "controller/rollout/rollout_world.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace certcast::controller {
namespace {

using certcast::testing::CommandKind;
using certcast::testing::Fault;
using certcast::testing::IsOk;
using state::v1::Rollout;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class WaitingRollout : public ::testing::Test {
 protected:
  void SetUp() override {
    world_.inputs().may_begin = [this](absl::Time now) { return open_ ? now : opens_at_; };
    plan_ = world_.Plan();
  }

  // Once so many nodes were told to install.
  void CloseAfter(int installs) {
    closes_in_ = installs;
    world_.OnCommand([this](const std::string&, const v1::Command& command) {
      if (command.has_install() && --closes_in_ == 0) open_ = false;
    });
  }

  RolloutWorld world_{10};
  Rollout plan_;
  std::atomic<bool> open_ = true;
  std::atomic<int> closes_in_ = 0;
  absl::Time opens_at_ = world_.clock().Now() + absl::Hours(5);
};

TEST_F(WaitingRollout, TouchesNobodyBeforeItsWindowOpens) {
  open_ = false;
  const auto waiting = world_.Execute(plan_);
  ASSERT_TRUE(waiting.ok()) << waiting.status();
  EXPECT_EQ(waiting->state(), v1::Rollout::WAITING_FOR_WINDOW);
  EXPECT_EQ(world_.log().stored().state(), v1::Rollout::WAITING_FOR_WINDOW);
  EXPECT_FALSE(IsFinished(*waiting));
  EXPECT_EQ(waiting->wave(), 0);
  EXPECT_THAT(world_.transport().events(), IsEmpty());
  EXPECT_EQ(world_.bundles_made(), 0);
}

TEST_F(WaitingRollout, StaysAsItIsWhileItsWindowIsClosed) {
  open_ = false;
  ASSERT_THAT(world_.Execute(plan_), IsOk());
  const int saves = world_.log().saves();
  opens_at_ = absl::InfiniteFuture();
  const auto waiting = world_.Resume();
  ASSERT_TRUE(waiting.ok()) << waiting.status();
  EXPECT_EQ(waiting->state(), v1::Rollout::WAITING_FOR_WINDOW);
  EXPECT_EQ(world_.log().saves(), saves);
  EXPECT_THAT(world_.transport().events(), IsEmpty());
}

TEST_F(WaitingRollout, IsGoneOnWithInItsWindow) {
  open_ = false;
  ASSERT_THAT(world_.Execute(plan_), IsOk());
  world_.clock().JumpTo(opens_at_);
  const auto ended = world_.Resume();
  ASSERT_TRUE(ended.ok()) << ended.status();
  EXPECT_EQ(ended->state(), v1::Rollout::COMPLETED);
  EXPECT_TRUE(world_.AllServe(world_.NewLeaf()));
}

TEST_F(WaitingRollout, FinishesTheNodesAtWorkWhenItsWindowCloses) {
  CloseAfter(4);
  const auto waiting = world_.Execute(plan_);
  ASSERT_TRUE(waiting.ok()) << waiting.status();
  EXPECT_EQ(waiting->state(), v1::Rollout::WAITING_FOR_WINDOW);
  EXPECT_EQ(waiting->wave(), 2);
  EXPECT_THAT(world_.transport().NodesThatGot(kInstall), SizeIs(4));
  EXPECT_THAT(world_.transport().NodesThatGot(kConfirm), SizeIs(4));
  for (const std::string& name : world_.transport().NodesThatGot(kInstall)) {
    EXPECT_TRUE(world_.node(name).installed("wildcard").confirmed) << name;
  }
  open_ = true;
  const auto ended = world_.Resume();
  ASSERT_TRUE(ended.ok()) << ended.status();
  EXPECT_EQ(ended->state(), v1::Rollout::COMPLETED);
  EXPECT_TRUE(world_.AllServe(world_.NewLeaf()));
  for (const Rollout::Node& node : ended->nodes()) EXPECT_EQ(world_.node(node.result().name()).seen(kInstall), 1);
}

// What it has is asked when its turn comes, which takes time.
TEST_F(WaitingRollout, BeginsNoNodeThatWasBeingAskedWhenItsWindowClosed) {
  for (FleetMember& member : world_.fleet()) member.unseen = true;
  world_.OnCommand([this](const std::string&, const v1::Command& command) {
    if (command.has_describe()) open_ = false;
  });
  const auto waiting = world_.Run();
  ASSERT_TRUE(waiting.ok()) << waiting.status();
  EXPECT_EQ(waiting->state(), v1::Rollout::WAITING_FOR_WINDOW);
  EXPECT_THAT(world_.transport().NodesThatGot(CommandKind::kDescribe), SizeIs(1));
  EXPECT_THAT(world_.transport().NodesThatGot(kInstall), IsEmpty());
  open_ = true;
  world_.OnCommand(nullptr);
  const auto ended = world_.Resume();
  ASSERT_TRUE(ended.ok()) << ended.status();
  EXPECT_EQ(ended->state(), v1::Rollout::COMPLETED);
}

TEST_F(WaitingRollout, DoesNotBeginTheNextWaveWhenItsWindowClosedDuringTheSoak) {
  world_.policy().soak = absl::Minutes(10);
  const absl::Time closes = world_.clock().Now() + absl::Minutes(5);
  world_.inputs().may_begin = [=](absl::Time now) { return now < closes ? now : absl::InfiniteFuture(); };
  const auto waiting = world_.Run();
  ASSERT_TRUE(waiting.ok()) << waiting.status();
  EXPECT_EQ(waiting->state(), v1::Rollout::WAITING_FOR_WINDOW);
  EXPECT_EQ(waiting->wave(), 2);
  EXPECT_THAT(world_.transport().NodesThatGot(kInstall), SizeIs(1));
}

TEST_F(WaitingRollout, OutsideItsWindowOnlyWhatWasLeftInTheMiddleIsFinished) {
  const std::string canary = world_.NamesIn(plan_, 1)[0];
  bool died = false;
  // Dies between Install and Confirm of the canary.
  world_.OnCommand([&](const std::string&, const v1::Command& command) {
    if (!command.has_install() || died) return;
    died = true;
    world_.log().DieAt(1, MemoryRolloutLog::Death::kAfterTheCommit);
  });
  ASSERT_FALSE(world_.Execute(plan_).ok());
  open_ = false;
  const auto waiting = world_.Resume();
  ASSERT_TRUE(waiting.ok()) << waiting.status();
  EXPECT_EQ(waiting->state(), v1::Rollout::WAITING_FOR_WINDOW);
  EXPECT_THAT(world_.transport().NodesThatGot(kInstall), ElementsAre(canary));
  EXPECT_TRUE(world_.node(canary).installed("wildcard").confirmed);
  EXPECT_EQ(world_.ResultOf(*waiting, canary).outcome(), v1::Outcome::INSTALLED);
}

TEST_F(WaitingRollout, TheWayBackDoesNotWait) {
  CloseAfter(3);
  world_.node(world_.NamesIn(plan_, 2)[1]).Inject(kInstall, Fault::Result(v1::Outcome::REVERTED, Reason::CHECK_FAILED));
  const auto ended = world_.Execute(plan_);
  ASSERT_TRUE(ended.ok()) << ended.status();
  EXPECT_EQ(ended->state(), v1::Rollout::REVERTED);
  EXPECT_TRUE(world_.AllServe(world_.OldLeaf()));
}

TEST_F(WaitingRollout, AWayBackThatWasInterruptedIsGoneOnWithOutsideTheWindow) {
  world_.node(world_.NamesIn(plan_, 2)[1]).Inject(kInstall, Fault::Result(v1::Outcome::REVERTED, Reason::CHECK_FAILED));
  world_.OnCommand([&](const std::string&, const v1::Command& command) {
    if (command.has_revert()) world_.stop() = true;
  });
  ASSERT_THAT(world_.Execute(plan_), IsOk());
  world_.stop() = false;
  open_ = false;
  const auto ended = world_.Resume();
  ASSERT_TRUE(ended.ok()) << ended.status();
  EXPECT_EQ(ended->state(), v1::Rollout::REVERTED);
  EXPECT_TRUE(world_.AllServe(world_.OldLeaf()));
}

TEST_F(WaitingRollout, AFlappingNodeIsNotAskedAgainOutsideTheWindow) {
  const std::string canary = world_.NamesIn(plan_, 1)[0];
  world_.node(canary).Inject(kInstall, Fault::Result(v1::Outcome::REVERTED, Reason::PROBE_INCONCLUSIVE));
  ASSERT_THAT(world_.Execute(plan_), IsOk());
  open_ = false;
  const auto waiting = world_.Resume();
  ASSERT_TRUE(waiting.ok()) << waiting.status();
  EXPECT_EQ(waiting->state(), v1::Rollout::WAITING_FOR_WINDOW);
  EXPECT_EQ(world_.node(canary).seen(kInstall), 1);
  open_ = true;
  const auto ended = world_.Resume();
  ASSERT_TRUE(ended.ok()) << ended.status();
  EXPECT_EQ(ended->state(), v1::Rollout::COMPLETED);
}

// The controller dies at each of its saves in turn, in a window that closes after the third node.
TEST(WaitingRolloutKilled, EndsAsItWouldHaveWhereverItsControllerDied) {
  for (const auto death : {MemoryRolloutLog::Death::kBeforeTheCommit, MemoryRolloutLog::Death::kAfterTheCommit}) {
    bool died = true;
    for (int save = 1; died; ++save) {
      RolloutWorld world(5);
      world.policy().confirm_timeout = absl::Hours(1);
      const Rollout plan = world.Plan();
      std::atomic<int> installs = 0;
      std::atomic<bool> next_window = false;
      world.inputs().may_begin = [&](absl::Time now) {
        return next_window || installs < 3 ? now : now + absl::Hours(1);
      };
      world.OnCommand([&](const std::string&, const v1::Command& command) {
        if (command.has_install()) ++installs;
      });
      world.log().DieAt(save, death);
      auto ended = world.Execute(plan);
      died = !ended.ok();
      if (died) ended = world.Resume();
      ASSERT_TRUE(ended.ok()) << ended.status();
      EXPECT_EQ(ended->state(), v1::Rollout::WAITING_FOR_WINDOW) << "save " << save;
      for (const Rollout::Node& node : ended->nodes()) {
        EXPECT_TRUE(node.step() == Rollout::Node::DONE || node.step() == Rollout::Node::PENDING) << "save " << save;
      }
      next_window = true;
      ended = world.Resume();
      ASSERT_TRUE(ended.ok()) << ended.status();
      EXPECT_EQ(ended->state(), v1::Rollout::COMPLETED) << "save " << save;
      EXPECT_TRUE(world.AllServe(world.NewLeaf())) << "save " << save;
      for (const Rollout::Node& node : ended->nodes()) {
        EXPECT_EQ(world.node(node.result().name()).reloads(), 1) << "save " << save;
      }
    }
  }
}

}  // namespace
}  // namespace certcast::controller
