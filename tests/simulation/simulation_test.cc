#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gtest/gtest.h"
#include "tests/simulation/mutation.h"
#include "tests/simulation/run.h"
#include "tests/simulation/scenario.h"
#include "tests/simulation/shrink.h"
#include "tests/simulation/trace.h"

namespace certcast::simulation {
namespace {

constexpr uint64_t kSeedsInABlock = 60;
constexpr int kBlocks = 15;

std::string Story(const Scenario& scenario, const Outcome& outcome) {
  return absl::StrCat(scenario.Describe(), "\n", absl::StrJoin(outcome.trace, "\n"),
                      "\nbazel run //tests/simulation:simulate -- --seed ", scenario.seed, " --trace");
}

// What is broken, and the rule that notices.
struct Case {
  Mutation mutation;
  std::string rule;
};

class Mutations : public ::testing::TestWithParam<Case> {};

TEST_P(Mutations, AreNoticed) {
  const Case& wanted = GetParam();
  Violation found;
  for (uint64_t seed = 1; seed <= 400 && !found.happened(); ++seed) {
    found = RunScenario(MakeScenario(seed), wanted.mutation).violation;
  }
  EXPECT_EQ(found.rule, wanted.rule) << found.text;
}

INSTANTIATE_TEST_SUITE_P(Simulation, Mutations,
                         ::testing::Values(Case{Mutation::kProbesSeeWhatTheyShould, "success is what was seen"},
                                           Case{Mutation::kEpochsAreIgnored, "fencing"},
                                           Case{Mutation::kResultsAreForgotten, "nothing twice"},
                                           Case{Mutation::kNobodyWatchesTheDeadline, "nobody waits for ever"},
                                           Case{Mutation::kStepsAreNotSaved, "saved before done"},
                                           Case{Mutation::kLeaseIsNotChecked, "fencing"},
                                           Case{Mutation::kBudgetIsNotKept, "no more at once than the policy says"},
                                           Case{Mutation::kConfirmsAreLost, "last-good is not touched"},
                                           Case{Mutation::kRevertsAreLost, "what is put back is gone"},
                                           Case{Mutation::kRequestsAreLost, "what an operator asks for is done"},
                                           Case{Mutation::kPausesAreForgotten, "what an operator holds is held"},
                                           Case{Mutation::kWindowsAreIgnored, "nodes begin in their window"},
                                           Case{Mutation::kCertificatesAreMixedUp, "last-good is not touched"},
                                           Case{Mutation::kRecoveryDoesNotReload,
                                                "an idle node serves what its files are"},
                                           Case{Mutation::kVisitsDoNotWait, "nobody waits for ever"},
                                           Case{Mutation::kStateIsNotLocked, "success is what is there"}));

// The last line of a trace is where the rule was broken.
TEST(Shrink, FindsAShorterRunThatBreaksTheSameRule) {
  for (uint64_t seed = 1;; ++seed) {
    const Scenario scenario = MakeScenario(seed);
    const Outcome outcome = RunScenario(scenario, Mutation::kStepsAreNotSaved);
    ASSERT_LE(seed, 20u);
    if (!outcome.violation.happened() || scenario.nodes.size() < 3 || scenario.faults.size() < 3) continue;
    const Shrunk shrunk = Shrink(scenario, Mutation::kStepsAreNotSaved);
    EXPECT_EQ(shrunk.outcome.violation.rule, outcome.violation.rule);
    EXPECT_EQ(shrunk.scenario.nodes.size(), 1u);
    EXPECT_TRUE(shrunk.scenario.faults.empty());
    EXPECT_EQ(shrunk.scenario.generations.size(), 1u);
    EXPECT_LE(shrunk.outcome.trace.size(), outcome.trace.size());
    return;
  }
}

class Seeds : public ::testing::TestWithParam<int> {};

TEST_P(Seeds, KeepEveryRule) {
  const uint64_t first = 1 + static_cast<uint64_t>(GetParam()) * kSeedsInABlock;
  for (uint64_t seed = first; seed < first + kSeedsInABlock; ++seed) {
    const Scenario scenario = MakeScenario(seed);
    const Outcome outcome = RunScenario(scenario);
    ASSERT_EQ(outcome.violation.rule, "") << outcome.violation.text << "\n" << Story(scenario, outcome);
  }
}

INSTANTIATE_TEST_SUITE_P(Simulation, Seeds, ::testing::Range(0, kBlocks));

TEST(Simulation, WithoutFaultsEveryNodeIsInstalledAndConfirmedOnceAGeneration) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    const Scenario scenario = MakeScenario(seed, /*with_faults=*/false);
    const Outcome outcome = RunScenario(scenario);
    ASSERT_EQ(outcome.violation.rule, "") << outcome.violation.text << "\n" << Story(scenario, outcome);
    EXPECT_EQ(outcome.installs, outcome.confirms);
    EXPECT_EQ(outcome.reverts, 0);
    EXPECT_GE(outcome.installs, static_cast<int64_t>(scenario.nodes.size()));
    EXPECT_EQ(outcome.ends.count("HALTED") + outcome.ends.count("REVERTED") + outcome.ends.count("INCOMPLETE"), 0u);
  }
}

TEST(Simulation, OneSeedGivesOneTrace) {
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    const Scenario scenario = MakeScenario(seed);
    const Outcome once = RunScenario(scenario);
    const Outcome again = RunScenario(scenario);
    EXPECT_EQ(once.trace, again.trace) << "seed " << seed;
    EXPECT_EQ(once.events, again.events);
    EXPECT_GT(once.trace.size(), 20u);
  }
}

}  // namespace
}  // namespace certcast::simulation
