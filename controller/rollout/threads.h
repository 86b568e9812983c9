// The threads of a rollout. They are an interface so that a simulation can say which of them goes on when.
#ifndef CERTCAST_CONTROLLER_ROLLOUT_THREADS_H_
#define CERTCAST_CONTROLLER_ROLLOUT_THREADS_H_

#include <cstddef>
#include <functional>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace certcast::controller {

// Thread-safe. Code of this folder that waits for another of its threads does so here, and never while it holds a lock
// that somebody else may want.
class Threads {
 public:
  virtual ~Threads() = default;

  // Runs `body` on `count` threads, of which the caller's is one, and waits for all of them. Where the system gives
  // fewer threads, on those.
  virtual void Run(size_t count, const std::function<void()>& body) = 0;
  // As CondVar::Wait and SignalAll. Wait may return without a signal.
  virtual void Wait(absl::CondVar& changed, absl::Mutex& mutex) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) = 0;
  virtual void SignalAll(absl::CondVar& changed) = 0;

  // The system's, unless others were put in their place.
  static Threads& Get();
  // For all rollouts of this process from now on; nullptr: the system's again. For tests, while no rollout is under
  // way.
  static void Replace(Threads* threads);
};

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_ROLLOUT_THREADS_H_
