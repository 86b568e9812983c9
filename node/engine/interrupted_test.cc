// Installs that are interrupted at one certain step: what the controller learns afterwards.
#include <cerrno>
#include <string>

#include "absl/strings/match.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "node/engine/recover.h"
#include "node/engine/simulated_node.h"
#include "node/engine/stories.h"
#include "tests/testing/status_matchers.h"

namespace certcast::node {
namespace {

using testing::IsOk;
using v1::Outcome;

// Of generation 2: the agent ends when the first reload was sent.
v1::Command CutOffARevert(SimulatedNode& node) {
  HaveGenerationTwo(node);
  v1::Command command;
  command.set_id("revert");
  command.set_epoch(1);
  command.mutable_revert()->set_certificate("wildcard");
  command.mutable_revert()->set_generation(2);
  command.mutable_revert()->set_because(Reason::ROLLOUT_HALTED);
  node.running["nginx"].on_reload = [&] { node.files.CrashAt(node.files.count() + 1); };
  node.Handle(command);
  node.running["nginx"].on_reload = nullptr;
  return command;
}

class InterruptedTest : public ::testing::Test {
 protected:
  // Ends the process at the first operation that has `part` in its name, and starts it again.
  v1::InstallResult InterruptAt(const std::string& part) {
    HaveGenerationOne(node);
    reloads = node.ReloadsOf("nginx");
    const v1::Command command = node.InstallCommand(2);
    bool hit = false;
    node.files.FailWhere(
        [&, part](absl::string_view operation) {
          hit = hit || operation.find(part) != absl::string_view::npos;
          return hit;
        },
        EIO);
    node.Handle(command);
    EXPECT_TRUE(hit);
    node.Kill();
    EXPECT_THAT(node.Start(), IsOk());
    return node.ResultOf(command);
  }

  // Switched, checked next, and then the machine starts anew with what is on the disk.
  v1::Command LosePowerBeforeTheReload() {
    HaveGenerationOne(node);
    const v1::Command command = node.InstallCommand(2);
    node.processes.On({"nginx", "-t"}, [this](const ProcessRequest&) -> absl::StatusOr<ProcessResult> {
      node.files.CrashAt(node.files.count() + 1);
      return absl::AbortedError("killed");
    });
    node.Handle(command);
    node.LosePower(0);
    return command;
  }

