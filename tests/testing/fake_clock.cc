#include "tests/testing/fake_clock.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace certcast::testing {

absl::Time FakeClock::Now() const {
  absl::MutexLock lock(&mutex_);
  return now_;
}

absl::Duration FakeClock::Monotonic() const {
  absl::MutexLock lock(&mutex_);
  return monotonic_;
}

absl::Duration FakeClock::SinceBoot() const {
  absl::MutexLock lock(&mutex_);
  return since_boot_;
}

std::string FakeClock::BootId() const {
  absl::MutexLock lock(&mutex_);
  return boot_id_;
}

void FakeClock::Sleep(absl::Duration duration) {
  absl::MutexLock lock(&mutex_);
  duration = std::max(duration, absl::ZeroDuration());
  now_ += duration;
  monotonic_ += duration;
  since_boot_ += duration;
  slept_ += duration;
}

void FakeClock::Advance(absl::Duration duration) {
  absl::MutexLock lock(&mutex_);
  now_ += duration;
  monotonic_ += duration;
  since_boot_ += duration;
}

void FakeClock::JumpTo(absl::Time now) {
  absl::MutexLock lock(&mutex_);
  now_ = now;
}

void FakeClock::Reboot() {
  absl::MutexLock lock(&mutex_);
  since_boot_ = absl::ZeroDuration();
  boot_id_ = absl::StrCat("boot-", ++boots_);
}

void FakeClock::SetBootId(const std::string& id) {
  absl::MutexLock lock(&mutex_);
  boot_id_ = id;
}

absl::Duration FakeClock::slept() const {
  absl::MutexLock lock(&mutex_);
  return slept_;
}

}  // namespace certcast::testing
