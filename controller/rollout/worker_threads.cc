#include "controller/rollout/worker_threads.h"

#include <algorithm>
#include <atomic>
#include <utility>

#include "absl/synchronization/mutex.h"
#include "controller/rollout/threads.h"

namespace certcast::controller {
namespace {

class Crew {
 public:
  Crew(NodeQueue queue, const std::function<absl::Status(size_t)>& work) : queue_(std::move(queue)), work_(work) {}

  void Work() {
    absl::MutexLock lock(&mutex_);
    while (!IsClosed() && !queue_.nodes.empty() && error_.ok()) {
      const std::vector<size_t> admitted = stuck_ ? std::vector<size_t>() : AdmitOne();
      if (admitted.empty()) {
        stuck_ = true;
        Threads::Get().Wait(changed_, mutex_);
        continue;
      }
      const size_t node = admitted.front();
      queue_.nodes.erase(std::find(queue_.nodes.begin(), queue_.nodes.end(), node));
      in_flight_.push_back(node);
      mutex_.Unlock();
      const absl::Status status = work_(node);
      mutex_.Lock();
      in_flight_.erase(std::find(in_flight_.begin(), in_flight_.end(), node));
      if (error_.ok()) error_ = status;
      stuck_ = false;
      Threads::Get().SignalAll(changed_);
    }
  }

  absl::Status error() const {
    absl::MutexLock lock(&mutex_);
    return error_;
  }

 private:
  // Asks without the lock, since it may take time; one thread at a time.
  bool IsClosed() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    while (is_asking_) Threads::Get().Wait(asked_, mutex_);
    if (queue_.nodes.empty() || !error_.ok()) return true;
    is_asking_ = true;
    mutex_.Unlock();
    const bool closed = queue_.closed();
    mutex_.Lock();
    is_asking_ = false;
    Threads::Get().SignalAll(asked_);
    return closed;
  }

  // Empty only while others are in flight, whose end wakes this thread again.
  std::vector<size_t> AdmitOne() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    AdmissionLimits limits = queue_.limits();
    const int next = static_cast<int>(in_flight_.size()) + 1;
    if (next > std::max(limits.parallel, 1)) return {};
    limits.parallel = next;
    return AdmitNodes(queue_.nodes, in_flight_, queue_.groups, limits);
  }

  NodeQueue queue_;
  const std::function<absl::Status(size_t)>& work_;
  mutable absl::Mutex mutex_;
  // A node has ended; an answer is there.
  absl::CondVar changed_, asked_;
  std::vector<size_t> in_flight_ ABSL_GUARDED_BY(mutex_);
  bool is_asking_ ABSL_GUARDED_BY(mutex_) = false;
  // None of the queue may begin before one in flight has ended: the others need not look for it, each through all of
  // it.
  bool stuck_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status error_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

void ForEachAtOnce(size_t count, int parallel, const std::function<void(size_t)>& work) {
  std::atomic<size_t> next{0};
  Threads::Get().Run(std::min(count, static_cast<size_t>(std::max(parallel, 1))), [&] {
    for (size_t i = next++; i < count; i = next++) work(i);
  });
}

absl::Status WorkThrough(NodeQueue queue, const std::function<absl::Status(size_t node)>& work) {
  const size_t threads = std::min(queue.nodes.size(), static_cast<size_t>(std::max(queue.max_threads, 1)));
  Crew crew(std::move(queue), work);
  Threads::Get().Run(threads, [&] { crew.Work(); });
  return crew.error();
}

}  // namespace certcast::controller
