// Threads for the engine's work, so that none of gRPC's ever waits for a reload.
#ifndef CERTCAST_NODE_FRONTEND_WORKERS_H_
#define CERTCAST_NODE_FRONTEND_WORKERS_H_

#include <cstddef>
#include <deque>
#include <functional>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace certcast::node {

// Thread-safe. More than one thread, so that a node in the middle of an install still says what it has.
class Workers {
 public:
  // Begins with one thread; another is started when work comes and all are busy, up to `max_threads`, as far as the
  // system gives them.
  explicit Workers(size_t max_threads);
  // Runs what was given to it, then ends.
  ~Workers();

  // Runs `work` on one of the threads, in the order given.
  void Run(std::function<void()> work);

 private:
  void Grow() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Loop();
  bool HasSomething() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return ending_ || !queue_.empty(); }

  const size_t max_threads_;
  absl::Mutex mutex_;
  std::deque<std::function<void()>> queue_ ABSL_GUARDED_BY(mutex_);
  // Threads that wait for work.
  size_t idle_ ABSL_GUARDED_BY(mutex_) = 0;
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  // Not changed any more once ending_ is set.
  std::vector<std::thread> threads_;
};

}  // namespace certcast::node

#endif  // CERTCAST_NODE_FRONTEND_WORKERS_H_
