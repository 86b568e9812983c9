// What more failures than the budget allows lead to: a halt, and the way back.
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "common/status/status.h"
#include "controller/rollout/record.h"
#include "controller/rollout/rollout_world.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace certcast::controller {
namespace {

using certcast::testing::Fault;
using state::v1::Rollout;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST(ExecuteRolloutHalts, TouchesNoNodeButTheCanaryWhenThatFails) {
  RolloutWorld world(20);
  const Rollout plan = world.Plan();
  const std::string canary = world.NamesIn(plan, 1)[0];
  world.node(canary).Inject(kInstall, Fault::Result(v1::Outcome::REVERTED, Reason::CHECK_FAILED, "nginx -t: no"));
  const auto ended = world.Execute(plan);
  ASSERT_TRUE(ended.ok()) << ended.status();
  EXPECT_EQ(ended->state(), v1::Rollout::REVERTED);
  EXPECT_EQ(ended->halted_because(), "1 failed, max_failures is 0");
  EXPECT_THAT(world.transport().NodesThatGot(kInstall), ElementsAre(canary));
  EXPECT_THAT(world.transport().NodesThatGot(kRevert), IsEmpty());
  EXPECT_TRUE(world.AllServe(world.OldLeaf()));
  EXPECT_EQ(world.ResultOf(*ended, canary).outcome(), v1::Outcome::REVERTED);
  EXPECT_EQ(world.ResultOf(*ended, canary).reason(), Reason::CHECK_FAILED);
  EXPECT_EQ(world.ResultOf(*ended, canary).detail(), "nginx -t: no");
  const std::string other = world.NamesIn(plan, 2)[0];
  EXPECT_EQ(world.ResultOf(*ended, other).outcome(), v1::Outcome::SKIPPED);
  EXPECT_EQ(world.ResultOf(*ended, other).reason(), Reason::ROLLOUT_HALTED);
}

TEST(ExecuteRolloutHalts, PutsEarlierWavesBackWhenALaterOneFails) {
  RolloutWorld world(10);
  const Rollout plan = world.Plan();
  const std::string bad = world.NamesIn(plan, 2)[3];
  world.node(bad).Inject(kInstall, Fault::Result(v1::Outcome::REVERTED, Reason::PROBE_FAILED));
  const auto ended = world.Execute(plan);
  ASSERT_TRUE(ended.ok()) << ended.status();
  EXPECT_EQ(ended->state(), v1::Rollout::REVERTED);
  EXPECT_TRUE(world.AllServe(world.OldLeaf()));
  // The canary and three of the second wave.
  std::vector<std::string> changed = world.NamesIn(plan, 1);
  for (int i = 0; i < 3; ++i) changed.push_back(world.NamesIn(plan, 2)[i]);
  EXPECT_THAT(world.transport().NodesThatGot(kRevert), ::testing::UnorderedElementsAreArray(changed));
  for (const std::string& name : changed) {
    EXPECT_EQ(world.ResultOf(*ended, name).outcome(), v1::Outcome::REVERTED) << name;
    EXPECT_EQ(world.ResultOf(*ended, name).reason(), Reason::ROLLOUT_HALTED) << name;
    EXPECT_EQ(world.ResultOf(*ended, name).served_sha256(), world.OldLeaf()) << name;
  }
  EXPECT_EQ(world.ResultOf(*ended, bad).reason(), Reason::PROBE_FAILED);
}

TEST(ExecuteRolloutHalts, GoesOnWithinItsBudgetAndIsIncompleteThen) {
  RolloutWorld world(5);
  world.policy().max_failures = 1;
  const Rollout plan = world.Plan();
  const std::string bad = world.NamesIn(plan, 2)[0];
  world.node(bad).Inject(kInstall, Fault::Result(v1::Outcome::FAILED, Reason::NO_SPACE));
  const auto ended = world.Execute(plan);
  ASSERT_TRUE(ended.ok()) << ended.status();
  EXPECT_EQ(ended->state(), v1::Rollout::INCOMPLETE);
  EXPECT_THAT(world.transport().NodesThatGot(kInstall), SizeIs(5));
  EXPECT_THAT(world.transport().NodesThatGot(kRevert), IsEmpty());
}

TEST(ExecuteRolloutHalts, HaltsAtTheFirstFailureBeyondItsBudget) {
  RolloutWorld world(6);
  world.policy().max_failures = 1;
  world.policy().waves = {{.percent = 100}};
  const Rollout plan = world.Plan();
  for (int i : {1, 3}) {
    world.node(world.NamesIn(plan, 1)[i]).Inject(kInstall, Fault::Result(v1::Outcome::FAILED, Reason::NO_SPACE));
  }
  const auto ended = world.Execute(plan);
  ASSERT_TRUE(ended.ok()) << ended.status();
  EXPECT_EQ(ended->state(), v1::Rollout::REVERTED);
  EXPECT_THAT(world.transport().NodesThatGot(kInstall), SizeIs(4));
  EXPECT_TRUE(world.AllServe(world.OldLeaf()));
}

TEST(ExecuteRolloutHalts, LeavesNodesAsTheyAreWhenAHaltMeansStop) {
  RolloutWorld world(6);
  world.policy().on_halt = RolloutPolicy::OnHalt::kStop;
  const Rollout plan = world.Plan();
  world.node(world.NamesIn(plan, 2)[0]).Inject(kInstall, Fault::Result(v1::Outcome::REVERTED, Reason::RELOAD_FAILED));
  const auto ended = world.Execute(plan);
  ASSERT_TRUE(ended.ok()) << ended.status();
  EXPECT_EQ(ended->state(), v1::Rollout::HALTED);
  EXPECT_TRUE(IsFinished(*ended));
  EXPECT_THAT(world.transport().NodesThatGot(kRevert), IsEmpty());
  EXPECT_EQ(world.node(world.NamesIn(plan, 1)[0]).served_sha256(world.kCertificate), world.NewLeaf());
  EXPECT_EQ(world.ResultOf(*ended, world.NamesIn(plan, 2)[1]).outcome(), v1::Outcome::SKIPPED);
}

TEST(ExecuteRolloutHalts, PutsBackNodesThatComeGoodWhileItHalts) {
  RolloutWorld world(2);
  world.policy().waves = {{.percent = 100}};
  world.policy().parallel = 2;
  // One is settled, so that both others may begin at once.
  world.fleet().push_back({.name = "settled", .settled = true});
  world.node("node-0").Inject(kInstall, Fault::Result(v1::Outcome::REVERTED, Reason::CHECK_FAILED));
  // node-0 fails once node-1 is on its way, and node-1 gets no further before the halt is in the log.
  absl::Notification node_1_began;
  world.OnCommand([&](const std::string& node, const v1::Command& command) {
    if (command.has_install() && node == "node-1") node_1_began.Notify();
    if (command.has_install() && node == "node-0") {
      EXPECT_TRUE(node_1_began.WaitForNotificationWithTimeout(absl::Seconds(20)));
    }
    if (command.has_confirm()) {
      EXPECT_TRUE(world.log().AwaitState(v1::Rollout::HALTED));
    }
  });
  const auto ended = world.Run();
  ASSERT_TRUE(ended.ok()) << ended.status();
  EXPECT_EQ(ended->state(), v1::Rollout::REVERTED);
  EXPECT_EQ(world.ResultOf(*ended, "node-1").reason(), Reason::ROLLOUT_HALTED);
  EXPECT_EQ(world.node("node-1").reloads(), 2);
  EXPECT_TRUE(world.AllServe(world.OldLeaf()));
}

TEST(ExecuteRolloutHalts, IsNotRevertedWhenANodeDoesNotGoBack) {
  RolloutWorld world(3);
  const Rollout plan = world.Plan();
  const std::string canary = world.NamesIn(plan, 1)[0];
  world.node(world.NamesIn(plan, 2)[0]).Inject(kInstall, Fault::Result(v1::Outcome::FAILED, Reason::NO_SPACE));
  world.node(canary).Inject(kRevert, Fault::Result(v1::Outcome::FAILED, Reason::STORAGE_FAILED, "disk is gone"));
  const auto ended = world.Execute(plan);
  ASSERT_TRUE(ended.ok()) << ended.status();
  EXPECT_EQ(ended->state(), v1::Rollout::HALTED);
  EXPECT_TRUE(IsFinished(*ended));
  EXPECT_EQ(world.ResultOf(*ended, canary).outcome(), v1::Outcome::FAILED);
  EXPECT_EQ(world.ResultOf(*ended, canary).reason(), Reason::REVERT_FAILED);
  EXPECT_THAT(world.ResultOf(*ended, canary).detail(), HasSubstr("disk is gone"));
}

TEST(ExecuteRolloutHalts, DoesNotCallItRevertedWhereTheGenerationIsStillInForce) {
  RolloutWorld world(3);
  const Rollout plan = world.Plan();
  const std::string canary = world.NamesIn(plan, 1)[0];
  world.node(world.NamesIn(plan, 2)[0]).Inject(kInstall, Fault::Result(v1::Outcome::FAILED, Reason::NO_SPACE));
  // It answers as if it had gone back, and changes nothing.
  world.node(canary).Inject(kRevert, Fault::Result(v1::Outcome::REVERTED, Reason::ROLLOUT_HALTED));
  const auto ended = world.Execute(plan);
  ASSERT_TRUE(ended.ok()) << ended.status();
  EXPECT_EQ(ended->state(), v1::Rollout::HALTED);
  EXPECT_EQ(world.ResultOf(*ended, canary).reason(), Reason::REVERT_FAILED);
}

// Its files had been changed by hand, so the rollout mends it. Back is where it was: at this very generation.
TEST(ExecuteRolloutHalts, DoesNotTakeFromANodeTheGenerationThatItHadBefore) {
  RolloutWorld world(2);
  world.policy().waves = {{.percent = 100}};
  for (FleetMember& member : world.fleet()) {
    world.node(member.name).Preinstall(RolloutWorld::kCertificate, 2, RolloutWorld::NewLeaf());
    member.has_it = true;
  }
  const Rollout plan = world.Plan();
  world.node(plan.nodes(1).result().name()).Inject(kInstall, Fault::Result(v1::Outcome::FAILED, Reason::REVERT_FAILED));
  const auto ended = world.Execute(plan);
  ASSERT_TRUE(ended.ok()) << ended.status();
  EXPECT_TRUE(IsFinished(*ended));
  EXPECT_EQ(ended->state(), v1::Rollout::HALTED);
  EXPECT_THAT(world.transport().NodesThatGot(kRevert), IsEmpty());
  EXPECT_EQ(ended->nodes(1).result().reason(), Reason::REVERT_FAILED);
  for (const Rollout::Node& node : ended->nodes()) EXPECT_FALSE(node.changed());
}

TEST(ExecuteRolloutHalts, DoesNotTakeANodesWordForTheWayBack) {
  RolloutWorld world(3);
  const Rollout plan = world.Plan();
  const std::string canary = world.NamesIn(plan, 1)[0];
  const std::string bad = world.NamesIn(plan, 2)[0];
  world.node(bad).Inject(kInstall, Fault::Result(v1::Outcome::FAILED, Reason::NO_SPACE));
  world.OnCommand([&](const std::string& node, const v1::Command& command) {
    if (command.has_revert() && node == canary) {
      world.node(canary).SetServedToController(world.kCertificate, world.NewLeaf());
    }
  });
  const auto ended = world.Execute(plan);
  ASSERT_TRUE(ended.ok()) << ended.status();
  EXPECT_EQ(ended->state(), v1::Rollout::HALTED);
  EXPECT_EQ(world.ResultOf(*ended, canary).reason(), Reason::REVERT_FAILED);
  EXPECT_THAT(world.ResultOf(*ended, canary).detail(), HasSubstr(absl::StrCat("serves ", world.NewLeaf())));
}

TEST(ExecuteRolloutHalts, HaltsWhenMoreAreMissingThanMayBe) {
  RolloutWorld world(6);
  world.policy().max_unreachable = 1;
  const Rollout plan = world.Plan();
  for (int i : {0, 1}) {
    world.node(world.NamesIn(plan, 2)[i]).SetReachable(Fail(Reason::NO_ROUTE, "connection refused"));
  }
  const auto ended = world.Execute(plan);
  ASSERT_TRUE(ended.ok()) << ended.status();
  EXPECT_EQ(ended->state(), v1::Rollout::REVERTED);
  EXPECT_EQ(ended->halted_because(), "2 unreachable, max_unreachable is 1");
  EXPECT_TRUE(world.AllServe(world.OldLeaf()));
  EXPECT_EQ(world.ResultOf(*ended, world.NamesIn(plan, 2)[0]).outcome(), v1::Outcome::UNREACHABLE);
}

}  // namespace
}  // namespace certcast::controller
