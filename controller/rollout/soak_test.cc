#include "controller/rollout/soak.h"

#include <map>
#include <set>
#include <string>
#include <vector>

#include "common/clock/timestamp.h"
#include "common/status/status.h"
#include "controller/rollout/record.h"
#include "controller/rollout/rollout_world.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace certcast::controller {
namespace {

using certcast::testing::FakeProber;
using certcast::testing::Fault;
using state::v1::Rollout;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::SizeIs;

TEST(SoakPlan, LooksAtEachNodeEveryTenSecondsWhereThereAreFew) {
  const SoakPlan plan(3, absl::Seconds(30));
  EXPECT_EQ(plan.looks(), 9u);
  EXPECT_EQ(plan.DueAfter(absl::ZeroDuration()), 0u);
  EXPECT_EQ(plan.DueAfter(absl::Seconds(10)), 3u);
  EXPECT_EQ(plan.DueAfter(absl::Seconds(15)), 4u);
  EXPECT_EQ(plan.DueAfter(absl::Seconds(30)), 9u);
}

TEST(SoakPlan, NeverTakesMoreThanFiftyLooksASecondButForOneOfEach) {
  EXPECT_EQ(SoakPlan(10'000, absl::Minutes(10)).looks(), 30'000u);
  EXPECT_EQ(SoakPlan(10'000, absl::Seconds(30)).looks(), 10'000u);
  EXPECT_EQ(SoakPlan(2, absl::ZeroDuration()).looks(), 2u);
  EXPECT_EQ(SoakPlan(2, absl::ZeroDuration()).DueAfter(absl::ZeroDuration()), 2u);
  EXPECT_EQ(SoakPlan(0, absl::Seconds(30)).DueAfter(absl::Hours(1)), 0u);
}

// Two waves, and what happens from the moment when the first one soaks.
class Soak : public ::testing::Test {
 protected:
  void SetUp() override {
    world_.policy().soak = absl::Minutes(1);
    world_.policy().waves = {{.count = 3}, {.percent = 100}};
    plan_ = world_.Plan();
    first_ = world_.NamesIn(plan_, 1);
    world_.prober().Otherwise([this](const ProbeSpec& spec) {
      const std::string name = NameIn(spec);
      const bool soaking = world_.log().stored().state() == v1::Rollout::SOAKING;
      if (soaking) {
        ++looks_[name];
        if (looks_[name] == 1 && in_soak_ != nullptr) in_soak_(name);
      }
      if (soaking && seen_.count(name) > 0) return seen_[name](looks_[name]);
      return FakeProber::Serves(world_.node(name).served_to_controller_sha256("wildcard"));
    });
  }

  static std::string NameIn(const ProbeSpec& spec) {
    const std::string& address = std::get<TlsProbe>(spec.what).address;
    return address.substr(0, address.find(':'));
  }
  Rollout Execute() {
    const auto ended = world_.Execute(plan_);
    EXPECT_TRUE(ended.ok()) << ended.status();
    return ended.value_or(Rollout());
  }

  RolloutWorld world_{10};
  Rollout plan_;
  std::vector<std::string> first_;
  // By node: looks while it soaks, and what the n-th of them sees.
  std::map<std::string, int> looks_;
  std::map<std::string, std::function<Observation(int)>> seen_;
  std::function<void(const std::string&)> in_soak_;
};

TEST_F(Soak, LooksAtTheNodesThatHaveItAllTheTime) {
  EXPECT_EQ(Execute().state(), v1::Rollout::COMPLETED);
  EXPECT_THAT(looks_, SizeIs(3));
  for (const std::string& name : first_) EXPECT_EQ(looks_[name], 6) << name;
}

// Of one that was interrupted, parts of a second may be left.
TEST_F(Soak, SaysWholeSeconds) {
  plan_.mutable_policy()->mutable_soak()->set_seconds(0);
  plan_.mutable_policy()->mutable_soak()->set_nanos(299'987'826);
  EXPECT_EQ(Execute().state(), v1::Rollout::COMPLETED);
  std::vector<std::string> said;
  for (const auto& progress : world_.progress()) {
    if (progress.phase() == v1::ApplyEvent::Progress::SOAKING) said.push_back(progress.text());
  }
  EXPECT_THAT(said, ::testing::Contains("soaking for 1s before wave 2"));
}

TEST_F(Soak, HaltsWhenOneDoesNotServeItAnyMore) {
  in_soak_ = [this](const std::string& name) {
    if (name == first_[1]) world_.node(name).SetServedToController("wildcard", world_.OldLeaf());
  };
  const Rollout ended = Execute();
  EXPECT_EQ(ended.halted_because(), "1 failed, max_failures is 0");
  const v1::Rollout::Node bad = world_.ResultOf(ended, first_[1]);
  EXPECT_EQ(bad.step(), "soak");
  EXPECT_THAT(bad.detail(), HasSubstr("serves " + world_.OldLeaf()));
  EXPECT_EQ(bad.reason(), Reason::VERIFY_FAILED);
  EXPECT_THAT(world_.transport().NodesThatGot(kInstall), SizeIs(3));
  EXPECT_THAT(world_.transport().NodesThatGot(kRevert), SizeIs(3));
  EXPECT_EQ(ended.state(), v1::Rollout::REVERTED);
  EXPECT_TRUE(world_.AllServe(world_.OldLeaf()));
}

TEST_F(Soak, GoesOnWithinTheBudgetAndDoesNotAskAFailedNodeAgain) {
  plan_.mutable_policy()->set_max_failures(1);
  seen_[first_[0]] = [](int) { return FakeProber::Fails("connection refused"); };
  const Rollout ended = Execute();
  EXPECT_EQ(ended.state(), v1::Rollout::INCOMPLETE);
  EXPECT_EQ(world_.ResultOf(ended, first_[0]).outcome(), v1::Outcome::FAILED);
  EXPECT_EQ(ended.counts().good(), 9);
  EXPECT_EQ(looks_[first_[0]], 5);
}

TEST_F(Soak, OneLostHandshakeIsNothing) {
  seen_[first_[0]] = [this](int look) {
    return look == 3 ? FakeProber::Fails("connection reset") : FakeProber::Serves(world_.NewLeaf());
  };
  EXPECT_EQ(Execute().state(), v1::Rollout::COMPLETED);
}

TEST_F(Soak, PausesWhereItIsServedByTurns) {
  seen_[first_[0]] = [this](int look) {
    return FakeProber::Serves(look % 2 == 1 ? world_.OldLeaf() : world_.NewLeaf());
  };
  const Rollout paused = Execute();
  EXPECT_EQ(paused.state(), v1::Rollout::PAUSED);
  EXPECT_FALSE(paused.has_paused_by());
  EXPECT_THAT(paused.paused_because(),
              HasSubstr("node " + first_[0] + ": was good, and then: served it in 2 looks of 5"));
  EXPECT_EQ(world_.ResultOf(paused, first_[0]).reason(), Reason::PROBE_INCONCLUSIVE);
  EXPECT_EQ(world_.node(first_[0]).installed("wildcard").generation, 2u);

  // It has it still: nothing is installed or reloaded twice.
  seen_.clear();
  const auto ended = world_.Resume();
  ASSERT_TRUE(ended.ok()) << ended.status();
  EXPECT_EQ(ended->state(), v1::Rollout::COMPLETED);
  EXPECT_EQ(world_.node(first_[0]).reloads(), 1);
  EXPECT_EQ(world_.ResultOf(*ended, first_[0]).outcome(), v1::Outcome::UNCHANGED);
}

TEST_F(Soak, WhatWasInconclusiveInItGoesBackWithTheOthers) {
  seen_[first_[0]] = [this](int look) {
    return FakeProber::Serves(look % 2 == 1 ? world_.OldLeaf() : world_.NewLeaf());
  };
  ASSERT_EQ(Execute().state(), v1::Rollout::PAUSED);
  seen_.clear();
  world_.node(world_.NamesIn(plan_, 2)[0]).Inject(kInstall, Fault::Result(v1::Outcome::FAILED, Reason::NO_SPACE));
  const auto ended = world_.Resume();
  ASSERT_TRUE(ended.ok()) << ended.status();
  EXPECT_EQ(ended->state(), v1::Rollout::REVERTED);
  EXPECT_TRUE(world_.AllServe(world_.OldLeaf()));
}

TEST_F(Soak, ANodeThatNobodyCanAskIsMissingAndNotFailed) {
  seen_[first_[2]] = [](int) { return FakeProber::Fails("no route to host"); };
  in_soak_ = [this](const std::string& name) {
    if (name == first_[2]) world_.node(name).SetReachable(Fail(Reason::NO_ROUTE, "no route to host"));
  };
  const Rollout ended = Execute();
  EXPECT_EQ(ended.state(), v1::Rollout::INCOMPLETE);
  EXPECT_EQ(world_.ResultOf(ended, first_[2]).outcome(), v1::Outcome::UNREACHABLE);
  EXPECT_EQ(ended.counts().missing(), 1);
}

TEST_F(Soak, AsksTheNodeWhereThereIsNoEndpoint) {
  for (auto& [name, config] : world_.configs()) config.verify.clear();
  world_.OnCommand([this](const std::string& name, const v1::Command& command) {
    if (command.has_probe() && ++looks_[name] == 2) world_.node(name).SetServed("wildcard", world_.OldLeaf());
  });
  const Rollout ended = Execute();
  EXPECT_EQ(ended.state(), v1::Rollout::REVERTED);
  EXPECT_EQ(ended.halted_because(), "1 failed, max_failures is 0");
  int failed_in_soak = 0;
  for (const std::string& name : first_) failed_in_soak += looks_[name] == 6;
  EXPECT_EQ(failed_in_soak, 1);
}

TEST_F(Soak, GoesOnFromItsSavedStartAfterACrash) {
  in_soak_ = [this](const std::string&) { world_.stop() = true; };
  ASSERT_EQ(Execute().state(), v1::Rollout::SOAKING);
  in_soak_ = nullptr;
  looks_.clear();
  world_.clock().Advance(absl::Seconds(30));
  const absl::Duration before = world_.clock().slept();
  const auto ended = world_.Resume();
  ASSERT_TRUE(ended.ok()) << ended.status();
  EXPECT_EQ(ended->state(), v1::Rollout::COMPLETED);
  EXPECT_LE(world_.clock().slept() - before, absl::Seconds(30));
  EXPECT_GE(world_.clock().slept() - before, absl::Seconds(9));
  for (const std::string& name : first_) EXPECT_GE(looks_[name], 1) << name;
}

TEST_F(Soak, WhoseTimeWentByWithoutAControllerLooksAtEachNodeOnce) {
  in_soak_ = [this](const std::string&) { world_.stop() = true; };
  ASSERT_EQ(Execute().state(), v1::Rollout::SOAKING);
  in_soak_ = nullptr;
  looks_.clear();
  world_.clock().Advance(absl::Hours(30));
  const absl::Duration before = world_.clock().slept();
  ASSERT_TRUE(world_.Resume().ok());
  EXPECT_EQ(world_.clock().slept(), before);
  for (const std::string& name : first_) EXPECT_EQ(looks_[name], 1) << name;
}

TEST_F(Soak, AClockThatWasSetBackDoesNotProlongIt) {
  in_soak_ = [this](const std::string&) { world_.stop() = true; };
  ASSERT_EQ(Execute().state(), v1::Rollout::SOAKING);
  in_soak_ = nullptr;
  world_.clock().JumpTo(world_.clock().Now() - absl::Hours(24));
  const absl::Duration before = world_.clock().slept();
  ASSERT_TRUE(world_.Resume().ok());
  EXPECT_LE(world_.clock().slept() - before, absl::Minutes(1));
}

}  // namespace
}  // namespace certcast::controller
