// Progress of work that is counted and has no waves: asking nodes, looking at endpoints.
#ifndef CERTCAST_CONTROLLER_API_COUNTED_PROGRESS_H_
#define CERTCAST_CONTROLLER_API_COUNTED_PROGRESS_H_

#include <cstddef>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "certcast/v1/api.pb.h"
#include "controller/api/controller.h"
#include "controller/rollout/first_names.h"

namespace certcast::controller {

// Tells the listener of each change. Thread-safe.
class CountedProgress {
 public:
  // `on_progress` outlives this, and may be empty.
  CountedProgress(v1::ApplyEvent::Progress::Phase phase, const OnProgress& on_progress) : on_progress_(on_progress) {
    now_.set_phase(phase);
  }

  void Begin(size_t size) {
    absl::MutexLock lock(&mutex_);
    now_.set_size(static_cast<int32_t>(size));
    Show();
  }
  // One more, a node's.
  void End(const std::string& node, bool good) {
    absl::MutexLock lock(&mutex_);
    if (good) {
      now_.set_done(now_.done() + 1);
    } else {
      now_.set_failed(now_.failed() + 1);
      failing_.Add(node);
    }
    Show();
  }

 private:
  void Show() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (!on_progress_) return;
    now_.mutable_failing()->Assign(failing_.get().begin(), failing_.get().end());
    on_progress_(now_);
  }

  const OnProgress& on_progress_;
  absl::Mutex mutex_;
  v1::ApplyEvent::Progress now_ ABSL_GUARDED_BY(mutex_);
  FirstNames failing_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_API_COUNTED_PROGRESS_H_
