// What operators make of a rollout: pause, abort, undo, retry; and its timeout.
#include "controller/rollout/life_cycle.h"

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
using ::testing::IsEmpty;
using ::testing::SizeIs;
using Request = state::v1::RolloutRequest;

v1::Operator Alice() {
  v1::Operator alice;
  alice.set_user("alice");
  return alice;
}

// Asks while the given node is being given the generation.
void AskAt(RolloutWorld& world, const std::string& name, Request::Wish wish,
           Request::OnHalt on_halt = Request::AS_PLANNED) {
  world.OnCommand([&world, name, wish, on_halt](const std::string& node, const v1::Command& command) {
    if (command.has_install() && node == name) world.Ask(wish, on_halt);
  });
}

TEST(Pause, FinishesTheNodeAtWorkAndBeginsNoOther) {
  RolloutWorld world(10);
  const Rollout plan = world.Plan();
  const std::string canary = world.NamesIn(plan, 1)[0];
  AskAt(world, canary, Request::PAUSE);
  const auto paused = world.Execute(plan);
  ASSERT_TRUE(paused.ok()) << paused.status();
  EXPECT_EQ(paused->state(), v1::Rollout::PAUSED);
  EXPECT_FALSE(IsFinished(*paused));
  EXPECT_EQ(paused->paused_because(), "paused by alice");
  EXPECT_EQ(paused->paused_by().user(), "alice");
  EXPECT_EQ(ShowRollout(*paused).paused_by().user(), "alice");
  EXPECT_FALSE(world.asked());
  EXPECT_THAT(world.transport().NodesThatGot(kInstall), ElementsAre(canary));
  EXPECT_TRUE(world.node(canary).installed("wildcard").confirmed);
  EXPECT_EQ(world.progress().back().text(), "paused: paused by alice");

  world.OnCommand(nullptr);
  const auto ended = world.Resume();
  ASSERT_TRUE(ended.ok()) << ended.status();
  EXPECT_EQ(ended->state(), v1::Rollout::COMPLETED);
  EXPECT_FALSE(ended->has_paused_by());
  EXPECT_THAT(world.transport().NodesThatGot(kInstall), SizeIs(10));
  EXPECT_TRUE(world.AllServe(world.NewLeaf()));
}

TEST(Pause, BeforeItHasBegunTouchesNoNode) {
  RolloutWorld world(3);
  world.policy().soak = absl::Seconds(1);
  const Rollout plan = world.Plan();
  world.Ask(Request::PAUSE);
  const auto paused = world.Execute(plan);
  ASSERT_TRUE(paused.ok()) << paused.status();
  EXPECT_EQ(paused->state(), v1::Rollout::PAUSED);
  EXPECT_EQ(world.transport().opened(), 0);
  const auto ended = world.Resume();
  ASSERT_TRUE(ended.ok()) << ended.status();
  EXPECT_EQ(ended->state(), v1::Rollout::COMPLETED);
  EXPECT_TRUE(world.AllServe(world.NewLeaf()));
}

TEST(Pause, EndsASoakWhichGoesOnFromWhereItBegan) {
  RolloutWorld world(3);
  world.policy().soak = absl::Hours(1);
  const Rollout plan = world.Plan();
  world.prober().Otherwise([&](const ProbeSpec&) {
    world.Ask(Request::PAUSE);
    return certcast::testing::FakeProber::Serves(world.NewLeaf());
  });
  const auto paused = world.Execute(plan);
  ASSERT_TRUE(paused.ok()) << paused.status();
  EXPECT_EQ(paused->state(), v1::Rollout::PAUSED);
  EXPECT_LE(world.clock().slept(), absl::Seconds(1));
  world.prober().Otherwise([&](const ProbeSpec&) { return certcast::testing::FakeProber::Serves(world.NewLeaf()); });
  world.clock().Advance(absl::Minutes(50));
  const auto ended = world.Resume();
  ASSERT_TRUE(ended.ok()) << ended.status();
  EXPECT_EQ(ended->state(), v1::Rollout::COMPLETED);
}

TEST(Pause, HoldsWhatIsFailingBesideItToTheBudget) {
  RolloutWorld world(3);
  const Rollout plan = world.Plan();
  const std::string canary = world.NamesIn(plan, 1)[0];
  AskAt(world, canary, Request::PAUSE);
  world.node(canary).Inject(kInstall, Fault::Result(v1::Outcome::FAILED, Reason::NO_SPACE));
  const auto ended = world.Execute(plan);
  ASSERT_TRUE(ended.ok()) << ended.status();
  EXPECT_EQ(ended->state(), v1::Rollout::REVERTED);
  EXPECT_FALSE(ended->has_paused_by());
  EXPECT_FALSE(world.asked()) << "it came too late, and is not kept for later";
}

