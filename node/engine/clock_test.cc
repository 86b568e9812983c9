// A clock that is wrong, or set while something is under way: nothing new is installed by it, nothing that is here is
// taken back or confirmed because of it, and the wait for Confirm is as long as it was said to be.
#include <cerrno>
#include <functional>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "node/engine/engine.h"
#include "node/engine/simulated_node.h"
#include "tests/testing/status_matchers.h"

namespace certcast::node {
namespace {

using testing::HasReason;
using ::testing::HasSubstr;
using testing::IsOk;
using v1::Outcome;

constexpr absl::Duration Days(int days) {
  return absl::Hours(24 * days);
}

// All certificates of the tests are from 2020 to 2049, and it is 2030.
constexpr absl::Duration kFar = Days(365 * 30);

void Prepare(SimulatedNode& node) {
  node.AddService("nginx");
  node.AddService("haproxy");
  node.config.identity_not_before = node.clock.Now() - absl::Minutes(1);
  node.config.identity_not_after = node.clock.Now() + Days(30);
  ASSERT_THAT(node.Start(), IsOk());
  node.Bring(1);
}

Reason::Code RefusalOf(SimulatedNode& node, const v1::Command& command) {
  return node.Handle(command).refusal().failure().reason();
}

class ClockTest : public ::testing::Test {
 protected:
  void SetUp() override { Prepare(node); }

  void Restart() {
    node.Kill();
    ASSERT_THAT(node.Start(), IsOk());
  }
  void Reboot() {
    node.LosePower(0);
    ASSERT_THAT(node.Start(), IsOk());
  }
  void Jump(absl::Duration by) { node.clock.JumpTo(node.clock.Now() + by); }

