#include "common/clock/clock.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <string>

#include "absl/time/clock.h"

namespace certcast {
namespace {

absl::Duration Read(clockid_t clock) {
  timespec now = {};
  clock_gettime(clock, &now);
  return absl::DurationFromTimespec(now);
}

// See proc(5).
std::string ReadBootId() {
  const int file = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
  if (file < 0) return "";
  char id[36];  // a UUID
  const ssize_t size = read(file, id, sizeof id);
  close(file);
  return size == static_cast<ssize_t>(sizeof id) ? std::string(id, sizeof id) : "";
}

class RealClock final : public Clock {
 public:
  absl::Time Now() const override { return absl::Now(); }
  absl::Duration Monotonic() const override { return Read(CLOCK_MONOTONIC); }
  absl::Duration SinceBoot() const override { return Read(CLOCK_BOOTTIME); }

  std::string BootId() const override {
    static const std::string& id = *new std::string(ReadBootId());
    return id;
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
