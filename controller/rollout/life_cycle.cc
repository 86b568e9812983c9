#include "controller/rollout/life_cycle.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "controller/rollout/record.h"

namespace certcast::controller {
namespace {

using Request = state::v1::RolloutRequest;
using Node = state::v1::Rollout::Node;

void Halt(state::v1::Rollout& head, const std::string& because) {
  head.set_state(v1::Rollout::HALTED);
  head.set_halted_because(because);
  head.clear_paused_because();
  head.clear_paused_by();
  head.clear_finished_at();
}

bool ToBePutBack(const Node& node) {
  return node.changed() || (node.step() != Node::PENDING && node.step() != Node::DONE && !node.had_before());
}

}  // namespace

bool TakeRequest(const Request& request, state::v1::Rollout& head) {
  const bool paused = head.state() == v1::Rollout::PAUSED;
  if (IsFinished(head) || (!GoesOn(head.state()) && !paused)) return false;
  switch (request.wish()) {
    case Request::PAUSE:
      if (head.has_paused_by()) return false;
      head.set_state(v1::Rollout::PAUSED);
      head.set_paused_because(absl::StrCat("paused by ", request.by().user()));
      *head.mutable_paused_by() = request.by();
      return true;
    case Request::ABORT:
      if (request.on_halt() != Request::AS_PLANNED) {
        head.mutable_policy()->set_revert_on_halt(request.on_halt() == Request::REVERT);
      }
      Halt(head, absl::StrCat("aborted by ", request.by().user()));
      return true;
    default:
      return false;
  }
}

state::v1::Rollout UndoRollout(state::v1::Rollout rollout, const v1::Operator& by) {
  rollout.mutable_policy()->set_revert_on_halt(true);
  Halt(rollout, absl::StrCat("undone by ", by.user()));
  for (Node& node : *rollout.mutable_nodes()) {
    if (!ToBePutBack(node)) continue;
    // Under another command id: to one that failed to go back before, it would say so again.
    node.set_attempt(node.attempt() + 1);
    v1::Rollout::Node& result = *node.mutable_result();
    if (result.reason() != v1::Reason::REVERT_FAILED) continue;
    result.clear_reason();
    result.clear_step();
    result.clear_detail();
    result.clear_hint();
    result.clear_stderr();
  }
  return rollout;
}

bool CanBeUndone(const state::v1::Rollout& rollout) {
  for (const Node& node : rollout.nodes()) {
    if (ToBePutBack(node)) return true;
  }
  return false;
}

Node ToBeAskedAnew(const Node& before) {
  Node node;
  node.set_position(before.position());
  node.set_attempt(before.attempt() + 1);
  node.set_changed(before.changed());
  node.set_confirmed(before.confirmed());
  node.set_had_before(before.had_before());
  node.set_ask_first(before.ask_first());
  node.mutable_result()->set_name(before.result().name());
  node.mutable_result()->set_wave(before.result().wave());
  return node;
}

Node EndSkipped(Node node, v1::Reason::Code reason, absl::string_view detail) {
  node.set_step(Node::DONE);
  node.mutable_result()->set_outcome(v1::Outcome::SKIPPED);
  node.mutable_result()->set_reason(reason);
  node.mutable_result()->set_detail(std::string(detail));
  return node;
}

std::vector<std::string> NodesToRetry(const state::v1::Rollout& rollout) {
  std::vector<std::string> names;
  for (const Node& node : rollout.nodes()) {
    if (StandingOf(node) != Standing::kGood) names.push_back(node.result().name());
  }
  return names;
}

}  // namespace certcast::controller
