#include "common/identity/names.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/status/status.h"

namespace certcast {
namespace {

constexpr size_t kMaxNodeName = 63;
constexpr absl::string_view kScheme = "certcast://";

bool IsNameCharacter(char c) {
  return absl::ascii_islower(c) || absl::ascii_isdigit(c);
}

bool IsLabel(absl::string_view label) {
  return !label.empty() && IsNameCharacter(label.front()) && IsNameCharacter(label.back()) &&
         std::all_of(label.begin(), label.end(), [](char c) { return IsNameCharacter(c) || c == '-'; });
}

bool Contains(const std::vector<std::string>& names, absl::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// The certificate's one certcast:// URI; nullopt when there is none, or more than one, so that nobody is two at a time.
std::optional<absl::string_view> IdentityUri(const std::vector<std::string>& names) {
  std::optional<absl::string_view> found;
  for (const std::string& name : names) {
    if (!absl::StartsWith(name, kScheme)) continue;
    if (found.has_value()) return std::nullopt;
    found = name;
  }
  return found;
}

}  // namespace

absl::Status CheckNodeName(absl::string_view name) {
  if (name.empty()) return FailInput("the node name is empty");
  if (name.size() > kMaxNodeName) {
    return FailInput(absl::StrCat("the node name has ", name.size(), " characters"),
                     absl::StrCat("at most ", kMaxNodeName, " fit"));
  }
  for (absl::string_view label : absl::StrSplit(name, '.')) {
    if (!IsLabel(label)) {
      return FailInput(absl::StrCat("`", absl::CHexEscape(name), "` is no node name"),
                       "lower-case letters, digits, and dots and hyphens between them: web-01 or web-01.fra");
    }
  }
  return absl::OkStatus();
}

std::string NodeDnsName(absl::string_view node) {
  return absl::StrCat(node, ".node.certcast");
}

std::string ControllerDnsName() {
  return "controller.certcast";
}

std::string NodeUri(absl::string_view fleet_id, absl::string_view node) {
  return absl::StrCat(kScheme, fleet_id, "/node/", node);
}

std::string ControllerUri(absl::string_view fleet_id) {
  return absl::StrCat(kScheme, fleet_id, "/controller");
}

std::optional<std::string> PeerNode(absl::string_view fleet_id, const std::vector<std::string>& subject_alt_names) {
  const std::optional<absl::string_view> uri = IdentityUri(subject_alt_names);
  if (!uri.has_value()) return std::nullopt;
  absl::string_view node = *uri;
  if (!absl::ConsumePrefix(&node, NodeUri(fleet_id, ""))) return std::nullopt;
  if (!CheckNodeName(node).ok() || !Contains(subject_alt_names, NodeDnsName(node))) return std::nullopt;
  return std::string(node);
}

bool IsController(absl::string_view fleet_id, const std::vector<std::string>& subject_alt_names) {
  const std::optional<absl::string_view> uri = IdentityUri(subject_alt_names);
  return uri.has_value() && *uri == ControllerUri(fleet_id) && Contains(subject_alt_names, ControllerDnsName());
}

}  // namespace certcast
