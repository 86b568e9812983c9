// A node whose probes pass and fail by turns proves nothing: the rollout pauses, and the next run asks the node again.
#include <latch>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/status/status.h"
#include "controller/rollout/executor.h"
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

Fault Flaps() {
  return Fault::Result(v1::Outcome::REVERTED, Reason::PROBE_INCONCLUSIVE, "tls 127.0.0.1:443 passed 7 times of 12");
}

Rollout::Node NodeOf(const Rollout& rollout, const std::string& name) {
  for (const Rollout::Node& node : rollout.nodes()) {
    if (node.result().name() == name) return node;
  }
  ADD_FAILURE() << name << " is not in the rollout";
  return {};
}

TEST(PausedRollout, TouchesNoFurtherNodeAndSaysWhichOneFlapped) {
  RolloutWorld world(10);
  const Rollout plan = world.Plan();
  const std::string canary = world.NamesIn(plan, 1)[0];
  world.node(canary).Inject(kInstall, Flaps());
  const auto paused = world.Execute(plan);
  ASSERT_TRUE(paused.ok()) << paused.status();
  EXPECT_EQ(paused->state(), v1::Rollout::PAUSED);
  EXPECT_FALSE(IsFinished(*paused));
  EXPECT_EQ(paused->paused_because(), absl::StrCat("node ", canary, ": tls 127.0.0.1:443 passed 7 times of 12"));
  EXPECT_EQ(ShowRollout(*paused).because(), paused->paused_because());
  EXPECT_THAT(world.transport().NodesThatGot(kInstall), ElementsAre(canary));
  EXPECT_THAT(world.transport().NodesThatGot(kRevert), IsEmpty());
  EXPECT_EQ(world.ResultOf(*paused, canary).reason(), Reason::PROBE_INCONCLUSIVE);
  EXPECT_EQ(world.ResultOf(*paused, world.NamesIn(plan, 2)[0]).outcome(), v1::Outcome::OUTCOME_UNSPECIFIED);
  EXPECT_TRUE(world.AllServe(world.OldLeaf()));
  EXPECT_THAT(world.progress().back().text(), HasSubstr(absl::StrCat("paused: node ", canary)));
}

TEST(PausedRollout, IsGoneOnWithByTheNextRun) {
  RolloutWorld world(4);
  const Rollout plan = world.Plan();
  const std::string canary = world.NamesIn(plan, 1)[0];
  world.node(canary).Inject(kInstall, Flaps());
  ASSERT_TRUE(world.Execute(plan).ok());
  const auto ended = world.Resume();
  ASSERT_TRUE(ended.ok()) << ended.status();
  EXPECT_EQ(ended->state(), v1::Rollout::COMPLETED);
  EXPECT_EQ(ended->paused_because(), "");
  EXPECT_TRUE(world.AllServe(world.NewLeaf()));
  // Under the same id the node would have given the same answer.
  EXPECT_EQ(world.node(canary).seen(kInstall), 2);
  EXPECT_EQ(NodeOf(*ended, canary).attempt(), 1);
  EXPECT_EQ(world.ResultOf(*ended, canary).detail(), "");
}

TEST(PausedRollout, PausesAgainAsLongAsItFlaps) {
  RolloutWorld world(3);
  const Rollout plan = world.Plan();
  const std::string canary = world.NamesIn(plan, 1)[0];
  world.node(canary).Inject(kInstall, Flaps(), 3);
  ASSERT_TRUE(world.Execute(plan).ok());
  for (int i = 0; i < 2; ++i) {
    const auto again = world.Resume();
    ASSERT_TRUE(again.ok()) << again.status();
    EXPECT_EQ(again->state(), v1::Rollout::PAUSED);
  }
  EXPECT_EQ(world.node(canary).seen(kInstall), 3);
  const auto ended = world.Resume();
  ASSERT_TRUE(ended.ok()) << ended.status();
  EXPECT_EQ(ended->state(), v1::Rollout::COMPLETED);
}

TEST(PausedRollout, IsNoFailureInTheBudgetOfALaterOne) {
  RolloutWorld world(4);
  world.policy().max_failures = 1;
  const Rollout plan = world.Plan();
  const std::vector<std::string> others = world.NamesIn(plan, 2);
  world.node(world.NamesIn(plan, 1)[0]).Inject(kInstall, Flaps());
  world.node(others[0]).Inject(kInstall, Fault::Result(v1::Outcome::REVERTED, Reason::CHECK_FAILED));
  ASSERT_TRUE(world.Execute(plan).ok());
  const auto ended = world.Resume();
  ASSERT_TRUE(ended.ok()) << ended.status();
  EXPECT_EQ(ended->state(), v1::Rollout::INCOMPLETE);
  EXPECT_EQ(world.ResultOf(*ended, others[0]).reason(), Reason::CHECK_FAILED);
  EXPECT_EQ(world.ResultOf(*ended, others[1]).outcome(), v1::Outcome::INSTALLED);
}

