// Work on many nodes at once, with a bounded number of threads.
#ifndef CERTCAST_CONTROLLER_ROLLOUT_WORKER_THREADS_H_
#define CERTCAST_CONTROLLER_ROLLOUT_WORKER_THREADS_H_

#include <cstddef>
#include <functional>
#include <vector>

#include "absl/status/status.h"
#include "controller/rollout/planner.h"

namespace certcast::controller {

// Calls `work` with 0 to count - 1, each once, on at most `parallel` threads, of which the caller's is one. Returns
// when all are done. Where the system gives fewer threads it takes longer.
void ForEachAtOnce(size_t count, int parallel, const std::function<void(size_t)>& work);

struct NodeQueue {
  // In the order of preference.
  std::vector<size_t> nodes;
  // As from SpreadGroups, by node.
  std::vector<int> groups;
  // No more than so many are at work, whatever `limits` says.
  int max_threads = 1;
  // Asked each time a node might begin.
  std::function<AdmissionLimits()> limits;
  // When it says true no further node begins. Asked by one thread at a time, with no lock held.
  std::function<bool()> closed;
};

// Calls `work` for nodes of the queue as AdmitNodes lets them begin. Those that have begun are finished, also when the
// queue is closed or `work` has failed for another. The first error of `work`, after which no further node begins.
absl::Status WorkThrough(NodeQueue queue, const std::function<absl::Status(size_t node)>& work);

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_ROLLOUT_WORKER_THREADS_H_
