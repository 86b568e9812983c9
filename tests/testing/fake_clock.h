// A clock that stands still until a test, or a Sleep, moves it.
#ifndef CERTCAST_TESTS_TESTING_FAKE_CLOCK_H_
#define CERTCAST_TESTS_TESTING_FAKE_CLOCK_H_

#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/clock/clock.h"

namespace certcast::testing {

// Thread-safe.
class FakeClock final : public Clock {
 public:
  // 2030-01-01 00:00:00 UTC.
  FakeClock() : FakeClock(absl::FromUnixSeconds(1893456000)) {}
  explicit FakeClock(absl::Time now) : now_(now) {}

  absl::Time Now() const override;
  absl::Duration Monotonic() const override;
  absl::Duration SinceBoot() const override;
  std::string BootId() const override;
  // Moves both clocks and returns at once.
  void Sleep(absl::Duration duration) override;

  // Moves both clocks, as if that time had passed without a Sleep.
  void Advance(absl::Duration duration);
  // Sets the wall clock alone, as an administrator or NTP does.
  void JumpTo(absl::Time now);
  // The machine starts anew: SinceBoot counts from here, under another BootId. No time passes.
  void Reboot();
  void SetBootId(const std::string& id);
  // All Sleeps together.
  absl::Duration slept() const;

 private:
  mutable absl::Mutex mutex_;
  absl::Time now_ ABSL_GUARDED_BY(mutex_);
  // Not zero at the start, so that nobody relies on it.
  absl::Duration monotonic_ ABSL_GUARDED_BY(mutex_) = absl::Hours(1);
  absl::Duration since_boot_ ABSL_GUARDED_BY(mutex_) = absl::Hours(2);
  int boots_ ABSL_GUARDED_BY(mutex_) = 1;
  std::string boot_id_ ABSL_GUARDED_BY(mutex_) = "boot-1";
  absl::Duration slept_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace certcast::testing

#endif  // CERTCAST_TESTS_TESTING_FAKE_CLOCK_H_
