// What both configurations promise of their errors.
#ifndef CERTCAST_TESTS_FUZZ_CONFIG_ERRORS_H_
#define CERTCAST_TESTS_FUZZ_CONFIG_ERRORS_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace certcast::fuzz {

// Of the parse of `text`, named `path`: kInvalidArgument, at most 20 lines that name a place within it, and how many
// more there are.
void RequirePlaces(const absl::Status& status, absl::string_view text, absl::string_view path);

// Of the parse of a text, and of the same with a line before it: the same errors, a line further down.
// Not for a text that says nothing.
void RequireMovedByOneLine(const absl::Status& status, const absl::Status& moved, absl::string_view path);

}  // namespace certcast::fuzz

#endif  // CERTCAST_TESTS_FUZZ_CONFIG_ERRORS_H_
