// The store as the place where operators leave what they want of a rollout under way.
#ifndef CERTCAST_CONTROLLER_ROLLOUT_REQUEST_WATCH_H_
#define CERTCAST_CONTROLLER_ROLLOUT_REQUEST_WATCH_H_

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "certcast/state/v1/store.pb.h"
#include "common/clock/clock.h"
#include "controller/rollout/executor.h"
#include "controller/store/rollout_requests.h"
#include "controller/store/store.h"

namespace certcast::controller {

// One read of one record, at most fifty times a second however often it is asked. Thread-compatible.
class RequestWatch {
 public:
  // `store` and `clock` outlive it.
  RequestWatch(Store& store, const Clock& clock, std::string rollout_id);

  // Makes it the rollout's; it outlives the rollout's execution.
  void AttachTo(RolloutInputs& inputs);

  absl::StatusOr<std::optional<state::v1::RolloutRequest>> Ask();
  absl::Status Forget();

 private:
  RolloutRequests requests_;
  const Clock& clock_;
  const std::string id_;
  absl::Duration next_ = -absl::InfiniteDuration();
  // The one that was given last.
  int64_t revision_ = 0;
};

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_ROLLOUT_REQUEST_WATCH_H_
