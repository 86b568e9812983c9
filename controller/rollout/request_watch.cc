#include "controller/rollout/request_watch.h"

#include <utility>

#include "common/status/status.h"

namespace certcast::controller {
namespace {

// Shorter than any install: who asked for a pause while a node was at work sees no other begin.
constexpr absl::Duration kPause = absl::Milliseconds(20);

}  // namespace

RequestWatch::RequestWatch(Store& store, const Clock& clock, std::string rollout_id)
    : requests_(store), clock_(clock), id_(std::move(rollout_id)) {
}

void RequestWatch::AttachTo(RolloutInputs& inputs) {
  inputs.request = [this] { return Ask(); };
  inputs.forget_request = [this] { return Forget(); };
}

absl::StatusOr<std::optional<state::v1::RolloutRequest>> RequestWatch::Ask() {
  const absl::Duration now = clock_.Monotonic();
  if (now < next_) return std::optional<state::v1::RolloutRequest>();
  next_ = now + kPause;
  ASSIGN_OR_RETURN(std::optional<PendingRequest> pending, requests_.Get(id_));
  if (!pending.has_value()) return std::optional<state::v1::RolloutRequest>();
  revision_ = pending->revision;
  return std::optional(std::move(pending->request));
}

absl::Status RequestWatch::Forget() {
  return requests_.Remove(id_, revision_);
}

}  // namespace certcast::controller
