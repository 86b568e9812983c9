// How long a rollout will take, from what its nodes took before. Pure.
#ifndef CERTCAST_CONTROLLER_ROLLOUT_ESTIMATE_H_
#define CERTCAST_CONTROLLER_ROLLOUT_ESTIMATE_H_

#include <vector>

#include "absl/time/time.h"
#include "certcast/state/v1/store.pb.h"
#include "controller/config/config.h"

namespace certcast::controller {

// What installs took.
struct NodeDurations {
  // Of one node, from its first byte until it was confirmed; half of them took longer.
  absl::Duration median;
  // That it is from; 0: there is no history.
  int nodes = 0;
};

// Of the nodes that `rollouts` brought their generation to. Those that had it already, or failed, say nothing of how
// long an install takes.
NodeDurations MeasureNodes(const std::vector<state::v1::Rollout>& rollouts);

// Of all waves, if each node takes `per_node`: a wave takes as many rounds as `parallel` and the spread label need, and
// a soak follows each but the last. `groups` as from SpreadGroups, by node.
absl::Duration EstimateRollout(const std::vector<std::vector<size_t>>& waves, const std::vector<int>& groups,
                               const RolloutPolicy& policy, absl::Duration per_node);

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_ROLLOUT_ESTIMATE_H_
