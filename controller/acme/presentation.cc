#include "controller/acme/presentation.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/status/status.h"

namespace certcast::controller {
namespace {

using Challenge = state::v1::PresentedChallenge;

// That try to take one thing away. Whoever does so may be out of order for some hours; and some hooks refuse for ever
// to remove what a crash kept them from making.
constexpr int kMostRuns = 10;

// A CA has each token once.
bool Same(const Challenge& a, const Challenge& b) {
  return a.domain() == b.domain() && a.token() == b.token() && a.type() == b.type();
}

void Erase(std::vector<Challenge>& list, const Challenge& challenge) {
  std::erase_if(list, [&](const auto& other) { return Same(other, challenge); });
}

std::string WhatNow(int runs) {
  if (runs == kMostRuns) {
    return absl::StrCat(" could not be removed in ", runs, " runs and is not tried again; remove it by hand");
  }
  const int more = kMostRuns - runs;
  return absl::StrCat(" could not be removed; ", more == 1 ? "one later run tries" : "later runs try",
                      " again, or remove it by hand");
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
  const auto& noted = journal_.record().presented();
  std::vector<Challenge> unmade = challenges;
  for (const Challenge& challenge : noted) Erase(unmade, challenge);
  RETURN_IF_ERROR(NoteBefore(challenges));
  solver_.Announce(challenges);
  for (const Challenge& challenge : challenges) {
    Erase(stuck_, challenge);
    if (solver_.makes()) on_progress_(absl::StrCat("writing the ", solver_.noun(), " ", solver_.Place(challenge)));
    const absl::Status presented = solver_.Present(challenge);
    if (!IsNothingMade(presented)) Erase(unmade, challenge);
    if (!presented.ok()) return KeepFirst(presented, Forget(unmade));
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

absl::Status Presentation::Forget(const std::vector<Challenge>& unmade) {
  const auto& presented = journal_.record().presented();
  std::vector<Challenge> left(presented.begin(), presented.end());
  for (const Challenge& challenge : unmade) Erase(left, challenge);
  return static_cast<int>(left.size()) == presented.size() ? absl::OkStatus() : journal_.KeepPresented(left);
}

absl::Status Presentation::Remove(const std::vector<Challenge>& keep) {
  std::vector<Challenge> left;
  std::vector<std::string> problems;
  v1::Failure first;
  bool tried = false;
  for (Challenge challenge : journal_.record().presented()) {
    if (Contains(keep, challenge) || Contains(stuck_, challenge)) {
      left.push_back(challenge);
      continue;
    }
    tried = true;
    const absl::Status removed = RemoveOne(challenge);
    if (removed.ok()) continue;
    // A crash may have come before it was made or after it was removed, and hooks may complain about that; or it is
    // still there.
    const int runs = challenge.failed_removals() + 1;
    const v1::Failure failure = FailureOf(removed);
    problems.push_back(absl::StrCat("the ", Describe(challenge), WhatNow(runs), ": ", failure.detail()));
    if (problems.size() == 1) first = failure;
    if (runs == kMostRuns) continue;
    challenge.set_failed_removals(runs);
    left.push_back(challenge);
    stuck_.push_back(std::move(challenge));
  }
  if (!tried) return absl::OkStatus();
  absl::Status failed;
  if (!problems.empty()) {
    failed = Fail(Reason::CHALLENGE_FAILED, absl::StrJoin(problems, "; "), first.hint());
    failed = WithStep(WithStderr(failed, first.stderr()), "cleanup");
  }
  // Without a note nothing is tried again, so that counts for more.
  return KeepFirst(journal_.KeepPresented(left), failed);
}

absl::Status Presentation::RemoveOne(const Challenge& challenge) {
  if (challenge.type() == RecordedType(solver_)) return solver_.CleanUp(challenge);
  return Fail(Reason::CHALLENGE_FAILED,
              absl::StrCat("it was presented for ", challenge.type().empty() ? "dns-01" : challenge.type(),
                           ", which is not configured any more"));
}

std::string Presentation::Describe(const Challenge& challenge) const {
  if (challenge.type().empty()) {
    return absl::StrCat("TXT record ", challenge.fqdn(), " (value ", challenge.value(), ")");
  }
  if (challenge.type() == RecordedType(solver_)) return absl::StrCat(solver_.noun(), " ", solver_.Place(challenge));
  return absl::StrCat(challenge.type(), " token ", challenge.token(), " of ", challenge.domain());
}

}  // namespace certcast::controller