  SimulatedNode node;
};

TEST_F(ClockTest, NothingIsInstalledByAClockFarAheadOrBehindAndServicesGoOn) {
  for (const absl::Duration jump : {kFar, -kFar, Days(365 * 10), -Days(365 * 10)}) {
    SCOPED_TRACE(absl::FormatDuration(jump));
    const v1::Command command = node.InstallCommand(2);
    const std::vector<std::string> generations = node.Generations();
    const int reloads = node.ReloadsOf("nginx");
    Jump(jump);
    const int operations = node.files.count();
    // Not EXPIRED, which every certificate is then, nor MANIFEST_EXPIRED.
    EXPECT_EQ(RefusalOf(node, command), Reason::CLOCK_SUSPICIOUS);
    EXPECT_EQ(node.files.count(), operations);
    EXPECT_EQ(node.Generations(), generations);
    EXPECT_EQ(node.FilesOf("nginx"), LeafOf(1));
    EXPECT_EQ(node.ReloadsOf("nginx"), reloads);
    EXPECT_EQ(node.running["nginx"].served, LeafOf(1));
    Restart();
    EXPECT_EQ(RefusalOf(node, command), Reason::CLOCK_SUSPICIOUS);
    EXPECT_EQ(node.FilesOf("nginx"), LeafOf(1));
    Jump(-jump);
  }
  // It was not taken up, so the same command goes through once the clock is right.
  v1::Command command = node.InstallCommand(2);
  Jump(kFar);
  EXPECT_EQ(RefusalOf(node, command), Reason::CLOCK_SUSPICIOUS);
  Jump(-kFar);
  EXPECT_EQ(node.ResultOf(command).outcome(), Outcome::INSTALLED);
}

TEST_F(ClockTest, TheInventorySaysSoAndWhatToDo) {
  EXPECT_FALSE(node.Describe().has_clock_failure());
  EXPECT_THAT(node.engine().CheckClock(), IsOk());
  Jump(kFar);
  const v1::Inventory inventory = node.Describe();
  EXPECT_EQ(inventory.clock_failure().reason(), Reason::CLOCK_SUSPICIOUS);
  EXPECT_THAT(inventory.clock_failure().detail(), HasSubstr("this machine's clock says 2059-"));
  EXPECT_THAT(inventory.clock_failure().detail(), HasSubstr("identity was valid until 2030-01-31"));
  EXPECT_THAT(inventory.clock_failure().hint(), HasSubstr("certcast-node recover --trust-clock"));
  EXPECT_THAT(node.engine().CheckClock(), HasReason(Reason::CLOCK_SUSPICIOUS));
}

TEST_F(ClockTest, BehindIsMoreThanAMinuteBeforeTheLatestBundle) {
  Jump(-absl::Minutes(1));
  EXPECT_THAT(node.engine().CheckClock(), IsOk());
  Jump(-absl::Seconds(1));
  EXPECT_THAT(node.engine().CheckClock(), HasReason(Reason::CLOCK_SUSPICIOUS));
  // What was signed then counts, not when it came or what the clock said meanwhile.
  Jump(absl::Seconds(1) + Days(10));
  v1::Command command = node.InstallCommand(2);
  node.clock.Advance(absl::Hours(20));
  ASSERT_EQ(node.ResultOf(command).outcome(), Outcome::INSTALLED);
  Jump(-absl::Hours(20));
  EXPECT_THAT(node.engine().CheckClock(), IsOk());
  Jump(-absl::Minutes(2));
  EXPECT_THAT(node.engine().CheckClock(), HasReason(Reason::CLOCK_SUSPICIOUS));
}

TEST_F(ClockTest, ARefusedBundleSaysNothingOfTheTime) {
  v1::Command command = node.InstallCommand(2);
  Jump(Days(2));
  ASSERT_EQ(node.ResultOf(command).failure().reason(), Reason::MANIFEST_EXPIRED);
  v1::Command later = node.InstallCommand(2);
  Jump(-Days(2));
  EXPECT_EQ(node.ResultOf(later).failure().reason(), Reason::MANIFEST_EXPIRED);
  EXPECT_THAT(node.engine().CheckClock(), IsOk());
}

TEST_F(ClockTest, BehindIsAlsoBeforeTheIdentityWasMade) {
  SimulatedNode fresh;
  fresh.AddService("nginx");
  fresh.config.identity_not_before = fresh.clock.Now();
  fresh.config.identity_not_after = fresh.clock.Now() + Days(30);
  ASSERT_THAT(fresh.Start(), IsOk());
  fresh.clock.JumpTo(fresh.clock.Now() - absl::Minutes(2));
  EXPECT_EQ(RefusalOf(fresh, fresh.InstallCommand(1)), Reason::CLOCK_SUSPICIOUS);
  EXPECT_EQ(fresh.FilesOf("nginx"), kNothing);
  // An operator's word does not make the identity valid.
  EXPECT_THAT(fresh.engine().TrustClock(), HasReason(Reason::CLOCK_SUSPICIOUS));
  fresh.clock.JumpTo(fresh.clock.Now() + absl::Minutes(1));
  EXPECT_THAT(fresh.engine().TrustClock(), IsOk());
}

TEST_F(ClockTest, AMachineThatWasOffForMonthsIsNotSuspicious) {
  node.LosePower(0);
  Jump(Days(13 * 30));
  ASSERT_THAT(node.Start(), IsOk());
  EXPECT_FALSE(node.Describe().has_clock_failure());
  EXPECT_EQ(node.Install(2).outcome(), Outcome::INSTALLED);
}

TEST_F(ClockTest, AnOperatorMayTakeTheClockForRight) {
  for (const absl::Duration jump : {Days(365 * 2), -absl::Minutes(5)}) {
    Jump(jump);
    if (jump < absl::ZeroDuration()) node.config.identity_not_before = node.clock.Now() - Days(1);
    Restart();
    EXPECT_EQ(RefusalOf(node, node.InstallCommand(2)), Reason::CLOCK_SUSPICIOUS);
    ASSERT_THAT(node.engine().TrustClock(), IsOk());
    Restart();
    EXPECT_THAT(node.engine().CheckClock(), IsOk());
  }
  EXPECT_EQ(node.Install(2).outcome(), Outcome::INSTALLED);
}

TEST_F(ClockTest, AnotherFleetsClockIsForgotten) {
  Jump(-absl::Hours(1));
  node.config.identity_not_before = node.clock.Now();
  ASSERT_THAT(node.engine().CheckClock(), HasReason(Reason::CLOCK_SUSPICIOUS));
  node.config.fleet->id = "another-fleet";
  Restart();
  EXPECT_THAT(node.engine().CheckClock(), IsOk());
}

TEST_F(ClockTest, WhatIsHereIsConfirmedAndTakenBackByAnyClock) {
  for (const absl::Duration jump : {kFar, -kFar}) {
    const uint64_t generation = jump > absl::ZeroDuration() ? 2 : 3;
    ASSERT_EQ(node.Install(generation).outcome(), Outcome::INSTALLED);
    Jump(jump);
    EXPECT_EQ(node.Confirm(generation).outcome(), Outcome::INSTALLED);
    const v1::InstallResult reverted = node.Revert(generation);
    EXPECT_EQ(reverted.outcome(), Outcome::REVERTED) << reverted.ShortDebugString();
    EXPECT_EQ(node.running["nginx"].served, LeafOf(1));
    Jump(-jump);
  }
}

TEST_F(ClockTest, TheWaitForConfirmIsAsLongAfterARestartWhateverTheClockSays) {
  uint64_t generation = 2;
  for (const absl::Duration jump : {kFar, -kFar, absl::Hours(2), -absl::Hours(2)}) {
    SCOPED_TRACE(absl::FormatDuration(jump));
    const v1::Command command = node.InstallCommand(generation);
    ASSERT_EQ(node.ResultOf(command).outcome(), Outcome::INSTALLED);
    node.clock.Advance(absl::Seconds(20));
    node.Kill();
    Jump(jump);
    ASSERT_THAT(node.Start(), IsOk());
    EXPECT_THAT(node.engine().Recovered().line, HasSubstr("waits for Confirm for another 40s"));
    EXPECT_EQ(node.engine().ConfirmBy(), node.clock.Now() + absl::Seconds(40));
    EXPECT_EQ(node.Describe().certificates(0).confirm_by().seconds(),
              absl::ToUnixSeconds(node.clock.Now() + absl::Seconds(40)));
    EXPECT_EQ(node.ResultOf(command).confirm_by().seconds(), absl::ToUnixSeconds(node.clock.Now() + absl::Seconds(40)));
    EXPECT_EQ(node.FilesOf("nginx"), LeafOf(generation));
    node.clock.Advance(absl::Seconds(30));
    Restart();
    Jump(-jump);
    EXPECT_EQ(node.engine().ConfirmBy(), node.clock.Now() + absl::Seconds(10));
    const v1::Failure busy = node.Handle(node.InstallCommand(9)).refusal().failure();
    EXPECT_EQ(busy.reason(), Reason::BUSY);
    EXPECT_THAT(busy.detail(), HasSubstr("waits for Confirm for another 10s"));
    if (jump == -kFar) {
      EXPECT_EQ(node.Confirm(generation).outcome(), Outcome::INSTALLED);
      EXPECT_EQ(node.Revert(generation).outcome(), Outcome::REVERTED);
    } else {
      node.clock.Advance(absl::Seconds(10));
      ASSERT_THAT(node.engine().RevertIfOverdue(), IsOk());
    }
    EXPECT_EQ(node.FilesOf("nginx"), LeafOf(1));
    ++generation;
  }
}

TEST_F(ClockTest, AWaitThatIsOverGoesBackAlsoToWhatHasExpiredByAClockThatWasSet) {
  for (const absl::Duration jump : {kFar, -kFar}) {
    const v1::Command command = node.InstallCommand(jump > absl::ZeroDuration() ? 2 : 3);
    ASSERT_EQ(node.ResultOf(command).outcome(), Outcome::INSTALLED);
    node.clock.Advance(absl::Minutes(2));
    Jump(jump);
    Restart();
    EXPECT_EQ(node.ResultOf(command).outcome(), Outcome::REVERTED);
    EXPECT_EQ(node.ResultOf(command).failure().reason(), Reason::NOT_CONFIRMED);
    EXPECT_EQ(node.running["nginx"].served, LeafOf(1));
    Jump(-jump);
  }
}

TEST_F(ClockTest, AfterAnotherBootTheWaitCountsFromThat) {
  uint64_t generation = 2;
  for (const absl::Duration jump : {absl::ZeroDuration(), kFar, -kFar, Days(90)}) {
    SCOPED_TRACE(absl::FormatDuration(jump));
    ASSERT_EQ(node.Install(generation).outcome(), Outcome::INSTALLED);
    node.clock.Advance(absl::Seconds(50));
    node.LosePower(0);
    Jump(jump);
    node.clock.Advance(absl::Seconds(20));
    ASSERT_THAT(node.Start(), IsOk());
    EXPECT_EQ(node.engine().ConfirmBy(), node.clock.Now() + absl::Seconds(40));
    EXPECT_EQ(node.FilesOf("nginx"), LeafOf(generation));
    node.LosePower(0);
    node.clock.Advance(absl::Seconds(61));
    ASSERT_THAT(node.Start(), IsOk());
    EXPECT_EQ(node.engine().ConfirmBy(), std::nullopt);
    EXPECT_EQ(node.FilesOf("nginx"), LeafOf(1));
    EXPECT_EQ(node.running["nginx"].served, LeafOf(1));
    Jump(-jump);
    ++generation;
  }
}

TEST_F(ClockTest, AMachineThatDoesNotNameItsBootsIsToldApartByItsUptime) {
  node.clock.SetBootId("");
  ASSERT_EQ(node.Install(2).outcome(), Outcome::INSTALLED);
  node.clock.Advance(absl::Seconds(20));
  Restart();
  EXPECT_EQ(node.engine().ConfirmBy(), node.clock.Now() + absl::Seconds(40));
  node.LosePower(0);
  node.clock.SetBootId("");
  node.clock.Advance(absl::Seconds(50));
  ASSERT_THAT(node.Start(), IsOk());
  EXPECT_EQ(node.engine().ConfirmBy(), node.clock.Now() + absl::Seconds(10));
}

// A host over SSH: what it knows of the time is what bundles say.
class HostedClockTest : public ClockTest {
 protected:
  void SetUp() override {
    node.AddService("nginx");
    node.config.hosted = true;
    ASSERT_THAT(node.Start(), IsOk());
  }

