// A rollout's record in memory and its way into the log: memory first, then the log, then the deed.
//
// Many nodes end their steps at the same time, and a commit costs an fsync. So commits are shared: while one is being
// written, what others want to save gathers and goes into the next one, all of it in the order it happened.
#ifndef CERTCAST_CONTROLLER_ROLLOUT_LEDGER_H_
#define CERTCAST_CONTROLLER_ROLLOUT_LEDGER_H_

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "certcast/state/v1/store.pb.h"
#include "controller/rollout/rollout_log.h"

namespace certcast::controller {

// Thread-safe. After the first error of the log nothing is written any more, and every call that saves returns that
// error.
class Ledger {
 public:
  using Node = state::v1::Rollout::Node;
  using Nodes = std::map<size_t, Node>;

  // `rollout` is as the log has it.
  Ledger(state::v1::Rollout rollout, RolloutLog& log);

  v1::Rollout::State state() const;
  int wave() const;
  Node node(size_t index) const;
  // How many nodes stand how.
  v1::Rollout::Counts tally() const;
  bool finished() const;
  // The nodes for which `wanted` says true, by index. It is called under the lock.
  std::vector<size_t> Select(const std::function<bool(const Node&)>& wanted) const;
  state::v1::Rollout Snapshot() const;
  // Without its nodes.
  state::v1::Rollout Head() const;

  // Saved when it returns OK: the node's step, and everything that was noted before.
  absl::Status SaveNode(size_t index, const Node& node);
  // The same for a node's first step. False, and nothing was saved, where no further node may begin any more.
  absl::StatusOr<bool> BeginNode(size_t index, const Node& node);
  // As SaveNode, for a change of the head and of many nodes at once.
  absl::Status SaveHead(const std::function<void(state::v1::Rollout& head)>& change, const Nodes& nodes = {});
  // The node's outcome, while it is RUNNING or SOAKING. Where it overspends a budget the rollout is HALTED by it, and
  // where it is inconclusive PAUSED, saved when this returns. Otherwise it is only noted, and goes into the log with,
  // and so before, whatever is saved next: a controller that dies before that asks the node again.
  absl::Status FinishNode(size_t index, const Node& node);
  // All that was noted is saved.
  absl::Status Flush();

 private:
  void Set(size_t index, const Node& node) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void HaltWhenOverspent() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void PauseWhenInconclusive(const Node& node) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status WaitUntilSaved() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void WritePending() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  RolloutLog& log_;
  mutable absl::Mutex mutex_;
  absl::CondVar written_ ABSL_GUARDED_BY(mutex_);
  // The head is without nodes, so that a copy of it costs the same however large the fleet is.
  state::v1::Rollout head_ ABSL_GUARDED_BY(mutex_);
  std::vector<Node> nodes_ ABSL_GUARDED_BY(mutex_);
  v1::Rollout::Counts tally_ ABSL_GUARDED_BY(mutex_);
  // Not in the log yet.
  Nodes pending_ ABSL_GUARDED_BY(mutex_);
  bool head_pending_ ABSL_GUARDED_BY(mutex_) = false;
  // Changes so far, and those of them that are in the log.
  int64_t changes_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t saved_ ABSL_GUARDED_BY(mutex_) = 0;
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status error_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_ROLLOUT_LEDGER_H_
