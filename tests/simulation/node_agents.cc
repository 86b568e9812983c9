// The agent's processes on a machine: one that stands, or one for each connection.
#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status/status.h"
#include "node/frontend/stdio.h"
#include "tests/simulation/node_machine.h"

namespace certcast::simulation {

// flock(2): a process that ends, however it does, lets go.
class LockerOfNode final : public node::StateLocker {
 public:
  LockerOfNode(NodeMachine& machine, ProcessPtr process) : machine_(machine), process_(std::move(process)) {}

  absl::StatusOr<std::unique_ptr<node::StateLock>> Lock(const std::string&) override {
    const ProcessPtr& holder = machine_.lock_holder_;
    if (machine_.mutation_ == Mutation::kStateIsNotLocked || !process_->is_alive()) {
      return std::make_unique<node::StateLock>();
    }
    if (holder != nullptr && holder->is_alive()) return Fail(Reason::BUSY, "another certcast-node is at work");
    machine_.lock_holder_ = process_;
    return std::make_unique<Held>(machine_, process_);
  }

 private:
  struct Held final : node::StateLock {
    Held(NodeMachine& on, ProcessPtr by) : machine(on), process(std::move(by)) {}
    ~Held() override {
      if (machine.lock_holder_ == process) machine.lock_holder_ = nullptr;
    }
    NodeMachine& machine;
    const ProcessPtr process;
  };

