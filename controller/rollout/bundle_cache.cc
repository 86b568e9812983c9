#include "controller/rollout/bundle_cache.h"

#include <utility>

#include "common/manifest/manifest.h"
#include "common/status/status.h"

namespace certcast::controller {
namespace {

constexpr absl::Duration kLongestUse = absl::Hours(1);

}  // namespace

absl::StatusOr<std::shared_ptr<const v1::Bundle>> BundleCache::Get() {
  absl::MutexLock lock(&mutex_);
  if (bundle_ != nullptr && clock_.Monotonic() - made_at_ < kLongestUse) return bundle_;
  ASSIGN_OR_RETURN(v1::Bundle made, source_());
  auto* kept = new v1::Bundle();
  kept->Swap(&made);
  bundle_ = std::shared_ptr<const v1::Bundle>(kept, [kept](const v1::Bundle*) {
    WipeKey(*kept);
    delete kept;
  });
  made_at_ = clock_.Monotonic();
  return bundle_;
}

void BundleCache::Forget() {
  absl::MutexLock lock(&mutex_);
  bundle_.reset();
}

}  // namespace certcast::controller