TEST(Abort, PutsBackWhatWasChanged) {
  RolloutWorld world(10);
  const Rollout plan = world.Plan();
  AskAt(world, world.NamesIn(plan, 2)[3], Request::ABORT);
  const auto ended = world.Execute(plan);
  ASSERT_TRUE(ended.ok()) << ended.status();
  EXPECT_EQ(ended->state(), v1::Rollout::REVERTED);
  EXPECT_EQ(ended->halted_because(), "aborted by alice");
  EXPECT_THAT(world.transport().NodesThatGot(kInstall), SizeIs(5));
  EXPECT_THAT(world.transport().NodesThatGot(kRevert), SizeIs(5));
  EXPECT_EQ(world.ResultOf(*ended, world.NamesIn(plan, 2)[8]).outcome(), v1::Outcome::SKIPPED);
  EXPECT_TRUE(world.AllServe(world.OldLeaf()));
  EXPECT_FALSE(world.asked());
}

TEST(Abort, KeepsAndRevertsAsAskedWhateverThePolicySays) {
  for (const Request::OnHalt on_halt : {Request::KEEP, Request::REVERT}) {
    RolloutWorld world(4);
    world.policy().on_halt = on_halt == Request::KEEP ? RolloutPolicy::OnHalt::kRevert : RolloutPolicy::OnHalt::kStop;
    const Rollout plan = world.Plan();
    AskAt(world, world.NamesIn(plan, 1)[0], Request::ABORT, on_halt);
    const auto ended = world.Execute(plan);
    ASSERT_TRUE(ended.ok()) << ended.status();
    const bool kept = on_halt == Request::KEEP;
    EXPECT_EQ(ended->state(), kept ? v1::Rollout::HALTED : v1::Rollout::REVERTED);
    EXPECT_THAT(world.transport().NodesThatGot(kRevert), SizeIs(kept ? 0 : 1));
    EXPECT_TRUE(IsFinished(*ended));
  }
}

TEST(Abort, OfOneThatIsPausedGoesBackAtItsNextStart) {
  RolloutWorld world(4);
  const Rollout plan = world.Plan();
  AskAt(world, world.NamesIn(plan, 1)[0], Request::PAUSE);
  ASSERT_TRUE(world.Execute(plan).ok());
  world.OnCommand(nullptr);
  world.Ask(Request::ABORT);
  const auto ended = world.Resume();
  ASSERT_TRUE(ended.ok()) << ended.status();
  EXPECT_EQ(ended->state(), v1::Rollout::REVERTED);
  EXPECT_THAT(world.transport().NodesThatGot(kInstall), SizeIs(1));
  EXPECT_TRUE(world.AllServe(world.OldLeaf()));
}

TEST(Request, IsNothingToARolloutThatIsFinished) {
  RolloutWorld world(2);
  const auto ended = world.Run();
  ASSERT_TRUE(ended.ok()) << ended.status();
  for (const Request::Wish wish : {Request::PAUSE, Request::ABORT}) {
    world.Ask(wish);
    const auto after = world.Resume();
    ASSERT_TRUE(after.ok()) << after.status();
    EXPECT_EQ(after->SerializeAsString(), ended->SerializeAsString());
    EXPECT_FALSE(world.asked());
  }
}

TEST(Request, ThatCannotBeReadEndsTheRunAndLosesNothing) {
  RolloutWorld world(4);
  const Rollout plan = world.Plan();
  int asked = 0;
  world.inputs().request = [&]() -> absl::StatusOr<std::optional<Request>> {
    if (++asked == 4) return Fail(Reason::STORAGE_FAILED, "disk gone");
    return std::nullopt;
  };
  const auto ended = world.Execute(plan);
  EXPECT_EQ(ReasonOf(ended.status()), Reason::STORAGE_FAILED) << ended.status();
  const auto resumed = world.Resume();
  ASSERT_TRUE(resumed.ok()) << resumed.status();
  EXPECT_EQ(resumed->state(), v1::Rollout::COMPLETED);
  for (const auto& [name, config] : world.configs()) EXPECT_EQ(world.node(name).reloads(), 1) << name;
}

