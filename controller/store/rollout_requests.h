// What operators want of rollouts that another process carries out: rollout-requests/<rollout id>.
//
// See records.h for what holds of all records. Requests are written without the lease, which the one has that is asked.
#ifndef CERTCAST_CONTROLLER_STORE_ROLLOUT_REQUESTS_H_
#define CERTCAST_CONTROLLER_STORE_ROLLOUT_REQUESTS_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "certcast/state/v1/store.pb.h"
#include "controller/store/store.h"

namespace certcast::controller {

struct PendingRequest {
  state::v1::RolloutRequest request;
  int64_t revision = 0;
};

class RolloutRequests {
 public:
  explicit RolloutRequests(Store& store) : store_(store) {}

  // The one that is pending from now on, which is not this one where an earlier one goes further: a pause does not take
  // an abort back, and the first of two pauses counts. kAborted when others keep writing.
  absl::StatusOr<PendingRequest> Put(absl::string_view rollout_id, const state::v1::RolloutRequest& request);
  absl::StatusOr<std::optional<PendingRequest>> Get(absl::string_view rollout_id);
  // Removes the one of that revision. OK when it is gone, or another has taken its place, which stays.
  absl::Status Remove(absl::string_view rollout_id, int64_t revision);

 private:
  Store& store_;
};

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_STORE_ROLLOUT_REQUESTS_H_
