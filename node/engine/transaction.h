// One command that changes things, as its steps see it: the journal's record and the result as they grow.
#ifndef CERTCAST_NODE_ENGINE_TRANSACTION_H_
#define CERTCAST_NODE_ENGINE_TRANSACTION_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "certcast/v1/link.pb.h"
#include "node/engine/context.h"
#include "node/engine/probe.h"

namespace certcast::node {

// Thread-compatible; the engine's install lock is held as long as it lives.
class Transaction {
 public:
  using Action = std::function<absl::Status()>;

  Transaction(const EngineContext& engine, OnProgress on_progress)
      : engine(engine), on_progress_(std::move(on_progress)) {}
  // Goes on with a journal's record.
  Transaction(const EngineContext& engine, Journal record, OnProgress on_progress);
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;

  const EngineContext& engine;
  // What Save writes next. `step` in it is the last that was saved.
  Journal journal;
  // It goes on with a record, so that the machine may have started anew since, or others reloaded the services: these
  // may have read the new files although no reload was sent.
  const bool resumed = false;
  v1::InstallResult result;

  // Tells who listens that `step`, one of Failure.step, begins.
  void Announce(absl::string_view step, absl::string_view detail) const;
  // Announces `step`, runs `action` and notes its time in the result. The step is set in the error. Saves nothing.
  absl::Status Run(absl::string_view step, absl::string_view detail, const Action& action);
  // Saves `step` in the journal, then takes it: `action` runs only once the record is on the disk.
  absl::Status Take(Journal::Step step, absl::string_view detail, const Action& action);
  absl::Status Save(Journal::Step step);

  std::vector<const Service*> services() const { return engine.ServicesOf(journal.certificate()); }
  // Adds to result.reloaded.
  void NoteReload(const Service& service);
  // Puts what was seen now beside what was seen before the switch.
  void NoteProbes(std::vector<v1::ProbeResult> results);
  // Sets what is in force in the result, from the state.
  void NoteInForce();

 private:
  OnProgress on_progress_;
};

// The step's name in Failure.step, InstallResult.steps and Progress.
absl::string_view StepName(Journal::Step step);

}  // namespace certcast::node

#endif  // CERTCAST_NODE_ENGINE_TRANSACTION_H_
