#include "tests/testing/fake_clock.h"

#include <algorithm>

namespace certcast::testing {

absl::Time FakeClock::Now() const {
  absl::MutexLock lock(&mutex_);
  return now_;
}

absl::Duration FakeClock::Monotonic() const {
  absl::MutexLock lock(&mutex_);
  return monotonic_;
}

void FakeClock::Sleep(absl::Duration duration) {
  absl::MutexLock lock(&mutex_);
  duration = std::max(duration, absl::ZeroDuration());
  now_ += duration;
  monotonic_ += duration;
  slept_ += duration;
}

void FakeClock::Advance(absl::Duration duration) {
  absl::MutexLock lock(&mutex_);
  now_ += duration;
  monotonic_ += duration;
}

void FakeClock::JumpTo(absl::Time now) {
  absl::MutexLock lock(&mutex_);
  now_ = now;
}

absl::Duration FakeClock::slept() const {
  absl::MutexLock lock(&mutex_);
  return slept_;
}

}  // namespace certcast::testing
