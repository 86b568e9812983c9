// What the operator of a run does, and how it must end.
#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "certcast/v1/outcome.pb.h"
#include "controller/rollout/record.h"
#include "tests/simulation/certificates.h"
#include "tests/simulation/world.h"

namespace certcast::simulation {
namespace {

using Action = v1::ChangeRolloutRequest;

Action::Action ActionOf(OperatorAct::Kind kind) {
  switch (kind) {
    case OperatorAct::Kind::kPause:
      return Action::PAUSE;
    case OperatorAct::Kind::kResume:
      return Action::RESUME;
    case OperatorAct::Kind::kAbort:
      return Action::ABORT;
    case OperatorAct::Kind::kUndo:
      return Action::UNDO;
    case OperatorAct::Kind::kRetry:
      return Action::RETRY;
  }
  return Action::ACTION_UNSPECIFIED;
}

}  // namespace

void World::Operate() {
  for (const std::unique_ptr<NodeMachine>& node : nodes_) node->Begin();
  for (const FaultEvent& fault : scenario_.faults) {
    scheduler_.Spawn(operator_, [this, &fault] { Happen(fault); });
  }
  for (const OperatorAct& act : scenario_.acts) {
    scheduler_.Spawn(operator_, [this, &act] { Act(act); });
  }
  scheduler_.Spawn(operator_, [this] { BringGenerations(); });
  scheduler_.Spawn(operator_, [this] {
    scheduler_.Sleep(dice_.Between(absl::Milliseconds(200), absl::Milliseconds(600)));
    ApplyNowAndThen();
  });
  scheduler_.Sleep(scenario_.horizon());
  if (IsOver()) return;
  trace_.Note("nothing goes wrong any more");
  healed_ = true;
  Heal();
  CheckTheEnd();
  scheduler_.KillAll();
}

void World::BringGenerations() {
  std::map<int, int> brought;
  for (const Scenario::Generation& next : scenario_.generations) {
    scheduler_.Sleep(next.at - scheduler_.Now());
    Import(next.certificate, ++brought[next.certificate]);
    ++brought_;
    scheduler_.Notify(this);
  }
}

void World::Import(int certificate, int generation) {
  const testing::IssuedCertificate& issued = IssuedFor(certificate, generation);
  v1::ImportRequest request;
  request.set_certificate(NameOfCertificate(certificate));
  request.set_fullchain_pem(issued.fullchain_pem);
  request.set_private_key_pem(std::string(issued.key_pem.ExposeSecret()));
  while (!IsOver()) {
    const InvocationPtr import = Start("import", [request](controller::Controller& controller, Invocation& self) {
      self.status = controller.Import(request).status();
    });
    Await([&] { return import->has_ended; }, kPatience);
    if (import->has_succeeded()) return;
    scheduler_.Sleep(absl::Milliseconds(300));
  }
}

World::InvocationPtr World::StartApply(const v1::ApplyRequest& request) {
  ++outcome_.applies;
  InvocationPtr invocation = Start("apply", [request](controller::Controller& controller, Invocation& self) {
    absl::StatusOr<v1::ApplyResponse> response = controller.Apply(
        request, [](const v1::ApplyEvent::Progress&) {}, self.stop);
    self.status = response.status();
    if (response.ok()) self.applied = *std::move(response);
  });
  invocation->carries_out = true;
  return invocation;
}

v1::ApplyRequest World::HowToApply() {
  v1::ApplyRequest request;
  if (!scenario_.policy.windows.has_value()) return request;
  request.set_wait(dice_.OneIn(3));
  request.set_now(dice_.OneIn(6));
  request.mutable_by()->set_user("operator");
  return request;
}

void World::ApplyNowAndThen() {
  while (!IsOver() && !healed_) {
    const InvocationPtr apply = StartApply(HowToApply());
    Await([&] { return apply->has_ended; }, kPatience);
    const bool did_nothing = apply->has_succeeded() && apply->applied.rollouts_size() == 0;
    const size_t brought = brought_;
    if (did_nothing)
      Await([&] { return brought_ != brought || healed_; }, dice_.Between(absl::Seconds(5), absl::Seconds(20)));
    scheduler_.Sleep(dice_.Between(absl::Milliseconds(50), absl::Seconds(dice_.OneIn(3) ? 8 : 2)));
  }
}

World::InvocationPtr World::StartChange(int certificate, Action::Action action, Action::OnHalt on_halt) {
  Action request;
  request.set_id(NameOfCertificate(certificate));
  request.set_action(action);
  request.set_on_halt(on_halt);
  request.mutable_by()->set_user("operator");
  const std::string verb = absl::AsciiStrToLower(Action::Action_Name(action));
  InvocationPtr invocation = Start(verb, [request](controller::Controller& controller, Invocation& self) {
    absl::StatusOr<v1::ChangeRolloutResponse> response = controller.ChangeRollout(
        request, [](const v1::ApplyEvent::Progress&) {}, self.stop);
    self.status = response.status();
    if (response.ok()) self.changed = *std::move(response);
  });
  invocation->carries_out = true;
  return invocation;
}

void World::Act(const OperatorAct& act) {
  scheduler_.Sleep(act.at - scheduler_.Now());
  if (IsOver() || healed_) return;
  ++outcome_.acts[static_cast<size_t>(act.kind)];
  const int64_t acts_before = acting_ == 0 ? acts_ : -1;
  ++acts_;
  ++acting_;
  if (act.kind == OperatorAct::Kind::kResume) rules_.NothingIsHeld();
  const int certificate = static_cast<int>(act.dice / 16 % static_cast<uint64_t>(scenario_.certificates));
  const InvocationPtr invocation =
      StartChange(certificate, ActionOf(act.kind), static_cast<Action::OnHalt>(act.dice % Action::OnHalt_ARRAYSIZE));
  if (!AwaitEnd(invocation)) return;
  --acting_;
  if (!IsOver() && invocation->has_succeeded()) JudgeAct(act, *invocation, acts_before);
}

// What was answered is so, where no other act came between.
void World::JudgeAct(const OperatorAct& act, const Invocation& invocation, int64_t acts_before) {
  const v1::Rollout& rollout = invocation.changed.rollout();
  const bool is_pause = act.kind == OperatorAct::Kind::kPause;
  if (acts_ != acts_before + 1 || invocation.changed.pending()) return;
  trace_.Note(invocation.process->name(), " says: ", rollout.id(), " ", v1::Rollout::State_Name(rollout.state()));
  if ((is_pause || act.kind == OperatorAct::Kind::kAbort) && controller::GoesOn(rollout.state())) {
    referee_.Break("what an operator asks for is done",
                   absl::StrCat(invocation.process->name(), " is answered that ", rollout.id(), " is ",
                                v1::Rollout::State_Name(rollout.state())));
  }
  if (is_pause && rollout.state() == v1::Rollout::PAUSED) rules_.Held(rollout.id());
}

// As an operator has to before the next apply does anything.
void World::LetGoOfWhatIsPaused(int certificate) {
  const InvocationPtr resume = StartChange(certificate, Action::RESUME);
  if (!AwaitEnd(resume) || IsOver() || resume->has_succeeded()) return;
  // Its generation is not wanted any more.
  AwaitEnd(StartChange(certificate, Action::ABORT));
}

std::string World::ProblemAtEnd() {
  for (const std::unique_ptr<NodeMachine>& node : nodes_) {
    std::string problem = node->ProblemAtEnd(scenario_);
    if (!problem.empty()) return problem;
  }
  return "";
}

void World::CheckTheEnd() {
  if (!Await([this] { return brought_ == scenario_.generations.size() && running_.empty(); }, kPatience)) {
    return referee_.Break("every call ends", "one does not");
  }
  const auto all_calm = [this] {
    return std::all_of(nodes_.begin(), nodes_.end(), [](const auto& node) { return node->HasCalmedDown(); });
  };
  if (!Await(all_calm, kPatience)) return referee_.Break("every agent starts again, or ends", "one does not");
  // Whatever waits for Confirm has gone back by then.
  scheduler_.Sleep(scenario_.policy.confirm_timeout + absl::Minutes(2));
  for (const std::unique_ptr<NodeMachine>& node : nodes_) {
    if (IsOver()) return;
    // Where nobody stands, what a dead process left waits for the next one.
    if (!node->is_ssh() && node->SomethingWaits()) {
      return referee_.Break("nobody waits for ever", absl::StrCat(node->name(), " waits for Confirm"));
    }
  }
  rules_.NothingIsHeld();
  for (int certificate = 0; certificate < scenario_.certificates; ++certificate) LetGoOfWhatIsPaused(certificate);
  v1::ApplyRequest request;
  request.set_wait(true);
  std::string problem;
  for (int i = 0; i < 4 && !IsOver(); ++i) {
    const InvocationPtr apply = StartApply(request);
    if (!AwaitEnd(apply) || IsOver()) return;
    scheduler_.Sleep(absl::Seconds(5));
    problem = apply->status.ok() ? rules_.ProblemAtEnd() : std::string(apply->status.message());
    if (problem.empty()) problem = ProblemAtEnd();
    if (problem.empty()) return;
  }
  referee_.Break("all is well in the end", problem);
}

}  // namespace certcast::simulation
