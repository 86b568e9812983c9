// A point in time by the monotonic clock, until which something that takes several steps may take.
#ifndef CERTCAST_COMMON_PROBE_DEADLINE_H_
#define CERTCAST_COMMON_PROBE_DEADLINE_H_

#include <algorithm>

#include "absl/time/time.h"
#include "common/clock/clock.h"

namespace certcast {

// Real time: it bounds what the machine does, which no fake clock moves.
class Deadline {
 public:
  static Deadline In(absl::Duration timeout) { return Deadline(Clock::Real().Monotonic() + timeout); }

  // Never negative.
  absl::Duration Remaining() const { return std::max(at_ - Clock::Real().Monotonic(), absl::ZeroDuration()); }
  bool IsOver() const { return Remaining() == absl::ZeroDuration(); }
  // The earlier one of this and `timeout` from now.
  Deadline ButWithin(absl::Duration timeout) const { return Deadline(std::min(at_, In(timeout).at_)); }

 private:
  explicit Deadline(absl::Duration at) : at_(at) {}
  absl::Duration at_;
};

}  // namespace certcast

#endif  // CERTCAST_COMMON_PROBE_DEADLINE_H_
