// A node that changes hands: what another fleet said counts no more, and services go on with what they have.
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "node/engine/engine.h"
#include "node/engine/simulated_node.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/test_fleet.h"

namespace certcast::node {
namespace {

using ::testing::ElementsAre;
using testing::IsOk;
using v1::Outcome;

class FleetChangeTest : public ::testing::Test {
 protected:
  void SetUp() override { Prepare(node); }

  // Generation 5 in force, 4 before it, in epoch 9 of the fleet that it leaves.
  static void Prepare(SimulatedNode& node) {
    node.AddService("nginx");
    ASSERT_THAT(node.Start(), IsOk());
    node.Bring(4);
    node.Bring(5);
    v1::Command of_epoch_nine = node.InstallCommand(5);
    of_epoch_nine.set_epoch(9);
    ASSERT_EQ(node.ResultOf(of_epoch_nine).outcome(), Outcome::UNCHANGED);
  }

  static void GiveTo(SimulatedNode& node, const testing::TestFleet& fleet) {
    node.config.fleet = EngineConfig::Fleet{fleet.id(), fleet.key()};
    node.Kill();
  }

  // The other fleet's generation 1: what IssuedFor(2) is.
  v1::InstallResult InstallFirst() {
    v1::Command command = node.InstallCommand(2);
    *command.mutable_install()->mutable_bundle() =
        another.Bundle(IssuedFor(2), "wildcard", /*generation=*/1, node.clock.Now());
    return node.ResultOf(command);
  }
  v1::InstallResult ConfirmFirst() {
    v1::Command confirm;
    confirm.set_id(node.NewCommandId());
    confirm.set_epoch(1);
    confirm.mutable_confirm()->set_certificate("wildcard");
    confirm.mutable_confirm()->set_generation(1);
    confirm.mutable_confirm()->set_leaf_sha256(LeafOf(2));
    return node.ResultOf(confirm);
  }

