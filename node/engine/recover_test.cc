// Whatever an install is interrupted by, a service's files are one matching set, old or new, and a restart makes order.
// Where they are copies, they are one set once the restart has made order.
#include "node/engine/recover.h"

#include <cerrno>
#include <functional>
#include <ostream>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "node/engine/simulated_node.h"
#include "tests/testing/status_matchers.h"

namespace certcast::node {
namespace {

using ::testing::AnyOf;
using ::testing::IsEmpty;
using testing::IsOk;
using v1::Outcome;

constexpr uint64_t kByHand = 100;

// Something that is interrupted, from a node that is ready for it.
struct Story {
  std::string name;
  std::function<void(SimulatedNode&)> prepare;
  std::function<void(SimulatedNode&)> act;
  // What services may read at any time.
  std::vector<std::string> before;
  std::string after;
  bool has_copies = false;

  friend std::ostream& operator<<(std::ostream& out, const Story& story) { return out << story.name; }
};

void Prepare(SimulatedNode& node) {
  node.AddService("nginx");
  node.AddService("haproxy");
}

void HaveGenerationOne(SimulatedNode& node) {
  Prepare(node);
  ASSERT_THAT(node.Start(), IsOk());
  node.Bring(1);
}

void PrepareCopiesToBe(SimulatedNode& node) {
  Prepare(node);
  node.DeclareFiles(FileInstall::kCopy);
}

void HaveGenerationOneAsCopies(SimulatedNode& node) {
  PrepareCopiesToBe(node);
  ASSERT_THAT(node.Start(), IsOk());
  node.Bring(1);
}

// Generation 1 is installed otherwise than the next one will be.
void DeclareAnew(SimulatedNode& node, FileInstall install) {
  node.DeclareFiles(install);
  node.Kill();
  ASSERT_THAT(node.Start(), IsOk());
}

void HaveGenerationTwo(SimulatedNode& node) {
  HaveGenerationOne(node);
  node.Bring(2);
}

void InstallAndConfirm(SimulatedNode& node, uint64_t generation) {
  node.Handle(node.InstallCommand(generation));
  v1::Command confirm;
  confirm.set_id(node.NewCommandId());
  confirm.set_epoch(1);
  confirm.mutable_confirm()->set_certificate("wildcard");
  confirm.mutable_confirm()->set_generation(generation);
  confirm.mutable_confirm()->set_leaf_sha256(LeafOf(generation));
  node.Handle(confirm);
}

void SendRevert(SimulatedNode& node, uint64_t generation) {
  v1::Command command;
  command.set_id(node.NewCommandId());
  command.set_epoch(1);
  command.mutable_revert()->set_certificate("wildcard");
  command.mutable_revert()->set_generation(generation);
  node.Handle(command);
}

std::vector<Story> Stories() {
  return {
      {"AnUpdate", HaveGenerationOne, [](SimulatedNode& node) { InstallAndConfirm(node, 2); }, {LeafOf(1)}, LeafOf(2)},
      {"AFirstInstallWhereNothingWas",
       [](SimulatedNode& node) {
         Prepare(node);
         ASSERT_THAT(node.Start(), IsOk());
       },
       [](SimulatedNode& node) { InstallAndConfirm(node, 1); },
       {kNothing},
       LeafOf(1)},
      {"AFirstInstallOverFilesFromBefore",
       [](SimulatedNode& node) {
         Prepare(node);
         node.PutByHand("nginx", IssuedFor(kByHand));
         node.PutByHand("haproxy", IssuedFor(kByHand));
         ASSERT_THAT(node.Start(), IsOk());
       },
       [](SimulatedNode& node) { InstallAndConfirm(node, 1); },
       {LeafOf(kByHand)},
       LeafOf(1)},
      {"AnUpdateOverAReplacedLink",
       [](SimulatedNode& node) {
         HaveGenerationOne(node);
         node.PutByHand("nginx", IssuedFor(kByHand));
       },
       [](SimulatedNode& node) { InstallAndConfirm(node, 2); },
       {LeafOf(1), LeafOf(kByHand)},
       LeafOf(2)},
      {"AnUpdateThatIsNotServed",
       [](SimulatedNode& node) {
         HaveGenerationOne(node);
         node.running["haproxy"].ignores_reload = true;
       },
       [](SimulatedNode& node) { node.Handle(node.InstallCommand(2)); },
       {LeafOf(1), LeafOf(2)},
       LeafOf(1)},
      {"AFirstInstallThatIsNotServed",
       [](SimulatedNode& node) {
         Prepare(node);
         node.running["haproxy"].ignores_reload = true;
         ASSERT_THAT(node.Start(), IsOk());
       },
       [](SimulatedNode& node) { node.Handle(node.InstallCommand(1)); },
       {kNothing, LeafOf(1)},
       kNothing},
      {"ARevertOfAConfirmedOne",
       HaveGenerationTwo,
       [](SimulatedNode& node) { SendRevert(node, 2); },
       {LeafOf(2)},
       LeafOf(1)},
      {"ARevertOfAnUnconfirmedOne",
       [](SimulatedNode& node) {
         HaveGenerationOne(node);
         node.Install(2);
       },
       [](SimulatedNode& node) { SendRevert(node, 2); },
       {LeafOf(2)},
       LeafOf(1)},
  };
}

std::vector<Story> StoriesOfCopies() {
  return {
      {"AnUpdateOfCopies",
       HaveGenerationOneAsCopies,
       [](SimulatedNode& node) { InstallAndConfirm(node, 2); },
       {LeafOf(1)},
       LeafOf(2),
       true},
      {"AFirstInstallOfCopiesWhereNothingWas",
       [](SimulatedNode& node) {
         PrepareCopiesToBe(node);
         ASSERT_THAT(node.Start(), IsOk());
       },
       [](SimulatedNode& node) { InstallAndConfirm(node, 1); },
       {kNothing},
       LeafOf(1),
       true},
      {"AFirstInstallOfCopiesOverFilesFromBefore",
       [](SimulatedNode& node) {
         PrepareCopiesToBe(node);
         node.PutByHand("nginx", IssuedFor(kByHand));
         node.PutByHand("haproxy", IssuedFor(kByHand));
         ASSERT_THAT(node.Start(), IsOk());
       },
       [](SimulatedNode& node) { InstallAndConfirm(node, 1); },
       {LeafOf(kByHand)},
       LeafOf(1),
       true},
      {"AnUpdateOfCopiesThatIsNotServed",
       [](SimulatedNode& node) {
         HaveGenerationOneAsCopies(node);
         node.running["haproxy"].ignores_reload = true;
       },
       [](SimulatedNode& node) { node.Handle(node.InstallCommand(2)); },
       {LeafOf(1), LeafOf(2)},
       LeafOf(1),
       true},
      {"AFirstInstallOfCopiesThatIsNotServed",
       [](SimulatedNode& node) {
         PrepareCopiesToBe(node);
         node.running["haproxy"].ignores_reload = true;
         ASSERT_THAT(node.Start(), IsOk());
       },
       [](SimulatedNode& node) { node.Handle(node.InstallCommand(1)); },
       {kNothing, LeafOf(1)},
       kNothing,
       true},
      {"ARevertOfTheFirstCopies",
       HaveGenerationOneAsCopies,
       [](SimulatedNode& node) { SendRevert(node, 1); },
       {LeafOf(1)},
       kNothing,
       true},
      {"AnUpdateOfLinksToCopies",
       [](SimulatedNode& node) {
         HaveGenerationOne(node);
         DeclareAnew(node, FileInstall::kCopy);
       },
       [](SimulatedNode& node) { InstallAndConfirm(node, 2); },
       {LeafOf(1)},
       LeafOf(2),
       true},
      {"AnUpdateOfCopiesToLinks",
       [](SimulatedNode& node) {
         HaveGenerationOneAsCopies(node);
         DeclareAnew(node, FileInstall::kLink);
       },
       [](SimulatedNode& node) { InstallAndConfirm(node, 2); },
       {LeafOf(1)},
       LeafOf(2)},
  };
}

class RecoverTest : public ::testing::TestWithParam<Story> {
 protected:
  static void ExpectOneOf(SimulatedNode& node, const std::vector<std::string>& allowed) {
    for (const std::string service : {"nginx", "haproxy"}) {
      EXPECT_THAT(node.FilesOf(service), ::testing::AnyOfArray(allowed)) << service;
    }
  }

