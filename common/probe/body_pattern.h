// What an answer's body must have in it.
#ifndef CERTCAST_COMMON_PROBE_BODY_PATTERN_H_
#define CERTCAST_COMMON_PROBE_BODY_PATTERN_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace certcast {

// A text, or something that a regular expression (RE2 syntax, in time linear in the body) finds in it.
struct BodyPattern {
  enum class Kind { kNone, kContains, kMatches };
  Kind kind = Kind::kNone;
  std::string text = {};
};

// kInvalidArgument when it is not a regular expression that RE2 takes.
absl::Status CheckBodyPattern(const BodyPattern& pattern);
// PROBE_FAILED says what is missing, and how the body begins.
absl::Status CheckBody(const BodyPattern& pattern, absl::string_view body);

}  // namespace certcast

#endif  // CERTCAST_COMMON_PROBE_BODY_PATTERN_H_
