// Commands: what is answered, repeated, refused, confirmed, taken back.
#include "node/engine/engine.h"

#include <cerrno>
#include <string>
#include <thread>

#include "absl/synchronization/notification.h"
#include "common/clock/timestamp.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "node/engine/simulated_node.h"
#include "tests/testing/status_matchers.h"

namespace certcast::node {
namespace {

using testing::HasReason;
using ::testing::HasSubstr;
using testing::IsOk;
using v1::Outcome;

class EngineTest : public ::testing::Test {
 protected:
  void SetUp() override {
    node.AddService("nginx");
    ASSERT_THAT(node.Start(), IsOk());
    node.Bring(1);
    reloads = node.ReloadsOf("nginx");
  }

  SimulatedNode node;
  int reloads = 0;
};

TEST_F(EngineTest, TheSameCommandGivesTheSameResultAndNoSecondReload) {
  const v1::Command command = node.InstallCommand(2);
  const v1::InstallResult first = node.ResultOf(command);
  const v1::InstallResult second = node.ResultOf(command);
  EXPECT_EQ(first.SerializeAsString(), second.SerializeAsString());
  EXPECT_EQ(node.ReloadsOf("nginx"), reloads + 1);
}

TEST_F(EngineTest, TheSameCommandGivesTheSameResultAfterARestart) {
  const v1::Command command = node.InstallCommand(2);
  const v1::InstallResult first = node.ResultOf(command);
  node.Kill();
  ASSERT_THAT(node.Start(), IsOk());
  EXPECT_EQ(node.ResultOf(command).SerializeAsString(), first.SerializeAsString());
  EXPECT_EQ(node.ReloadsOf("nginx"), reloads + 1);
}

TEST_F(EngineTest, ARefusedBundleStaysRefusedUnderItsId) {
  v1::Command command = node.InstallCommand(2);
  node.clock.Advance(absl::Hours(48));
  EXPECT_EQ(node.ResultOf(command).failure().reason(), Reason::MANIFEST_EXPIRED);
  node.clock.JumpTo(node.clock.Now() - absl::Hours(48));
  EXPECT_EQ(node.ResultOf(command).failure().reason(), Reason::MANIFEST_EXPIRED);
}

TEST_F(EngineTest, AfterConfirmTheInstallIsNotWaitingAnyMore) {
  const v1::Command command = node.InstallCommand(2);
  EXPECT_TRUE(node.ResultOf(command).has_confirm_by());
  node.Confirm(2);
  const v1::InstallResult again = node.ResultOf(command);
  EXPECT_EQ(again.outcome(), Outcome::INSTALLED);
  EXPECT_FALSE(again.has_confirm_by());
}

TEST_F(EngineTest, ConfirmIsIdempotent) {
  node.Bring(2);
  EXPECT_EQ(node.Confirm(2).outcome(), Outcome::INSTALLED);
  EXPECT_EQ(node.ReloadsOf("nginx"), reloads + 1);
}

TEST_F(EngineTest, AConfirmThatCouldNotBeSavedMayComeAgain) {
  for (const int nth : {1, 2}) {
    ASSERT_EQ(node.Install(1 + nth).outcome(), Outcome::INSTALLED);
    v1::Command command;
    command.set_id(node.NewCommandId());
    command.set_epoch(1);
    command.mutable_confirm()->set_certificate("wildcard");
    command.mutable_confirm()->set_generation(1 + nth);
    command.mutable_confirm()->set_leaf_sha256(LeafOf(1 + nth));
    // The journal is the first that is written, the state the second.
    node.files.FailAt(node.files.count() + nth, EIO);
    EXPECT_EQ(node.Handle(command).refusal().failure().reason(), Reason::STORAGE_FAILED);
    EXPECT_EQ(node.Handle(command).install_result().outcome(), Outcome::INSTALLED);
    EXPECT_TRUE(node.Describe().certificates(0).confirmed());
  }
}

TEST_F(EngineTest, AConfirmOfAnotherGenerationIsStale) {
  node.Install(2);
  const v1::InstallResult result = node.Confirm(1);
  EXPECT_EQ(result.outcome(), Outcome::FAILED);
  EXPECT_EQ(result.failure().reason(), Reason::STALE_COMMAND);
  EXPECT_TRUE(node.engine().ConfirmBy().has_value());
}

TEST_F(EngineTest, AConfirmOfAnotherLeafIsStale) {
  node.Install(2);
  v1::Command command;
  command.set_id("x");
  command.set_epoch(1);
  command.mutable_confirm()->set_certificate("wildcard");
  command.mutable_confirm()->set_generation(2);
  command.mutable_confirm()->set_leaf_sha256(LeafOf(3));
  EXPECT_EQ(node.ResultOf(command).failure().reason(), Reason::STALE_COMMAND);
}

TEST_F(EngineTest, WithoutConfirmItGoesBackAtTheDeadline) {
  const v1::Command command = node.InstallCommand(2);
  const v1::InstallResult waiting = node.ResultOf(command);
  ASSERT_EQ(node.engine().ConfirmBy(), FromTimestamp(waiting.confirm_by()));
  node.clock.Advance(absl::Seconds(59));
  EXPECT_THAT(node.engine().RevertIfOverdue(), IsOk());
  EXPECT_EQ(node.FilesOf("nginx"), LeafOf(2));
  node.clock.Advance(absl::Seconds(1));
  EXPECT_THAT(node.engine().RevertIfOverdue(), IsOk());
  EXPECT_EQ(node.FilesOf("nginx"), LeafOf(1));
  EXPECT_EQ(node.running["nginx"].served, LeafOf(1));
  EXPECT_EQ(node.engine().ConfirmBy(), std::nullopt);
  // Who asks again learns it.
  const v1::InstallResult result = node.ResultOf(command);
  EXPECT_EQ(result.outcome(), Outcome::REVERTED);
  EXPECT_EQ(result.failure().reason(), Reason::NOT_CONFIRMED);
  EXPECT_EQ(node.Confirm(2).failure().reason(), Reason::STALE_COMMAND);
}

TEST_F(EngineTest, TheDeadlineDoesNotMoveWithTheWallClock) {
  node.Install(2);
  node.clock.JumpTo(node.clock.Now() + absl::Hours(10));
  EXPECT_THAT(node.engine().RevertIfOverdue(), IsOk());
  EXPECT_EQ(node.FilesOf("nginx"), LeafOf(2));
  EXPECT_EQ(node.engine().ConfirmBy(), node.clock.Now() + absl::Seconds(60));
  node.clock.JumpTo(node.clock.Now() - absl::Hours(20));
  node.clock.Advance(absl::Seconds(60));
  EXPECT_THAT(node.engine().RevertIfOverdue(), IsOk());
  EXPECT_EQ(node.FilesOf("nginx"), LeafOf(1));
}

TEST_F(EngineTest, ALateConfirmFindsItPutBack) {
  node.Install(2);
  node.clock.Advance(absl::Seconds(61));
  EXPECT_EQ(node.Confirm(2).failure().reason(), Reason::STALE_COMMAND);
  EXPECT_EQ(node.FilesOf("nginx"), LeafOf(1));
}

TEST_F(EngineTest, AWayBackAtTheDeadlineThatIsNotServedIsToldToWhoAsksAgain) {
  const v1::Command command = node.InstallCommand(2);
  node.ResultOf(command);
  node.running["nginx"].ignores_reload = true;
  node.clock.Advance(absl::Seconds(60));
  EXPECT_THAT(node.engine().RevertIfOverdue(), HasReason(Reason::REVERT_FAILED));
  EXPECT_THAT(node.engine().RevertIfOverdue(), IsOk());
  EXPECT_EQ(node.ResultOf(command).failure().reason(), Reason::REVERT_FAILED);
}

TEST_F(EngineTest, AWayBackThatTheDiskDidNotLetFinishIsTriedAgainWithoutACommand) {
  const v1::Command command = node.InstallCommand(2);
  node.ResultOf(command);
  // The journal can be written, and the way back can't be taken: /etc on another disk than /var, for one.
  node.files.FailWhere(
      [](absl::string_view operation) { return operation.find("back to current") != absl::string_view::npos; }, EIO);
  node.clock.Advance(absl::Seconds(60));
  EXPECT_THAT(node.engine().RevertIfOverdue(), HasReason(Reason::REVERT_FAILED));
  EXPECT_EQ(node.FilesOf("nginx"), LeafOf(2));
  ASSERT_TRUE(node.engine().ConfirmBy().has_value());
  EXPECT_LE(*node.engine().ConfirmBy(), node.clock.Now());
  EXPECT_FALSE(node.engine().RevertIfOverdue().ok());
  node.files.Heal();
  EXPECT_THAT(node.engine().RevertIfOverdue(), IsOk());
  EXPECT_EQ(node.FilesOf("nginx"), LeafOf(1));
  EXPECT_EQ(node.running["nginx"].served, LeafOf(1));
  EXPECT_EQ(node.engine().ConfirmBy(), std::nullopt);
  EXPECT_THAT(node.engine().RevertIfOverdue(), IsOk());
  EXPECT_EQ(node.ResultOf(command).failure().reason(), Reason::NOT_CONFIRMED);
}

TEST_F(EngineTest, AnUnconfirmedOneGoesBackOnCommand) {
  const v1::Command command = node.InstallCommand(2);
  node.ResultOf(command);
  const v1::InstallResult result = node.Revert(2, Reason::VERIFY_FAILED);
  EXPECT_EQ(result.outcome(), Outcome::REVERTED) << result.ShortDebugString();
  EXPECT_EQ(result.failure().reason(), Reason::VERIFY_FAILED);
  EXPECT_EQ(result.generation(), 2);
  EXPECT_EQ(result.generation_in_force(), 1);
  EXPECT_EQ(node.running["nginx"].served, LeafOf(1));
  EXPECT_EQ(node.ResultOf(command).outcome(), Outcome::REVERTED);
}

TEST_F(EngineTest, AConfirmedOneGoesBackOnCommandAndIsProven) {
  node.Bring(2);
  const v1::InstallResult result = node.Revert(2);
  EXPECT_EQ(result.outcome(), Outcome::REVERTED) << result.ShortDebugString();
  EXPECT_EQ(result.failure().reason(), Reason::ROLLOUT_HALTED);
  EXPECT_EQ(result.generation(), 2);
  EXPECT_EQ(result.generation_in_force(), 1);
  EXPECT_EQ(result.installed_sha256(), LeafOf(1));
  EXPECT_EQ(result.probes(0).served_sha256(), LeafOf(1));
  EXPECT_TRUE(result.probes(0).ok());
  EXPECT_EQ(node.FilesOf("nginx"), LeafOf(1));
  EXPECT_EQ(node.ReloadsOf("nginx"), reloads + 2);
  // The retry after a halt.
  node.Bring(2);
  EXPECT_EQ(node.FilesOf("nginx"), LeafOf(2));
}

TEST_F(EngineTest, ARevertOfWhatIsNotInForceChangesNothing) {
  node.Bring(2);
  const v1::InstallResult result = node.Revert(1);
  EXPECT_EQ(result.outcome(), Outcome::UNCHANGED);
  EXPECT_EQ(result.generation_in_force(), 2);
  node.Install(3);
  EXPECT_EQ(node.Revert(2).outcome(), Outcome::UNCHANGED);
  EXPECT_EQ(node.FilesOf("nginx"), LeafOf(3));
}

TEST_F(EngineTest, ASecondRevertHasNowhereToGo) {
  node.Bring(2);
  node.Revert(2);
  const v1::InstallResult result = node.Revert(1);
  EXPECT_EQ(result.outcome(), Outcome::FAILED);
  EXPECT_EQ(result.failure().reason(), Reason::REVERT_FAILED);
  EXPECT_EQ(node.FilesOf("nginx"), LeafOf(1));
}

TEST_F(EngineTest, ARevertThatIsNotServedLeavesWhatWasInForce) {
  node.Bring(2);
  node.running["nginx"].ignores_reload = true;
  const v1::InstallResult result = node.Revert(2);
  EXPECT_EQ(result.outcome(), Outcome::FAILED);
  EXPECT_EQ(result.failure().reason(), Reason::REVERT_FAILED);
  EXPECT_EQ(result.generation_in_force(), 2);
  EXPECT_EQ(node.FilesOf("nginx"), LeafOf(2));
  EXPECT_EQ(node.running["nginx"].served, LeafOf(2));
}

TEST_F(EngineTest, ARevertLeavesAGenerationThatWasInstalledTwice) {
  node.Bring(2);
  // Its files are as they should be, and it serves something else: it is installed once more.
  node.running["nginx"].served = LeafOf(1);
  node.Bring(2);
  EXPECT_EQ(node.Describe().certificates(0).previous_generation(), 1);
  const v1::InstallResult result = node.Revert(2);
  EXPECT_EQ(result.outcome(), Outcome::REVERTED) << result.ShortDebugString();
  EXPECT_EQ(result.generation_in_force(), 1);
  EXPECT_EQ(node.running["nginx"].served, LeafOf(1));
}

TEST_F(EngineTest, ARevertThatWouldNotLeaveTheGenerationIsRefused) {
  node.Bring(2);
  node.PutByHand("nginx", IssuedFor(7));
  node.Bring(2);
  const v1::InstallResult result = node.Revert(2);
  EXPECT_EQ(result.outcome(), Outcome::FAILED);
  EXPECT_EQ(result.failure().reason(), Reason::REVERT_FAILED);
  EXPECT_EQ(result.generation_in_force(), 2);
  EXPECT_EQ(node.FilesOf("nginx"), LeafOf(2));
}

TEST_F(EngineTest, ARevertDoesNotTouchAServiceThatWasNeverInstalled) {
  node.Bring(2);
  node.AddService("haproxy");
  node.PutByHand("haproxy", IssuedFor(7));
  node.Kill();
  ASSERT_THAT(node.Start(), IsOk());
  const v1::InstallResult result = node.Revert(2);
  EXPECT_EQ(result.outcome(), Outcome::REVERTED) << result.ShortDebugString();
  EXPECT_EQ(node.running["nginx"].served, LeafOf(1));
  EXPECT_EQ(node.FilesOf("haproxy"), LeafOf(7));
  EXPECT_EQ(node.ChecksOf("haproxy"), 0);
  EXPECT_EQ(node.ReloadsOf("haproxy"), 0);
}

TEST_F(EngineTest, ARevertProvesAServiceThatWasRenamedSince) {
  node.Bring(2);
  node.config.services[0].name = "web";
  node.running["nginx"].ignores_reload = true;
  node.Kill();
  ASSERT_THAT(node.Start(), IsOk());
  const v1::InstallResult result = node.Revert(2);
  EXPECT_EQ(result.outcome(), Outcome::FAILED);
  EXPECT_THAT(result.failure().detail(), HasSubstr("service web"));
}

TEST_F(EngineTest, ARevertToWhatWasDamagedIsRefused) {
  node.Bring(2);
  node.disk.PutFile("/var/lib/certcast-node/certificates/wildcard/generations/1/nginx/privkey.pem", "rot");
  const v1::InstallResult result = node.Revert(2);
  EXPECT_EQ(result.outcome(), Outcome::FAILED);
  EXPECT_EQ(result.failure().reason(), Reason::REVERT_FAILED);
  EXPECT_EQ(node.FilesOf("nginx"), LeafOf(2));
  EXPECT_EQ(node.ReloadsOf("nginx"), reloads + 1);
}

TEST_F(EngineTest, ARevertToWhatHasExpiredIsRefused) {
  node.Bring(2);
  node.clock.Advance(IssuedFor(1).certificate.not_after() + absl::Seconds(1) - node.clock.Now());
  const v1::InstallResult result = node.Revert(2);
  EXPECT_EQ(result.failure().reason(), Reason::REVERT_FAILED);
  EXPECT_THAT(result.failure().detail(), HasSubstr("expired"));
  EXPECT_EQ(node.FilesOf("nginx"), LeafOf(2));
}

TEST_F(EngineTest, AnotherInstallIsRefusedWhileOneWaits) {
  node.Install(2);
  const v1::Command other = node.InstallCommand(3);
  EXPECT_EQ(node.Handle(other).refusal().failure().reason(), Reason::BUSY);
  // Not taken up, so the same id may come again.
  node.Confirm(2);
  EXPECT_EQ(node.ResultOf(other).outcome(), Outcome::INSTALLED);
}

TEST_F(EngineTest, TheSameBundleUnderAnotherIdJoinsTheWait) {
  const v1::InstallResult first = node.Install(2);
  const v1::InstallResult second = node.Install(2);
  EXPECT_EQ(second.outcome(), Outcome::INSTALLED);
  EXPECT_EQ(second.confirm_by().seconds(), first.confirm_by().seconds());
  EXPECT_EQ(node.ReloadsOf("nginx"), reloads + 1);
}

TEST_F(EngineTest, ALowerEpochIsRefused) {
  v1::Command command = node.InstallCommand(2);
  command.set_epoch(5);
  node.ResultOf(command);
  node.Kill();
  ASSERT_THAT(node.Start(), IsOk());
  v1::Command stale = node.InstallCommand(2);
  stale.set_epoch(4);
  EXPECT_EQ(node.Handle(stale).refusal().failure().reason(), Reason::STALE_EPOCH);
  // Looking is free.
  v1::Command describe;
  describe.set_id("look");
  describe.set_epoch(4);
  describe.mutable_describe();
  EXPECT_TRUE(node.Handle(describe).has_inventory());
}

TEST_F(EngineTest, ASecondInstallMeanwhileIsBusyAndLookingIsNot) {
  absl::Notification reloading, go_on;
  node.running["nginx"].on_reload = [&] {
    reloading.Notify();
    go_on.WaitForNotification();
  };
  v1::InstallResult result;
  std::thread first([&, command = node.InstallCommand(2)] { result = node.ResultOf(command); });
  reloading.WaitForNotification();
  EXPECT_EQ(node.Handle(node.InstallCommand(3)).refusal().failure().reason(), Reason::BUSY);
  EXPECT_EQ(node.Describe().certificates(0).generation(), 1);
  go_on.Notify();
  first.join();
  EXPECT_EQ(result.outcome(), Outcome::INSTALLED);
}

TEST_F(EngineTest, CommandsThatSayNothingAreRefused) {
  v1::Command command;
  EXPECT_EQ(node.Handle(command).refusal().failure().reason(), Reason::MALFORMED);
  command.set_id("x");
  EXPECT_EQ(node.Handle(command).refusal().failure().reason(), Reason::MALFORMED);
  command.mutable_describe();
  command.set_id(std::string(65, 'x'));
  EXPECT_EQ(node.Handle(command).refusal().failure().reason(), Reason::MALFORMED);
  // Both are repeated in results, which are kept.
  command.set_id("x");
  command.mutable_revert()->set_certificate(std::string(100'000, 'x'));
  EXPECT_EQ(node.Handle(command).refusal().failure().reason(), Reason::MALFORMED);
  command.mutable_confirm()->set_certificate("wildcard");
  command.mutable_confirm()->set_leaf_sha256(std::string(100'000, '0'));
  EXPECT_EQ(node.Handle(command).refusal().failure().reason(), Reason::MALFORMED);
}

TEST_F(EngineTest, ANodeOfNoFleetInstallsNothing) {
  node.config.fleet.reset();
  ASSERT_THAT(node.Start(), IsOk());
  EXPECT_EQ(node.Handle(node.InstallCommand(2)).refusal().failure().reason(), Reason::NOT_ENROLLED);
}

TEST_F(EngineTest, TestServiceRunsItsCheckAndProbes) {
  const auto results = node.engine().TestService("nginx");
  ASSERT_THAT(results, IsOk());
  ASSERT_EQ(results->size(), 1);
  EXPECT_TRUE((*results)[0].ok());
  EXPECT_EQ((*results)[0].served_sha256(), LeafOf(1));
  node.running["nginx"].check_error = "broken";
  EXPECT_THAT(node.engine().TestService("nginx"), HasReason(Reason::CHECK_FAILED));
  EXPECT_THAT(node.engine().TestService("unknown"), testing::HasCode(absl::StatusCode::kNotFound));
}

TEST_F(EngineTest, AReadOnlyEngineLooksAndRefusesTheRest) {
  node.Install(2);
  const size_t before = node.files.operations().size();
  const auto engine = Engine::OpenReadOnly(
      node.config, {.files = &node.files, .processes = &node.processes, .prober = &node.prober, .clock = &node.clock});
  ASSERT_THAT(engine, IsOk());
  v1::Command command;
  command.set_id("status");
  command.mutable_probe();
  const v1::Inventory inventory = (*engine)->Handle(command, nullptr).inventory();
  EXPECT_EQ(inventory.certificates(0).generation(), 2);
  EXPECT_FALSE(inventory.certificates(0).confirmed());
  EXPECT_TRUE(inventory.probes(0).ok());
  EXPECT_EQ((*engine)->Handle(node.InstallCommand(3), nullptr).refusal().failure().reason(), Reason::BUSY);
  node.clock.Advance(absl::Hours(1));
  EXPECT_THAT((*engine)->RevertIfOverdue(), IsOk());
  const std::vector<std::string> operations = node.files.operations();
  for (size_t i = before; i < operations.size(); ++i) {
    EXPECT_THAT(operations[i], ::testing::AnyOf(::testing::StartsWith("Open"), ::testing::StartsWith("Read"),
                                                ::testing::StartsWith("Stat"), ::testing::StartsWith("FreeBytes")));
  }
}

TEST(EngineStart, ANodeThatNeverRanCanBeLookedAt) {
  SimulatedNode node;
  node.AddService("nginx");
  const auto engine = Engine::OpenReadOnly(
      node.config, {.files = &node.files, .processes = &node.processes, .prober = &node.prober, .clock = &node.clock});
  ASSERT_THAT(engine, IsOk());
  v1::Command command;
  command.set_id("status");
  command.mutable_describe();
  EXPECT_EQ((*engine)->Handle(command, nullptr).inventory().certificates(0).generation(), 0);
  EXPECT_FALSE(node.disk.Exists(node.config.state));
}

TEST(EngineStart, RefusesNamesThatAreNoPathComponents) {
  for (const char* name : {"", "..", "a/b", "Web", "-x"}) {
    SimulatedNode node;
    node.AddService("nginx");
    node.config.services[0].certificate = name;
    EXPECT_THAT(node.Start(), testing::HasCode(absl::StatusCode::kInvalidArgument)) << name;
  }
}

TEST(EngineStart, AStateThatWasRemovedIsMadeAnewFromWhatIsThere) {
  SimulatedNode node;
  node.AddService("nginx");
  ASSERT_THAT(node.Start(), IsOk());
  node.Bring(1);
  node.Kill();
  const auto state = node.disk.OpenDirectory(node.config.state);
  for (const char* name : {"state.0", "state.1"}) ASSERT_THAT((*state)->Remove(name), IsOk());
  ASSERT_THAT(node.Start(), IsOk());
  EXPECT_EQ(node.FilesOf("nginx"), LeafOf(1));
  node.running["nginx"].check_error = "broken";
  const v1::InstallResult result = node.Install(2);
  EXPECT_EQ(result.outcome(), Outcome::REVERTED) << result.ShortDebugString();
  EXPECT_EQ(result.generation_in_force(), 0);
  EXPECT_EQ(result.installed_sha256(), LeafOf(1));
  EXPECT_EQ(node.FilesOf("nginx"), LeafOf(1));
}

TEST(EngineStart, RefusesADamagedState) {
  SimulatedNode node;
  node.AddService("nginx");
  ASSERT_THAT(node.Start(), IsOk());
  node.Bring(1);
  node.Kill();
  for (const char* slot : {"0", "1"}) node.disk.PutFile(node.config.state + "/state." + slot, "rot");
  EXPECT_THAT(node.Start(), HasReason(Reason::STORAGE_FAILED, HasSubstr("both damaged")));
  EXPECT_EQ(node.FilesOf("nginx"), LeafOf(1));
}

}  // namespace
}  // namespace certcast::node