  SimulatedNode node;
  int reloads = 0;
};

class BootTest : public InterruptedTest {
 protected:
  // The agent is faster than they are.
  void StopServices() {
    for (auto& [name, service] : node.running) {
      service.is_down = true;
      service.reload_exit_code = 1;
    }
    reloads = node.ReloadsOf("nginx");
  }
  void StartServices() {
    for (auto& [name, service] : node.running) {
      service.is_down = false;
      service.reload_exit_code = 0;
    }
    node.StartServices();
  }
};

TEST_F(InterruptedTest, WhileStagingNothingWasSwitched) {
  const v1::InstallResult result = InterruptAt("CreateFile /var/lib/certcast-node/certificates/wildcard");
  EXPECT_EQ(result.outcome(), Outcome::FAILED);
  EXPECT_EQ(result.failure().reason(), Reason::INTERRUPTED);
  EXPECT_EQ(result.failure().step(), "stage");
  EXPECT_EQ(node.ReloadsOf("nginx"), reloads);
  EXPECT_THAT(node.Generations(), ::testing::ElementsAre("0", "1"));
  EXPECT_THAT(node.engine().Recovered().line, ::testing::HasSubstr("interrupted at stage"));
}

// Between the switch and the first reload the machine, or whoever reloads services, is faster than the agent.
TEST_F(InterruptedTest, AfterTheFlipServicesThatStartedMeanwhileAreReloadedAndProbed) {
  const v1::Command command = LosePowerBeforeTheReload();
  EXPECT_EQ(node.running["nginx"].served, LeafOf(2));
  ASSERT_THAT(node.Start(), IsOk());
  const v1::InstallResult result = node.ResultOf(command);
  EXPECT_EQ(result.outcome(), Outcome::REVERTED);
  EXPECT_EQ(result.failure().reason(), Reason::INTERRUPTED);
  EXPECT_EQ(result.failure().step(), "check");
  EXPECT_EQ(node.FilesOf("nginx"), LeafOf(1));
  EXPECT_EQ(node.running["nginx"].served, LeafOf(1));
  EXPECT_EQ(node.running["haproxy"].served, LeafOf(1));
}

// Recovery at boot may come before the services do.
TEST_F(InterruptedTest, AServiceThatStartsByItselfNeedsNoReload) {
  const v1::Command command = LosePowerBeforeTheReload();
  node.running["nginx"].on_reload = [&] { node.running["nginx"].served = node.FilesOf("nginx"); };
  node.running["nginx"].reload_exit_code = 1;
  ASSERT_THAT(node.Start(), IsOk());
  const v1::InstallResult result = node.ResultOf(command);
  EXPECT_EQ(result.outcome(), Outcome::REVERTED) << result.ShortDebugString();
  EXPECT_EQ(result.cleanup_failure().reason(), Reason::RELOAD_FAILED);
  EXPECT_EQ(node.running["nginx"].served, LeafOf(1));
}

// --- At boot: the files before the services, the rest after them.

TEST_F(BootTest, ServicesStartWithTheOldFilesAndAreProvenLater) {
  const v1::Command command = LosePowerBeforeTheReload();
  StopServices();
  const auto files = node.RecoverBeforeServices();
  ASSERT_THAT(files, IsOk());
  EXPECT_THAT(files->failed, IsOk());
  EXPECT_THAT(files->line, ::testing::HasSubstr("the files are those of generation 1"));
  EXPECT_EQ(node.ReloadsOf("nginx"), reloads) << "there is nothing to reload yet";
  EXPECT_EQ(node.FilesOf("nginx"), LeafOf(1));
  EXPECT_EQ(node.FilesOf("haproxy"), LeafOf(1));
  StartServices();
  EXPECT_EQ(node.running["nginx"].served, LeafOf(1));

  ASSERT_THAT(node.Start(), IsOk());
  EXPECT_THAT(node.engine().Recovered().failed, IsOk());
  const v1::InstallResult result = node.ResultOf(command);
  EXPECT_EQ(result.outcome(), Outcome::REVERTED) << result.ShortDebugString();
  EXPECT_EQ(result.failure().reason(), Reason::INTERRUPTED);
  EXPECT_EQ(result.failure().step(), "check");
  EXPECT_THAT(result.reloaded(), ::testing::ElementsAre("nginx", "haproxy"));
  EXPECT_EQ(node.engine().ConfirmBy(), std::nullopt);
}

TEST_F(BootTest, WithoutTheServicesTheWholeRecoveryFailsAndSaysSo) {
  const v1::Command command = LosePowerBeforeTheReload();
  StopServices();
  ASSERT_THAT(node.Start(), IsOk());
  EXPECT_THAT(node.engine().Recovered().line, ::testing::HasSubstr("FAILED REVERT_FAILED"));
  EXPECT_THAT(node.engine().Recovered().failed, testing::HasReason(Reason::REVERT_FAILED));
  EXPECT_EQ(node.ResultOf(command).failure().reason(), Reason::REVERT_FAILED);
  ASSERT_THAT(node.Start(), IsOk());
  EXPECT_THAT(node.engine().Recovered().failed, IsOk()) << "it has ended";
}

TEST_F(BootTest, TheFilesAreRightWhereverThatIsCutOffOrDoneTwice) {
  for (const bool copies : {false, true}) {
    bool was_cut_off = true;
    for (int n = 1; was_cut_off; ++n) {
      SCOPED_TRACE(n);
      SimulatedNode machine;
      machine.AddService("nginx");
      machine.AddService("haproxy");
      if (copies) machine.DeclareFiles(FileInstall::kCopy);
      ASSERT_THAT(machine.Start(), IsOk());
      machine.Bring(1);
      const v1::Command command = machine.InstallCommand(2);
      machine.running["nginx"].on_reload = [&] { machine.files.CrashAt(machine.files.count() + 1); };
      machine.Handle(command);
      machine.running["nginx"].on_reload = nullptr;
      machine.LosePower(static_cast<uint64_t>(n));
      machine.files.CrashAt(machine.files.count() + n);
      (void)machine.RecoverBeforeServices();
      was_cut_off = machine.files.has_crashed();
      machine.LosePower(static_cast<uint64_t>(n) + 1);
      for (int again = 0; again < 2; ++again) {
        const auto files = machine.RecoverBeforeServices();
        ASSERT_THAT(files, IsOk());
        EXPECT_THAT(files->failed, IsOk());
        EXPECT_EQ(machine.FilesOf("nginx"), LeafOf(1));
        EXPECT_EQ(machine.FilesOf("haproxy"), LeafOf(1));
      }
      machine.StartServices();
      ASSERT_THAT(machine.Start(), IsOk());
      EXPECT_EQ(machine.ResultOf(command).outcome(), Outcome::REVERTED);
      EXPECT_EQ(machine.running["haproxy"].served, LeafOf(1));
      EXPECT_THAT(machine.Temporaries(), ::testing::IsEmpty());
      ASSERT_LT(n, 1000);
    }
  }
}

TEST_F(BootTest, ARevertThatWasCutOffHasItsFilesFirstToo) {
  const v1::Command command = CutOffARevert(node);
  node.LosePower(0);
  StopServices();
  const auto files = node.RecoverBeforeServices();
  ASSERT_THAT(files, IsOk());
  EXPECT_THAT(files->failed, IsOk());
  EXPECT_EQ(node.FilesOf("nginx"), LeafOf(1));
  StartServices();
  ASSERT_THAT(node.Start(), IsOk());
  EXPECT_THAT(node.engine().Recovered().failed, IsOk());
  EXPECT_EQ(node.ResultOf(command).outcome(), Outcome::REVERTED);
}

TEST_F(BootTest, ARevertThatWasOnItsWayBackHasItsFilesFirstToo) {
  HaveGenerationTwo(node);
  node.running["haproxy"].reload_exit_code = 1;
  // Its second reload is that of the way back.
  node.running["nginx"].on_reload = [&, told = 0]() mutable {
    if (++told == 2) node.files.CrashAt(node.files.count() + 1);
  };
  v1::Command command;
  command.set_id("revert");
  command.set_epoch(1);
  command.mutable_revert()->set_certificate("wildcard");
  command.mutable_revert()->set_generation(2);
  node.Handle(command);
  node.running["nginx"].on_reload = nullptr;
  node.LosePower(0);
  StopServices();
  const auto files = node.RecoverBeforeServices();
  ASSERT_THAT(files, IsOk());
  EXPECT_THAT(files->failed, IsOk());
  EXPECT_THAT(files->line, ::testing::HasSubstr("the files are those of generation 2"));
  EXPECT_EQ(node.FilesOf("nginx"), LeafOf(2));
  StartServices();
  ASSERT_THAT(node.Start(), IsOk());
  EXPECT_EQ(node.ResultOf(command).failure().reason(), Reason::REVERT_FAILED);
  EXPECT_EQ(node.running["haproxy"].served, LeafOf(2));
}

TEST_F(BootTest, WhatWaitsForConfirmWaitsOn) {
  HaveGenerationOne(node);
  const v1::Command command = node.InstallCommand(2);
  node.ResultOf(command);
  node.LosePower(0);
  StopServices();
  const auto files = node.RecoverBeforeServices();
  ASSERT_THAT(files, IsOk());
  EXPECT_THAT(files->line, ::testing::HasSubstr("waits for Confirm"));
  StartServices();
  ASSERT_THAT(node.Start(), IsOk());
  EXPECT_EQ(node.Confirm(2).outcome(), Outcome::INSTALLED);
}

TEST_F(BootTest, WhereTheDiskDoesNotLetTheFilesGoBackThatFails) {
  LosePowerBeforeTheReload();
  StopServices();
  node.files.FailWhere(
      [](absl::string_view operation) { return operation.find("back to current") != absl::string_view::npos; }, EIO);
  EXPECT_THAT(node.RecoverBeforeServices(), testing::HasReason(Reason::STORAGE_FAILED));
  node.files.Heal();
  EXPECT_THAT(node.RecoverBeforeServices(), IsOk());
  EXPECT_EQ(node.FilesOf("nginx"), LeafOf(1));
}

TEST_F(InterruptedTest, AfterAReloadTheOldOneIsLoadedAgainAndProbed) {
  HaveGenerationOne(node);
  const v1::Command command = node.InstallCommand(2);
  node.running["haproxy"].on_reload = [&] { node.files.CrashAt(node.files.count() + 1); };
  node.Handle(command);
  node.running["haproxy"].on_reload = nullptr;
  EXPECT_EQ(node.running["nginx"].served, LeafOf(2));
  node.Kill();
  ASSERT_THAT(node.Start(), IsOk());
  const v1::InstallResult result = node.ResultOf(command);
  EXPECT_EQ(result.outcome(), Outcome::REVERTED);
  EXPECT_EQ(result.failure().reason(), Reason::INTERRUPTED);
  EXPECT_EQ(result.failure().step(), "reload");
  EXPECT_THAT(result.reloaded(), ::testing::ElementsAre("nginx", "haproxy"));
  EXPECT_EQ(node.running["nginx"].served, LeafOf(1));
  EXPECT_EQ(node.running["haproxy"].served, LeafOf(1));
}

TEST_F(InterruptedTest, TheWaitForConfirmSurvivesARestart) {
  HaveGenerationOne(node);
  const v1::Command command = node.InstallCommand(2);
  node.ResultOf(command);
  node.clock.Advance(absl::Seconds(20));
  node.Kill();
  ASSERT_THAT(node.Start(), IsOk());
  EXPECT_EQ(node.engine().ConfirmBy(), node.clock.Now() + absl::Seconds(40));
  EXPECT_THAT(node.engine().Recovered().line, ::testing::HasSubstr("waits for Confirm"));
  EXPECT_EQ(node.Confirm(2).outcome(), Outcome::INSTALLED);
  EXPECT_EQ(node.FilesOf("nginx"), LeafOf(2));
}

TEST_F(InterruptedTest, AWaitThatEndedMeanwhileIsOverAtTheStart) {
  HaveGenerationOne(node);
  const v1::Command command = node.InstallCommand(2);
  node.ResultOf(command);
  node.Kill();
  node.clock.Advance(absl::Hours(5));
  ASSERT_THAT(node.Start(), IsOk());
  EXPECT_EQ(node.ResultOf(command).failure().reason(), Reason::NOT_CONFIRMED);
  EXPECT_EQ(node.running["nginx"].served, LeafOf(1));
}

TEST_F(InterruptedTest, AWallClockThatWentBackDoesNotMakeTheWaitLonger) {
  HaveGenerationOne(node);
  node.Install(2);
  node.Kill();
  node.clock.JumpTo(node.clock.Now() - absl::Hours(5));
  ASSERT_THAT(node.Start(), IsOk());
  EXPECT_EQ(node.engine().ConfirmBy(), node.clock.Now() + absl::Seconds(60));
}

TEST_F(InterruptedTest, AnInterruptedRevertIsDoneAllTheSame) {
  const v1::Command command = CutOffARevert(node);
  node.Kill();
  ASSERT_THAT(node.Start(), IsOk());
  const v1::InstallResult result = node.ResultOf(command);
  EXPECT_EQ(result.outcome(), Outcome::REVERTED) << result.ShortDebugString();
  EXPECT_EQ(result.failure().reason(), Reason::ROLLOUT_HALTED);
  EXPECT_EQ(result.generation(), 2);
  EXPECT_EQ(result.generation_in_force(), 1);
  EXPECT_EQ(node.running["haproxy"].served, LeafOf(1));
}

TEST_F(InterruptedTest, AWayBackThatWasNotInTheJournalIsFinishedToo) {
  HaveGenerationOne(node);
  const v1::Command command = node.InstallCommand(2);
  node.running["nginx"].ignores_reload = true;
  // Once both were reloaded, the journal can't be written any more; and the process ends between the rename that leads
  // back and the reload that would follow.
  bool is_over = false;
  node.files.FailWhere(
      [&](absl::string_view operation) {
        const bool is_journal =
            absl::StrContains(operation, "OverwriteFile") && absl::StrContains(operation, "journal");
        const bool fails = is_over || (is_journal && node.running["haproxy"].served == LeafOf(2) &&
                                       node.clock.slept() > absl::Seconds(5));
        if (absl::StrContains(operation, "back to current")) {
          is_over = true;
          node.running["haproxy"].ignores_reload = true;
        }
        return fails;
      },
      EIO);
  node.Handle(command);
  ASSERT_TRUE(is_over);
  ASSERT_EQ(node.FilesOf("haproxy"), LeafOf(1));
  ASSERT_EQ(node.running["haproxy"].served, LeafOf(2));
  node.Kill();
  for (auto& [name, service] : node.running) service.ignores_reload = false;
  ASSERT_THAT(node.Start(), IsOk());
  EXPECT_EQ(node.running["haproxy"].served, LeafOf(1));
  EXPECT_EQ(node.ResultOf(command).outcome(), Outcome::REVERTED);
}

TEST_F(InterruptedTest, AServiceThatIsNotConfiguredAnyMoreIsNamed) {
  HaveGenerationOne(node);
  const v1::Command command = node.InstallCommand(2);
  node.ResultOf(command);
  node.Kill();
  node.config.services.pop_back();
  node.clock.Advance(absl::Minutes(2));
  ASSERT_THAT(node.Start(), IsOk());
  const v1::InstallResult result = node.ResultOf(command);
  EXPECT_EQ(result.failure().reason(), Reason::REVERT_FAILED);
  EXPECT_THAT(result.cleanup_failure().detail(), ::testing::HasSubstr("haproxy is not in node.yaml any more"));
  EXPECT_EQ(node.FilesOf("haproxy"), LeafOf(1));
}

TEST_F(InterruptedTest, WhatTheDiskDidNotLetFinishIsFinishedWithTheNextCommand) {
  HaveGenerationOne(node);
  node.running["nginx"].check_error = "broken";
  // The way back fails at its rename, and so does every other one.
  node.files.FailWhere(
      [&](absl::string_view operation) { return operation.find("back to current") != absl::string_view::npos; }, EIO);
  const v1::Command command = node.InstallCommand(2);
  const v1::InstallResult stuck = node.ResultOf(command);
  EXPECT_EQ(stuck.outcome(), Outcome::FAILED);
  EXPECT_EQ(stuck.failure().reason(), Reason::REVERT_FAILED);
  EXPECT_EQ(node.FilesOf("nginx"), LeafOf(2));
  EXPECT_EQ(node.Handle(node.InstallCommand(3)).refusal().failure().reason(), Reason::STORAGE_FAILED);
  node.files.Heal();
  EXPECT_EQ(node.Confirm(1).outcome(), Outcome::INSTALLED);
  EXPECT_EQ(node.FilesOf("nginx"), LeafOf(1));
  EXPECT_EQ(node.ResultOf(command).failure().reason(), Reason::CHECK_FAILED);
}

}  // namespace
}  // namespace certcast::node
