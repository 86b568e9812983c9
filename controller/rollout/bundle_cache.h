// Keeps a rollout's bundle, with the private key in it, for as long as nodes are being given it and no longer.
#ifndef CERTCAST_CONTROLLER_ROLLOUT_BUNDLE_CACHE_H_
#define CERTCAST_CONTROLLER_ROLLOUT_BUNDLE_CACHE_H_

#include <functional>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "certcast/v1/bundle.pb.h"
#include "common/clock/clock.h"

namespace certcast::controller {

// Thread-safe.
class BundleCache {
 public:
  BundleCache(std::function<absl::StatusOr<v1::Bundle>()> source, Clock& clock)
      : source_(std::move(source)), clock_(clock) {}

  // Made when there is none, or the one that is there was made more than an hour ago (a manifest expires).
  absl::StatusOr<std::shared_ptr<const v1::Bundle>> Get();
  // The key is overwritten once the last user is done.
  void Forget();

 private:
  const std::function<absl::StatusOr<v1::Bundle>()> source_;
  Clock& clock_;
  absl::Mutex mutex_;
  std::shared_ptr<const v1::Bundle> bundle_ ABSL_GUARDED_BY(mutex_);
  absl::Duration made_at_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_ROLLOUT_BUNDLE_CACHE_H_
