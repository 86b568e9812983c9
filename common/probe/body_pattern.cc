#include "common/probe/body_pattern.h"

#include <re2/re2.h>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/status/status.h"

namespace certcast {
namespace {

constexpr int64_t kMaxMemory = 1 << 20;

RE2::Options Options() {
  RE2::Options options(RE2::Quiet);
  options.set_max_mem(kMaxMemory);
  return options;
}

}  // namespace

absl::Status CheckBodyPattern(const BodyPattern& pattern) {
  if (pattern.kind != BodyPattern::Kind::kMatches) return absl::OkStatus();
  const RE2 expression(pattern.text, Options());
  if (expression.ok()) return absl::OkStatus();
  return FailInput(absl::StrCat("found \"", absl::CHexEscape(pattern.text),
                                "\", expected a regular expression: ", expression.error()),
                   "the syntax is RE2's; for a plain text write body: {contains: TEXT}");
}

absl::Status CheckBody(const BodyPattern& pattern, absl::string_view body) {
  RETURN_IF_ERROR(CheckBodyPattern(pattern));
  switch (pattern.kind) {
    case BodyPattern::Kind::kNone:
      return absl::OkStatus();
    case BodyPattern::Kind::kContains:
      if (absl::StrContains(body, pattern.text)) return absl::OkStatus();
      break;
    case BodyPattern::Kind::kMatches:
      if (RE2::PartialMatch(re2::StringPiece(body.data(), body.size()), RE2(pattern.text, Options()))) {
        return absl::OkStatus();
      }
      break;
  }
  constexpr size_t kShown = 80;
  return Fail(
      Reason::PROBE_FAILED,
      absl::StrCat("the body does not ", pattern.kind == BodyPattern::Kind::kContains ? "contain" : "match", " \"",
                   absl::CHexEscape(pattern.text), "\"; it begins \"", absl::CHexEscape(body.substr(0, kShown)), "\""));
}

}  // namespace certcast
