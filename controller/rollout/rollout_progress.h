// What people watch while a rollout goes on.
#ifndef CERTCAST_CONTROLLER_ROLLOUT_ROLLOUT_PROGRESS_H_
#define CERTCAST_CONTROLLER_ROLLOUT_ROLLOUT_PROGRESS_H_

#include <functional>
#include <list>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "certcast/state/v1/store.pb.h"
#include "certcast/v1/api.pb.h"
#include "common/clock/clock.h"
#include "controller/rollout/first_names.h"

namespace certcast::controller {

// Thread-safe; calls the listener from one thread at a time, with each change and without repeats. The listener must
// not call back into this.
class RolloutProgress {
 public:
  using Progress = v1::ApplyEvent::Progress;

  // Both outlive it.
  RolloutProgress(const state::v1::Rollout& rollout, const std::function<void(const Progress&)>& listener,
                  Clock& clock);

  // A wave, or the way back, is under way: so many nodes in it, of which some have ended already.
  void Begin(Progress::Phase phase, int wave, int size, int done, int failed);
  void Soak(int wave, absl::string_view text);
  void NodeBegins(const std::string& name);
  void NodeEnds(const std::string& name, bool good);
  // It did not begin after all.
  void NodeReturns(const std::string& name);
  void Note(absl::string_view text);
  // A node's bad end, told for the first FirstNames::kMost of them; then once that there are more.
  void NoteNode(const v1::Rollout::Node& result);

 private:
  void Tell(absl::string_view text) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Show() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::function<void(const Progress&)>& listener_;
  Clock& clock_;
  absl::Mutex mutex_;
  Progress now_ ABSL_GUARDED_BY(mutex_);
  // At work, and since when; the one that began first at the front.
  std::list<std::pair<std::string, absl::Duration>> at_work_ ABSL_GUARDED_BY(mutex_);
  // Of this wave.
  FirstNames failing_ ABSL_GUARDED_BY(mutex_);
  // Of the whole rollout.
  size_t nodes_noted_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_ROLLOUT_ROLLOUT_PROGRESS_H_
