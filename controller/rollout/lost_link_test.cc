// What a rollout makes of links that break and answers that don't come.
#include <string>

#include "common/status/status.h"
#include "controller/rollout/record.h"
#include "controller/rollout/rollout_world.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace certcast::controller {
namespace {

using certcast::testing::FakeNode;
using certcast::testing::Fault;
using state::v1::Rollout;
using ::testing::HasSubstr;

// One node, one fault.
struct OneNode {
  RolloutWorld world{1};
  FakeNode& node = world.node("node-0");

  v1::Rollout::Node Run() {
    const auto ended = world.Run();
    EXPECT_TRUE(ended.ok()) << ended.status();
    return ended.ok() ? world.ResultOf(*ended, "node-0") : v1::Rollout::Node();
  }
};

TEST(LostLink, BeforeInstallArrivedIsAskedAgain) {
  OneNode one;
  one.node.Inject(kInstall, Fault::LostBefore());
  EXPECT_EQ(one.Run().outcome(), v1::Outcome::INSTALLED);
  EXPECT_EQ(one.node.reloads(), 1);
  EXPECT_EQ(one.world.transport().opened(), 2);
}

TEST(LostLink, AfterTheFlipIsAskedAgainAndReloadsOnce) {
  OneNode one;
  one.node.Inject(kInstall, Fault::LostAfter(), 3);
  EXPECT_EQ(one.Run().outcome(), v1::Outcome::INSTALLED);
  EXPECT_EQ(one.node.reloads(), 1);
  EXPECT_EQ(one.node.seen(kInstall), 4);
}

TEST(LostLink, AfterConfirmIsAskedAgain) {
  OneNode one;
  one.node.Inject(kConfirm, Fault::LostAfter());
  EXPECT_EQ(one.Run().outcome(), v1::Outcome::INSTALLED);
  EXPECT_TRUE(one.node.installed("wildcard").confirmed);
  EXPECT_EQ(one.node.reloads(), 1);
}

TEST(LostLink, OnTheWayBackIsAskedAgain) {
  OneNode one;
  one.node.SetServedToController("wildcard", RolloutWorld::OldLeaf());
  one.node.Inject(kRevert, Fault::LostAfter());
  const v1::Rollout::Node result = one.Run();
  EXPECT_EQ(result.outcome(), v1::Outcome::REVERTED);
  EXPECT_EQ(result.reason(), Reason::VERIFY_FAILED);
  EXPECT_EQ(one.node.reloads(), 2);
}

TEST(LostLink, AnAnswerThatIsNotOneIsAskedAgain) {
  OneNode one;
  one.node.Inject(kInstall, Fault::WrongAnswer());
  EXPECT_EQ(one.Run().outcome(), v1::Outcome::INSTALLED);
}

TEST(LostLink, ForGoodAfterInstallCountsAsAFailureAndIsPutBack) {
  OneNode one;
  one.node.Inject(kInstall, Fault::LostAfter(), FakeNode::kAlways);
  const v1::Rollout::Node result = one.Run();
  EXPECT_EQ(result.outcome(), v1::Outcome::REVERTED);
  EXPECT_EQ(result.reason(), Reason::LINK_LOST);
  EXPECT_THAT(result.detail(), HasSubstr("not known"));
  EXPECT_EQ(one.world.log().stored().state(), v1::Rollout::REVERTED);
  EXPECT_EQ(one.node.installed("wildcard").generation, 1u);
  // Bounded.
  EXPECT_EQ(one.node.seen(kInstall), 8);
}

TEST(LostLink, BeforeInstallWasSentIsOnlyMissing) {
  OneNode one;
  one.node.SetReachable(Fail(Reason::AUTH_FAILED, "the node's certificate is not of this fleet"));
  EXPECT_EQ(one.Run().outcome(), v1::Outcome::UNREACHABLE);
  EXPECT_EQ(one.world.log().stored().state(), v1::Rollout::INCOMPLETE);
  // It will not get better by asking again.
  EXPECT_EQ(one.world.transport().opened(), 1);
}

TEST(LostLink, ANodeThatNeverAnswersIsGivenUpAfterNodeTimeout) {
  OneNode one;
  one.world.policy().node_timeout = absl::Minutes(3);
  const absl::Duration began = one.world.clock().Monotonic();
  one.node.Inject(kInstall, Fault::TimedOut());
  one.node.Inject(kRevert, Fault::TimedOut());
  const v1::Rollout::Node result = one.Run();
  EXPECT_EQ(result.outcome(), v1::Outcome::FAILED);
  EXPECT_EQ(result.reason(), Reason::REVERT_FAILED);
  EXPECT_EQ(one.world.log().stored().state(), v1::Rollout::HALTED);
  // Once forwards, once backwards.
  EXPECT_EQ(one.world.clock().Monotonic() - began, absl::Minutes(6));
}

TEST(LostLink, ABusyNodeIsWaitedFor) {
  OneNode one;
  one.node.Inject(kInstall, Fault::Refused(Reason::BUSY), 2);
  EXPECT_EQ(one.Run().outcome(), v1::Outcome::INSTALLED);
  EXPECT_GE(one.world.clock().slept(), absl::Milliseconds(500));
}

TEST(LostLink, ANodeThatStaysBusyIsGivenUpWhenItsTimeIsOver) {
  OneNode one;
  one.node.Inject(kInstall, Fault::Refused(Reason::BUSY), FakeNode::kAlways);
  const v1::Rollout::Node result = one.Run();
  EXPECT_EQ(result.outcome(), v1::Outcome::FAILED);
  EXPECT_EQ(result.reason(), Reason::BUSY);
  EXPECT_GT(one.world.clock().slept(), absl::Minutes(2));
  EXPECT_LE(one.world.clock().slept(), absl::Minutes(3));
  // It never took the command up, so there is nothing to put back.
  EXPECT_EQ(one.node.seen(kRevert), 0);
}

TEST(LostLink, ANodeThatIsBusyWithALostCommandIsPutBack) {
  OneNode one;
  one.node.Inject(kInstall, Fault::LostAfter());
  one.node.Inject(kInstall, Fault::Refused(Reason::BUSY), FakeNode::kAlways);
  const v1::Rollout::Node result = one.Run();
  EXPECT_EQ(result.outcome(), v1::Outcome::REVERTED);
  EXPECT_EQ(result.reason(), Reason::BUSY);
  EXPECT_EQ(one.node.installed("wildcard").generation, 1u);
}

TEST(LostLink, AFailedCommitIsInDoubtAndPutBack) {
  OneNode one;
  one.node.Inject(kConfirm, Fault::Result(v1::Outcome::FAILED, Reason::NO_SPACE, "saving the state"));
  const v1::Rollout::Node result = one.Run();
  EXPECT_EQ(result.outcome(), v1::Outcome::REVERTED);
  EXPECT_EQ(result.reason(), Reason::NO_SPACE);
  EXPECT_EQ(one.node.installed("wildcard").generation, 1u);
}

TEST(LostLink, ARefusalIsAFailureWithTheNodesReason) {
  OneNode one;
  one.node.Inject(kInstall, Fault::Refused(Reason::NAME_NOT_ALLOWED, "*.example.com is not in allow_names"));
  const v1::Rollout::Node result = one.Run();
  EXPECT_EQ(result.outcome(), v1::Outcome::FAILED);
  EXPECT_EQ(result.reason(), Reason::NAME_NOT_ALLOWED);
  EXPECT_EQ(result.detail(), "*.example.com is not in allow_names");
  EXPECT_EQ(one.node.seen(kRevert), 0);
}

TEST(LostLink, AConfirmThatComesTooLateIsAFailureOfTheNode) {
  OneNode one;
  one.world.policy().confirm_timeout = absl::Seconds(60);
  one.world.OnCommand([&](const std::string&, const v1::Command& command) {
    if (command.has_confirm()) one.world.clock().Advance(absl::Seconds(61));
  });
  const v1::Rollout::Node result = one.Run();
  EXPECT_EQ(result.outcome(), v1::Outcome::REVERTED);
  EXPECT_EQ(result.reason(), Reason::NOT_CONFIRMED);
  EXPECT_EQ(result.served_sha256(), RolloutWorld::OldLeaf());
}

TEST(LostLink, ANodeWhoseWordsContradictEachOtherIsNotConfirmed) {
  OneNode one;
  one.node.Inject(kInstall, Fault::Result(v1::Outcome::INSTALLED, Reason::REASON_UNSPECIFIED));
  const v1::Rollout::Node result = one.Run();
  EXPECT_EQ(result.outcome(), v1::Outcome::REVERTED);
  EXPECT_EQ(result.reason(), Reason::VERIFY_FAILED);
  EXPECT_THAT(result.detail(), HasSubstr("the node says INSTALLED, but has generation 1"));
  EXPECT_EQ(one.node.seen(kConfirm), 0);
}

TEST(LostLink, AnInstallThatWaitsForItsConfirmIsTakenOver) {
  OneNode one;
  // An earlier rollout of this generation installed it, and its controller died.
  ASSERT_TRUE(one.world.Run().ok());
  Rollout plan = one.world.Plan();
  plan.set_id("wildcard-2-33m8z1");
  one.world.log().Begin(plan);
  FakeNode& node = one.node;
  node.Preinstall("wildcard", 1, RolloutWorld::OldLeaf());
  one.world.OnCommand([&](const std::string&, const v1::Command& command) {
    // The other controller's Install arrives just before this one's.
    if (!command.has_install() || command.id() == "another-id") return;
    v1::Command other = command;
    other.set_id("another-id");
    const auto link = one.world.transport().Open(one.world.configs()["node-0"], absl::Seconds(1));
    EXPECT_TRUE((*link)->Call(other, absl::Seconds(1), nullptr).ok());
  });
  const auto ended = one.world.Execute(plan);
  ASSERT_TRUE(ended.ok()) << ended.status();
  EXPECT_EQ(one.world.ResultOf(*ended, "node-0").outcome(), v1::Outcome::INSTALLED);
  EXPECT_TRUE(node.installed("wildcard").confirmed);
}

}  // namespace
}  // namespace certcast::controller