  NodeMachine& machine_;
  const ProcessPtr process_;
};

void NodeMachine::Begin() {
  if (!is_ssh_) StartAgent();
}

bool NodeMachine::HasCalmedDown() const {
  if (is_ssh_) return agents_.empty();
  return !agents_.empty() && agents_.front()->is_ready;
}

NodeMachine::AgentPtr NodeMachine::Contact() {
  if (is_ssh_) return StartVisit("visit");
  return HasCalmedDown() ? agents_.front() : nullptr;
}

NodeMachine::AgentPtr NodeMachine::MakeAgent(absl::string_view what) {
  auto agent = std::make_shared<Agent>();
  agent->process = std::make_shared<Process>(absl::StrCat(name_, "/", what, "-", ++lives_));
  agent->files = std::make_unique<testing::FaultFileSystem>(machine_.disk);
  agent->files->FailWhere([this](absl::string_view operation) { return MeetFileOperation(operation); }, ENOSPC);
  agent->locker = std::make_unique<LockerOfNode>(*this, agent->process);
  agents_.push_back(agent);
  is_checked_idle_ = false;
  return agent;
}

node::EngineEnvironment NodeMachine::EnvironmentOf(const Agent& agent) {
  node::EngineEnvironment environment = machine_.Environment();
  environment.files = agent.files.get();
  environment.processes = programs_.get();
  environment.prober = prober_.get();
  environment.clock = &clock_;
  if (is_ssh_) environment.locker = agent.locker.get();
  return environment;
}

bool NodeMachine::IsHere(const AgentPtr& agent) const {
  return std::find(agents_.begin(), agents_.end(), agent) != agents_.end();
}

NodeMachine::Agent* NodeMachine::Current() const {
  for (const AgentPtr& agent : agents_) {
    if (agent->process == scheduler_.current()) return agent.get();
  }
  return nullptr;
}

bool NodeMachine::HasDied(const AgentPtr& agent) {
  if (agent->files->has_crashed() && IsHere(agent)) Die(agent);
  return !agent->process->is_alive();
}

void NodeMachine::Kill(AgentPtr agent) {
  agent->files->CrashAt(1);
  scheduler_.Kill(*agent->process);
  agent->is_ready = false;
  agents_.erase(std::remove(agents_.begin(), agents_.end(), agent), agents_.end());
  is_settled_ = false;
  is_changed_ = true;
  is_checked_idle_ = false;
  scheduler_.Notify(this);
}

void NodeMachine::StartAgent() {
  agents_.clear();
  const AgentPtr agent = MakeAgent("agent");
  scheduler_.Spawn(agent->process, [this, agent] { RunAgent(agent); });
}

void NodeMachine::RunAgent(const AgentPtr& agent) {
  clock_.Sleep(dice_.Between(absl::Milliseconds(5), absl::Milliseconds(150)));
  if (!agent->process->is_alive()) return;
  absl::StatusOr<std::unique_ptr<node::Engine>> engine = node::Engine::Start(machine_.config, EnvironmentOf(*agent));
  if (HasDied(agent)) return;
  if (!engine.ok()) {
    trace_.Note(name_, " agent does not start: ", engine.status().message());
    scheduler_.Spawn(hardware_, [this, agent] {
      scheduler_.Sleep(dice_.Between(absl::Seconds(1), absl::Seconds(3)));
      if (IsHere(agent) && hardware_->is_alive()) StartAgent();
    });
    return;
  }
  agent->engine = *std::move(engine);
  v1::Command describe;
  describe.set_id("start");
  describe.mutable_describe();
  const v1::Inventory inventory = agent->engine->Handle(describe, nullptr).inventory();
  for (auto& [certificate, rules] : rules_) rules.Started(inventory);
  trace_.Note(name_, " agent runs", agent->engine->Recovered().line.empty() ? "" : ", having recovered");
  agent->is_ready = true;
  if (mutation_ != Mutation::kNobodyWatchesTheDeadline) WatchForConfirm(agent);
}

// As node/frontend/confirm_watch.cc.
void NodeMachine::WatchForConfirm(const AgentPtr& agent) {
  constexpr absl::Duration kFirstRetry = absl::Seconds(1);
  absl::Duration retry = kFirstRetry;
  const auto left = [&] {
    const std::optional<absl::Time> by = agent->engine->ConfirmBy();
    return by.has_value() ? *by - clock_.Now() : absl::InfiniteDuration();
  };
  absl::Duration pause = left();
  // It may hang up while it is at work here.
  while (agent->process->is_alive() && !agent->is_hung_up) {
    scheduler_.Wait(agent.get(), pause);
    if (!agent->process->is_alive() || agent->is_hung_up) return;
    pause = left();
    if (pause > absl::ZeroDuration()) continue;
    while (agent->changing > 0) {
      scheduler_.Wait(&agent->changing, absl::Hours(1));
      if (!agent->process->is_alive()) return;
    }
    agent->is_reverting = true;
    trace_.Note(name_, " waited long enough for Confirm");
    const absl::Status status = agent->engine->RevertIfOverdue();
    agent->is_reverting = false;
    scheduler_.Notify(&agent->changing);
    if (HasDied(agent)) return;
    trace_.Note(name_, " ", status.ok() ? "settled" : "could not settle");
    if (status.ok()) {
      retry = kFirstRetry;
      pause = std::max(left(), absl::Milliseconds(200));
    } else {
      pause = retry;
      retry = std::min(retry * 2, absl::Minutes(1));
    }
  }
}

NodeMachine::AgentPtr NodeMachine::StartVisit(absl::string_view what) {
  const AgentPtr agent = MakeAgent(what);
  auto engine = std::make_unique<node::OnDemandEngine>(node::MakeEngineSource(machine_.config), EnvironmentOf(*agent));
  agent->on_demand = engine.get();
  agent->engine = std::move(engine);
  agent->is_ready = true;
  scheduler_.Spawn(agent->process, [this, agent] { RunVisit(agent); });
  return agent;
}

// As `certcast-node stdio`.
void NodeMachine::RunVisit(const AgentPtr& agent) {
  WatchForConfirm(agent);
  if (!agent->process->is_alive()) return;
  EndVisit(agent);
}

void NodeMachine::HangUp(const AgentPtr& agent, absl::Duration after) {
  if (!is_ssh_) return;
  scheduler_.Spawn(agent->process, [this, agent, after] {
    scheduler_.Sleep(after);
    while (agent->process->is_alive() && agent->on_way > 0) scheduler_.Wait(&agent->on_way, absl::Hours(1));
    agent->is_hung_up = true;
    scheduler_.Notify(agent.get());
  });
}

// As `certcast-node recover --wait`, which a unit starts.
void NodeMachine::RecoverAtBoot() {
  const AgentPtr agent = MakeAgent("recover");
  auto engine = std::make_unique<node::OnDemandEngine>(node::MakeEngineSource(machine_.config), EnvironmentOf(*agent));
  agent->on_demand = engine.get();
  agent->engine = std::move(engine);
  scheduler_.Spawn(agent->process, [this, agent] {
    clock_.Sleep(dice_.Between(absl::Milliseconds(5), absl::Milliseconds(150)));
    if (!agent->process->is_alive()) return;
    const absl::Status recovered = agent->on_demand->Recover().status();
    if (HasDied(agent)) return;
    trace_.Note(agent->process->name(), recovered.ok() ? " has recovered" : " could not recover");
    EndVisit(agent);
  });
}

void NodeMachine::EndVisit(const AgentPtr& agent) {
  absl::Status waited;
  if (mutation_ != Mutation::kVisitsDoNotWait) waited = node::AwaitNothingToConfirm(*agent->engine, clock_);
  if (HasDied(agent)) return;
  trace_.Note(agent->process->name(), waited.ok() ? " ends" : " gives up");
  agent->is_ready = false;
  agents_.erase(std::remove(agents_.begin(), agents_.end(), agent), agents_.end());
  scheduler_.Kill(*agent->process);
  scheduler_.Notify(this);
  if (!agents_.empty() || !waited.ok()) {
    is_settled_ = is_settled_ && waited.ok();
    return;
  }
  const bool waits = SomethingWaits();
  if (waits && is_settled_) {
    return referee_.Break("nobody waits for ever",
                          absl::StrCat(name_, ": its last process has ended while something waits for Confirm"));
  }
  is_settled_ = !waits;
  if (waits) return;
  const v1::Inventory inventory = LookAtState();
  for (auto& [certificate, rules] : rules_) rules.Started(inventory);
}

v1::Inventory NodeMachine::LookAtState() {
  node::EngineEnvironment environment = machine_.Environment();
  environment.files = &machine_.disk;
  environment.clock = &clock_;
  v1::Command describe;
  describe.set_id("look");
  describe.mutable_describe();
  const auto engine = node::Engine::OpenReadOnly(machine_.config, environment);
  return engine.ok() ? (*engine)->Handle(describe, nullptr).inventory() : v1::Inventory();
}

bool NodeMachine::SomethingWaits() {
  if (!is_ssh_) return agents_.front()->engine->ConfirmBy().has_value();
  const v1::Inventory inventory = LookAtState();
  return std::any_of(inventory.certificates().begin(), inventory.certificates().end(),
                     [](const v1::Inventory::Certificate& has) { return has.has_confirm_by(); });
}

}  // namespace certcast::simulation
