// Rollouts in the hands of operators: pause, resume, abort, undo, retry, while another process is at work on them and
// when none is; and an apply that is interrupted.
#include <fcntl.h>
#include <sys/stat.h>

#include <csignal>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/file/descriptor.h"
#include "gmock/gmock.h"
#include "tests/testing/fleet_fixture.h"
#include "tests/testing/status_matchers.h"

namespace certcast::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr absl::Duration kPatience = absl::Seconds(20);

// A reload that takes until it is let go; it has worked then.
class SlowReload {
 public:
  explicit SlowReload(FleetNode& node) : node_(node), fifo_(node.home() + "/hold") {
    EXPECT_EQ(mkfifo(fifo_.c_str(), 0600), 0);
    end_ = Descriptor(open(fifo_.c_str(), O_RDWR | O_CLOEXEC));
    EXPECT_TRUE(end_.valid());
    EXPECT_THAT(node_.SetReload(absl::StrCat("read line <$home/hold || :\n", kReload)), IsOk());
  }
  void LetGo() {
    EXPECT_THAT(node_.SetReload(kReload), IsOk());
    end_.Close();
  }

 private:
  FleetNode& node_;
  const std::string fifo_;
  Descriptor end_;
};

class RolloutTest : public FleetTest {
 protected:
  // All serve the first generation; a renewal is at work on its first node, and stays so.
  void StartRenewal() {
    ASSERT_NO_FATAL_FAILURE(StartFleet({.nodes = 3, .rollout = R"({waves: ["1", "100%"], parallel: 1})"}));
    first_ = ApplyFirst();
    canary_ = NodesOfWave(Apply({"--force-renewal", "--dry-run"}), 1).at(0);
    reload_ = std::make_unique<SlowReload>(Canary());
    auto started = fleet().controller().StartJson({"apply", "--force-renewal"});
    ASSERT_THAT(started, IsOk());
    renewal_ = *std::move(started);
    ASSERT_THAT(WaitUntil("its canary reloads", kPatience, [&] { return Canary().Reloads() == 2; }), IsOk())
        << renewal_->err();
  }
  FleetNode& Canary() { return fleet().node(canary_); }

  CommandResult Rollout(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "rollout");
    return fleet().controller().Json(std::move(arguments));
  }
  // As a second person does while the renewal is at work.
  CommandResult AskWhileAtWork(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "rollout");
    auto asking = fleet().controller().StartJson(std::move(arguments));
    EXPECT_THAT(asking, IsOk());
    EXPECT_THAT(WaitUntil("it has asked", kPatience, [&] { return absl::StrContains((*asking)->err(), "asked; "); }),
                IsOk());
    EXPECT_THAT((*asking)->err(), HasSubstr(absl::StrCat("in use by apply (process ", renewal_->program().pid(), ")")));
    reload_->LetGo();
    return (*asking)->Finish();
  }
  static std::string StateOf(const CommandResult& result) { return result.json.at("rollout").at("state"); }
  static std::string IdOf(const CommandResult& result) { return result.json.at("rollout").at("id"); }
  // Only the canary was touched by the renewal.
  void ExpectOnlyCanaryRenewed() {
    for (FleetNode& node : fleet().nodes()) {
      const bool renewed = node.name() == canary_;
      EXPECT_EQ(node.nginx().Served() != first_, renewed) << node.name();
      EXPECT_EQ(node.Reloads(), renewed ? 2 : 1) << node.name();
    }
  }

  std::string first_;
  std::string canary_;
  std::unique_ptr<SlowReload> reload_;
  std::unique_ptr<RunningCommand> renewal_;
};

TEST_F(RolloutTest, APauseReachesTheApplyAtWorkAndHoldsUntilItIsResumed) {
  ASSERT_NO_FATAL_FAILURE(StartRenewal());

  const CommandResult paused = AskWhileAtWork({"pause"});

  EXPECT_EQ(paused.exit_code, 0) << paused;
  EXPECT_EQ(StateOf(paused), "PAUSED");
  EXPECT_NE(paused.json.at("rollout").at("pausedBy").at("user"), "");
  const CommandResult apply = renewal_->Finish();
  EXPECT_EQ(apply.exit_code, 3) << apply;
  EXPECT_EQ(StateIn(apply), "PAUSED");
  ExpectOnlyCanaryRenewed();

  const CommandResult again = Rollout({"pause"});
  EXPECT_EQ(again.exit_code, 0) << again;
  EXPECT_THAT(again.out, HasSubstr("paused already"));
  const CommandResult held = Apply({"--force-renewal"});
  EXPECT_EQ(held.exit_code, 3) << held;
  EXPECT_THAT(held.err, HasSubstr(absl::StrCat("certcast rollout resume ", IdOf(paused))));
  EXPECT_FALSE(IssuedIn(held));
  EXPECT_EQ(Rollout({"status"}).exit_code, 3);
  const CommandResult status = fleet().controller().Run({"status"});
  EXPECT_EQ(status.exit_code, 3) << status;
  // The second wave may have been begun, without a node.
  EXPECT_THAT(status.out, HasSubstr(absl::StrCat("  rollout ", IdOf(paused), " PAUSED, wave ")));
  EXPECT_THAT(status.out, HasSubstr(" of 2, 1 of 3 nodes serve generation 2, 2 to do\n"));
  EXPECT_THAT(status.out, HasSubstr(absl::StrCat("`certcast rollout resume ", IdOf(paused), "` goes on\n")));
  ExpectOnlyCanaryRenewed();

  const CommandResult resumed = Rollout({"resume"});
  EXPECT_EQ(resumed.exit_code, 0) << resumed;
  EXPECT_EQ(StateOf(resumed), "COMPLETED");
  EXPECT_EQ(IdOf(resumed), IdOf(paused));
  for (FleetNode& node : fleet().nodes()) {
    EXPECT_NE(node.nginx().Served(), first_) << node.name();
    EXPECT_EQ(node.Reloads(), 2) << node.name();
  }
  EXPECT_EQ(Rollout({"status", "wildcard"}).exit_code, 0);
}

