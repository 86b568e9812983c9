#include "controller/rollout/stored_rollout_log.h"

#include <utility>
#include <vector>

namespace certcast::controller {

StoredRolloutLog::StoredRolloutLog(Store& store, std::string rollout_id, uint64_t epoch)
    : records_(store), id_(std::move(rollout_id)), epoch_(epoch) {
}

absl::Status StoredRolloutLog::Save(const state::v1::Rollout* head,
                                    const std::map<size_t, state::v1::Rollout::Node>& nodes) {
  std::vector<state::v1::Rollout::Node> changed;
  changed.reserve(nodes.size());
  for (const auto& [index, node] : nodes) changed.push_back(node);
  if (head == nullptr) return records_.PutNodes(id_, changed, epoch_);
  return records_.PutHeadAndNodes(*head, changed, epoch_);
}

}  // namespace certcast::controller
