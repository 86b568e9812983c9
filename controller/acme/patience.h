// The time between two looks at something that the CA works on.
#ifndef CERTCAST_CONTROLLER_ACME_PATIENCE_H_
#define CERTCAST_CONTROLLER_ACME_PATIENCE_H_

#include <optional>

#include "absl/time/time.h"
#include "common/clock/clock.h"

namespace certcast::controller {

// Waits 25 ms, 100 ms, 400 ms, then twice as long each time up to 10 s, and never less than the CA asked for
// (Retry-After), until `limit` is over: a CA that looks at once is not waited for, one that takes long is not asked
// often. Thread-compatible.
class Patience {
 public:
  Patience(Clock& clock, absl::Duration limit) : clock_(clock), end_(clock.Monotonic() + limit) {}

  // Sleeps until the next look. False, at once, when that would be after the limit.
  bool Wait(std::optional<absl::Time> retry_at) {
    absl::Duration wait = wait_;
    if (retry_at) wait = std::max(wait, *retry_at - clock_.Now());
    if (clock_.Monotonic() + wait > end_) return false;
    clock_.Sleep(wait);
    wait_ = std::min(wait_ * (wait_ < kSoon ? 4 : 2), absl::Seconds(10));
    return true;
  }

 private:
  static constexpr absl::Duration kSoon = absl::Milliseconds(400);

  Clock& clock_;
  const absl::Duration end_;
  absl::Duration wait_ = absl::Milliseconds(25);
};

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_ACME_PATIENCE_H_
