#include "controller/rollout/estimate.h"

#include <algorithm>
#include <cstdint>
#include <map>

#include "controller/rollout/planner.h"

namespace certcast::controller {
namespace {

int64_t Rounds(int64_t nodes, int at_once) {
  const int64_t bound = std::max(at_once, 1);
  return (nodes + bound - 1) / bound;
}

}  // namespace

NodeDurations MeasureNodes(const std::vector<state::v1::Rollout>& rollouts) {
  std::vector<int64_t> durations;
  for (const state::v1::Rollout& rollout : rollouts) {
    for (const state::v1::Rollout::Node& node : rollout.nodes()) {
      const v1::Rollout::Node& result = node.result();
      if (result.outcome() == v1::Outcome::INSTALLED && result.duration_ms() > 0) {
        durations.push_back(result.duration_ms());
      }
    }
  }
  if (durations.empty()) return {};
  const auto middle = durations.begin() + static_cast<std::ptrdiff_t>((durations.size() - 1) / 2);
  std::nth_element(durations.begin(), middle, durations.end());
  return {.median = absl::Milliseconds(*middle), .nodes = static_cast<int>(durations.size())};
}

absl::Duration EstimateRollout(const std::vector<std::vector<size_t>>& waves, const std::vector<int>& groups,
                               const RolloutPolicy& policy, absl::Duration per_node) {
  absl::Duration total;
  for (const std::vector<size_t>& wave : waves) {
    int64_t rounds = Rounds(static_cast<int64_t>(wave.size()), policy.parallel);
    std::map<int, int64_t> in_group;
    for (size_t node : wave) {
      if (groups[node] != kNoGroup)
        rounds = std::max(rounds, Rounds(++in_group[groups[node]], policy.spread_in_flight));
    }
    total += rounds * per_node;
  }
  if (!waves.empty()) total += policy.soak * static_cast<int64_t>(waves.size() - 1);
  return total;
}

}  // namespace certcast::controller
