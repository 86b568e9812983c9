// Where a rollout's transitions are saved before they are acted on.
#ifndef CERTCAST_CONTROLLER_ROLLOUT_ROLLOUT_LOG_H_
#define CERTCAST_CONTROLLER_ROLLOUT_ROLLOUT_LOG_H_

#include <cstddef>
#include <map>

#include "absl/status/status.h"
#include "certcast/state/v1/store.pb.h"

namespace certcast::controller {

// Thread-compatible: one call at a time.
class RolloutLog {
 public:
  virtual ~RolloutLog() = default;

  // Saves the rollout's head (all but its nodes; nullptr: it stays as it was) and the given nodes, by their index, in
  // one transaction. When this returns OK it survives a power loss; after an error it is not known whether it was
  // saved, and the caller does nothing more.
  virtual absl::Status Save(const state::v1::Rollout* head,
                            const std::map<size_t, state::v1::Rollout::Node>& nodes) = 0;
};

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_ROLLOUT_ROLLOUT_LOG_H_
