// A rollout whose controller dies, or is told to stop, ends as it would have.
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "common/status/status.h"
#include "controller/rollout/life_cycle.h"
#include "controller/rollout/record.h"
#include "controller/rollout/rollout_world.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace certcast::controller {
namespace {

using certcast::testing::Fault;
using certcast::testing::IsOk;
using state::v1::Rollout;
using Request = state::v1::RolloutRequest;
using ::testing::Contains;
using ::testing::Not;
using ::testing::SizeIs;

struct Scenario {
  std::string name;
  // Called once the plan is made.
  std::function<void(RolloutWorld&, const Rollout& plan)> arrange;
  RolloutPolicy::OnHalt on_halt = RolloutPolicy::OnHalt::kRevert;
  int max_failures = 0;
  // Once it has ended.
  bool undone = false;

  friend void PrintTo(const Scenario& scenario, std::ostream* out) { *out << scenario.name; }
};

// An operator asks once, while a node of the second wave is at work.
std::function<void(RolloutWorld&, const Rollout&)> Asks(Request::Wish wish, Request::OnHalt on_halt) {
  return [wish, on_halt](RolloutWorld& world, const Rollout& plan) {
    world.OnCommand([&world, wish, on_halt, at = RolloutWorld::NamesIn(plan, 2)[1], asked = false](
                        const std::string& node, const v1::Command& command) mutable {
      if (!command.has_install() || node != at || std::exchange(asked, true)) return;
      world.Ask(wish, on_halt);
    });
  };
}

// While it soaks, the canary serves the old one.
void SoaksBadly(RolloutWorld& world, const Rollout& plan) {
  world.prober().Otherwise([&world, canary = RolloutWorld::NamesIn(plan, 1)[0]](const ProbeSpec& spec) {
    const std::string& address = std::get<TlsProbe>(spec.what).address;
    const std::string name = address.substr(0, address.find(':'));
    const bool bad = name == canary && world.log().stored().state() == v1::Rollout::SOAKING;
    return certcast::testing::FakeProber::Serves(bad ? RolloutWorld::OldLeaf()
                                                     : world.node(name).served_to_controller_sha256("wildcard"));
  });
}

std::vector<Scenario> Scenarios() {
  const auto second_wave = [](const Rollout& plan, int i) { return RolloutWorld::NamesIn(plan, 2)[i]; };
  const auto fails = [=](RolloutWorld& world, const Rollout& plan) {
    world.node(second_wave(plan, 1)).Inject(kInstall, Fault::Result(v1::Outcome::REVERTED, Reason::CHECK_FAILED));
  };
  return {
      {.name = "AllGoWell", .arrange = [](RolloutWorld&, const Rollout&) {}},
      {.name = "OneFailsAndAllGoBack", .arrange = fails},
      {.name = "OneFailsAndAllStop", .arrange = fails, .on_halt = RolloutPolicy::OnHalt::kStop},
      {.name = "OneFailsWithinTheBudget", .arrange = fails, .max_failures = 1},
      {.name = "TheControllerSeesAnotherCertificate",
       .arrange =
           [=](RolloutWorld& world, const Rollout& plan) {
             world.node(second_wave(plan, 0)).SetServedToController("wildcard", RolloutWorld::OldLeaf());
           }},
      {.name = "OneIsUnreachable",
       .arrange =
           [=](RolloutWorld& world, const Rollout& plan) {
             world.node(second_wave(plan, 1)).SetReachable(Fail(Reason::NO_ROUTE, "connection refused"));
           }},
      {.name = "OneFlapsAndTheNextRunGoesOn",
       .arrange =
           [=](RolloutWorld& world, const Rollout& plan) {
             world.node(second_wave(plan, 1))
                 .Inject(kInstall, Fault::Result(v1::Outcome::REVERTED, Reason::PROBE_INCONCLUSIVE));
           }},
      {.name = "OneFlapsTwiceAndAnotherFails",
       .arrange =
           [=](RolloutWorld& world, const Rollout& plan) {
             world.node(second_wave(plan, 0))
                 .Inject(kInstall, Fault::Result(v1::Outcome::REVERTED, Reason::PROBE_INCONCLUSIVE), 2);
             fails(world, plan);
           }},
      {.name = "AnOperatorPausesAndResumesIt", .arrange = Asks(Request::PAUSE, Request::AS_PLANNED)},
      {.name = "AnOperatorAbortsIt", .arrange = Asks(Request::ABORT, Request::AS_PLANNED)},
      {.name = "AnOperatorAbortsItAndKeepsWhatIsThere", .arrange = Asks(Request::ABORT, Request::KEEP)},
      {.name = "OneIsBadInTheSoak", .arrange = SoaksBadly},
      {.name = "OneIsBadInTheSoakAndAllStop", .arrange = SoaksBadly, .on_halt = RolloutPolicy::OnHalt::kStop},
      {.name = "OneIsBadInTheSoakWithinTheBudget", .arrange = SoaksBadly, .max_failures = 1},
      {.name = "AllGoWellAndItIsUndone", .arrange = [](RolloutWorld&, const Rollout&) {}, .undone = true},
      {.name = "OneFailedWithinTheBudgetAndItIsUndone", .arrange = fails, .max_failures = 1, .undone = true},
      {.name = "OneDoesNotGoBackUntilItIsUndone",
       .arrange =
           [=](RolloutWorld& world, const Rollout& plan) {
             fails(world, plan);
             world.node(RolloutWorld::NamesIn(plan, 1)[0])
                 .Inject(kRevert, Fault::Result(v1::Outcome::FAILED, Reason::STORAGE_FAILED));
           },
       .undone = true},
      {.name = "OneDoesNotGoBack",
       .arrange =
           [=](RolloutWorld& world, const Rollout& plan) {
             fails(world, plan);
             world.node(RolloutWorld::NamesIn(plan, 1)[0])
                 .Inject(kRevert, Fault::Result(v1::Outcome::FAILED, Reason::STORAGE_FAILED));
           }},
  };
}

std::unique_ptr<RolloutWorld> MakeWorld(const Scenario& scenario) {
  auto world = std::make_unique<RolloutWorld>(4);
  world->policy().on_halt = scenario.on_halt;
  world->policy().max_failures = scenario.max_failures;
  world->policy().soak = absl::Seconds(1);
  // Nobody goes back only because the controller was away.
  world->policy().confirm_timeout = absl::Hours(1);
  scenario.arrange(*world, world->Plan());
  return world;
}

// Runs as long as they leave it paused; whoever had it paused resumes it.
absl::Status RunUntilFinished(RolloutWorld& world) {
  auto ended = world.Execute(world.log().stored());
  while (ended.ok() && ended->state() == v1::Rollout::PAUSED) {
    world.Unask();
    ++world.inputs().epoch;
    ended = world.Execute(world.log().stored());
  }
  return ended.status();
}

absl::Status RunToTheEnd(RolloutWorld& world, const Scenario& scenario) {
  RETURN_IF_ERROR(RunUntilFinished(world));
  const Rollout finished = world.log().stored();
  if (!scenario.undone || finished.halted_because() == "undone by alice") return absl::OkStatus();
  v1::Operator alice;
  alice.set_user("alice");
  Rollout undone = UndoRollout(finished, alice);
  std::map<size_t, Rollout::Node> nodes;
  for (int i = 0; i < undone.nodes_size(); ++i) nodes[i] = undone.nodes(i);
  undone.clear_nodes();
  RETURN_IF_ERROR(world.log().Save(&undone, nodes));
  ++world.inputs().epoch;
  return RunUntilFinished(world);
}
absl::Status ResumeToTheEnd(RolloutWorld& world, const Scenario& scenario) {
  world.log().Revive();
  ++world.inputs().epoch;
  return RunToTheEnd(world, scenario);
}

// What a rollout leaves behind: its record but for times, and every node.
std::vector<std::string> Outcome(RolloutWorld& world) {
  const Rollout stored = world.log().stored();
  std::vector<std::string> lines = {absl::StrCat(v1::Rollout::State_Name(stored.state()), " ", IsFinished(stored), " ",
                                                 stored.halted_because(), " ", stored.paused_because())};
  for (const Rollout::Node& node : stored.nodes()) {
    const auto installed = world.node(node.result().name()).installed("wildcard");
    lines.push_back(absl::StrCat(node.result().name(), " ", v1::Outcome::Code_Name(node.result().outcome()), " ",
                                 Reason::Code_Name(node.result().reason()), " changed=", node.changed(),
                                 " generation=", installed.generation, " confirmed=", installed.confirmed,
                                 " reloads=", world.node(node.result().name()).reloads()));
  }
  return lines;
}

class CrashTable : public ::testing::TestWithParam<std::tuple<Scenario, MemoryRolloutLog::Death>> {};

TEST_P(CrashTable, EndsAsItWouldHaveWhereverTheControllerDies) {
  const auto& [scenario, death] = GetParam();
  const auto undisturbed = MakeWorld(scenario);
  ASSERT_THAT(RunToTheEnd(*undisturbed, scenario), IsOk());
  const std::vector<std::string> expected = Outcome(*undisturbed);
  const int saves = undisturbed->log().saves();
  ASSERT_GT(saves, 5);

  for (int save = 1; save <= saves; ++save) {
    SCOPED_TRACE(absl::StrCat("the controller dies at save ", save, " of ", saves));
    const auto world = MakeWorld(scenario);
    world->log().DieAt(save, death);
    ASSERT_FALSE(RunToTheEnd(*world, scenario).ok());
    ASSERT_THAT(ResumeToTheEnd(*world, scenario), IsOk());
    EXPECT_EQ(Outcome(*world), expected);
  }
}

TEST_P(CrashTable, EndsAsItWouldHaveWhenItDiesTwice) {
  const auto& [scenario, death] = GetParam();
  const auto undisturbed = MakeWorld(scenario);
  ASSERT_THAT(RunToTheEnd(*undisturbed, scenario), IsOk());
  const std::vector<std::string> expected = Outcome(*undisturbed);
  const int saves = undisturbed->log().saves();

  for (int first = 1; first <= saves; ++first) {
    for (int second = 1; second <= 3; ++second) {
      SCOPED_TRACE(absl::StrCat("the controller dies at save ", first, " and ", second, " after that"));
      const auto world = MakeWorld(scenario);
      world->log().DieAt(first, death);
      ASSERT_FALSE(RunToTheEnd(*world, scenario).ok());
      world->log().Revive();
      world->log().DieAt(second, death);
      ++world->inputs().epoch;
      (void)RunToTheEnd(*world, scenario);
      ASSERT_THAT(ResumeToTheEnd(*world, scenario), IsOk());
      EXPECT_EQ(Outcome(*world), expected);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, CrashTable,
                         ::testing::Combine(::testing::ValuesIn(Scenarios()),
                                            ::testing::Values(MemoryRolloutLog::Death::kBeforeTheCommit,
                                                              MemoryRolloutLog::Death::kAfterTheCommit)),
                         [](const auto& info) {
                           const bool before = std::get<1>(info.param) == MemoryRolloutLog::Death::kBeforeTheCommit;
                           return absl::StrCat(std::get<0>(info.param).name,
                                               before ? "BeforeTheCommit" : "AfterTheCommit");
                         });

// What a timeout leaves depends on how long the controller was at work, so it is not the same wherever it died.
TEST(Resume, ATimeoutLeavesNoNodeInTheMiddleWhereverTheControllerDies) {
  for (const auto death : {MemoryRolloutLog::Death::kBeforeTheCommit, MemoryRolloutLog::Death::kAfterTheCommit}) {
    int saves = 1;
    for (int save = 1; save <= saves; ++save) {
      SCOPED_TRACE(absl::StrCat("the controller dies at save ", save, " of ", saves));
      RolloutWorld world(6);
      world.policy().timeout = absl::Minutes(5);
      world.policy().confirm_timeout = absl::Hours(1);
      const Rollout plan = world.Plan();
      for (const auto& [name, config] : world.configs()) {
        world.node(name).SetDelay(kInstall, absl::Minutes(2));
      }
      world.log().DieAt(save, death);
      const auto first = world.Execute(plan);
      if (!first.ok()) {
        saves = std::max(saves, save + 1);
        ASSERT_THAT(world.Resume(), IsOk());
      }
      const Rollout ended = world.log().stored();
      EXPECT_TRUE(IsFinished(ended));
      EXPECT_EQ(ended.state(), v1::Rollout::INCOMPLETE);
      EXPECT_GT(ended.counts().skipped(), 0);
      for (const Rollout::Node& node : ended.nodes()) {
        const std::string& name = node.result().name();
        const bool good = node.result().outcome() == v1::Outcome::INSTALLED;
        EXPECT_TRUE(world.node(name).installed("wildcard").confirmed) << name;
        EXPECT_EQ(world.node(name).installed("wildcard").generation, good ? 2u : 1u) << name;
        EXPECT_EQ(world.node(name).reloads(), good ? 1 : 0) << name;
      }
    }
    EXPECT_GT(saves, 10);
  }
}

TEST(Resume, DoesNothingForAFinishedRollout) {
  RolloutWorld world(3);
  ASSERT_TRUE(world.Run().ok());
  const size_t events = world.transport().events().size();
  const int saves = world.log().saves();
  const auto resumed = world.Resume();
  ASSERT_TRUE(resumed.ok()) << resumed.status();
  EXPECT_EQ(resumed->state(), v1::Rollout::COMPLETED);
  EXPECT_EQ(world.transport().events().size(), events);
  EXPECT_EQ(world.log().saves(), saves);
}

TEST(Resume, SaysNothingToNodesThatAreDone) {
  RolloutWorld world(4);
  const Rollout plan = world.Plan();
  // In the middle of the second wave.
  world.OnCommand([&](const std::string& node, const v1::Command& command) {
    if (command.has_install() && node == world.NamesIn(plan, 2)[1]) {
      world.log().DieAt(1, MemoryRolloutLog::Death::kBeforeTheCommit);
    }
  });
  ASSERT_FALSE(world.Execute(plan).ok());
  const size_t before = world.transport().events().size();
  world.OnCommand(nullptr);
  ASSERT_TRUE(world.Resume().ok());
  std::vector<std::string> asked;
  const auto events = world.transport().events();
  for (size_t i = before; i < events.size(); ++i) asked.push_back(events[i].node);
  EXPECT_THAT(asked, Not(Contains(world.NamesIn(plan, 1)[0])));
  EXPECT_THAT(asked, Not(Contains(world.NamesIn(plan, 2)[0])));
  EXPECT_TRUE(world.AllServe(world.NewLeaf()));
}

TEST(Resume, AsksANodeAnewThatWentBackWhileNoControllerWasThere) {
  RolloutWorld world(2);
  const Rollout plan = world.Plan();
  const std::string canary = world.NamesIn(plan, 1)[0];
  world.OnCommand([&](const std::string&, const v1::Command& command) {
    if (command.has_install()) world.log().DieAt(1, MemoryRolloutLog::Death::kBeforeTheCommit);
  });
  ASSERT_FALSE(world.Execute(plan).ok());
  world.OnCommand(nullptr);
  EXPECT_EQ(world.node(canary).installed("wildcard").generation, 2u);
  world.clock().Advance(absl::Hours(2));
  EXPECT_EQ(world.node(canary).installed("wildcard").generation, 1u);

  const auto resumed = world.Resume();
  ASSERT_TRUE(resumed.ok()) << resumed.status();
  EXPECT_EQ(resumed->state(), v1::Rollout::COMPLETED);
  EXPECT_TRUE(world.AllServe(world.NewLeaf()));
  // There, back, and there again.
  EXPECT_EQ(world.node(canary).reloads(), 3);
}

// The canary has failed so while no controller was there to hear it.
void FailUnheard(RolloutWorld& world, const Rollout& plan, const Fault& fault) {
  world.node(world.NamesIn(plan, 1)[0]).Inject(kInstall, fault);
  world.OnCommand([&](const std::string&, const v1::Command& command) {
    if (command.has_install()) world.log().DieAt(1, MemoryRolloutLog::Death::kBeforeTheCommit);
  });
  ASSERT_FALSE(world.Execute(plan).ok());
  world.OnCommand(nullptr);
}

TEST(Resume, AsksANodeAnewThatWasEndedInTheMiddleAndServesWhatItHad) {
  for (const Fault& fault : {Fault::Result(v1::Outcome::REVERTED, Reason::INTERRUPTED),
                             Fault::Result(v1::Outcome::FAILED, Reason::REVERT_FAILED)}) {
    RolloutWorld world(2);
    FailUnheard(world, world.Plan(), fault);
    const auto resumed = world.Resume();
    ASSERT_TRUE(resumed.ok()) << resumed.status();
    EXPECT_EQ(resumed->state(), v1::Rollout::COMPLETED);
    EXPECT_TRUE(world.AllServe(world.NewLeaf()));
  }
}

TEST(Resume, HaltsAtANodeWhoseWayBackFailedAndThatServesSomethingElse) {
  RolloutWorld world(2);
  const Rollout plan = world.Plan();
  const std::string canary = world.NamesIn(plan, 1)[0];
  FailUnheard(world, plan, Fault::Result(v1::Outcome::FAILED, Reason::REVERT_FAILED));
  world.node(canary).SetServed("wildcard", "something else");
  const auto resumed = world.Resume();
  ASSERT_TRUE(resumed.ok()) << resumed.status();
  EXPECT_EQ(resumed->state(), v1::Rollout::HALTED);
  EXPECT_EQ(world.ResultOf(*resumed, canary).reason(), Reason::REVERT_FAILED);
  EXPECT_EQ(world.node(canary).installed("wildcard").generation, 1u);
}

TEST(Resume, DoesNotTakeForItsOwnWhatWasThereBefore) {
  RolloutWorld world(2);
  const Rollout plan = world.Plan();
  const std::string canary = world.NamesIn(plan, 1)[0];
  // It has the generation already, and the controller dies before it has sent anything.
  world.node(canary).Preinstall("wildcard", 2, world.NewLeaf());
  world.log().DieAt(2, MemoryRolloutLog::Death::kAfterTheCommit);
  ASSERT_FALSE(world.Execute(plan).ok());
  ASSERT_EQ(world.log().StepOf(canary), Rollout::Node::INSTALLING);
  ASSERT_EQ(world.node(canary).seen(kInstall), 0);
  world.node(world.NamesIn(plan, 2)[0]).Inject(kInstall, Fault::Result(v1::Outcome::FAILED, Reason::NO_SPACE));

  const auto resumed = world.Resume();
  ASSERT_TRUE(resumed.ok()) << resumed.status();
  EXPECT_EQ(resumed->state(), v1::Rollout::REVERTED);
  EXPECT_EQ(world.ResultOf(*resumed, canary).outcome(), v1::Outcome::UNCHANGED);
  EXPECT_EQ(world.node(canary).seen(kRevert), 0);
}

TEST(Resume, CountsANodeThatIsLostInTheMiddleAsFailed) {
  RolloutWorld world(2);
  const Rollout plan = world.Plan();
  const std::string canary = world.NamesIn(plan, 1)[0];
  world.OnCommand([&](const std::string&, const v1::Command& command) {
    if (command.has_install()) world.log().DieAt(1, MemoryRolloutLog::Death::kBeforeTheCommit);
  });
  ASSERT_FALSE(world.Execute(plan).ok());
  world.OnCommand(nullptr);
  world.node(canary).SetReachable(Fail(Reason::NO_ROUTE, "connection refused"));
  const auto resumed = world.Resume();
  ASSERT_TRUE(resumed.ok()) << resumed.status();
  EXPECT_EQ(resumed->state(), v1::Rollout::HALTED);
  EXPECT_EQ(world.ResultOf(*resumed, canary).reason(), Reason::REVERT_FAILED);
  EXPECT_EQ(world.ResultOf(*resumed, world.NamesIn(plan, 2)[0]).outcome(), v1::Outcome::SKIPPED);
}

TEST(Resume, GoesOnWithoutANodeThatLeftTheConfiguration) {
  RolloutWorld world(3);
  const Rollout plan = world.Plan();
  const std::string gone = world.NamesIn(plan, 2)[0];
  world.configs().erase(gone);
  const auto ended = world.Execute(plan);
  ASSERT_TRUE(ended.ok()) << ended.status();
  EXPECT_EQ(ended->state(), v1::Rollout::INCOMPLETE);
  EXPECT_EQ(world.ResultOf(*ended, gone).outcome(), v1::Outcome::UNREACHABLE);
  EXPECT_EQ(world.ResultOf(*ended, gone).detail(), "the node is no longer in the configuration");
}

TEST(Stop, FinishesNodesAtWorkAndBeginsNoOther) {
  RolloutWorld world(10);
  world.policy().parallel = 3;
  const Rollout plan = world.Plan();
  const std::vector<std::string> wave = world.NamesIn(plan, 2);
  absl::Notification told;
  world.OnCommand([&](const std::string& node, const v1::Command& command) {
    if (!command.has_install()) return;
    if (node == wave[2]) {
      world.stop() = true;
      told.Notify();
    }
    // Those beside it stay at work till then: else they might do the others' part before the third is asked.
    if (node == wave[0] || node == wave[1]) told.WaitForNotification();
  });
  const auto stopped = world.Execute(plan);
  ASSERT_TRUE(stopped.ok()) << stopped.status();
  EXPECT_EQ(stopped->state(), v1::Rollout::RUNNING);
  EXPECT_FALSE(IsFinished(*stopped));
  const size_t begun = world.transport().NodesThatGot(kInstall).size();
  EXPECT_GE(begun, 4u);
  EXPECT_LT(begun, 10u);
  EXPECT_THAT(world.transport().NodesThatGot(kConfirm), SizeIs(begun));
  for (const auto& [name, config] : world.configs()) EXPECT_TRUE(world.node(name).installed("wildcard").confirmed);

  world.OnCommand(nullptr);
  const auto resumed = world.Resume();
  ASSERT_TRUE(resumed.ok()) << resumed.status();
  EXPECT_EQ(resumed->state(), v1::Rollout::COMPLETED);
  EXPECT_THAT(world.transport().NodesThatGot(kInstall), SizeIs(10));
}

TEST(Stop, EndsASoak) {
  RolloutWorld world(10);
  world.policy().soak = absl::Hours(1);
  world.prober().Otherwise([&](const ProbeSpec&) {
    world.stop() = true;
    return certcast::testing::FakeProber::Serves(world.NewLeaf());
  });
  const auto stopped = world.Run();
  ASSERT_TRUE(stopped.ok()) << stopped.status();
  EXPECT_EQ(stopped->state(), v1::Rollout::SOAKING);
  EXPECT_LE(world.clock().slept(), absl::Seconds(1));
}

TEST(Stop, LeavesAHaltedRolloutToBePutBackLater) {
  RolloutWorld world(4);
  const Rollout plan = world.Plan();
  world.OnCommand([&](const std::string& node, const v1::Command& command) {
    if (command.has_install() && node == world.NamesIn(plan, 2)[0]) world.stop() = true;
  });
  world.node(world.NamesIn(plan, 2)[0]).Inject(kInstall, Fault::Result(v1::Outcome::FAILED, Reason::NO_SPACE));
  const auto stopped = world.Execute(plan);
  ASSERT_TRUE(stopped.ok()) << stopped.status();
  EXPECT_EQ(stopped->state(), v1::Rollout::HALTED);
  EXPECT_FALSE(IsFinished(*stopped));
  world.OnCommand(nullptr);
  const auto resumed = world.Resume();
  ASSERT_TRUE(resumed.ok()) << resumed.status();
  EXPECT_EQ(resumed->state(), v1::Rollout::REVERTED);
  EXPECT_TRUE(world.AllServe(world.OldLeaf()));
}

}  // namespace
}  // namespace certcast::controller
