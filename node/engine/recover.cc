#include "node/engine/recover.h"

#include <memory>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/file/atomic.h"
#include "common/status/status.h"
#include "google/protobuf/util/time_util.h"
#include "node/engine/commit.h"
#include "node/engine/elapsed.h"
#include "node/engine/generation.h"
#include "node/engine/revert.h"
#include "node/engine/transaction.h"
#include "node/engine/undo.h"

namespace certcast::node {
namespace {

using google::protobuf::util::TimeUtil;

absl::Status Interrupted(const Journal& journal) {
  return WithStep(
      Fail(Reason::INTERRUPTED, absl::StrCat("certcast-node was ended during the step ", StepName(journal.step()))),
      StepName(journal.step()));
}

// What is under way, for people.
std::string Describe(const Journal& journal) {
  return absl::StrCat(journal.commanded() ? "the way back of " : "the install of ", journal.certificate(),
                      " from generation ", journal.baseline().generation(), " to ", journal.target().generation());
}

// What happened is in the line already.
absl::Status EndedBadly(const Journal& before, const v1::Failure& failure) {
  return WithStderr(Fail(Reason::REVERT_FAILED, absl::StrCat(Describe(before), " ended as REVERT_FAILED"),
                         absl::StrCat(failure.hint(), failure.hint().empty() ? "" : "; ",
                                      "`certcast-node status --probe` shows what is served now")),
                    failure.stderr());
}

absl::StatusOr<Recovery> Summary(const EngineContext& engine, const Journal& before, const v1::InstallResult& result) {
  Recovery recovery;
  const std::string what = absl::StrCat(Describe(before), ", interrupted at ", StepName(before.step()), ": ");
  if (engine.journal->Get().step() == Journal::IDLE) {
    recovery.Add(
        absl::StrCat(what, v1::Outcome::Code_Name(result.outcome()), " ", ReasonName(result.failure().reason()),
                     result.has_cleanup_failure() ? absl::StrCat("; ", result.cleanup_failure().detail()) : ""));
    if (result.failure().reason() == Reason::REVERT_FAILED) {
      recovery.failed = EndedBadly(before, result.has_cleanup_failure() ? result.cleanup_failure() : result.failure());
    }
    return recovery;
  }
  if (engine.environment.before_services && result.outcome() == v1::Outcome::REVERTED) {
    recovery.Add(absl::StrCat(what, "the files are those of generation ", result.generation_in_force(),
                              "; reload and proof are for `certcast-node recover`, once the services run"),
                 result.has_cleanup_failure() ? StatusOf(result.cleanup_failure()) : absl::OkStatus());
    return recovery;
  }
  return Annotate(StatusOf(result.has_cleanup_failure() ? result.cleanup_failure() : result.failure()),
                  absl::StrCat("finishing ", Describe(before)));
}

// Whoever could confirm gives no orders here any more.
bool HasLeftFleet(const EngineContext& engine) {
  const std::string before = engine.state->FleetId();
  return engine.config.fleet.has_value() && !before.empty() && before != engine.config.fleet->id;
}

absl::Status LeftFleet(const Journal& journal) {
  return WithStep(Fail(Reason::NOT_CONFIRMED,
                       absl::StrCat("the node went over to another fleet before generation ",
                                    journal.target().generation(), " of ", journal.certificate(), " was confirmed")),
                  "confirm");
}

absl::StatusOr<Recovery> WaitOn(const EngineContext& engine, Transaction& t) {
  const Journal before = t.journal;
  if (HasLeftFleet(engine)) return Summary(engine, before, GoBack(t, LeftFleet(before)));
  const absl::Duration left = TimeLeftToConfirm(before, engine.clock());
  if (left > absl::ZeroDuration()) {
    return Recovery{.line = absl::StrCat(Describe(before), " waits for Confirm for another ",
                                         absl::FormatDuration(absl::Trunc(left, absl::Seconds(1))))};
  }
  return Summary(engine, before, GoBack(t, NotConfirmed(before)));
}

absl::StatusOr<Recovery> FinishCommitting(Transaction& t) {
  const Journal before = t.journal;
  t.result.set_outcome(before.commanded() ? v1::Outcome::REVERTED : v1::Outcome::INSTALLED);
  if (before.commanded()) t.result.mutable_failure()->set_reason(before.because());
  // A Confirm may come again, and finds it done; the Install's result is there.
  RETURN_IF_ERROR(Annotate(FinishCommit(t, before.commanded() ? before.command_id() : ""),
                           absl::StrCat("finishing ", Describe(before))));
  return Recovery{.line = absl::StrCat(Describe(before), " was confirmed, and is recorded now")};
}

// Where the files of a generation are, or were, put in place.
void AddDirectories(const EngineContext& engine, const std::string& certificate, const GenerationOnDisk& generation,
                    std::set<std::string>& directories) {
  if (generation.directory().empty()) return;
  // One that is not written yet was not put in place either.
  const auto record = ReadRecord(engine, certificate, generation.directory());
  if (!record.ok()) return;
  for (const GenerationRecord::Service& service : record->services()) {
    for (const GenerationRecord::File& file : service.files()) {
      const absl::StatusOr<PathParts> parts = SplitPath(file.path());
      if (parts.ok()) directories.insert(parts->directory);
    }
  }
}

// Beside those of what is declared: an install leaves services that are declared no more with files of their own, and
// goes back to what was declared before.
void AddDirectoriesOfRecords(const EngineContext& engine, std::set<std::string>& certificates,
                             std::set<std::string>& directories) {
  if (const Journal journal = engine.journal->Get(); journal.step() != Journal::IDLE) {
    certificates.insert(journal.certificate());
    AddDirectories(engine, journal.certificate(), journal.target(), directories);
    AddDirectories(engine, journal.certificate(), journal.baseline(), directories);
  }
  for (const NodeState::Certificate& known : engine.state->Certificates()) {
    certificates.insert(known.name());
    AddDirectories(engine, known.name(), known.in_force(), directories);
    AddDirectories(engine, known.name(), known.previous(), directories);
  }
}

absl::Status RemoveTemporariesAt(FileSystem& files, const std::string& path) {
  const auto directory = files.OpenDirectory(path);
  if (absl::IsNotFound(directory.status())) return absl::OkStatus();
  if (!directory.ok()) return directory.status();
  return RemoveTemporaries(**directory);
}

}  // namespace

absl::Status NotConfirmed(const Journal& journal) {
  return WithStep(
      Fail(Reason::NOT_CONFIRMED,
           absl::StrCat("no Confirm for generation ", journal.target().generation(), " of ", journal.certificate(),
                        " arrived within ", TimeUtil::ToString(journal.confirm_timeout())),
           "did the controller lose the connection, or see another certificate served?"),
      "confirm");
}

absl::Status RemoveAllTemporaries(const EngineContext& engine) {
  RETURN_IF_ERROR(RemoveTemporariesAt(engine.files(), engine.layout.state()));
  std::set<std::string> certificates;
  std::set<std::string> directories;
  for (const Service& service : engine.config.services) {
    for (const ServiceFile& file : service.files) {
      certificates.insert(service.CertificateOf(file));
      const absl::StatusOr<PathParts> parts = SplitPath(file.path);
      if (parts.ok()) directories.insert(parts->directory);
    }
  }
  AddDirectoriesOfRecords(engine, certificates, directories);
  for (const std::string& directory : directories) (void)RemoveTemporariesAt(engine.files(), directory);
  for (const std::string& certificate : certificates) {
    RETURN_IF_ERROR(RemoveTemporariesAt(engine.files(), engine.layout.Certificate(certificate)));
  }
  return absl::OkStatus();
}

absl::StatusOr<Recovery> Recover(const EngineContext& engine) {
  const Journal journal = engine.journal->Get();
  Transaction t(engine, journal, nullptr);
  switch (journal.step()) {
    case Journal::IDLE:
      return Recovery();
    case Journal::STAGING:
    case Journal::LINKING:
      return Summary(engine, journal, GoBack(t, Interrupted(journal)));
    case Journal::ACTIVATING:
    case Journal::CHECKING:
    case Journal::RELOADING:
    case Journal::PROBING:
      if (journal.commanded()) return Summary(engine, journal, ResumeUndo(t));
      return Summary(engine, journal, GoBack(t, Interrupted(journal)));
    case Journal::AWAITING_CONFIRM:
      return WaitOn(engine, t);
    case Journal::COMMITTING:
      return FinishCommitting(t);
    case Journal::REVERTING:
      return Summary(engine, journal, GoBack(t, Interrupted(journal)));
    // What protobuf adds to every enum; JournalFile::Open refuses them.
    case state::v1::Journal_Step_Journal_Step_INT_MIN_SENTINEL_DO_NOT_USE_:
    case state::v1::Journal_Step_Journal_Step_INT_MAX_SENTINEL_DO_NOT_USE_:
      break;
  }
  return Fail(Reason::STORAGE_FAILED, "the journal names a step that this certcast-node does not know");
}

}  // namespace certcast::node
