#include "controller/api/find_rollout.h"

#include <algorithm>
#include <iterator>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/status/status.h"
#include "controller/rollout/record.h"

namespace certcast::controller {
namespace {

using Heads = std::vector<state::v1::Rollout>;

// In a message.
constexpr size_t kMostNamed = 5;

std::string Name(const Heads& heads) {
  const auto end = heads.begin() + static_cast<std::ptrdiff_t>(std::min(heads.size(), kMostNamed));
  std::string names = absl::StrJoin(heads.begin(), end, ", ", [](std::string* out, const state::v1::Rollout& head) {
    absl::StrAppend(out, head.id(), " (", v1::Rollout::State_Name(head.state()), ")");
  });
  if (heads.size() > kMostNamed) absl::StrAppend(&names, " and ", heads.size() - kMostNamed, " more");
  return names;
}

template <typename Wanted>
Heads Filter(const Heads& heads, Wanted wanted) {
  Heads found;
  std::copy_if(heads.begin(), heads.end(), std::back_inserter(found), wanted);
  return found;
}

bool IsCertificate(const Heads& heads, const Config& config, absl::string_view text) {
  return config.FindCertificate(text) != nullptr ||
         std::any_of(heads.begin(), heads.end(), [&](const auto& head) { return head.certificate() == text; });
}

// With the beginning that it shares with `text`, as of a mistyped last part.
absl::Status NoSuchRollout(const Heads& heads, absl::string_view text) {
  Heads near;
  for (size_t length = text.size(); length > 0 && near.empty(); --length) {
    near = Filter(heads, [&](const auto& head) { return absl::StartsWith(head.id(), text.substr(0, length)); });
  }
  return FailInput(absl::StrCat("there is no rollout ", text),
                   absl::StrCat("there is ", Name(near.empty() ? heads : near), "; certcast rollout history has all"));
}

}  // namespace

absl::StatusOr<Heads> MatchRollouts(const Heads& heads, const Config& config, absl::string_view text) {
  if (heads.empty())
    return FailInput("there was no rollout yet", "certcast apply makes one when there is something to do");
  if (text.empty()) return heads;
  if (IsCertificate(heads, config, text)) {
    Heads of_it = Filter(heads, [&](const auto& head) { return head.certificate() == text; });
    if (of_it.empty()) return FailInput(absl::StrCat("there was no rollout of ", text, " yet"));
    return of_it;
  }
  Heads found = Filter(heads, [&](const auto& head) { return head.id() == text; });
  if (found.empty()) found = Filter(heads, [&](const auto& head) { return absl::StartsWith(head.id(), text); });
  if (found.empty()) return NoSuchRollout(heads, text);
  return found;
}

absl::StatusOr<state::v1::Rollout> FindRollout(const Heads& heads, const Config& config, absl::string_view text,
                                               RolloutDefault meant) {
  ASSIGN_OR_RETURN(const Heads matching, MatchRollouts(heads, config, text));
  const bool named = !text.empty() && !IsCertificate(heads, config, text);
  if (named && matching.size() > 1) {
    return FailInput(absl::StrCat(text, " is the beginning of ", matching.size(), " rollouts: ", Name(matching)),
                     "give more of it");
  }
  if (named || meant == RolloutDefault::kLatest) return matching.front();
  const Heads unfinished = Filter(matching, [](const auto& head) { return !IsFinished(head); });
  if (unfinished.size() > 1) {
    return FailInput(absl::StrCat(unfinished.size(), " rollouts are unfinished: ", Name(unfinished)), "say which one");
  }
  return unfinished.empty() ? matching.front() : unfinished.front();
}

}  // namespace certcast::controller
