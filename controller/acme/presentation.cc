#include "controller/acme/presentation.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/status/status.h"

namespace certcast::controller {
namespace {

using Challenge = state::v1::PresentedChallenge;

// A CA has each token once.
bool Same(const Challenge& a, const Challenge& b) {
  return a.domain() == b.domain() && a.token() == b.token() && a.type() == b.type();
}

bool Contains(const std::vector<Challenge>& list, const Challenge& challenge) {
  return std::any_of(list.begin(), list.end(), [&](const auto& other) { return Same(other, challenge); });
}

}  // namespace

std::string RecordedType(const ChallengeSolver& solver) {
  return solver.type() == "dns-01" ? "" : std::string(solver.type());
}

absl::Status Presentation::Present(const std::vector<Challenge>& challenges) {
  if (challenges.empty()) return absl::OkStatus();
  RETURN_IF_ERROR(NoteBefore(challenges));
  solver_.Announce(challenges);
  for (const Challenge& challenge : challenges) {
    presented_now_.push_back(challenge);
    if (solver_.makes()) on_progress_(absl::StrCat("writing the ", solver_.noun(), " ", solver_.Place(challenge)));
    RETURN_IF_ERROR(solver_.Present(challenge));
  }
  return solver_.AwaitVisible(challenges, on_progress_);
}

absl::Status Presentation::NoteBefore(const std::vector<Challenge>& challenges) {
  const auto& presented = journal_.record().presented();
  std::vector<Challenge> all(presented.begin(), presented.end());
  bool changed = false;
  for (const Challenge& challenge : challenges) {
    const auto noted = std::find_if(all.begin(), all.end(), [&](const auto& other) { return Same(other, challenge); });
    if (noted == all.end()) {
      all.push_back(challenge);
      changed = true;
      continue;
    }
    // Presented again, where it did not outlive a process: on other nodes, perhaps.
    for (const std::string& node : challenge.nodes()) {
      if (std::find(noted->nodes().begin(), noted->nodes().end(), node) != noted->nodes().end()) continue;
      noted->add_nodes(node);
      changed = true;
    }
  }
  return changed ? journal_.KeepPresented(all) : absl::OkStatus();
}

absl::Status Presentation::Remove(const std::vector<Challenge>& keep) {
  const auto& presented = journal_.record().presented();
  std::vector<Challenge> left;
  absl::Status first;
  for (const Challenge& challenge : presented) {
    if (Contains(keep, challenge)) {
      left.push_back(challenge);
      continue;
    }
    absl::Status removed = RemoveOne(challenge);
    if (removed.ok()) continue;
    // A crash may have come before it was written or after it was removed, and hooks may complain about that.
    const bool again = Contains(presented_now_, challenge);
    if (again) left.push_back(challenge);
    const std::string what = absl::StrCat("a ", solver_.noun());
    removed =
        Annotate(removed, absl::StrCat(what, again ? " could not be removed, which the next order tries again"
                                                   : " of an earlier run may still be there and is not tried again"));
    if (first.ok()) first = removed;
  }
  if (static_cast<int>(left.size()) == presented.size()) return first;
  return KeepFirst(first, journal_.KeepPresented(left));
}

absl::Status Presentation::RemoveOne(const Challenge& challenge) {
  if (challenge.type() == RecordedType(solver_)) return solver_.CleanUp(challenge);
  const bool is_dns = challenge.type().empty();
  return Fail(
      Reason::CHALLENGE_FAILED,
      absl::StrCat(is_dns ? challenge.fqdn() : challenge.token(), " of ", challenge.domain(), " was presented for ",
                   is_dns ? "dns-01" : challenge.type(), ", which is not configured any more"));
}

}  // namespace certcast::controller