TEST(Undo, PutsEveryNodeOfAFinishedRolloutBack) {
  RolloutWorld world(5);
  const auto completed = world.Run();
  ASSERT_TRUE(completed.ok()) << completed.status();
  ASSERT_TRUE(CanBeUndone(*completed));
  world.log().Begin(UndoRollout(*completed, Alice()));
  const auto undone = world.Resume();
  ASSERT_TRUE(undone.ok()) << undone.status();
  EXPECT_EQ(undone->state(), v1::Rollout::REVERTED);
  EXPECT_EQ(undone->halted_because(), "undone by alice");
  EXPECT_TRUE(world.AllServe(world.OldLeaf()));
  EXPECT_FALSE(CanBeUndone(*undone));
  EXPECT_THAT(world.transport().NodesThatGot(kRevert), SizeIs(5));
}

TEST(Undo, LeavesNodesAloneThatTheRolloutDidNotChange) {
  RolloutWorld world(3);
  const Rollout plan = world.Plan();
  const std::string had_it = world.NamesIn(plan, 2)[0];
  world.node(had_it).Preinstall("wildcard", 2, world.NewLeaf());
  const auto completed = world.Execute(plan);
  ASSERT_TRUE(completed.ok()) << completed.status();
  world.log().Begin(UndoRollout(*completed, Alice()));
  const auto undone = world.Resume();
  ASSERT_TRUE(undone.ok()) << undone.status();
  EXPECT_EQ(undone->state(), v1::Rollout::REVERTED);
  EXPECT_EQ(world.node(had_it).seen(kRevert), 0);
  EXPECT_EQ(world.ResultOf(*undone, had_it).outcome(), v1::Outcome::UNCHANGED);
}

TEST(Undo, TriesAWayBackOnceMoreThatHadFailed) {
  RolloutWorld world(4);
  const Rollout plan = world.Plan();
  const std::string canary = world.NamesIn(plan, 1)[0];
  world.node(canary).Inject(kRevert, Fault::Result(v1::Outcome::FAILED, Reason::STORAGE_FAILED, "disk gone"));
  world.node(world.NamesIn(plan, 2)[0]).Inject(kInstall, Fault::Result(v1::Outcome::FAILED, Reason::NO_SPACE));
  const auto halted = world.Execute(plan);
  ASSERT_TRUE(halted.ok()) << halted.status();
  ASSERT_EQ(halted->state(), v1::Rollout::HALTED);
  ASSERT_EQ(world.ResultOf(*halted, canary).reason(), Reason::REVERT_FAILED);
  world.log().Begin(UndoRollout(*halted, Alice()));
  const auto undone = world.Resume();
  ASSERT_TRUE(undone.ok()) << undone.status();
  EXPECT_EQ(undone->state(), v1::Rollout::REVERTED);
  EXPECT_EQ(world.ResultOf(*undone, canary).outcome(), v1::Outcome::REVERTED);
  EXPECT_EQ(world.ResultOf(*undone, canary).reason(), Reason::ROLLOUT_HALTED);
  EXPECT_EQ(world.ResultOf(*undone, canary).detail(), "");
  EXPECT_EQ(world.ResultOf(*undone, world.NamesIn(plan, 2)[0]).reason(), Reason::NO_SPACE);
  EXPECT_TRUE(world.AllServe(world.OldLeaf()));
}

TEST(Undo, OfOneThatIsPausedSkipsWhatHadNoTurn) {
  RolloutWorld world(4);
  const Rollout plan = world.Plan();
  AskAt(world, world.NamesIn(plan, 1)[0], Request::PAUSE);
  const auto paused = world.Execute(plan);
  ASSERT_TRUE(paused.ok()) << paused.status();
  world.log().Begin(UndoRollout(*paused, Alice()));
  const auto undone = world.Resume();
  ASSERT_TRUE(undone.ok()) << undone.status();
  EXPECT_EQ(undone->state(), v1::Rollout::REVERTED);
  EXPECT_EQ(undone->paused_because(), "");
  EXPECT_EQ(world.ResultOf(*undone, world.NamesIn(plan, 2)[0]).outcome(), v1::Outcome::SKIPPED);
  EXPECT_TRUE(world.AllServe(world.OldLeaf()));
}