  static std::vector<std::string> Sets() {
    std::vector<std::string> sets = GetParam().before;
    sets.push_back(GetParam().after);
    return sets;
  }

  static void ExpectWhole(SimulatedNode& node) { ExpectOneOf(node, Sets()); }

  // Where the end came between two renames, which no process was there to follow up.
  static void ExpectWholeUnlessCutOff(SimulatedNode& node) {
    std::vector<std::string> allowed = Sets();
    if (GetParam().has_copies) allowed.push_back(kMixed);
    ExpectOneOf(node, allowed);
  }

  // Nothing is under way any more, nothing was left, and what is in force is told as it is.
  static void ExpectOrder(SimulatedNode& node) {
    EXPECT_THAT(node.Temporaries(), IsEmpty());
    // Recovering again changes nothing.
    const std::string nginx = node.FilesOf("nginx");
    const std::string haproxy = node.FilesOf("haproxy");
    const int reloads = node.ReloadsOf("nginx") + node.ReloadsOf("haproxy");
    node.Kill();
    ASSERT_THAT(node.Start(), IsOk());
    EXPECT_EQ(node.FilesOf("nginx"), nginx);
    EXPECT_EQ(node.FilesOf("haproxy"), haproxy);
    EXPECT_EQ(node.ReloadsOf("nginx") + node.ReloadsOf("haproxy"), reloads);
    // Once the time for Confirm is over too, everything serves what its files say.
    node.clock.Advance(absl::Minutes(2));
    EXPECT_THAT(node.engine().RevertIfOverdue(), IsOk());
    ExpectWhole(node);
    for (const std::string service : {"nginx", "haproxy"}) {
      const std::string files = node.FilesOf(service);
      if (files != kNothing && !node.running[service].ignores_reload) {
        EXPECT_EQ(node.running[service].served, files) << service;
      }
    }
  }

