// What a revocation forbids a rollout.
#ifndef CERTCAST_CONTROLLER_API_REVOKED_ROLLOUTS_H_
#define CERTCAST_CONTROLLER_API_REVOKED_ROLLOUTS_H_

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "certcast/state/v1/store.pb.h"
#include "controller/store/store.h"

namespace certcast::controller {

// Why no further node may be given the rollout's generation; nullopt: it may.
absl::StatusOr<std::optional<std::string>> WhyNotForwards(Store& store, const state::v1::Rollout& rollout);

// Why the rollout's nodes must not be told to go back: one of them had a generation before, when it was last asked,
// that is revoked or may be; nullopt: they may. A node whose own probe fails goes back by itself, and is not held up by
// this.
absl::StatusOr<std::optional<std::string>> WhyNotBack(Store& store, const state::v1::Rollout& rollout);

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_API_REVOKED_ROLLOUTS_H_