TEST_F(RolloutTest, AnAbortReachesTheApplyAtWorkWhichPutsTheCanaryBack) {
  ASSERT_NO_FATAL_FAILURE(StartRenewal());

  const CommandResult aborted = AskWhileAtWork({"abort"});

  EXPECT_EQ(aborted.exit_code, 0) << aborted;
  const CommandResult apply = renewal_->Finish();
  EXPECT_EQ(apply.exit_code, 4) << apply;
  EXPECT_EQ(StateIn(apply), "REVERTED");
  EXPECT_THAT(apply.out, HasSubstr("aborted by "));
  ExpectAllServe(first_);
  const CommandResult again = Rollout({"abort"});
  EXPECT_EQ(again.exit_code, 0) << again;
  EXPECT_THAT(again.out, HasSubstr("it is REVERTED"));
}

TEST_F(RolloutTest, OneThatNobodyIsAtWorkOnIsAbortedByTheCommandItself) {
  ASSERT_NO_FATAL_FAILURE(StartRenewal());
  renewal_->program().Kill();
  EXPECT_EQ(StateOf(Rollout({"status"})), "RUNNING");
  reload_->LetGo();

  const CommandResult aborted = Rollout({"abort", "--revert"});

  EXPECT_EQ(aborted.exit_code, 0) << aborted;
  EXPECT_EQ(StateOf(aborted), "REVERTED");
  ExpectAllServe(first_);
}

TEST_F(RolloutTest, OneThatNobodyIsAtWorkOnIsPausedAndResumedByTheCommandsThemselves) {
  ASSERT_NO_FATAL_FAILURE(StartRenewal());
  renewal_->program().Kill();
  reload_->LetGo();

  const CommandResult paused = Rollout({"pause"});

  EXPECT_EQ(paused.exit_code, 0) << paused;
  EXPECT_EQ(StateOf(paused), "PAUSED");
  const CommandResult resumed = Rollout({"resume", IdOf(paused).substr(0, 12)});
  EXPECT_EQ(resumed.exit_code, 0) << resumed;
  EXPECT_EQ(StateOf(resumed), "COMPLETED");
  for (FleetNode& node : fleet().nodes()) EXPECT_EQ(node.Reloads(), 2) << node.name();
}

TEST_F(RolloutTest, WhatTheOthersWantIsForTheOneThatIsAtWork) {
  ASSERT_NO_FATAL_FAILURE(StartRenewal());
  for (const std::string verb : {"resume", "undo", "retry"}) {
    const CommandResult refused = Rollout({verb});
    EXPECT_EQ(refused.exit_code, 1) << refused;
    EXPECT_THAT(refused.err, AllOf(HasSubstr(absl::StrCat("in use by apply (process ", renewal_->program().pid(), ")")),
                                   HasSubstr("hint: wait until it has ended")));
  }
  EXPECT_EQ(StateOf(Rollout({"status"})), "RUNNING");
  EXPECT_THAT(fleet().controller().Run({"status"}).out,
              AllOf(HasSubstr(" RUNNING, wave 1 of 2, 0 of "), HasSubstr(" --watch` follows it;")));
  reload_->LetGo();
  const CommandResult apply = renewal_->Finish();
  EXPECT_EQ(apply.exit_code, 0) << apply;
  ExpectAllServe(LeafIn(apply));
}

TEST_F(RolloutTest, TheFirstInterruptLetsTheNodeAtWorkFinishAndSaysHowToGoOn) {
  ASSERT_NO_FATAL_FAILURE(StartRenewal());
  renewal_->program().Signal(SIGINT);
  ASSERT_THAT(WaitUntil("it has heard", kPatience,
                        [&] { return absl::StrContains(renewal_->err(), "stopping: nodes at work"); }),
              IsOk());
  reload_->LetGo();

  const CommandResult stopped = renewal_->Finish();

  EXPECT_EQ(stopped.exit_code, 1) << stopped;
  const CommandResult left = Rollout({"status"});
  EXPECT_EQ(StateOf(left), "RUNNING");
  EXPECT_THAT(stopped.err, HasSubstr(absl::StrCat("certcast rollout resume ", IdOf(left))));
  ExpectOnlyCanaryRenewed();
  // Confirmed: it stays so.
  const CommandResult there = Canary().Agent({"status", "-o", "json"});
  EXPECT_EQ(there.json.at("certificates").at(0).at("confirmed"), true) << there;

  const CommandResult resumed = Rollout({"resume"});
  EXPECT_EQ(resumed.exit_code, 0) << resumed;
  for (FleetNode& node : fleet().nodes()) EXPECT_EQ(node.Reloads(), 2) << node.name();
}