// Three at once, none of which ends before the others have begun.
class AtOnce : public ::testing::Test {
 protected:
  void SetUp() override {
    world_.policy().parallel = 3;
    plan_ = world_.Plan();
    second_ = world_.NamesIn(plan_, 2);
    world_.OnCommand([&](const std::string& node, const v1::Command& command) {
      if (command.has_confirm() && node != world_.NamesIn(plan_, 1)[0]) AwaitEnd();
      const bool first_three = node == second_[0] || node == second_[1] || node == second_[2];
      if (command.has_install() && first_three) begun_.arrive_and_wait();
    });
  }

  // Of the wave, before the first node of it is confirmed.
  void AwaitEnd() { EXPECT_TRUE(world_.log().AwaitState(ends_as_)); }

  RolloutWorld world_{10};
  Rollout plan_;
  std::vector<std::string> second_;
  std::latch begun_{3};
  v1::Rollout::State ends_as_ = v1::Rollout::PAUSED;
};

TEST_F(AtOnce, WhatWasUnderWayIsFinished) {
  world_.node(second_[1]).Inject(kInstall, Flaps());
  const auto paused = world_.Execute(plan_);
  ASSERT_TRUE(paused.ok()) << paused.status();
  EXPECT_EQ(paused->state(), v1::Rollout::PAUSED);
  EXPECT_EQ(world_.ResultOf(*paused, second_[0]).outcome(), v1::Outcome::INSTALLED);
  EXPECT_EQ(world_.ResultOf(*paused, second_[2]).outcome(), v1::Outcome::INSTALLED);
  EXPECT_TRUE(world_.node(second_[0]).installed("wildcard").confirmed);
  EXPECT_THAT(world_.transport().NodesThatGot(kInstall), SizeIs(4));
}

TEST_F(AtOnce, AFailureBesideItHaltsAllTheSame) {
  ends_as_ = v1::Rollout::HALTED;
  world_.node(second_[0]).Inject(kInstall, Flaps());
  world_.node(second_[1]).Inject(kInstall, Fault::Result(v1::Outcome::REVERTED, Reason::CHECK_FAILED));
  const auto ended = world_.Execute(plan_);
  ASSERT_TRUE(ended.ok()) << ended.status();
  EXPECT_EQ(ended->state(), v1::Rollout::REVERTED);
  EXPECT_EQ(ended->halted_because(), "1 failed, max_failures is 0");
  EXPECT_EQ(ended->paused_because(), "");
  EXPECT_EQ(world_.ResultOf(*ended, second_[0]).reason(), Reason::PROBE_INCONCLUSIVE);
  EXPECT_TRUE(world_.AllServe(world_.OldLeaf()));
}

TEST(PausedRollout, WhereAnotherGenerationIsWantedNowItEnds) {
  RolloutWorld world(3);
  const Rollout plan = world.Plan();
  world.node(world.NamesIn(plan, 1)[0]).Inject(kInstall, Flaps());
  auto paused = world.Execute(plan);
  ASSERT_TRUE(paused.ok()) << paused.status();
  const std::vector<std::string> others = world.NamesIn(plan, 2);
  for (Rollout::Node& node : *paused->mutable_nodes()) {
    if (node.result().name() == others[1]) node.set_step(Rollout::Node::CONFIRMING);
  }
  const Rollout ended = EndPaused(*paused, "generation 3 took its place", world.clock().Now());
  EXPECT_TRUE(IsFinished(ended));
  EXPECT_EQ(ended.state(), v1::Rollout::INCOMPLETE);
  EXPECT_EQ(ShowRollout(ended).because(), "");
  EXPECT_EQ(world.ResultOf(ended, world.NamesIn(plan, 1)[0]).reason(), Reason::PROBE_INCONCLUSIVE);
  EXPECT_EQ(world.ResultOf(ended, others[0]).outcome(), v1::Outcome::SKIPPED);
  EXPECT_THAT(world.ResultOf(ended, others[0]).detail(), HasSubstr("generation 3 took its place"));
  EXPECT_EQ(world.ResultOf(ended, others[1]).outcome(), v1::Outcome::UNREACHABLE);
  EXPECT_TRUE(NodeOf(ended, others[1]).changed());
}

}  // namespace
}  // namespace certcast::controller
