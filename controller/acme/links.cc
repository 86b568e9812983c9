#include "controller/acme/links.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace certcast::controller {
namespace {

constexpr size_t kMaxUrl = 2048;
constexpr size_t kMaxAlternates = 10;

// One parameter's value, of which the opening quote is eaten where there is one. Takes it off `rest`.
std::string TakeValue(absl::string_view& rest) {
  if (!absl::ConsumePrefix(&rest, "\"")) {
    const size_t end = std::min(rest.find_first_of(";, \t"), rest.size());
    std::string token(rest.substr(0, end));
    rest.remove_prefix(end);
    return token;
  }
  std::string value;
  while (!rest.empty() && rest.front() != '"') {
    if (rest.front() == '\\' && rest.size() > 1) rest.remove_prefix(1);
    value.push_back(rest.front());
    rest.remove_prefix(1);
  }
  absl::ConsumePrefix(&rest, "\"");
  return value;
}

void SkipSpace(absl::string_view& rest) {
  rest = absl::StripLeadingAsciiWhitespace(rest);
}

// The `rel` of one link, whose target is taken already: the first counts (RFC 8288 section 3.3). Leaves `rest` behind
// it.
std::string TakeRelation(absl::string_view& rest) {
  std::string relation;
  bool found = false;
  for (SkipSpace(rest); absl::ConsumePrefix(&rest, ";"); SkipSpace(rest)) {
    SkipSpace(rest);
    const size_t end = std::min(rest.find_first_of("=;,"), rest.size());
    const absl::string_view name = absl::StripAsciiWhitespace(rest.substr(0, end));
    rest.remove_prefix(end);
    if (!absl::ConsumePrefix(&rest, "=")) continue;
    SkipSpace(rest);
    std::string value = TakeValue(rest);
    if (found || !absl::EqualsIgnoreCase(name, "rel")) continue;
    relation = std::move(value);
    found = true;
  }
  return relation;
}

bool Names(const std::string& relations, absl::string_view relation) {
  const std::vector<absl::string_view> words = absl::StrSplit(relations, ' ', absl::SkipEmpty());
  return std::any_of(words.begin(), words.end(),
                     [&](absl::string_view word) { return absl::EqualsIgnoreCase(word, relation); });
}

}  // namespace

bool IsPlainUrl(absl::string_view url) {
  const bool printable = std::all_of(url.begin(), url.end(), [](char c) { return c > 0x20 && c < 0x7f; });
  return absl::StartsWith(url, "https://") && printable && url.size() <= kMaxUrl;
}

std::vector<std::string> LinksIn(absl::string_view header, absl::string_view relation) {
  std::vector<std::string> targets;
  absl::string_view rest = header;
  for (SkipSpace(rest); absl::ConsumePrefix(&rest, "<"); SkipSpace(rest)) {
    const size_t end = rest.find('>');
    if (end == absl::string_view::npos) break;
    const absl::string_view target = rest.substr(0, end);
    rest.remove_prefix(end + 1);
    if (Names(TakeRelation(rest), relation) && IsPlainUrl(target)) targets.emplace_back(target);
    if (!absl::ConsumePrefix(&rest, ",")) break;
  }
  return targets;
}

std::vector<std::string> AlternatesOf(const HttpResponse& response) {
  std::vector<std::string> alternates;
  for (const auto& [name, value] : response.headers) {
    if (name != "link") continue;
    for (std::string& target : LinksIn(value, "alternate")) {
      if (alternates.size() < kMaxAlternates) alternates.push_back(std::move(target));
    }
  }
  return alternates;
}

}  // namespace certcast::controller