  v1::Command BundleOf(uint64_t generation, absl::Time signed_at, absl::Duration lifetime = Days(1)) {
    v1::Command command = node.InstallCommand(generation);
    *command.mutable_install()->mutable_bundle() =
        SignerOfTests().Bundle(IssuedFor(generation), "wildcard", generation, signed_at, lifetime);
    return command;
  }
};

TEST_F(HostedClockTest, NothingIsInstalledByAClockFarAheadOrBehindAndServicesGoOn) {
  for (const bool is_known : {false, true}) {
    if (is_known) node.Bring(1);
    const std::string before = is_known ? LeafOf(1) : kNothing;
    for (const absl::Duration jump : {Days(365 * 10), -Days(365 * 10), kFar, -kFar}) {
      SCOPED_TRACE(absl::StrCat(absl::FormatDuration(jump), is_known ? " later" : " at first contact"));
      const v1::Command command = node.InstallCommand(2);
      const std::vector<std::string> generations = node.Generations();
      Jump(jump);
      const int begin = node.files.count();
      const v1::Failure refused = node.Handle(command).refusal().failure();
      EXPECT_EQ(refused.reason(), Reason::CLOCK_SUSPICIOUS) << refused.ShortDebugString();
      EXPECT_THAT(refused.hint(), HasSubstr("set the clock"));
      // The controller's epoch is remembered.
      const std::vector<std::string> operations = node.files.operations();
      EXPECT_THAT(std::vector<std::string>(operations.begin() + begin, operations.end()),
                  ::testing::Each(HasSubstr("OverwriteFile /var/lib/certcast-node/state.")));
      EXPECT_EQ(node.Generations(), generations);
      EXPECT_EQ(node.FilesOf("nginx"), before);
      EXPECT_EQ(node.running["nginx"].served, is_known ? LeafOf(1) : "");
      Jump(-jump);
    }
  }
  // It was not taken up, so the same command goes through once the clock is right.
  const v1::Command command = node.InstallCommand(2);
  Jump(Days(365 * 10));
  EXPECT_EQ(RefusalOf(node, command), Reason::CLOCK_SUSPICIOUS);
  Jump(-Days(365 * 10));
  EXPECT_EQ(node.ResultOf(command).outcome(), Outcome::INSTALLED);
}

TEST_F(HostedClockTest, AheadIsMoreThanAYearAfterTheBundleAndTheLatestOne) {
  node.Bring(1);
  const v1::Command command = BundleOf(2, node.clock.Now());
  Jump(Days(1 + 365));
  EXPECT_EQ(node.ResultOf(command).failure().reason(), Reason::MANIFEST_EXPIRED);
  Jump(absl::Seconds(1));
  const v1::Failure refused =
      node.Handle(BundleOf(2, node.clock.Now() - Days(1 + 365) - absl::Seconds(1))).refusal().failure();
  EXPECT_EQ(refused.reason(), Reason::CLOCK_SUSPICIOUS);
  EXPECT_THAT(refused.detail(),
              HasSubstr("this machine's clock says 2031-01-02 00:00:01 UTC, more than a year after all "
                        "that this node knows: this bundle counted until 2030-01-02 00:00:00 UTC, the "
                        "latest bundle that it accepted was signed at 2030-01-01 00:00:00 UTC"));
  // One that still counts by this clock says nothing against it.
  EXPECT_EQ(node.ResultOf(BundleOf(2, node.clock.Now() - Days(800), Days(801))).outcome(), Outcome::INSTALLED);
}

TEST_F(HostedClockTest, AnOldBundleIsRefusedByARightClockAndToldAsOldWhereOneIsKnown) {
  const v1::Command old = BundleOf(3, node.clock.Now());
  Jump(Days(365 * 2));
  EXPECT_EQ(RefusalOf(node, old), Reason::CLOCK_SUSPICIOUS);
  EXPECT_EQ(node.FilesOf("nginx"), kNothing);
  // The machine was off for two years, and its clock is right: what comes now goes through.
  node.Bring(1);
  EXPECT_EQ(node.ResultOf(old).failure().reason(), Reason::MANIFEST_EXPIRED);
  EXPECT_EQ(node.FilesOf("nginx"), LeafOf(1));
}

TEST_F(HostedClockTest, OnlyABundleOfTheFleetSaysWhatTimeItIs) {
  const absl::Time long_ago = node.clock.Now() - Days(365 * 10);
  v1::Command forged = BundleOf(1, long_ago);
  (*forged.mutable_install()->mutable_bundle()->mutable_signature())[5] ^= 1;
  EXPECT_EQ(node.ResultOf(forged).failure().reason(), Reason::SIGNATURE_INVALID);
  v1::Command foreign = BundleOf(1, long_ago);
  v1::Manifest manifest;
  ASSERT_TRUE(manifest.ParseFromString(foreign.install().bundle().manifest()));
  manifest.set_fleet_id("other-fleet");
  *foreign.mutable_install()->mutable_bundle() = SignerOfTests().Resign(foreign.install().bundle(), manifest);
  EXPECT_EQ(node.ResultOf(foreign).failure().reason(), Reason::FOREIGN_FLEET);
}

TEST_F(HostedClockTest, TheWayOutIsForAHostWithoutAnAgent) {
  node.Bring(1);
  Jump(-absl::Hours(1));
  const v1::Failure refused = node.Handle(node.InstallCommand(2)).refusal().failure();
  EXPECT_EQ(refused.reason(), Reason::CLOCK_SUSPICIOUS);
  EXPECT_THAT(refused.hint(), HasSubstr("`certcast-node recover --state /var/lib/certcast-node --trust-clock`"));
  EXPECT_THAT(refused.hint(), ::testing::Not(HasSubstr("stop the agent")));
  ASSERT_THAT(node.engine().TrustClock(), IsOk());
  EXPECT_EQ(node.Install(2).outcome(), Outcome::INSTALLED);
}

// In another boot nothing but the clock says whether what there was before has expired, and by this one it has.
TEST_F(HostedClockTest, GoesBackAfterABootAlsoByAClockThatWasFarAheadSinceItBegan) {
  node.Bring(1);
  for (const absl::Duration jump : {kFar, -kFar}) {
    SCOPED_TRACE(absl::FormatDuration(jump));
    const v1::Command command = node.InstallCommand(jump > absl::ZeroDuration() ? 2 : 3);
    ASSERT_EQ(node.ResultOf(command).outcome(), Outcome::INSTALLED);
    node.LosePower(0);
    Jump(jump);
    node.clock.Advance(absl::Minutes(2));
    ASSERT_THAT(node.Start(), IsOk());
    EXPECT_EQ(node.ResultOf(command).outcome(), Outcome::REVERTED) << node.ResultOf(command).ShortDebugString();
    EXPECT_EQ(node.running["nginx"].served, LeafOf(1));
    Jump(-jump);
  }
}

// What is done, and how it ends; the clock is set somewhere in the middle.
struct Story {
  std::string name;
  std::function<void(SimulatedNode&)> prepare;
  Outcome::Code outcome;
  uint64_t in_force;

