#include "node/engine/undo.h"

#include "absl/strings/str_cat.h"
#include "common/status/status.h"
#include "google/protobuf/util/time_util.h"
#include "node/engine/activate.h"
#include "node/engine/clock_check.h"
#include "node/engine/commit.h"
#include "node/engine/generation.h"
#include "node/engine/install.h"
#include "node/engine/revert.h"

namespace certcast::node {
namespace {

// The record of the generation to go back to, when one may.
absl::StatusOr<GenerationRecord> FindWayBack(const EngineContext& engine, const NodeState::Certificate& known) {
  if (!known.has_previous()) {
    return Fail(Reason::REVERT_FAILED,
                absl::StrCat("there is nothing before generation ", known.in_force().generation(), " of ", known.name(),
                             " to go back to"),
                "issue a new generation, or import the certificate that you want as one");
  }
  if (known.previous().generation() == known.in_force().generation()) {
    return Fail(Reason::REVERT_FAILED,
                absl::StrCat("before generation ", known.in_force().generation(), " of ", known.name(),
                             " there was the same one with files that were changed by hand: going there would not "
                             "leave it"),
                "issue a new generation, or import the certificate that you want as one");
  }
  const std::string& directory = known.previous().directory();
  absl::StatusOr<GenerationRecord> record = ReadRecord(engine, known.name(), directory);
  absl::Status usable = record.status();
  if (usable.ok()) usable = CheckGeneration(engine, known.name(), directory, *record);
  if (usable.ok()) usable = CheckNotExpiredNow(engine, *record, Journal());
  if (usable.ok()) return record;
  return WithHint(WithReason(Annotate(usable, absl::StrCat("can't go back to generation ",
                                                           known.previous().generation(), " of ", known.name())),
                             Reason::REVERT_FAILED),
                  "what is in force stays; issue a new generation");
}

v1::InstallResult Refused(Transaction& t, const absl::Status& why) {
  t.result.set_outcome(v1::Outcome::FAILED);
  *t.result.mutable_failure() = FailureOf(WithStep(why, "revert"));
  t.NoteInForce();
  return t.result;
}

v1::InstallResult Run(Transaction& t, const GenerationRecord& to) {
  t.result.set_outcome(v1::Outcome::REVERTED);
  absl::Status status = SwitchOver(t, to);
  if (!status.ok()) return GoBack(t, status);
  t.result.mutable_failure()->set_reason(t.journal.because());
  t.result.mutable_failure()->set_step("revert");
  t.result.mutable_failure()->set_detail(
      absl::StrCat("the controller had generation ", t.journal.baseline().generation(), " taken back"));
  status = Commit(t, t.journal.command_id());
  if (status.ok()) return t.result;
  // It is back and served; only the record of it is missing, which Recover or a repetition makes.
  *t.result.mutable_cleanup_failure() = FailureOf(status);
  return t.result;
}

}  // namespace

v1::InstallResult Undo(const EngineContext& engine, const std::string& command_id, const v1::Revert& command,
                       const OnProgress& on_progress) {
  Transaction t(engine, on_progress);
  t.result.set_certificate(command.certificate());
  t.result.set_generation(command.generation());
  const NodeState::Certificate known = engine.state->Certificate(command.certificate());
  if (known.in_force().generation() != command.generation() || command.generation() == 0) {
    t.result.set_outcome(v1::Outcome::UNCHANGED);
    t.NoteInForce();
    return t.result;
  }
  const absl::StatusOr<GenerationRecord> to = FindWayBack(engine, known);
  if (!to.ok()) return Refused(t, to.status());

  t.journal.set_command_id(command_id);
  t.journal.set_certificate(command.certificate());
  t.journal.set_commanded(true);
  t.journal.set_because(command.because());
  *t.journal.mutable_target() = known.previous();
  *t.journal.mutable_baseline() = known.in_force();
  *t.journal.mutable_started_at() =
      google::protobuf::util::TimeUtil::SecondsToTimestamp(absl::ToUnixSeconds(engine.clock().Now()));
  return Run(t, *to);
}

v1::InstallResult ResumeUndo(Transaction& t) {
  const absl::StatusOr<GenerationRecord> to =
      ReadRecord(t.engine, t.journal.certificate(), t.journal.target().directory());
  if (!to.ok()) return GoBack(t, to.status());
  if (!t.engine.environment.before_services) return Run(t, *to);
  if (const absl::Status activated = Activate(t, *to); !activated.ok()) return GoBack(t, activated);
  t.result.set_outcome(v1::Outcome::REVERTED);
  t.result.set_generation_in_force(t.journal.target().generation());
  return t.result;
}

}  // namespace certcast::node
