// A conversation with one node that outlives its connections.
#ifndef CERTCAST_CONTROLLER_ROLLOUT_NODE_SESSION_H_
#define CERTCAST_CONTROLLER_ROLLOUT_NODE_SESSION_H_

#include <memory>
#include <random>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "certcast/v1/link.pb.h"
#include "common/clock/clock.h"
#include "controller/config/config.h"
#include "controller/transport/link.h"

namespace certcast::controller {

// Whether an error of a call leaves open what the node did: nobody could be reached, or no answer came back. Others are
// the node's own refusals.
bool IsUnanswered(const absl::Status& status);

// Thread-compatible.
class NodeSession {
 public:
  // All calls together take no longer than `time_allowed`, which begins anew once the node is reached: what its
  // transport has to bring there first (the agent, over SSH) is bounded by that.
  NodeSession(const NodeConfig& node, Transport& transport, Clock& clock, absl::Duration time_allowed);

  // From now on all calls together may take that long again. A link that is open stays so.
  void Renew(absl::Duration time_allowed) { deadline_ = clock_.Monotonic() + time_allowed; }

  // Opens a link, unless one is open. Tries twice where that may help. Nothing was said to the node yet.
  absl::Status Connect();

  // Sends the command and waits for its final report. When the link is lost it connects again and sends the same
  // command, which the node answers from its record; so often, with growing pauses that differ between nodes. When the
  // node is BUSY it asks again until its time is over. Errors: the last one that was met, or the node's refusal.
  absl::StatusOr<v1::Report> Send(const v1::Command& command);
  absl::StatusOr<v1::InstallResult> SendForResult(const v1::Command& command);
  absl::StatusOr<v1::Inventory> SendForInventory(const v1::Command& command);

  // A link is open.
  bool connected() const { return link_ != nullptr; }
  // A command that changes something was given to an open link and its answer is missing, or was at first: what the
  // node did is not known.
  bool in_doubt() const { return in_doubt_; }
  absl::Duration remaining() const;

 private:
  absl::Status ConnectOnce();
  absl::StatusOr<v1::Report> SendOnce(const v1::Command& command);
  // Whether to try again after the so-manieth error, this one; if so, it has waited.
  bool TryAgain(int tries, const absl::Status& error);
  // False when that would be too late.
  bool Pause(int tries);

  const NodeConfig& node_;
  Transport& transport_;
  Clock& clock_;
  const absl::Duration time_allowed_;
  absl::Duration deadline_;
  std::minstd_rand jitter_;
  std::unique_ptr<Link> link_;
  bool reached_ = false;
  bool delivered_ = false;
  bool in_doubt_ = false;
};

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_ROLLOUT_NODE_SESSION_H_
