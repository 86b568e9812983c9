#include "tests/fuzz/config_errors.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "tests/fuzz/target.h"

namespace certcast::fuzz {
namespace {

constexpr size_t kMaxLines = 20;
// Nothing is at the start of the file, whatever comments there are.
constexpr char kNothing[] = ":1:1: found nothing, expected a map with ";
constexpr char kTooLarge[] = ": larger than ";

struct Place {
  int64_t line = 0;
  int64_t column = 0;
};

// `PATH:LINE:COLUMN: TEXT`.
std::optional<Place> PlaceOf(absl::string_view error, absl::string_view path) {
  if (!absl::ConsumePrefix(&error, path) || !absl::ConsumePrefix(&error, ":")) return std::nullopt;
  const std::vector<absl::string_view> parts = absl::StrSplit(error, absl::MaxSplits(':', 2));
  Place place;
  if (parts.size() != 3 || !absl::SimpleAtoi(parts[0], &place.line) || !absl::SimpleAtoi(parts[1], &place.column) ||
      !absl::StartsWith(parts[2], " ") || parts[2].size() < 2) {
    return std::nullopt;
  }
  return place;
}

}  // namespace

void RequirePlaces(const absl::Status& status, absl::string_view text, absl::string_view path) {
  RequireOrderly(status);
  if (status.ok() || absl::StrContains(status.message(), kTooLarge)) return;
  Require(absl::IsInvalidArgument(status), "an error of the configuration is INVALID_ARGUMENT");
  const std::vector<absl::string_view> lines = absl::StrSplit(status.message(), '\n');
  const int64_t last = 1 + std::count(text.begin(), text.end(), '\n');
  Require(lines.size() <= kMaxLines + 1, "at most 20 errors are shown");
  for (size_t i = 0; i < lines.size(); ++i) {
    if (i == kMaxLines) {
      Require(absl::StartsWith(lines[i], "and ") && absl::EndsWith(lines[i], " more"), "the rest is counted");
      continue;
    }
    const std::optional<Place> place = PlaceOf(lines[i], path);
    Require(place.has_value(), absl::StrCat("an error names its place: ", lines[i]));
    if (!place.has_value()) return;
    Require(place->line >= 1 && place->line <= last + 1 && place->column >= 1, "the place is within the text");
  }
}

void RequireMovedByOneLine(const absl::Status& status, const absl::Status& moved, absl::string_view path) {
  Require(status.ok() == moved.ok(), "a comment changes nothing");
  if (status.ok() || absl::StrContains(status.message(), kTooLarge) || absl::StrContains(status.message(), kNothing)) {
    return;
  }
  const std::vector<absl::string_view> lines = absl::StrSplit(status.message(), '\n');
  const std::vector<absl::string_view> moved_lines = absl::StrSplit(moved.message(), '\n');
  Require(lines.size() == moved_lines.size(), "a comment changes no error");
  for (size_t i = 0; i < std::min(lines.size(), moved_lines.size()); ++i) {
    const std::optional<Place> before = PlaceOf(lines[i], path);
    const std::optional<Place> after = PlaceOf(moved_lines[i], path);
    Require(before.has_value() == after.has_value() &&
                (!before.has_value() || (after->line == before->line + 1 && after->column == before->column)),
            absl::StrCat("a line before it moves an error by a line: ", lines[i], " / ", moved_lines[i]));
  }
}

}  // namespace certcast::fuzz
