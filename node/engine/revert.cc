#include "node/engine/revert.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/status/status.h"
#include "node/engine/activate.h"
#include "node/engine/adopt.h"
#include "node/engine/clock_check.h"
#include "node/engine/copies.h"
#include "node/engine/generation.h"
#include "node/engine/probe.h"
#include "node/engine/prune.h"
#include "node/engine/reload.h"

namespace certcast::node {
namespace {

// How the way back went.
struct WayBack {
  // In force now; no directory: as the state says.
  GenerationOnDisk in_force;
  // Set only where the new generation had to stay, unconfirmed: then that changes too.
  std::optional<GenerationOnDisk> previous;
  bool switched = false;
  // Why it is not as it was: REVERT_FAILED.
  absl::Status failed;
  // What else went wrong, where all that counts is as it was.
  absl::Status noted;
  // The journal must stay, to be gone on with.
  bool unfinished = false;
  // And nothing is known yet: the files are back, reload and proof are for later.
  bool unproven = false;
};

WayBack Stuck(absl::Status why, bool switched) {
  return {.switched = switched, .failed = std::move(why), .unfinished = true};
}

// The copies of the baseline, planned before anything is moved.
absl::StatusOr<Copies> PlanCopiesBack(Transaction& t, const GenerationRecord& baseline) {
  return PlanCopies(t.engine, t.journal.certificate(), t.journal.baseline().directory(), baseline,
                    t.journal.target().directory());
}

// Where the way back was cut off after `current` was moved, before all copies were, and the journal could not say so.
absl::Status FinishCopiesBack(Transaction& t) {
  if (t.journal.step() != Journal::ACTIVATING) return absl::OkStatus();
  ASSIGN_OR_RETURN(const GenerationRecord record,
                   ReadRecord(t.engine, t.journal.certificate(), t.journal.baseline().directory()));
  ASSIGN_OR_RETURN(Copies copies, PlanCopiesBack(t, record));
  return copies.Place();
}

// Nothing reads the target. What was being taken in either is complete, and then stays, or nothing leads there.
WayBack LeaveUnswitched(Transaction& t, const std::string& current) {
  const EngineContext& engine = t.engine;
  const std::string& certificate = t.journal.certificate();
  const GenerationOnDisk& baseline = t.journal.baseline();
  WayBack back;
  absl::Status finished = FinishCopiesBack(t);
  if (!finished.ok()) return Stuck(std::move(finished), /*switched=*/false);
  if (baseline.directory().empty() ||
      baseline.directory() == engine.state->Certificate(certificate).in_force().directory()) {
    return back;
  }
  const absl::StatusOr<GenerationRecord> copy = ReadRecord(engine, certificate, baseline.directory());
  if (absl::IsNotFound(copy.status())) {
    back.noted = RemoveGeneration(engine, certificate, baseline.directory());
    return back;
  }
  if (!copy.ok()) return Stuck(copy.status(), /*switched=*/false);
  if (current != baseline.directory()) {
    const absl::Status moved = SwitchBack(engine, certificate, baseline.directory());
    if (!moved.ok()) return Stuck(moved, /*switched=*/false);
  }
  const absl::Status unlinked = RemoveLinksOfAbsentFiles(engine, certificate, *copy);
  if (!unlinked.ok()) return Stuck(unlinked, /*switched=*/false);
  back.in_force = OnDisk(*copy, baseline.directory());
  return back;
}

absl::StatusOr<GenerationRecord> ReadBaseline(Transaction& t) {
  const std::string& certificate = t.journal.certificate();
  const std::string& directory = t.journal.baseline().directory();
  ASSIGN_OR_RETURN(GenerationRecord record, ReadRecord(t.engine, certificate, directory));
  RETURN_IF_ERROR(CheckGeneration(t.engine, certificate, directory, record));
  RETURN_IF_ERROR(CheckNotExpiredNow(t.engine, record, t.journal));
  return record;
}

// One read that fails is no proof that the files are bad.
absl::StatusOr<GenerationRecord> ReadWhatToGoBackTo(Transaction& t) {
  absl::StatusOr<GenerationRecord> record = ReadBaseline(t);
  return record.ok() ? std::move(record) : ReadBaseline(t);
}

// Recovery may find the switch half done.
absl::Status FinishCopiesForward(Transaction& t) {
  const std::string& certificate = t.journal.certificate();
  const std::string& target = t.journal.target().directory();
  ASSIGN_OR_RETURN(const std::string current, CurrentDirectory(t.engine, certificate));
  if (current != target) return absl::OkStatus();
  ASSIGN_OR_RETURN(const GenerationRecord record, ReadRecord(t.engine, certificate, target));
  ASSIGN_OR_RETURN(Copies copies, PlanCopies(t.engine, certificate, target, record, ""));
  return copies.Place();
}

// There is nothing good to go back to, so the new files stay.
WayBack KeepNew(Transaction& t, absl::Status why) {
  absl::Status finished = FinishCopiesForward(t);
  if (!finished.ok()) return Stuck(std::move(finished), /*switched=*/true);
  WayBack back;
  back.switched = true;
  back.failed =
      WithHint(Annotate(std::move(why), absl::StrCat("the files of generation ", t.journal.target().generation(),
                                                     " stay, since there is nothing good to go back to")),
               "mend the service, or issue a new generation, then run certcast apply");
  back.in_force = t.journal.target();
  back.previous = t.journal.baseline();
  return back;
}

// Services that may have read the new files.
std::vector<std::string> NamesToReload(const Transaction& t) {
  std::vector<std::string> names(t.journal.reloaded().begin(), t.journal.reloaded().end());
  if (!t.resumed) return names;
  for (const Service* service : t.services()) {
    if (std::find(names.begin(), names.end(), service->name) == names.end()) names.push_back(service->name);
  }
  return names;
}

// Services that may have read the new files read their old ones again, and must serve them.
void ReloadAndProve(Transaction& t, const GenerationRecord& record, WayBack& back) {
  std::vector<Expectation> expectations;
  for (const std::string& name : NamesToReload(t)) {
    const Service* service = t.engine.FindService(name);
    if (service == nullptr) {
      back.failed =
          KeepFirst(std::move(back.failed), Fail(Reason::RELOAD_FAILED,
                                                 absl::StrCat("service ", name, " is not in ", t.engine.config.file(),
                                                              " any more, so it was not reloaded"),
                                                 "reload it by hand"));
      continue;
    }
    const Concern concern = ConcernOf(t.engine, t.journal.certificate(), record, *service);
    if (concern == Concern::kNone) continue;
    absl::Status reloaded = ReloadService(t.engine, *service);
    t.NoteReload(*service);
    if (concern == Concern::kLeftWithout) {
      // It had no certificate before, so it may well refuse to load its configuration now.
      back.noted = KeepFirst(std::move(back.noted), std::move(reloaded));
      continue;
    }
    std::vector<Expectation> probes = ExpectationsOf(t.engine, t.journal.certificate(), record, *service);
    // While a machine boots, it may be that the service does not run yet. It starts with the old files, which probes
    // see.
    absl::Status& place = t.resumed && !probes.empty() ? back.noted : back.failed;
    place = KeepFirst(std::move(place), std::move(reloaded));
    std::move(probes.begin(), probes.end(), std::back_inserter(expectations));
  }
  const auto left = ReadRecord(t.engine, t.journal.certificate(), t.journal.target().directory());
  if (left.ok()) ExpectAnotherChain(t.journal.certificate(), *left, expectations);
  std::vector<v1::ProbeResult> results;
  back.failed = KeepFirst(std::move(back.failed), ProbeServices(t.engine, expectations, &results));
  t.NoteProbes(std::move(results));
}

WayBack SwitchBackAndProve(Transaction& t) {
  const std::string& certificate = t.journal.certificate();
  const GenerationOnDisk& baseline = t.journal.baseline();
  const absl::StatusOr<GenerationRecord> record = ReadWhatToGoBackTo(t);
  // What may pass by itself says nothing about them either.
  if (absl::IsUnavailable(record.status())) return Stuck(record.status(), /*switched=*/true);
  if (!record.ok()) return KeepNew(t, record.status());
  absl::StatusOr<Copies> copies = PlanCopiesBack(t, *record);
  if (!copies.ok()) return Stuck(copies.status(), /*switched=*/true);

  WayBack back;
  back.switched = true;
  // Recovery from the step that is in the journal does the same, so this one may fail.
  back.noted = t.Save(Journal::REVERTING);
  absl::Status moved = SwitchBack(t.engine, certificate, baseline.directory());
  // Also where the rename was done and only its fsync failed: what goes back goes back as a set.
  const absl::StatusOr<std::string> current = CurrentDirectory(t.engine, certificate);
  if (moved.ok() || (current.ok() && *current == baseline.directory())) {
    moved = KeepFirst(std::move(moved), copies->Place());
  }
  if (moved.ok()) moved = RemoveLinksOfAbsentFiles(t.engine, certificate, *record);
  if (!moved.ok()) return Stuck(std::move(moved), /*switched=*/true);
  back.in_force = OnDisk(*record, baseline.directory());
  *back.in_force.mutable_in_force_since() = baseline.in_force_since();
  if (t.engine.environment.before_services) {
    back.unproven = true;
  } else {
    ReloadAndProve(t, *record, back);
  }
  return back;
}

WayBack WalkBack(Transaction& t) {
  const absl::StatusOr<std::string> current = CurrentDirectory(t.engine, t.journal.certificate());
  if (!current.ok()) return Stuck(current.status(), t.journal.step() >= Journal::ACTIVATING);
  // From CHECKING on it was, also where it has been moved back since.
  const bool switched = t.journal.step() >= Journal::CHECKING || *current == t.journal.target().directory();
  return switched ? SwitchBackAndProve(t) : LeaveUnswitched(t, *current);
}

std::string RevertHint(const v1::Failure& first, const v1::Failure& back) {
  if (!back.hint().empty()) return back.hint();
  const std::string look = "look at the service on this node now";
  return first.hint().empty() ? look : absl::StrCat(look, "; ", first.hint());
}

// Both failures in one: what an operator reads first.
v1::Failure RevertFailure(const v1::Failure& first, const v1::Failure& back) {
  const std::string why = absl::StrCat(ReasonName(first.reason()), ": ", first.detail());
  v1::Failure failure =
      FailureOf(Fail(Reason::REVERT_FAILED,
                     back.detail() == first.detail()
                         ? absl::StrCat(why, "; also on the way back")
                         : absl::StrCat("going back failed: ", back.detail(), "; it had to go back because of ", why),
                     RevertHint(first, back)));
  failure.set_step(first.step());
  failure.set_stderr(first.stderr());
  return failure;
}

void FillInResult(Transaction& t, const WayBack& back) {
  v1::InstallResult& result = t.result;
  const v1::Failure& first = t.journal.failure();
  *result.mutable_failure() = first;
  result.clear_confirm_by();
  result.clear_cleanup_failure();
  result.set_outcome(back.switched ? v1::Outcome::REVERTED : v1::Outcome::FAILED);
  if (!back.failed.ok()) {
    *result.mutable_cleanup_failure() = FailureOf(WithStep(KeepFirst(back.failed, back.noted), "revert"));
    if (back.switched) *result.mutable_failure() = RevertFailure(first, result.cleanup_failure());
    result.set_outcome(v1::Outcome::FAILED);
  } else if (!back.noted.ok()) {
    *result.mutable_cleanup_failure() = FailureOf(WithStep(back.noted, "revert"));
  }
  if (t.journal.commanded()) {
    result.mutable_failure()->set_reason(Reason::REVERT_FAILED);
    result.set_outcome(v1::Outcome::FAILED);
  }
}

absl::Status Record(Transaction& t, const WayBack& back) {
  return t.engine.state->Update([&](NodeState& state) {
    NodeState::Certificate& certificate = MutableCertificate(state, t.journal.certificate());
    if (back.previous.has_value()) certificate.set_unconfirmed(true);
    if (!back.in_force.directory().empty() && certificate.in_force().directory() != back.in_force.directory()) {
      const auto since = certificate.in_force().in_force_since();
      *certificate.mutable_in_force() = back.in_force;
      if (!back.in_force.has_in_force_since()) *certificate.mutable_in_force()->mutable_in_force_since() = since;
      if (back.previous.has_value()) *certificate.mutable_previous() = *back.previous;
    }
    t.result.set_generation_in_force(certificate.in_force().generation());
    t.result.set_installed_sha256(certificate.in_force().leaf_sha256());
    RememberResult(state, t.journal.command_id(), t.result);
    RememberResult(state, t.journal.reverted_by(), t.result);
  });
}

// Removes the target where nothing refers to it, and copies of earlier attempts.
absl::Status RemoveLeftovers(Transaction& t) {
  const std::string& certificate = t.journal.certificate();
  const std::string& target = t.journal.target().directory();
  const NodeState::Certificate known = t.engine.state->Certificate(certificate);
  RETURN_IF_ERROR(RemovePreparedCopies(t.engine, certificate, target, t.journal.baseline().directory()));
  if (!target.empty() && known.in_force().directory() != target && known.previous().directory() != target) {
    RETURN_IF_ERROR(RemoveWayBack(t.engine, certificate));
    RETURN_IF_ERROR(RemoveGeneration(t.engine, certificate, target));
  }
  return Prune(t.engine, certificate);
}

}  // namespace

v1::InstallResult GoBack(Transaction& t, const absl::Status& why) {
  // A reload whose record could not be saved was not sent.
  *t.journal.mutable_reloaded() = t.engine.journal->Get().reloaded();
  if (!t.journal.has_failure()) *t.journal.mutable_failure() = FailureOf(why);
  WayBack back;
  (void)t.Run("revert", t.journal.failure().detail(), [&] {
    back = WalkBack(t);
    return back.failed;
  });
  FillInResult(t, back);
  if (back.unproven) {
    t.result.set_outcome(v1::Outcome::REVERTED);
    t.result.set_generation_in_force(back.in_force.generation());
    return t.result;
  }
  absl::Status finished = Record(t, back);
  if (finished.ok() && !back.unfinished) {
    // A directory that stays is removed with the next install.
    const absl::Status removed = RemoveLeftovers(t);
    t.journal.Clear();
    finished = KeepFirst(t.Save(Journal::IDLE), removed);
  }
  if (!finished.ok() && !t.result.has_cleanup_failure()) {
    *t.result.mutable_cleanup_failure() = FailureOf(WithStep(std::move(finished), "revert"));
  }
  return t.result;
}

}  // namespace certcast::node