TEST_F(RolloutTest, TheSecondInterruptEndsAtOnceAndSaysWhatNodesDoThen) {
  ASSERT_NO_FATAL_FAILURE(StartRenewal());
  renewal_->program().Signal(SIGINT);
  ASSERT_THAT(WaitUntil("it has heard", kPatience,
                        [&] { return absl::StrContains(renewal_->err(), "stopping: nodes at work"); }),
              IsOk());
  renewal_->program().Signal(SIGINT);

  const CommandResult ended = renewal_->Finish();

  EXPECT_EQ(ended.exit_code, 128 + SIGINT) << ended;
  EXPECT_THAT(ended.err, AllOf(HasSubstr("ended at once"), HasSubstr("goes back by itself"),
                               HasSubstr("certcast rollout resume")));
  reload_->LetGo();
  const CommandResult resumed = Apply();
  EXPECT_EQ(resumed.exit_code, 0) << resumed;
  for (FleetNode& node : fleet().nodes()) EXPECT_EQ(node.Reloads(), 2) << node.name();
  ExpectAllServe(LeafIn(resumed));
}

TEST_F(RolloutTest, ARequestOutlivesTheCommandThatMadeIt) {
  ASSERT_NO_FATAL_FAILURE(StartRenewal());
  auto asking = fleet().controller().StartJson({"rollout", "pause"});
  ASSERT_THAT(asking, IsOk());
  ASSERT_THAT(WaitUntil("it has asked", kPatience, [&] { return absl::StrContains((*asking)->err(), "asked; "); }),
              IsOk());
  (*asking)->program().Kill();
  const CommandResult waiting = Rollout({"status"});
  EXPECT_EQ(waiting.json.at("requested").at("action"), "PAUSE") << waiting;
  reload_->LetGo();

  const CommandResult apply = renewal_->Finish();

  EXPECT_EQ(apply.exit_code, 3) << apply;
  EXPECT_EQ(StateIn(apply), "PAUSED");
  ExpectOnlyCanaryRenewed();
}

TEST_F(RolloutTest, IsUndoneAndRetriedAfterItHasEnded) {
  ASSERT_NO_FATAL_FAILURE(StartFleet({.nodes = 2}));
  const std::string first = ApplyFirst();
  const CommandResult renewed = Renew();
  ASSERT_EQ(renewed.exit_code, 0) << renewed;

  const CommandResult undone = Rollout({"undo"});

  EXPECT_EQ(undone.exit_code, 0) << undone;
  EXPECT_EQ(StateOf(undone), "REVERTED");
  EXPECT_EQ(IdOf(undone), RolloutIn(renewed));
  EXPECT_THAT(undone.out, HasSubstr("stays the wanted one"));
  ExpectAllServe(first);
  EXPECT_EQ(fleet().controller().Json({"status"}).exit_code, 3);

  const CommandResult retried = Rollout({"retry", RolloutIn(renewed)});
  EXPECT_EQ(retried.exit_code, 0) << retried;
  EXPECT_EQ(StateOf(retried), "COMPLETED");
  EXPECT_NE(IdOf(retried), RolloutIn(renewed));
  ExpectAllServe(LeafIn(renewed));
  EXPECT_EQ(fleet().Orders(), 2);

  const CommandResult history = Rollout({"history"});
  EXPECT_EQ(history.exit_code, 0) << history;
  ASSERT_EQ(history.json.at("rollouts").size(), 3u);
  EXPECT_EQ(history.json.at("rollouts").at(0).at("id"), IdOf(retried));
  EXPECT_EQ(history.json.at("rollouts").at(0).at("counts").at("good"), 2);
  const CommandResult ambiguous = Rollout({"status", "wildcard-2"});
  EXPECT_EQ(ambiguous.exit_code, 2) << ambiguous;
  EXPECT_THAT(ambiguous.err, AllOf(HasSubstr(IdOf(retried)), HasSubstr(RolloutIn(renewed))));
  const CommandResult unknown = Rollout({"undo", "wildcard-9"});
  EXPECT_EQ(unknown.exit_code, 2) << unknown;
  EXPECT_THAT(unknown.err, HasSubstr("certcast rollout history has all"));
  const CommandResult superseded = Rollout({"retry", "wildcard-1"});
  EXPECT_EQ(superseded.exit_code, 1) << superseded;
  EXPECT_THAT(superseded.err, HasSubstr("generation 2 is wanted now"));
}

}  // namespace
}  // namespace certcast::testing