  // And the node is fit for what comes next.
  static void ExpectNextInstallWorks(SimulatedNode& node) {
    for (auto& [name, service] : node.running) service.ignores_reload = false;
    node.Bring(9);
    EXPECT_EQ(node.FilesOf("nginx"), LeafOf(9));
    EXPECT_EQ(node.FilesOf("haproxy"), LeafOf(9));
    const v1::Inventory inventory = node.Describe();
    for (const auto& service : inventory.services()) EXPECT_THAT(service.drift(), IsEmpty());
  }

  // Runs the story with what `arm` sets up from the n-th operation on, for n from 1 until it is not reached any more.
  static void ForEachOperation(const std::function<void(SimulatedNode&, int)>& arm,
                               const std::function<void(SimulatedNode&, int)>& expect) {
    int n = 0;
    bool reached = true;
    while (reached) {
      ++n;
      SimulatedNode node;
      GetParam().prepare(node);
      const int begin = node.files.count();
      arm(node, begin + n);
      GetParam().act(node);
      reached = node.files.count() >= begin + n;
      if (!reached) break;
      const std::string operation = node.files.operations()[begin + n - 1];
      SCOPED_TRACE(absl::StrCat("operation ", n, ": ", operation));
      expect(node, n);
      if (HasFailure()) return;
    }
    // The story is longer than a few calls, or it shows nothing.
    EXPECT_GT(n, 30);
  }
};

TEST_P(RecoverTest, WithoutAFaultItGoesThrough) {
  SimulatedNode node;
  GetParam().prepare(node);
  GetParam().act(node);
  EXPECT_EQ(node.FilesOf("nginx"), GetParam().after);
  EXPECT_EQ(node.FilesOf("haproxy"), GetParam().after);
  ExpectNextInstallWorks(node);
}

TEST_P(RecoverTest, AfterAKillAtAnyOperation) {
  ForEachOperation([](SimulatedNode& node, int n) { node.files.CrashAt(n); },
                   [](SimulatedNode& node, int) {
                     ExpectWholeUnlessCutOff(node);
                     node.Kill();
                     ASSERT_THAT(node.Start(), IsOk());
                     ExpectWhole(node);
                     ExpectOrder(node);
                     ExpectNextInstallWorks(node);
                   });
}

TEST_P(RecoverTest, AfterAPowerLossAtAnyOperation) {
  ForEachOperation([](SimulatedNode& node, int n) { node.files.CrashAt(n); },
                   [](SimulatedNode& node, int n) {
                     node.LosePower(static_cast<uint64_t>(n) % 4);
                     ExpectWholeUnlessCutOff(node);
                     ASSERT_THAT(node.Start(), IsOk());
                     ExpectWhole(node);
                     ExpectOrder(node);
                   });
}

TEST_P(RecoverTest, AfterAPowerLossInTheMiddleOfAWrite) {
  ForEachOperation([](SimulatedNode& node, int n) { node.files.CrashInTheMiddleOf(n); },
                   [](SimulatedNode& node, int n) {
                     node.LosePower(static_cast<uint64_t>(n));
                     ExpectWholeUnlessCutOff(node);
                     ASSERT_THAT(node.Start(), IsOk());
                     ExpectWhole(node);
                     ExpectOrder(node);
                   });
}

TEST_P(RecoverTest, AfterACrashDuringRecovery) {
  // The second crash moves through the recovery while the first moves through the story, at another pace.
  for (const int pace : {7, 11}) {
    ForEachOperation([](SimulatedNode& node, int n) { node.files.CrashAt(n); },
                     [&](SimulatedNode& node, int n) {
                       node.LosePower(static_cast<uint64_t>(n));
                       node.files.CrashAt(node.files.count() + 1 + pace * n % 61);
                       (void)node.Start();
                       node.LosePower(static_cast<uint64_t>(n + pace));
                       ExpectWholeUnlessCutOff(node);
                       ASSERT_THAT(node.Start(), IsOk());
                       ExpectWhole(node);
                       ExpectOrder(node);
                     });
    if (HasFailure()) return;
  }
}

TEST_P(RecoverTest, WhereOneOperationFails) {
  for (const int error : {EIO, ENOSPC}) {
    ForEachOperation([&](SimulatedNode& node, int n) { node.files.FailAt(n, error); },
                     [](SimulatedNode& node, int) {
                       ExpectWhole(node);
                       node.Kill();
                       ASSERT_THAT(node.Start(), IsOk());
                       ExpectWhole(node);
                       ExpectOrder(node);
                     });
    if (HasFailure()) return;
  }
}

TEST_P(RecoverTest, WhereTheDiskIsFullFromSomePointOn) {
  ForEachOperation(
      [](SimulatedNode& node, int n) {
        node.files.FailWhere(
            [left = n - node.files.count()](absl::string_view operation) mutable {
              return --left <= 0 && (absl::StartsWith(operation, "Make") || absl::StartsWith(operation, "Create"));
            },
            ENOSPC);
      },
      [](SimulatedNode& node, int) {
        ExpectWhole(node);
        // Also without a restart, everything serves what its files say: the way back needs no space.
        node.clock.Advance(absl::Minutes(2));
        // Only links that were being taken in, before anything was switched, may wait for some.
        EXPECT_THAT(node.engine().RevertIfOverdue(), ::testing::AnyOf(IsOk(), testing::HasReason(Reason::NO_SPACE)));
        for (const std::string service : {"nginx", "haproxy"}) {
          if (node.FilesOf(service) != kNothing && !node.running[service].ignores_reload) {
            EXPECT_EQ(node.running[service].served, node.FilesOf(service));
          }
        }
        node.Kill();
        ASSERT_THAT(node.Start(), IsOk());
        ExpectOrder(node);
        ExpectNextInstallWorks(node);
      });
}

INSTANTIATE_TEST_SUITE_P(Stories, RecoverTest, ::testing::ValuesIn(Stories()),
                         [](const auto& info) { return info.param.name; });

INSTANTIATE_TEST_SUITE_P(StoriesOfCopies, RecoverTest, ::testing::ValuesIn(StoriesOfCopies()),
                         [](const auto& info) { return info.param.name; });

// Single steps: what the controller learns afterwards.

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

