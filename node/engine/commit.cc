#include "node/engine/commit.h"

#include <string>
#include <utility>

#include "common/status/status.h"
#include "node/engine/activate.h"
#include "node/engine/adopt.h"
#include "node/engine/copies.h"
#include "node/engine/generation.h"
#include "node/engine/prune.h"

namespace certcast::node {
namespace {

// Whether the generation in force was installed once more, from its own files: what was before it is what it was. Also
// where this was recorded already.
bool IsSameAgain(const Journal& journal, const NodeState::Certificate& known) {
  const std::string& in_force = known.in_force().directory();
  return in_force == journal.target().directory() || (in_force == journal.baseline().directory() &&
                                                      journal.baseline().generation() == journal.target().generation());
}

absl::Status Record(Transaction& t, absl::string_view command_id) {
  const Journal& journal = t.journal;
  return t.engine.state->Update([&](NodeState& state) {
    NodeState::Certificate& certificate = MutableCertificate(state, journal.certificate());
    if (journal.commanded()) {
      certificate.clear_previous();
    } else if (!IsSameAgain(journal, certificate)) {
      *certificate.mutable_previous() = journal.baseline();
    }
    *certificate.mutable_in_force() = journal.target();
    certificate.clear_unconfirmed();
    t.result.set_generation_in_force(journal.target().generation());
    t.result.set_installed_sha256(journal.target().leaf_sha256());
    // The Install is not waiting any more.
    for (NodeState::Result& result : *state.mutable_results()) {
      if (result.command_id() == journal.command_id()) result.mutable_result()->clear_confirm_by();
    }
    RememberResult(state, command_id, t.result);
  });
}

absl::Status TidyUp(Transaction& t) {
  const std::string& certificate = t.journal.certificate();
  if (t.journal.commanded()) {
    ASSIGN_OR_RETURN(const GenerationRecord record, ReadRecord(t.engine, certificate, t.journal.target().directory()));
    RETURN_IF_ERROR(RemoveLinksOfAbsentFiles(t.engine, certificate, record));
  }
  RETURN_IF_ERROR(
      RemovePreparedCopies(t.engine, certificate, t.journal.target().directory(), t.journal.baseline().directory()));
  RETURN_IF_ERROR(RemoveWayBack(t.engine, certificate));
  return Prune(t.engine, certificate);
}

}  // namespace

absl::Status Commit(Transaction& t, absl::string_view command_id) {
  // The result is saved in the middle of this, so its time is not in it.
  t.Announce("commit", "");
  absl::Status status = t.Save(Journal::COMMITTING);
  if (status.ok()) status = FinishCommit(t, command_id);
  return WithStep(std::move(status), "commit");
}

absl::Status FinishCommit(Transaction& t, absl::string_view command_id) {
  RETURN_IF_ERROR(Record(t, command_id));
  // What stays too long on the disk does no harm, and goes with the next commit.
  const absl::Status tidied = TidyUp(t);
  if (!tidied.ok()) *t.result.mutable_cleanup_failure() = FailureOf(WithStep(tidied, "commit"));
  t.journal.Clear();
  return t.Save(Journal::IDLE);
}

}  // namespace certcast::node
