#include "controller/rollout/estimate.h"

#include <vector>

#include "controller/rollout/planner.h"
#include "gtest/gtest.h"

namespace certcast::controller {
namespace {

using state::v1::Rollout;

void Add(Rollout& rollout, v1::Outcome::Code outcome, int64_t milliseconds) {
  v1::Rollout::Node& result = *rollout.add_nodes()->mutable_result();
  result.set_outcome(outcome);
  result.set_duration_ms(milliseconds);
}

TEST(MeasureNodes, TakesTheMedianOfAllInstalls) {
  std::vector<Rollout> rollouts(2);
  Add(rollouts[0], v1::Outcome::INSTALLED, 100);
  Add(rollouts[0], v1::Outcome::INSTALLED, 90'000);
  Add(rollouts[1], v1::Outcome::INSTALLED, 300);
  const NodeDurations measured = MeasureNodes(rollouts);
  EXPECT_EQ(measured.median, absl::Milliseconds(300));
  EXPECT_EQ(measured.nodes, 3);
}

TEST(MeasureNodes, LooksAtInstallsAlone) {
  std::vector<Rollout> rollouts(1);
  Add(rollouts[0], v1::Outcome::UNCHANGED, 5);
  Add(rollouts[0], v1::Outcome::UNREACHABLE, 10'000);
  Add(rollouts[0], v1::Outcome::REVERTED, 60'000);
  Add(rollouts[0], v1::Outcome::INSTALLED, 0);
  EXPECT_EQ(MeasureNodes(rollouts).nodes, 0);
  Add(rollouts[0], v1::Outcome::INSTALLED, 700);
  EXPECT_EQ(MeasureNodes(rollouts).median, absl::Milliseconds(700));
}

TEST(EstimateRollout, CountsRoundsOfEachWaveAndTheSoaksBetween) {
  const std::vector<std::vector<size_t>> waves = {{0}, {1, 2, 3, 4}, {5, 6, 7, 8, 9}};
  const std::vector<int> groups(10, kNoGroup);
  RolloutPolicy policy;
  policy.parallel = 2;
  policy.soak = absl::Minutes(1);
  // 1 + 2 + 3 rounds, and two soaks.
  EXPECT_EQ(EstimateRollout(waves, groups, policy, absl::Seconds(10)), absl::Seconds(60) + absl::Minutes(2));
  EXPECT_EQ(EstimateRollout({}, groups, policy, absl::Seconds(10)), absl::ZeroDuration());
}

TEST(EstimateRollout, ALabelThatKeepsNodesApartMakesMoreRounds) {
  // Four of one rack, two of another.
  const std::vector<int> groups = {0, 0, 0, 0, 1, 1, kNoGroup};
  RolloutPolicy policy;
  policy.parallel = 64;
  policy.spread_in_flight = 1;
  EXPECT_EQ(EstimateRollout({{0, 1, 2, 3, 4, 5, 6}}, groups, policy, absl::Seconds(1)), absl::Seconds(4));
  policy.spread_in_flight = 2;
  EXPECT_EQ(EstimateRollout({{0, 1, 2, 3, 4, 5, 6}}, groups, policy, absl::Seconds(1)), absl::Seconds(2));
}

}  // namespace
}  // namespace certcast::controller
