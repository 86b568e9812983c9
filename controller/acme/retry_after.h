// The Retry-After header (RFC 9110 section 10.2.3).
#ifndef CERTCAST_CONTROLLER_ACME_RETRY_AFTER_H_
#define CERTCAST_CONTROLLER_ACME_RETRY_AFTER_H_

#include <optional>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace certcast::controller {

// Seconds or any of the three HTTP-dates, as a time not before `now` and at most a year after it. nullopt when it is
// empty or neither.
std::optional<absl::Time> ParseRetryAfter(absl::string_view value, absl::Time now);

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_ACME_RETRY_AFTER_H_