  SimulatedNode node;
  int reloads = 0;
};

TEST_F(InterruptedTest, WhileStagingNothingWasSwitched) {
  const v1::InstallResult result = InterruptAt("CreateFile /var/lib/certcast-node/certificates/wildcard");
  EXPECT_EQ(result.outcome(), Outcome::FAILED);
  EXPECT_EQ(result.failure().reason(), Reason::INTERRUPTED);
  EXPECT_EQ(result.failure().step(), "stage");
  EXPECT_EQ(node.ReloadsOf("nginx"), reloads);
  EXPECT_THAT(node.Generations(), ::testing::ElementsAre("0", "1"));
  EXPECT_THAT(node.engine().Recovered(), ::testing::HasSubstr("interrupted at stage"));
}

TEST_F(InterruptedTest, AfterTheFlipAndBeforeTheReloadItIsSwitchedBackWithoutOne) {
  HaveGenerationOne(node);
  reloads = node.ReloadsOf("nginx");
  const v1::Command command = node.InstallCommand(2);
  // The check is the first that would run.
  node.processes.On({"nginx", "-t"}, [&](const ProcessRequest&) -> absl::StatusOr<ProcessResult> {
    node.files.CrashAt(node.files.count() + 1);
    return absl::AbortedError("killed");
  });
  node.Handle(command);
  EXPECT_EQ(node.FilesOf("nginx"), LeafOf(2));
  node.Kill();
  ASSERT_THAT(node.Start(), IsOk());
  const v1::InstallResult result = node.ResultOf(command);
  EXPECT_EQ(result.outcome(), Outcome::REVERTED);
  EXPECT_EQ(result.failure().reason(), Reason::INTERRUPTED);
  EXPECT_EQ(result.failure().step(), "check");
  EXPECT_EQ(node.FilesOf("nginx"), LeafOf(1));
  EXPECT_EQ(node.ReloadsOf("nginx"), reloads);
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
  EXPECT_THAT(node.engine().Recovered(), ::testing::HasSubstr("waits for Confirm"));
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
