// The clock behind Confirm: goes back by itself when the controller does not say in time that all is well.
#ifndef CERTCAST_NODE_FRONTEND_CONFIRM_WATCH_H_
#define CERTCAST_NODE_FRONTEND_CONFIRM_WATCH_H_

#include <functional>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/clock/clock.h"
#include "node/engine/engine.h"

namespace certcast::node {

// Calls engine.RevertIfOverdue at the time that engine.ConfirmBy names, on a thread of its own, which there is from the
// first time on that something waits. Thread-safe.
class ConfirmWatch {
 public:
  using OnFailure = std::function<void(const absl::Status&)>;

  // `on_failure` hears of a way back that failed; it is tried again, less and less often. All outlive this.
  ConfirmWatch(Engine& engine, Clock& clock, OnFailure on_failure);
  // Ends at once. What still waits for Confirm does so after the next start.
  ~ConfirmWatch();

  // After every command: the time may be another one.
  void Look();

 private:
  void Loop();
  void StartIfNeeded();
  // Until when there is nothing to do, by the real clock's speed.
  absl::Duration Pause() const;
  bool Woken() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return ending_ || look_; }

  Engine& engine_;
  Clock& clock_;
  const OnFailure on_failure_;
  absl::Mutex mutex_;
  bool look_ ABSL_GUARDED_BY(mutex_) = false;
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace certcast::node

#endif  // CERTCAST_NODE_FRONTEND_CONFIRM_WATCH_H_