  friend std::ostream& operator<<(std::ostream& out, const Story& story) { return out << story.name; }
};

std::vector<Story> Stories() {
  return {
      {"AnInstall", [](SimulatedNode&) {}, Outcome::INSTALLED, 2},
      {"AFailedCheck", [](SimulatedNode& node) { node.running["haproxy"].check_error = "line 3"; }, Outcome::REVERTED,
       1},
      {"AFailedReload", [](SimulatedNode& node) { node.running["haproxy"].reload_exit_code = 1; }, Outcome::FAILED, 1},
      {"AServiceThatGoesOnWithTheOldOne",
       [](SimulatedNode& node) {
         node.running["haproxy"].ignores_reload = true;
         node.running["haproxy"].served = LeafOf(1);
       },
       Outcome::REVERTED, 1},
  };
}

class ClockTable : public ::testing::TestWithParam<std::tuple<Story, absl::Duration>> {
 protected:
  // Sets the clock before the n-th operation from now.
  static void JumpAt(SimulatedNode& node, int n, absl::Duration by) {
    node.files.FailWhere(
        [&node, n, by, count = 0](absl::string_view) mutable {
          if (++count == n) node.clock.JumpTo(node.clock.Now() + by);
          return false;
        },
        EIO);
  }
};

TEST_P(ClockTable, EndsAsItWouldHaveWhereverTheClockIsSet) {
  const auto& [story, jump] = GetParam();
  for (int n = 1;; ++n) {
    SCOPED_TRACE(absl::StrCat("set before operation ", n));
    SimulatedNode node;
    Prepare(node);
    story.prepare(node);
    const v1::Command command = node.InstallCommand(2);
    const int before = node.files.count();
    JumpAt(node, n, jump);
    const v1::InstallResult result = node.ResultOf(command);
    const bool was_set = node.files.count() - before >= n;
    node.files.Heal();
    EXPECT_EQ(result.outcome(), story.outcome) << result.ShortDebugString();
    EXPECT_EQ(node.FilesOf("nginx"), LeafOf(story.in_force));
    EXPECT_EQ(node.FilesOf("haproxy"), LeafOf(story.in_force));
    if (story.outcome == Outcome::INSTALLED) {
      EXPECT_EQ(node.engine().ConfirmBy(), node.clock.Now() + absl::Seconds(60));
      EXPECT_EQ(node.Confirm(2).outcome(), Outcome::INSTALLED);
    }
    EXPECT_EQ(node.engine().ConfirmBy(), std::nullopt);
    if (!was_set) {
      EXPECT_GT(n, 30);
      break;
    }
  }
}

// Killed at each operation, and started again by another clock: as it would be by the same one.
TEST_P(ClockTable, ARestartByAnotherClockRecoversAsByTheSame) {
  const auto& [story, jump] = GetParam();
  for (int n = 1;; ++n) {
    SCOPED_TRACE(absl::StrCat("killed at operation ", n));
    bool crashed = false;
    std::vector<std::string> ends;
    for (const absl::Duration by : {absl::ZeroDuration(), jump}) {
      SimulatedNode node;
      Prepare(node);
      story.prepare(node);
      const v1::Command command = node.InstallCommand(2);
      node.files.CrashAt(node.files.count() + n);
      node.Handle(command);
      crashed = node.files.has_crashed();
      node.Kill();
      node.clock.JumpTo(node.clock.Now() + by);
      ASSERT_THAT(node.Start(), IsOk());
      const std::optional<absl::Time> confirm_by = node.engine().ConfirmBy();
      ends.push_back(absl::StrCat(
          node.FilesOf("nginx"), " ", node.FilesOf("haproxy"), " ", node.running["nginx"].served, " ",
          node.ReloadsOf("nginx"), " ", node.Describe().certificates(0).generation(), " ",
          confirm_by.has_value() ? absl::FormatDuration(*confirm_by - node.clock.Now()) : "nothing waits"));
    }
    EXPECT_EQ(ends[0], ends[1]);
    if (!crashed) {
      EXPECT_GT(n, 30);
      break;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, ClockTable,
                         ::testing::Combine(::testing::ValuesIn(Stories()), ::testing::Values(kFar, -kFar, Days(90))),
                         [](const auto& info) {
                           const absl::Duration jump = std::get<1>(info.param);
                           const char* when = jump == kFar ? "FarAhead" : jump == -kFar ? "FarBehind" : "MonthsAhead";
                           return absl::StrCat(std::get<0>(info.param).name, when);
                         });

}  // namespace
}  // namespace certcast::node
