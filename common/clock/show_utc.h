// Dates in texts for people.
#ifndef CERTCAST_COMMON_CLOCK_SHOW_UTC_H_
#define CERTCAST_COMMON_CLOCK_SHOW_UTC_H_

#include <string>

#include "absl/time/time.h"

namespace certcast {

// To the minute: `2030-01-01 00:00 UTC`.
std::string ShowUtc(absl::Time time);
// To the second: `2030-01-01 00:00:00 UTC`.
std::string ShowUtcSecond(absl::Time time);

}  // namespace certcast

#endif  // CERTCAST_COMMON_CLOCK_SHOW_UTC_H_
