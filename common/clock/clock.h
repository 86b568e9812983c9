// Time, so that tests need not wait for it.
#ifndef CERTCAST_COMMON_CLOCK_CLOCK_H_
#define CERTCAST_COMMON_CLOCK_CLOCK_H_

#include <string>

#include "absl/time/time.h"

namespace certcast {

// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  // Wall clock: for what is compared with dates in certificates. May jump.
  virtual absl::Time Now() const = 0;
  // Since an arbitrary start: for deadlines within this process. Never jumps.
  virtual absl::Duration Monotonic() const = 0;
  // Since the machine started, time asleep included: for what outlives the process. Never jumps.
  virtual absl::Duration SinceBoot() const = 0;
  // Another one after each start of the machine; empty where the machine does not say.
  virtual std::string BootId() const = 0;
  // Waits at least that long by the monotonic clock. A fake moves on instead.
  virtual void Sleep(absl::Duration duration) = 0;

  // The machine's; lives for ever.
  static Clock& Real();
};

}  // namespace certcast

#endif  // CERTCAST_COMMON_CLOCK_CLOCK_H_
