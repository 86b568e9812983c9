#include "controller/acme/retry_after.h"

#include <algorithm>
#include <cstdint>
#include <limits>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"

namespace certcast::controller {
namespace {

// RFC 9110 section 5.6.7: IMF-fixdate, RFC 850, asctime.
constexpr const char* kDateFormats[] = {"%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT",
                                        "%a %b %d %H:%M:%S %Y"};

std::optional<absl::Time> ParseDate(absl::string_view value) {
  for (const char* format : kDateFormats) {
    absl::Time time;
    if (absl::ParseTime(format, value, &time, nullptr)) return time;
  }
  return std::nullopt;
}

}  // namespace

std::optional<absl::Time> ParseRetryAfter(absl::string_view value, absl::Time now) {
  value = absl::StripAsciiWhitespace(value);
  const absl::Time latest = now + absl::Hours(24) * 365;
  if (!value.empty() && value.find_first_not_of("0123456789") == absl::string_view::npos) {
    int64_t seconds = 0;
    if (!absl::SimpleAtoi(value, &seconds)) return latest;
    return std::min(now + absl::Seconds(seconds), latest);
  }
  const std::optional<absl::Time> date = ParseDate(value);
  if (!date) return std::nullopt;
  return std::clamp(*date, now, latest);
}

}  // namespace certcast::controller
