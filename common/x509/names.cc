#include "common/x509/names.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/status/status.h"

namespace certcast {
namespace {

constexpr size_t kMaxLabel = 63;
constexpr size_t kMaxName = 253;

bool IsNumber(absl::string_view label) {
  return !label.empty() && std::all_of(label.begin(), label.end(), [](char c) { return absl::ascii_isdigit(c); });
}

// Why `label` is not one; empty when it is.
std::string LabelFault(absl::string_view label) {
  if (label.empty()) return "has an empty label";
  if (label.size() > kMaxLabel) return absl::StrCat("has a label of more than ", kMaxLabel, " characters");
  if (label.front() == '-' || label.back() == '-')
    return absl::StrCat("label \"", label, "\" begins or ends with \"-\"");
  for (const unsigned char c : label) {
    if (absl::ascii_isalnum(c) || c == '-') continue;
    if (c == '*') return "\"*\" may only be the whole first label";
    if (c >= 0x80) return "is not ASCII";
    return absl::StrCat("has the character \"", absl::string_view(reinterpret_cast<const char*>(&c), 1), "\"");
  }
  return "";
}

std::string NameFault(absl::string_view name) {
  if (name.empty()) return "is empty";
  if (name.size() > kMaxName) return absl::StrCat("has more than ", kMaxName, " characters");
  const std::vector<absl::string_view> labels = absl::StrSplit(absl::StripPrefix(name, "*."), '.');
  for (const absl::string_view label : labels) {
    if (std::string fault = LabelFault(label); !fault.empty()) return fault;
  }
  if (labels.size() < 2) return "needs at least two labels";
  if (IsNumber(labels.back())) return "ends in a number, as an IP address does";
  return "";
}

}  // namespace

bool NameMatches(absl::string_view pattern, absl::string_view host) {
  if (host.empty() || host.find('*') != absl::string_view::npos) return false;
  if (!absl::ConsumePrefix(&pattern, "*.")) return absl::EqualsIgnoreCase(pattern, host);
  const size_t dot = host.find('.');
  if (dot == 0 || dot == absl::string_view::npos) return false;
  const absl::string_view rest = host.substr(dot + 1);
  const size_t last_dot = rest.rfind('.');
  if (last_dot == absl::string_view::npos || IsNumber(rest.substr(last_dot + 1))) return false;
  return absl::EqualsIgnoreCase(pattern, rest);
}

bool NameAllowed(const std::vector<std::string>& allowed, absl::string_view name) {
  if (name.empty()) return false;
  return std::any_of(allowed.begin(), allowed.end(), [&](const std::string& pattern) {
    return pattern == "*" || absl::EqualsIgnoreCase(pattern, name) || NameMatches(pattern, name);
  });
}

absl::Status CheckDnsName(absl::string_view name) {
  const std::string fault = NameFault(name);
  if (fault.empty()) return absl::OkStatus();
  const bool is_unicode = fault == "is not ASCII";
  return FailInput(absl::StrCat("\"", name, "\" is not a DNS name for a certificate: ", fault),
                   is_unicode ? "write it in its ASCII form (xn--...)" : "");
}

}  // namespace certcast
