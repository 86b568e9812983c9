#include "node/engine/transaction.h"

#include <algorithm>
#include <utility>

#include "common/status/status.h"

namespace certcast::node {

Transaction::Transaction(const EngineContext& engine, Journal record, OnProgress on_progress)
    : engine(engine), journal(std::move(record)), resumed(true), on_progress_(std::move(on_progress)) {
  result.set_certificate(journal.certificate());
  result.set_generation(journal.commanded() ? journal.baseline().generation() : journal.target().generation());
  for (const v1::ProbeResult& probe : journal.before()) *result.add_probes() = probe;
}

void Transaction::Announce(absl::string_view step, absl::string_view detail) const {
  if (!on_progress_) return;
  v1::Progress progress;
  progress.set_step(std::string(step));
  progress.set_detail(std::string(detail));
  on_progress_(progress);
}

absl::Status Transaction::Run(absl::string_view step, absl::string_view detail, const Action& action) {
  Announce(step, detail);
  const absl::Duration begin = engine.clock().Monotonic();
  absl::Status status = action();
  v1::InstallResult::Step* taken = nullptr;
  for (v1::InstallResult::Step& earlier : *result.mutable_steps()) {
    if (earlier.name() == step) taken = &earlier;
  }
  if (taken == nullptr) taken = result.add_steps();
  taken->set_name(std::string(step));
  taken->set_duration_us(taken->duration_us() + absl::ToInt64Microseconds(engine.clock().Monotonic() - begin));
  return WithStep(std::move(status), step);
}

absl::Status Transaction::Take(Journal::Step step, absl::string_view detail, const Action& action) {
  return Run(StepName(step), detail, [&]() -> absl::Status {
    RETURN_IF_ERROR(Save(step));
    return action();
  });
}

absl::Status Transaction::Save(Journal::Step step) {
  const Journal::Step before = journal.step();
  journal.set_step(step);
  absl::Status saved = engine.journal->Save(journal);
  if (!saved.ok()) journal.set_step(before);
  return saved;
}

void Transaction::NoteReload(const Service& service) {
  if (service.reload.is_none()) return;
  const auto& names = result.reloaded();
  if (std::find(names.begin(), names.end(), service.name) == names.end()) result.add_reloaded(service.name);
}

void Transaction::NoteProbes(std::vector<v1::ProbeResult> results) {
  for (v1::ProbeResult& now : results) {
    v1::ProbeResult* entry = nullptr;
    for (v1::ProbeResult& earlier : *result.mutable_probes()) {
      if (earlier.service() == now.service() && earlier.probe() == now.probe()) entry = &earlier;
    }
    if (entry == nullptr) entry = result.add_probes();
    now.set_served_before_sha256(entry->served_before_sha256());
    *entry = std::move(now);
  }
}

void Transaction::NoteInForce() {
  const NodeState::Certificate known = engine.state->Certificate(result.certificate());
  result.set_generation_in_force(known.in_force().generation());
  result.set_installed_sha256(known.in_force().leaf_sha256());
}

absl::string_view StepName(Journal::Step step) {
  switch (step) {
    case Journal::STAGING:
      return "stage";
    case Journal::LINKING:
    case Journal::ACTIVATING:
      return "activate";
    case Journal::CHECKING:
      return "check";
    case Journal::RELOADING:
      return "reload";
    case Journal::PROBING:
      return "probe";
    case Journal::AWAITING_CONFIRM:
      return "confirm";
    case Journal::COMMITTING:
      return "commit";
    case Journal::REVERTING:
      return "revert";
    case Journal::IDLE:
    default:
      return "";
  }
}

}  // namespace certcast::node
