// Brings one generation to its nodes, wave by wave, and puts everything back when too many fail.
#ifndef CERTCAST_CONTROLLER_ROLLOUT_EXECUTOR_H_
#define CERTCAST_CONTROLLER_ROLLOUT_EXECUTOR_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "certcast/state/v1/store.pb.h"
#include "certcast/v1/api.pb.h"
#include "certcast/v1/bundle.pb.h"
#include "common/clock/clock.h"
#include "common/probe/probe.h"
#include "controller/config/config.h"
#include "controller/rollout/rollout_log.h"
#include "controller/transport/link.h"

namespace certcast::controller {

// Makes the signed bundle of the rollout's generation: opens the private key, so it is called only when a node needs
// it, at most once a wave and hour. Thread-safe.
using BundleSource = std::function<absl::StatusOr<v1::Bundle>()>;

// What a rollout needs to know beside its record.
struct RolloutInputs {
  BundleSource bundle;
  // nullptr for a node that is no longer in the configuration. Thread-safe; results live as long as the executor.
  std::function<const NodeConfig*(absl::string_view name)> find_node;
  // Whether the configuration still gives the certificate to the node; where not, it is not sent it any more.
  // Thread-safe; unset: it does.
  std::function<bool(absl::string_view name)> still_wants;
  // When nodes may begin: `now` or earlier says now, a later time that they may from then on, InfiniteFuture never.
  // Thread-safe; unset: always.
  std::function<absl::Time(absl::Time now)> may_begin;
  // Why nodes must stay where they are after a halt, whatever the policy or an operator says; nullopt: they may go
  // back. Asked once it has halted. Unset: they may.
  std::function<absl::StatusOr<std::optional<std::string>>()> why_not_back;
  // For verify endpoints without a server name.
  std::string default_server_name;
  // Of the lease under which this controller works.
  uint64_t epoch = 0;
  // What an operator wants of it from another process; nullopt: nothing. Asked before each node that begins, and while
  // nothing is begun (a soak) a few times a second, so it is to be cheap; by one thread at a time. Unset: nobody asks.
  std::function<absl::StatusOr<std::optional<state::v1::RolloutRequest>>()> request;
  // The one that was given last has been done, and this is saved: it is to be forgotten, unless another took its place.
  std::function<absl::Status()> forget_request;
};

// What it uses of the world. All outlive it.
struct RolloutEnvironment {
  Transport* transport = nullptr;
  Prober* prober = nullptr;
  Clock* clock = nullptr;
  RolloutLog* log = nullptr;
};

// Called from one thread at a time, each time something changed.
using OnRolloutProgress = std::function<void(const v1::ApplyEvent::Progress&)>;

// Carries `rollout` out from wherever its record stands: one that MakeRollout has just made, or one that a controller
// left unfinished. Every transition is in the log before it is acted on.
//
// Returns the record as it stands at the end. It is finished (COMPLETED, INCOMPLETE, HALTED, REVERTED) but in four
// cases, in which no node is begun any more, those at work are finished, and the rest waits to be resumed:
//   - `stop` became true;
//   - PAUSED by an operator's request;
//   - PAUSED: a node's probes passed and failed by turns (PROBE_INCONCLUSIVE). That counts neither as a success nor, in
//     the budget, as a failure; the node has put itself back, or, found so in a soak, has it still;
//   - WAITING_FOR_WINDOW: `may_begin` names a later time. A record that is in this state is gone on with where nodes
//     may begin, and otherwise returned as it is. No window holds up the way back.
// A record that is PAUSED when this is called is gone on with, whoever had it paused: inconclusive nodes are asked once
// more, by a command of another id.
//
// While it is SOAKING between two waves, nodes that have the generation are looked at again (soak.h): one that does not
// serve it any more is FAILED. A soak that a controller left is gone on with from where it began.
//
// Once the policy's `timeout` is over no further node begins; those at work are finished, the rest is SKIPPED
// (TIMED_OUT), and it is INCOMPLETE. What halted goes back all the same.
//
// Errors are what keeps the controller itself from going on, and leave the rollout to be resumed: the log can't be
// written, the bundle can't be made, another controller is in charge (STALE_EPOCH). No failure of a node is an error
// here.
absl::StatusOr<state::v1::Rollout> ExecuteRollout(const state::v1::Rollout& rollout, const RolloutInputs& inputs,
                                                  const RolloutEnvironment& environment,
                                                  const OnRolloutProgress& on_progress, const std::atomic<bool>& stop);

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_ROLLOUT_EXECUTOR_H_
