#include "node/frontend/confirm_watch.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace certcast::node {
namespace {

// The wall clock may jump, so it is looked at this often while something waits.
constexpr absl::Duration kLookAgain = absl::Seconds(1);
// Between two tries, even where the engine has nothing to do although something is overdue.
constexpr absl::Duration kAtLeast = absl::Milliseconds(200);
constexpr absl::Duration kFirstRetry = absl::Seconds(1);
constexpr absl::Duration kLastRetry = absl::Minutes(1);

}  // namespace

ConfirmWatch::ConfirmWatch(Engine& engine, Clock& clock, OnFailure on_failure)
    : engine_(engine), clock_(clock), on_failure_(std::move(on_failure)) {
  StartIfNeeded();
}

ConfirmWatch::~ConfirmWatch() {
  std::thread thread;
  {
    absl::MutexLock lock(&mutex_);
    ending_ = true;
    thread = std::move(thread_);
  }
  if (thread.joinable()) thread.join();
}

void ConfirmWatch::Look() {
  StartIfNeeded();
  absl::MutexLock lock(&mutex_);
  look_ = true;
}

void ConfirmWatch::StartIfNeeded() {
  if (!engine_.ConfirmBy().has_value()) return;
  absl::MutexLock lock(&mutex_);
  if (!thread_.joinable()) thread_ = std::thread([this] { Loop(); });
}

absl::Duration ConfirmWatch::Pause() const {
  const std::optional<absl::Time> confirm_by = engine_.ConfirmBy();
  if (!confirm_by.has_value()) return absl::InfiniteDuration();
  return std::min(*confirm_by - clock_.Now(), kLookAgain);
}

void ConfirmWatch::Loop() {
  absl::Duration retry = kFirstRetry;
  absl::Duration pause = Pause();
  while (true) {
    {
      absl::MutexLock lock(&mutex_);
      mutex_.AwaitWithTimeout(absl::Condition(this, &ConfirmWatch::Woken), pause);
      if (ending_) return;
      look_ = false;
    }
    pause = Pause();
    if (pause > absl::ZeroDuration()) continue;
    if (absl::Status status = engine_.RevertIfOverdue(); !status.ok()) {
      on_failure_(status);
      pause = retry;
      retry = std::min(retry * 2, kLastRetry);
    } else {
      retry = kFirstRetry;
      pause = std::max(Pause(), kAtLeast);
    }
  }
}

}  // namespace certcast::node
