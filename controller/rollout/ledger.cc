#include "controller/rollout/ledger.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "controller/rollout/record.h"
#include "controller/rollout/threads.h"

namespace certcast::controller {
namespace {

int& CountOf(Ledger::Tally& tally, Standing standing) {
  switch (standing) {
    case Standing::kGood:
      return tally.good;
    case Standing::kFailed:
      return tally.failed;
    case Standing::kMissing:
      return tally.missing;
    case Standing::kInconclusive:
      return tally.inconclusive;
    case Standing::kSkipped:
      return tally.skipped;
    case Standing::kOpen:
      break;
  }
  return tally.open;
}

state::v1::Rollout WithoutNodes(const state::v1::Rollout& rollout) {
  state::v1::Rollout head;
  head.set_id(rollout.id());
  head.set_certificate(rollout.certificate());
  head.set_generation(rollout.generation());
  head.set_state(rollout.state());
  head.set_seed(rollout.seed());
  *head.mutable_policy() = rollout.policy();
  *head.mutable_waves() = rollout.waves();
  head.set_wave(rollout.wave());
  if (rollout.has_started_at()) *head.mutable_started_at() = rollout.started_at();
  if (rollout.has_finished_at()) *head.mutable_finished_at() = rollout.finished_at();
  head.set_halted_because(rollout.halted_because());
  head.set_paused_because(rollout.paused_because());
  head.set_leaf_sha256(rollout.leaf_sha256());
  return head;
}

}  // namespace

Ledger::Ledger(state::v1::Rollout rollout, RolloutLog& log) : log_(log), rollout_(std::move(rollout)) {
  for (const Node& node : rollout_.nodes()) ++CountOf(tally_, StandingOf(node));
}

v1::Rollout::State Ledger::state() const {
  absl::MutexLock lock(&mutex_);
  return rollout_.state();
}

int Ledger::wave() const {
  absl::MutexLock lock(&mutex_);
  return rollout_.wave();
}

Ledger::Node Ledger::node(size_t index) const {
  absl::MutexLock lock(&mutex_);
  return rollout_.nodes(static_cast<int>(index));
}

Ledger::Tally Ledger::tally() const {
  absl::MutexLock lock(&mutex_);
  return tally_;
}

bool Ledger::finished() const {
  absl::MutexLock lock(&mutex_);
  return IsFinished(rollout_);
}

std::vector<size_t> Ledger::Select(const std::function<bool(const Node&)>& wanted) const {
  absl::MutexLock lock(&mutex_);
  std::vector<size_t> selected;
  for (int i = 0; i < rollout_.nodes_size(); ++i) {
    if (wanted(rollout_.nodes(i))) selected.push_back(static_cast<size_t>(i));
  }
  return selected;
}

state::v1::Rollout Ledger::Snapshot() const {
  absl::MutexLock lock(&mutex_);
  return rollout_;
}

absl::Status Ledger::SaveNode(size_t index, const Node& node) {
  absl::MutexLock lock(&mutex_);
  Set(index, node);
  return WaitUntilSaved();
}

absl::Status Ledger::SaveHead(const std::function<void(state::v1::Rollout& head)>& change, const Nodes& nodes) {
  absl::MutexLock lock(&mutex_);
  change(rollout_);
  head_pending_ = true;
  ++changes_;
  for (const auto& [index, node] : nodes) Set(index, node);
  return WaitUntilSaved();
}

absl::Status Ledger::FinishNode(size_t index, const Node& node) {
  absl::MutexLock lock(&mutex_);
  Set(index, node);
  // A failure is one also where another node had it paused.
  const bool may_halt = rollout_.state() == v1::Rollout::RUNNING || rollout_.state() == v1::Rollout::PAUSED;
  if (may_halt) HaltWhenOverspent();
  if (rollout_.state() == v1::Rollout::RUNNING) PauseWhenInconclusive(node);
  const bool stops = rollout_.state() == v1::Rollout::HALTED || rollout_.state() == v1::Rollout::PAUSED;
  return stops ? WaitUntilSaved() : error_;
}

absl::Status Ledger::Flush() {
  absl::MutexLock lock(&mutex_);
  return WaitUntilSaved();
}

void Ledger::Set(size_t index, const Node& node) {
  Node& place = *rollout_.mutable_nodes(static_cast<int>(index));
  --CountOf(tally_, StandingOf(place));
  place = node;
  ++CountOf(tally_, StandingOf(place));
  pending_[index] = node;
  ++changes_;
}

void Ledger::HaltWhenOverspent() {
  const state::v1::Rollout::Policy& policy = rollout_.policy();
  std::string because;
  if (tally_.failed > policy.max_failures()) {
    because = absl::StrCat(tally_.failed, " failed, max_failures is ", policy.max_failures());
  } else if (policy.has_max_unreachable() && tally_.missing > policy.max_unreachable()) {
    because = absl::StrCat(tally_.missing, " unreachable, max_unreachable is ", policy.max_unreachable());
  } else {
    return;
  }
  rollout_.set_state(v1::Rollout::HALTED);
  rollout_.set_halted_because(because);
  rollout_.clear_paused_because();
  head_pending_ = true;
}

void Ledger::PauseWhenInconclusive(const Node& node) {
  if (StandingOf(node) != Standing::kInconclusive) return;
  rollout_.set_state(v1::Rollout::PAUSED);
  rollout_.set_paused_because(absl::StrCat("node ", node.result().name(), ": ", node.result().detail()));
  head_pending_ = true;
}

absl::Status Ledger::WaitUntilSaved() {
  const int64_t change = changes_;
  while (saved_ < change && error_.ok()) {
    if (writing_) {
      Threads::Get().Wait(written_, mutex_);
    } else {
      WritePending();
    }
  }
  return saved_ >= change ? absl::OkStatus() : error_;
}

void Ledger::WritePending() {
  const int64_t up_to = changes_;
  const Nodes nodes = std::exchange(pending_, {});
  const bool with_head = std::exchange(head_pending_, false);
  const state::v1::Rollout head = with_head ? WithoutNodes(rollout_) : state::v1::Rollout();
  writing_ = true;
  mutex_.Unlock();
  const absl::Status status = log_.Save(with_head ? &head : nullptr, nodes);
  mutex_.Lock();
  writing_ = false;
  if (status.ok()) {
    saved_ = up_to;
  } else {
    error_ = status;
  }
  Threads::Get().SignalAll(written_);
}

}  // namespace certcast::controller
