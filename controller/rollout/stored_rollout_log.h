// The store as a rollout's log.
#ifndef CERTCAST_CONTROLLER_ROLLOUT_STORED_ROLLOUT_LOG_H_
#define CERTCAST_CONTROLLER_ROLLOUT_STORED_ROLLOUT_LOG_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

#include "absl/status/status.h"
#include "certcast/state/v1/store.pb.h"
#include "controller/rollout/rollout_log.h"
#include "controller/store/rollout_records.h"
#include "controller/store/store.h"

namespace certcast::controller {

// Writes to the rollout that RolloutRecords::Create made. Thread-compatible.
class StoredRolloutLog final : public RolloutLog {
 public:
  // `store` outlives this; `epoch` is that of the lease held.
  StoredRolloutLog(Store& store, std::string rollout_id, uint64_t epoch);

  absl::Status Save(const state::v1::Rollout* head, const std::map<size_t, state::v1::Rollout::Node>& nodes) override;

 private:
  RolloutRecords records_;
  const std::string id_;
  const uint64_t epoch_;
};

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_ROLLOUT_STORED_ROLLOUT_LOG_H_
