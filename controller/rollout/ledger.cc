#include "controller/rollout/ledger.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/status/status.h"
#include "controller/rollout/record.h"
#include "controller/rollout/threads.h"

namespace certcast::controller {

Ledger::Ledger(state::v1::Rollout rollout, RolloutLog& log)
    : log_(log),
      head_(std::move(rollout)),
      nodes_(head_.nodes().begin(), head_.nodes().end()),
      tally_(CountNodes(head_)) {
  head_.clear_nodes();
}

v1::Rollout::State Ledger::state() const {
  absl::MutexLock lock(&mutex_);
  return head_.state();
}

int Ledger::wave() const {
  absl::MutexLock lock(&mutex_);
  return head_.wave();
}

Ledger::Node Ledger::node(size_t index) const {
  absl::MutexLock lock(&mutex_);
  return nodes_[index];
}

v1::Rollout::Counts Ledger::tally() const {
  absl::MutexLock lock(&mutex_);
  return tally_;
}

bool Ledger::finished() const {
  absl::MutexLock lock(&mutex_);
  return IsFinished(head_);
}

std::vector<size_t> Ledger::Select(const std::function<bool(const Node&)>& wanted) const {
  absl::MutexLock lock(&mutex_);
  std::vector<size_t> selected;
  for (size_t i = 0; i < nodes_.size(); ++i) {
    if (wanted(nodes_[i])) selected.push_back(i);
  }
  return selected;
}

state::v1::Rollout Ledger::Snapshot() const {
  absl::MutexLock lock(&mutex_);
  state::v1::Rollout rollout = head_;
  rollout.mutable_nodes()->Assign(nodes_.begin(), nodes_.end());
  return rollout;
}

state::v1::Rollout Ledger::Head() const {
  absl::MutexLock lock(&mutex_);
  return head_;
}

absl::Status Ledger::SaveNode(size_t index, const Node& node) {
  absl::MutexLock lock(&mutex_);
  Set(index, node);
  return WaitUntilSaved();
}

absl::StatusOr<bool> Ledger::BeginNode(size_t index, const Node& node) {
  absl::MutexLock lock(&mutex_);
  if (head_.state() != v1::Rollout::RUNNING) return false;
  Set(index, node);
  RETURN_IF_ERROR(WaitUntilSaved());
  return true;
}

absl::Status Ledger::SaveHead(const std::function<void(state::v1::Rollout& head)>& change, const Nodes& nodes) {
  absl::MutexLock lock(&mutex_);
  change(head_);
  head_pending_ = true;
  ++changes_;
  for (const auto& [index, node] : nodes) Set(index, node);
  return WaitUntilSaved();
}

absl::Status Ledger::FinishNode(size_t index, const Node& node) {
  absl::MutexLock lock(&mutex_);
  Set(index, node);
  // A failure is one also where another node had it paused.
  if (GoesOn(head_.state()) || head_.state() == v1::Rollout::PAUSED) HaltWhenOverspent();
  if (GoesOn(head_.state())) PauseWhenInconclusive(node);
  const bool stops = head_.state() == v1::Rollout::HALTED || head_.state() == v1::Rollout::PAUSED;
  return stops ? WaitUntilSaved() : error_;
}

absl::Status Ledger::Flush() {
  absl::MutexLock lock(&mutex_);
  return WaitUntilSaved();
}

void Ledger::Set(size_t index, const Node& node) {
  Node& place = nodes_[index];
  AddTo(tally_, StandingOf(place), -1);
  place = node;
  AddTo(tally_, StandingOf(place), 1);
  pending_[index] = node;
  ++changes_;
}

void Ledger::HaltWhenOverspent() {
  const state::v1::Rollout::Policy& policy = head_.policy();
  std::string because;
  if (tally_.failed() > policy.max_failures()) {
    because = absl::StrCat(tally_.failed(), " failed, max_failures is ", policy.max_failures());
  } else if (policy.has_max_unreachable() && tally_.missing() > policy.max_unreachable()) {
    because = absl::StrCat(tally_.missing(), " unreachable, max_unreachable is ", policy.max_unreachable());
  } else {
    return;
  }
  head_.set_state(v1::Rollout::HALTED);
  head_.set_halted_because(because);
  head_.clear_paused_because();
  head_.clear_paused_by();
  head_pending_ = true;
}

void Ledger::PauseWhenInconclusive(const Node& node) {
  if (StandingOf(node) != Standing::kInconclusive) return;
  head_.set_state(v1::Rollout::PAUSED);
  head_.set_paused_because(absl::StrCat("node ", node.result().name(), ": ", node.result().detail()));
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
  if (with_head) *head_.mutable_counts() = tally_;
  const state::v1::Rollout head = with_head ? head_ : state::v1::Rollout();
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
