#include "controller/rollout/executor.h"

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/status/status.h"
#include "controller/rollout/record.h"
#include "controller/rollout/rollout_world.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace certcast::controller {
namespace {

using certcast::testing::CommandKind;
using certcast::testing::Fault;
using certcast::testing::HasReason;
using certcast::testing::LinkEvent;
using state::v1::Rollout;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST(ExecuteRollout, BringsEveryNodeToItWaveByWave) {
  RolloutWorld world(10);
  const Rollout plan = world.Plan();
  world.OnCommand([&](const std::string& node, const v1::Command& command) {
    if (!command.has_install()) return;
    // Nobody begins before the wave before has ended.
    const Rollout stored = world.log().stored();
    EXPECT_EQ(world.ResultOf(stored, node).wave(), stored.wave());
  });
  const auto ended = world.Execute(plan);
  ASSERT_TRUE(ended.ok()) << ended.status();
  EXPECT_EQ(ended->state(), v1::Rollout::COMPLETED);
  EXPECT_TRUE(IsFinished(*ended));
  EXPECT_TRUE(world.AllServe(world.NewLeaf()));
  for (const Rollout::Node& node : ended->nodes()) {
    EXPECT_EQ(node.result().outcome(), v1::Outcome::INSTALLED);
    EXPECT_EQ(node.result().served_sha256(), world.NewLeaf());
    EXPECT_EQ(world.node(node.result().name()).reloads(), 1);
    EXPECT_EQ(world.node(node.result().name()).seen(kConfirm), 1);
  }
}

TEST(ExecuteRollout, WhatIsServedOfAnotherCertificateOfTheSameServiceIsNoContradiction) {
  RolloutWorld world(1);
  world.node("node-0").SetOneService();
  world.node("node-0").Preinstall("shop", 1, std::string(64, '5'));
  const auto ended = world.Run();
  ASSERT_TRUE(ended.ok()) << ended.status();
  EXPECT_EQ(ended->state(), v1::Rollout::COMPLETED);
  EXPECT_EQ(world.ResultOf(*ended, "node-0").outcome(), v1::Outcome::INSTALLED);
  EXPECT_EQ(world.ResultOf(*ended, "node-0").served_sha256(), world.NewLeaf());
}

TEST(ExecuteRollout, SaysNothingToSettledNodes) {
  RolloutWorld world(3);
  world.fleet()[1].settled = true;
  const auto ended = world.Run();
  ASSERT_TRUE(ended.ok()) << ended.status();
  EXPECT_EQ(ended->state(), v1::Rollout::COMPLETED);
  EXPECT_EQ(world.ResultOf(*ended, "node-1").outcome(), v1::Outcome::UNCHANGED);
  EXPECT_THAT(world.transport().NodesThatGot(kInstall), ::testing::Not(Contains("node-1")));
}

TEST(ExecuteRollout, NeedsNoConfirmWhereNothingChanged) {
  RolloutWorld world(1);
  world.node("node-0").Preinstall(world.kCertificate, 2, world.NewLeaf());
  const auto ended = world.Run();
  ASSERT_TRUE(ended.ok()) << ended.status();
  EXPECT_EQ(ended->state(), v1::Rollout::COMPLETED);
  EXPECT_EQ(world.ResultOf(*ended, "node-0").outcome(), v1::Outcome::UNCHANGED);
  EXPECT_EQ(world.node("node-0").seen(kConfirm), 0);
  EXPECT_EQ(world.node("node-0").reloads(), 0);
}

TEST(ExecuteRollout, DoesNotBelieveUnchangedWhenAnotherCertificateIsServed) {
  RolloutWorld world(1);
  world.node("node-0").Preinstall(world.kCertificate, 2, world.NewLeaf());
  world.node("node-0").SetServedToController(world.kCertificate, world.OldLeaf());
  const auto ended = world.Run();
  ASSERT_TRUE(ended.ok()) << ended.status();
  const v1::Rollout::Node result = world.ResultOf(*ended, "node-0");
  EXPECT_EQ(result.outcome(), v1::Outcome::FAILED);
  EXPECT_EQ(result.reason(), Reason::VERIFY_FAILED);
  EXPECT_EQ(result.served_sha256(), world.OldLeaf());
}

TEST(ExecuteRollout, KeepsNothingThatANodeCouldWriteToATerminal) {
  RolloutWorld world(1);
  world.node("node-0").Inject(kInstall, Fault::Result(v1::Outcome::FAILED, Reason::CHECK_FAILED,
                                                      absl::StrCat("a\x1b[2Jb", std::string(100'000, 'x'))));
  const auto ended = world.Run();
  ASSERT_TRUE(ended.ok()) << ended.status();
  const std::string detail = world.ResultOf(*ended, "node-0").detail();
  EXPECT_THAT(detail, ::testing::StartsWith("a [2Jb"));
  EXPECT_LE(detail.size(), 1024u);
}

// It could not be asked when the rollout was planned.
TEST(ExecuteRollout, AsksANodeThatWasUnseenWhatItHadBefore) {
  RolloutWorld world(2);
  world.policy().waves = {{.percent = 100}};
  world.policy().max_failures = 1;
  for (FleetMember& member : world.fleet()) member.unseen = true;
  const Rollout plan = world.Plan();
  const std::string had = plan.nodes(0).result().name();
  const std::string had_not = plan.nodes(1).result().name();
  world.node(had).Preinstall(RolloutWorld::kCertificate, 2, RolloutWorld::NewLeaf());
  world.node(had).Inject(kInstall, Fault::Result(v1::Outcome::FAILED, Reason::REVERT_FAILED));
  const auto ended = world.Execute(plan);
  ASSERT_TRUE(ended.ok()) << ended.status();
  EXPECT_EQ(world.ResultOf(*ended, had_not).outcome(), v1::Outcome::INSTALLED);
  EXPECT_EQ(world.node(had_not).seen(CommandKind::kDescribe), 1);
  EXPECT_TRUE(ended->nodes(0).had_before());
  EXPECT_FALSE(ended->nodes(0).changed());
  EXPECT_FALSE(ended->nodes(1).had_before());
  EXPECT_TRUE(ended->nodes(1).changed());
}

// Once it has its first Install, what it has says nothing of what it had before.
TEST(ExecuteRollout, DoesNotAskANodeWhatItHadOnceItHasBegun) {
  RolloutWorld world(1);
  world.fleet()[0].unseen = true;
  world.node("node-0").Inject(
      kInstall, Fault::Result(v1::Outcome::REVERTED, Reason::PROBE_INCONCLUSIVE, "passed and failed by turns"));
  const auto paused = world.Run();
  ASSERT_TRUE(paused.ok()) << paused.status();
  ASSERT_EQ(paused->state(), v1::Rollout::PAUSED);
  world.node("node-0").Preinstall(RolloutWorld::kCertificate, 2, RolloutWorld::NewLeaf());
  const auto ended = world.Resume();
  ASSERT_TRUE(ended.ok()) << ended.status();
  EXPECT_EQ(world.node("node-0").seen(CommandKind::kDescribe), 1);
  EXPECT_FALSE(ended->nodes(0).had_before());
}

TEST(ExecuteRollout, LeavesOutANodeThatDoesNotSayWhatItHas) {
  RolloutWorld world(1);
  world.fleet()[0].unseen = true;
  world.node("node-0").Inject(CommandKind::kDescribe, Fault::LostBefore(), testing::FakeNode::kAlways);
  const auto ended = world.Run();
  ASSERT_TRUE(ended.ok()) << ended.status();
  EXPECT_EQ(ended->state(), v1::Rollout::INCOMPLETE);
  EXPECT_EQ(ended->nodes(0).result().outcome(), v1::Outcome::UNREACHABLE);
  EXPECT_FALSE(ended->nodes(0).changed());
  EXPECT_EQ(world.node("node-0").seen(kInstall), 0);
}

TEST(ExecuteRollout, IsIncompleteWithoutTheUnreachable) {
  RolloutWorld world(5);
  const Rollout plan = world.Plan();
  const std::string gone = world.NamesIn(plan, 2)[1];
  world.node(gone).SetReachable(Fail(Reason::NO_ROUTE, "connection refused", "is the agent running?"));
  const auto ended = world.Execute(plan);
  ASSERT_TRUE(ended.ok()) << ended.status();
  EXPECT_EQ(ended->state(), v1::Rollout::INCOMPLETE);
  const v1::Rollout::Node result = world.ResultOf(*ended, gone);
  EXPECT_EQ(result.outcome(), v1::Outcome::UNREACHABLE);
  EXPECT_EQ(result.reason(), Reason::NO_ROUTE);
  EXPECT_EQ(result.hint(), "is the agent running?");
  EXPECT_THAT(world.transport().NodesThatGot(kConfirm), SizeIs(4));
}

TEST(ExecuteRollout, RisksNoMoreThanACanaryUntilOneNodeHasProvenIt) {
  RolloutWorld world(12);
  world.policy().parallel = 8;
  world.policy().waves = {{.count = 1}, {.percent = 100}};
  const Rollout plan = world.Plan();
  world.node(world.NamesIn(plan, 1)[0]).SetReachable(Fail(Reason::NO_ROUTE, "connection refused"));
  const auto ended = world.Execute(plan);
  ASSERT_TRUE(ended.ok()) << ended.status();
  EXPECT_EQ(ended->state(), v1::Rollout::INCOMPLETE);
  std::set<std::string> seen;
  for (const LinkEvent& event : world.transport().events()) {
    seen.insert(event.node);
    if (event.kind == kConfirm && event.phase == LinkEvent::Phase::kEnds) break;
  }
  EXPECT_THAT(seen, SizeIs(1));
}

TEST(ExecuteRollout, RevertsANodeThatServesAnotherCertificateToTheController) {
  RolloutWorld world(3);
  const Rollout plan = world.Plan();
  const std::string canary = world.NamesIn(plan, 1)[0];
  world.node(canary).SetServedToController(world.kCertificate, world.OldLeaf());
  const auto ended = world.Execute(plan);
  ASSERT_TRUE(ended.ok()) << ended.status();
  EXPECT_EQ(ended->state(), v1::Rollout::REVERTED);
  const v1::Rollout::Node result = world.ResultOf(*ended, canary);
  EXPECT_EQ(result.outcome(), v1::Outcome::REVERTED);
  EXPECT_EQ(result.reason(), Reason::VERIFY_FAILED);
  EXPECT_THAT(result.detail(), HasSubstr(canary + ":443 www.example.com"));
  EXPECT_EQ(world.node(canary).seen(kConfirm), 0);
  EXPECT_EQ(world.node(canary).seen(kRevert), 1);
  EXPECT_TRUE(world.AllServe(world.OldLeaf()));
}

TEST(ExecuteRollout, LooksAgainWhereANewWorkerProcessIsSlow) {
  RolloutWorld world(1);
  world.prober().On("tls node-0:443 www.example.com", {certcast::testing::FakeProber::Serves(world.OldLeaf()),
                                                       certcast::testing::FakeProber::Serves(world.NewLeaf())});
  const auto ended = world.Run();
  ASSERT_TRUE(ended.ok()) << ended.status();
  EXPECT_EQ(ended->state(), v1::Rollout::COMPLETED);
}

TEST(ExecuteRollout, ConfirmsWithoutALookOfItsOwnWhereThereIsNoEndpoint) {
  RolloutWorld world(1);
  world.configs()["node-0"].verify.clear();
  const auto ended = world.Run();
  ASSERT_TRUE(ended.ok()) << ended.status();
  EXPECT_EQ(ended->state(), v1::Rollout::COMPLETED);
  EXPECT_THAT(world.prober().looks(), IsEmpty());
}

TEST(ExecuteRollout, KeepsNodesOfOneRackFromBeingAtWorkTogether) {
  RolloutWorld world(12, 3);
  world.policy().parallel = 12;
  world.policy().waves = {{.percent = 100}};
  world.policy().spread_label = "rack";
  world.fleet().push_back({.name = "settled", .settled = true});
  absl::Mutex mutex;
  std::map<std::string, int> at_work;
  int most = 0;
  world.OnCommand([&](const std::string& node, const v1::Command& command) {
    absl::MutexLock lock(&mutex);
    int& in_rack = at_work[world.configs()[node].labels["rack"]];
    if (command.has_install()) {
      EXPECT_EQ(++in_rack, 1) << node;
      int all = 0;
      for (const auto& [rack, count] : at_work) all += count;
      most = std::max(most, all);
      // The first three wait for one another: all racks are at work at once.
      mutex.AwaitWithTimeout(absl::Condition(
                                 +[](int* most) { return *most >= 3; }, &most),
                             absl::Seconds(20));
    }
    if (command.has_confirm()) --in_rack;
  });
  const auto ended = world.Run();
  ASSERT_TRUE(ended.ok()) << ended.status();
  EXPECT_EQ(ended->state(), v1::Rollout::COMPLETED);
  EXPECT_EQ(most, 3);
}

TEST(ExecuteRollout, IsNotHeldUpByAHangingNode) {
  RolloutWorld world(6);
  world.policy().parallel = 2;
  world.policy().waves = {{.percent = 100}};
  world.fleet().push_back({.name = "settled", .settled = true});
  absl::Mutex mutex;
  int confirmed = 0;
  world.OnCommand([&](const std::string& node, const v1::Command& command) {
    absl::MutexLock lock(&mutex);
    if (command.has_confirm()) ++confirmed;
    if (command.has_install() && node == "node-3") {
      EXPECT_TRUE(mutex.AwaitWithTimeout(absl::Condition(
                                             +[](int* confirmed) { return *confirmed == 5; }, &confirmed),
                                         absl::Seconds(20)));
    }
  });
  const auto ended = world.Run();
  ASSERT_TRUE(ended.ok()) << ended.status();
  EXPECT_EQ(ended->state(), v1::Rollout::COMPLETED);
}

TEST(ExecuteRollout, SoaksBetweenWavesAndNotAfterTheLast) {
  RolloutWorld world(20);
  world.policy().soak = absl::Seconds(30);
  world.policy().waves = {{.count = 1}, {.percent = 50}, {.percent = 100}};
  const auto ended = world.Run();
  ASSERT_TRUE(ended.ok()) << ended.status();
  EXPECT_EQ(ended->state(), v1::Rollout::COMPLETED);
  EXPECT_EQ(world.clock().slept(), absl::Seconds(60));
}

TEST(ExecuteRollout, OpensThePrivateKeyOnceAWave) {
  RolloutWorld world(10);
  const auto ended = world.Run();
  ASSERT_TRUE(ended.ok()) << ended.status();
  EXPECT_EQ(world.bundles_made(), 2);
}

TEST(ExecuteRollout, FailsBeforeAnyNodeIsTouchedWhenTheKeyCantBeOpened) {
  RolloutWorld world(3);
  world.inputs().bundle = []() -> absl::StatusOr<v1::Bundle> {
    return Fail(Reason::STORAGE_FAILED, "another master key");
  };
  EXPECT_THAT(world.Run(), HasReason(Reason::STORAGE_FAILED, "another master key"));
  EXPECT_THAT(world.transport().events(), IsEmpty());
  EXPECT_FALSE(IsFinished(world.log().stored()));
}

TEST(ExecuteRollout, StopsAtOnceWhenAnotherControllerIsInCharge) {
  RolloutWorld world(5);
  const Rollout plan = world.Plan();
  world.node(world.NamesIn(plan, 2)[0]).Inject(kInstall, Fault::Refused(Reason::STALE_EPOCH));
  EXPECT_THAT(world.Execute(plan), HasReason(Reason::STALE_EPOCH));
  EXPECT_THAT(world.transport().NodesThatGot(kInstall), SizeIs(2));
  EXPECT_THAT(world.transport().NodesThatGot(kRevert), IsEmpty());
  EXPECT_EQ(world.log().stored().state(), v1::Rollout::RUNNING);
}

TEST(ExecuteRollout, ShowsCountsThatAddUpAndALineForEachFailure) {
  RolloutWorld world(6);
  world.policy().max_failures = 1;
  const Rollout plan = world.Plan();
  const std::string bad = world.NamesIn(plan, 2)[2];
  world.node(bad).Inject(kInstall, Fault::Result(v1::Outcome::REVERTED, Reason::CHECK_FAILED, "line 3: unknown"));
  ASSERT_TRUE(world.Execute(plan).ok());
  std::vector<std::string> notes;
  v1::ApplyEvent::Progress last;
  for (const v1::ApplyEvent::Progress& progress : world.progress()) {
    EXPECT_EQ(progress.certificate(), "wildcard");
    EXPECT_EQ(progress.waves(), 2);
    if (progress.phase() == v1::ApplyEvent::Progress::NOTE) notes.push_back(progress.text());
    if (progress.phase() != v1::ApplyEvent::Progress::WAVE) continue;
    EXPECT_NE(progress.SerializeAsString(), last.SerializeAsString());
    EXPECT_LE(progress.done() + progress.failed() + progress.in_flight(), progress.size());
    EXPECT_EQ(progress.slowest_size(), std::min(progress.in_flight(), 3));
    last = progress;
  }
  EXPECT_THAT(notes, ElementsAre(absl::StrCat(bad, ": REVERTED CHECK_FAILED: line 3: unknown")));
  EXPECT_EQ(last.wave(), 2);
  EXPECT_EQ(last.size(), 5);
  EXPECT_EQ(last.done(), 4);
  EXPECT_EQ(last.failed(), 1);
  EXPECT_EQ(last.in_flight(), 0);
}

TEST(ExecuteRollout, BringsTwoThousandNodesToIt) {
  RolloutWorld world(2000, 40);
  world.policy().parallel = 64;
  world.policy().spread_label = "rack";
  world.policy().spread_in_flight = 4;
  const auto ended = world.Run();
  ASSERT_TRUE(ended.ok()) << ended.status();
  EXPECT_EQ(ended->state(), v1::Rollout::COMPLETED);
  EXPECT_TRUE(world.AllServe(world.NewLeaf()));
  EXPECT_LE(world.transport().MaxInFlight(), 64);
}

}  // namespace
}  // namespace certcast::controller