  SimulatedNode node;
  const testing::TestFleet another{"another-fleet"};
};

TEST_F(FleetChangeTest, ServicesGoOnAndCountingStartsAnew) {
  const int reloads = node.ReloadsOf("nginx");
  GiveTo(node, another);
  ASSERT_THAT(node.Start(), IsOk());
  EXPECT_EQ(node.FilesOf("nginx"), LeafOf(5));
  EXPECT_EQ(node.ReloadsOf("nginx"), reloads);
  const v1::Inventory::Certificate has = node.Describe().certificates(0);
  EXPECT_EQ(has.generation(), 0);
  EXPECT_EQ(has.leaf_sha256(), LeafOf(5));
  EXPECT_EQ(has.highest_generation(), 0);
  EXPECT_FALSE(has.confirmed());
  EXPECT_THAT(node.Describe().services(0).drift(), ::testing::IsEmpty());

  EXPECT_EQ(InstallFirst().outcome(), Outcome::INSTALLED);
  EXPECT_EQ(ConfirmFirst().outcome(), Outcome::INSTALLED);
  EXPECT_EQ(node.Describe().certificates(0).highest_generation(), 1);
  EXPECT_EQ(node.FilesOf("nginx"), LeafOf(2));
  // The other fleet's generation 4 leads nowhere any more.
  EXPECT_THAT(node.Generations(), ElementsAre("0", "1", "5"));
}

TEST_F(FleetChangeTest, AFirstInstallThatFailsGoesBackToWhatTheOtherFleetLeft) {
  GiveTo(node, another);
  ASSERT_THAT(node.Start(), IsOk());
  node.running["nginx"].check_error = "broken";
  EXPECT_EQ(InstallFirst().outcome(), Outcome::REVERTED);
  EXPECT_EQ(node.FilesOf("nginx"), LeafOf(5));
  EXPECT_EQ(node.Describe().certificates(0).generation(), 0);
}

TEST_F(FleetChangeTest, WhatTheOtherFleetLeftCanBeGoneBackToByCommand) {
  GiveTo(node, another);
  ASSERT_THAT(node.Start(), IsOk());
  ASSERT_EQ(InstallFirst().outcome(), Outcome::INSTALLED);
  ASSERT_EQ(ConfirmFirst().outcome(), Outcome::INSTALLED);
  const v1::InstallResult reverted = node.Revert(1);
  EXPECT_EQ(reverted.outcome(), Outcome::REVERTED) << reverted.ShortDebugString();
  EXPECT_EQ(reverted.generation_in_force(), 0);
  EXPECT_EQ(node.running["nginx"].served, LeafOf(5));
}

TEST_F(FleetChangeTest, AnotherFleetsCommandIdsAreNotTakenForItsOwn) {
  v1::Command old = node.InstallCommand(5);
  old.set_epoch(9);
  ASSERT_EQ(node.ResultOf(old).outcome(), Outcome::UNCHANGED);
  GiveTo(node, another);
  ASSERT_THAT(node.Start(), IsOk());
  v1::Command same_id = node.InstallCommand(2);
  same_id.set_id(old.id());
  *same_id.mutable_install()->mutable_bundle() = another.Bundle(IssuedFor(2), "wildcard", 1, node.clock.Now());
  EXPECT_EQ(node.ResultOf(same_id).outcome(), Outcome::INSTALLED);
}

TEST_F(FleetChangeTest, TheOldFleetsBundlesAreRefused) {
  GiveTo(node, another);
  ASSERT_THAT(node.Start(), IsOk());
  const v1::InstallResult result = node.Install(6);
  EXPECT_EQ(result.outcome(), Outcome::FAILED);
  EXPECT_EQ(result.failure().reason(), Reason::SIGNATURE_INVALID);
  EXPECT_EQ(node.FilesOf("nginx"), LeafOf(5));
}

TEST_F(FleetChangeTest, WhatWaitsForTheOldFleetsConfirmGoesBackAtOnce) {
  v1::Command install = node.InstallCommand(6);
  install.set_epoch(9);
  ASSERT_EQ(node.ResultOf(install).outcome(), Outcome::INSTALLED);
  GiveTo(node, another);
  ASSERT_THAT(node.Start(), IsOk());
  EXPECT_THAT(node.engine().Recovered().line, ::testing::HasSubstr("REVERTED NOT_CONFIRMED"));
  EXPECT_EQ(node.engine().ConfirmBy(), std::nullopt);
  EXPECT_EQ(node.FilesOf("nginx"), LeafOf(5));
  EXPECT_EQ(node.running["nginx"].served, LeafOf(5));
  EXPECT_EQ(InstallFirst().outcome(), Outcome::INSTALLED);
}

TEST_F(FleetChangeTest, ARestartInTheSameFleetKeepsWhatWasAccepted) {
  node.Kill();
  ASSERT_THAT(node.Start(), IsOk());
  EXPECT_EQ(node.Describe().certificates(0).highest_generation(), 5);
  EXPECT_EQ(node.Handle(node.InstallCommand(6)).refusal().failure().reason(), Reason::STALE_EPOCH);
}

// Killed, or without power, at each operation of the start under the new identity.
TEST_F(FleetChangeTest, ACrashAtAnyPointOfItIsGoneOnFrom) {
  for (const bool waiting : {false, true}) {
    for (const uint64_t seed : {0, 1, 2, 3}) {
      int at = 1;
      for (bool crashed = true; crashed; ++at) {
        SCOPED_TRACE(absl::StrCat("operation ", at, ", seed ", seed, waiting ? ", waiting for Confirm" : ""));
        SimulatedNode victim;
        Prepare(victim);
        v1::Command install = victim.InstallCommand(6);
        install.set_epoch(9);
        if (waiting) victim.Handle(install);
        GiveTo(victim, another);
        victim.files.CrashAt(victim.files.count() + at);
        (void)victim.Start();
        crashed = victim.files.has_crashed();
        if (seed == 0) {
          victim.Kill();
        } else {
          victim.LosePower(seed);
        }
        EXPECT_THAT(victim.FilesOf("nginx"), ::testing::AnyOf(LeafOf(5), LeafOf(6)));
        ASSERT_THAT(victim.Start(), IsOk());
        EXPECT_EQ(victim.FilesOf("nginx"), LeafOf(5));
        EXPECT_EQ(victim.Describe().certificates(0).generation(), 0);
        EXPECT_EQ(victim.Describe().certificates(0).highest_generation(), 0);
        v1::Command first = victim.InstallCommand(2);
        *first.mutable_install()->mutable_bundle() = another.Bundle(IssuedFor(2), "wildcard", 1, victim.clock.Now());
        EXPECT_EQ(victim.ResultOf(first).outcome(), Outcome::INSTALLED);
      }
      EXPECT_GT(at, 10);
    }
  }
}

}  // namespace
}  // namespace certcast::node
