// Text from somebody else, before it is kept or shown.
#ifndef CERTCAST_COMMON_STATUS_PRINTABLE_H_
#define CERTCAST_COMMON_STATUS_PRINTABLE_H_

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"

namespace certcast {

inline constexpr size_t kMaxLine = 1024;

// One line of at most `limit` bytes of UTF-8: control characters are a space (a run of them one), malformed bytes "?".
// What is too long is cut at its end.
std::string PrintableLine(absl::string_view text, size_t limit = kMaxLine);

// The same with its line ends, of at most 4,096 bytes; cut at its start, since programs say last why they failed.
std::string PrintableOutput(absl::string_view text);

}  // namespace certcast

#endif  // CERTCAST_COMMON_STATUS_PRINTABLE_H_