TEST(Retry, IsForNodesThatEndedWithoutTheGeneration) {
  RolloutWorld world(6);
  world.policy().max_failures = 1;
  const Rollout plan = world.Plan();
  const std::vector<std::string> second = world.NamesIn(plan, 2);
  world.node(second[0]).Inject(kInstall, Fault::Result(v1::Outcome::FAILED, Reason::NO_SPACE));
  world.node(second[2]).SetReachable(Fail(Reason::NO_ROUTE, "connection refused"));
  const auto incomplete = world.Execute(plan);
  ASSERT_TRUE(incomplete.ok()) << incomplete.status();
  EXPECT_THAT(NodesToRetry(*incomplete), ElementsAre(second[0], second[2]));
  const v1::Rollout::Counts counts = ShowRollout(*incomplete).counts();
  EXPECT_EQ(counts.good(), 4);
  EXPECT_EQ(counts.failed(), 1);
  EXPECT_EQ(counts.missing(), 1);

  RolloutWorld fine(3);
  const auto completed = fine.Run();
  ASSERT_TRUE(completed.ok()) << completed.status();
  EXPECT_THAT(NodesToRetry(*completed), IsEmpty());
}

TEST(Timeout, LeavesTheRestForTheNextRolloutAndFinishesNodesAtWork) {
  RolloutWorld world(10);
  world.policy().timeout = absl::Minutes(10);
  const Rollout plan = world.Plan();
  for (const auto& [name, config] : world.configs()) world.node(name).SetDelay(kInstall, absl::Minutes(2));
  const auto ended = world.Execute(plan);
  ASSERT_TRUE(ended.ok()) << ended.status();
  EXPECT_EQ(ended->state(), v1::Rollout::INCOMPLETE);
  EXPECT_TRUE(IsFinished(*ended));
  EXPECT_EQ(ShowRollout(*ended).because(), "its timeout of 10m is over");
  EXPECT_THAT(world.transport().NodesThatGot(kInstall), SizeIs(5));
  EXPECT_THAT(world.transport().NodesThatGot(kRevert), IsEmpty());
  const v1::Rollout::Node last = world.ResultOf(*ended, world.NamesIn(plan, 2)[8]);
  EXPECT_EQ(last.outcome(), v1::Outcome::SKIPPED);
  EXPECT_EQ(last.reason(), Reason::TIMED_OUT);
  EXPECT_EQ(ended->counts().good(), 5);
  EXPECT_EQ(ended->counts().skipped(), 5);
}

TEST(Timeout, CountsOnlyTheTimeThatControllersWork) {
  RolloutWorld world(3);
  world.policy().timeout = absl::Minutes(10);
  const Rollout plan = world.Plan();
  for (const auto& [name, config] : world.configs()) world.node(name).SetDelay(kInstall, absl::Minutes(1));
  AskAt(world, world.NamesIn(plan, 1)[0], Request::PAUSE);
  const auto paused = world.Execute(plan);
  ASSERT_TRUE(paused.ok()) << paused.status();
  ASSERT_EQ(paused->state(), v1::Rollout::PAUSED);
  EXPECT_EQ(FromProto(paused->time_spent()), absl::Minutes(1));
  world.OnCommand(nullptr);
  world.clock().Advance(absl::Hours(48));
  const auto ended = world.Resume();
  ASSERT_TRUE(ended.ok()) << ended.status();
  EXPECT_EQ(ended->state(), v1::Rollout::COMPLETED);
  EXPECT_EQ(FromProto(ended->time_spent()), absl::Minutes(3));
}

TEST(Timeout, EndsASoak) {
  RolloutWorld world(10);
  world.policy().timeout = absl::Minutes(1);
  world.policy().soak = absl::Hours(1);
  const auto ended = world.Run();
  ASSERT_TRUE(ended.ok()) << ended.status();
  EXPECT_EQ(ended->state(), v1::Rollout::INCOMPLETE);
  EXPECT_LE(world.clock().slept(), absl::Minutes(1) + absl::Seconds(1));
}

TEST(Timeout, DoesNotHoldUpTheWayBack) {
  RolloutWorld world(4);
  world.policy().timeout = absl::Minutes(1);
  const Rollout plan = world.Plan();
  const std::string second = world.NamesIn(plan, 2)[0];
  world.node(second).SetDelay(kInstall, absl::Minutes(2));
  world.node(second).Inject(kInstall, Fault::Result(v1::Outcome::REVERTED, Reason::CHECK_FAILED));
  const auto ended = world.Execute(plan);
  ASSERT_TRUE(ended.ok()) << ended.status();
  EXPECT_EQ(ended->state(), v1::Rollout::REVERTED);
  EXPECT_TRUE(world.AllServe(world.OldLeaf()));
}

}  // namespace
}  // namespace certcast::controller
