#include "common/clock/clock.h"

#include <algorithm>
#include <cerrno>
#include <ctime>

#include "absl/time/clock.h"

namespace certcast {
namespace {

class RealClock final : public Clock {
 public:
  absl::Time Now() const override { return absl::Now(); }

  absl::Duration Monotonic() const override {
    timespec now = {};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return absl::DurationFromTimespec(now);
  }

  void Sleep(absl::Duration duration) override {
    // To a point in time, so that signals don't make it longer. A century is for ever, and fits time_t.
    const absl::Duration until = Monotonic() + std::clamp(duration, absl::ZeroDuration(), absl::Hours(24 * 365 * 100));
    const timespec end = absl::ToTimespec(until);
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &end, nullptr) == EINTR) {
    }
  }
};

}  // namespace

Clock& Clock::Real() {
  static Clock* const clock = new RealClock;
  return *clock;
}

}  // namespace certcast
