#include "controller/acme/revocation_reason.h"

#include <array>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/status/status.h"

namespace certcast::controller {
namespace {

struct Named {
  int number;
  absl::string_view name;
};

constexpr std::array<Named, 10> kReasons = {{
    {0, "unspecified"},
    {kKeyCompromise, "keyCompromise"},
    {2, "cACompromise"},
    {3, "affiliationChanged"},
    {4, "superseded"},
    {5, "cessationOfOperation"},
    {6, "certificateHold"},
    {8, "removeFromCRL"},
    {9, "privilegeWithdrawn"},
    {10, "aACompromise"},
}};

}  // namespace

absl::StatusOr<int> ParseRevocationReason(absl::string_view text) {
  int number = 0;
  const bool is_number = absl::SimpleAtoi(text, &number);
  for (const Named& reason : kReasons) {
    if (is_number ? number == reason.number : absl::EqualsIgnoreCase(text, reason.name)) return reason.number;
  }
  return FailInput(absl::StrCat("`", text, "` is no reason for a revocation",
                                is_number && number == 7 ? ": RFC 5280 leaves 7 unused" : ""),
                   absl::StrCat("one of ", absl::StrJoin(kReasons, ", ", [](std::string* out, const Named& reason) {
                                  absl::StrAppend(out, reason.number, " ", reason.name);
                                })));
}

std::string RevocationReasonName(int reason) {
  for (const Named& named : kReasons) {
    if (named.number == reason) return std::string(named.name);
  }
  return absl::StrCat(reason);
}

}  // namespace certcast::controller
