#include "controller/schedule/time_zone.h"

#include <algorithm>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/status/status.h"
#include "common/yaml/grammar.h"

namespace certcast::controller {
namespace {

// As none of the database is longer than.
constexpr size_t kMaxName = 64;

// absl::LoadTimeZone also takes paths, `file:`, `localtime` and fixed offsets.
bool IsZoneName(absl::string_view name) {
  const bool plain = std::all_of(name.begin(), name.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-' || c == '+' || c == '/';
  });
  return plain && !name.empty() && name.size() <= kMaxName &&
         absl::ascii_isupper(static_cast<unsigned char>(name[0])) && !absl::StartsWith(name, "Fixed/");
}

// Every version of the database has this one, and it is not built into Abseil as UTC is.
bool HasDatabase() {
  absl::TimeZone zone;
  return absl::LoadTimeZone("Etc/GMT", &zone);
}

}  // namespace

absl::StatusOr<absl::TimeZone> FindTimeZone(absl::string_view name) {
  absl::TimeZone zone;
  if (IsZoneName(name) && absl::LoadTimeZone(name, &zone)) return zone;
  const std::string found = absl::StrCat("found ", Quoted(name), ", expected ");
  if (IsZoneName(name) && !HasDatabase()) {
    return FailInput(absl::StrCat(found, "a time zone, but this machine has no time zone database"),
                     "install the package tzdata");
  }
  return FailInput(absl::StrCat(found, "a time zone's IANA name such as Europe/Berlin or UTC"),
                   "`timedatectl list-timezones` lists them; upper and lower case differ");
}

}  // namespace certcast::controller
