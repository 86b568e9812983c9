#include "tests/simulation/node_machine.h"

#include <algorithm>
#include <cerrno>
#include <utility>
#include <variant>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/status/status.h"
#include "tests/testing/fake_prober.h"
#include "tests/testing/fake_process_runner.h"

namespace certcast::simulation {
namespace {

using testing::FakeProber;
using testing::FakeProcessRunner;

// What is there before certcast comes.
constexpr uint64_t kByHand = 0;

std::vector<std::string> ServicesOf(const Scenario::Node& node) {
  return node.services == 1 ? std::vector<std::string>{"nginx"} : std::vector<std::string>{"nginx", "haproxy"};
}

bool IsAlive(const Scheduler& scheduler) {
  return scheduler.current()->is_alive();
}

}  // namespace

absl::Time StartOfRun() {
  return absl::FromUnixSeconds(1893456000);
}

void MachineClock::Sleep(absl::Duration duration) {
  scheduler_.Sleep(duration + std::exchange(owed_, absl::ZeroDuration()));
}

void MachineClock::Reboot() {
  booted_ = scheduler_.Now();
  ++boots_;
}

class ProgramsOfNode final : public ProcessRunner {
 public:
  explicit ProgramsOfNode(NodeMachine& machine) : machine_(machine) {}
  absl::StatusOr<ProcessResult> Run(const ProcessRequest& request) override { return machine_.RunProgram(request); }

 private:
  NodeMachine& machine_;
};

class ProberOfNode final : public Prober {
 public:
  explicit ProberOfNode(NodeMachine& machine) : machine_(machine) {}
  Observation Look(const ProbeSpec& spec, absl::Duration) override { return machine_.LookFromWithin(spec); }

 private:
  NodeMachine& machine_;
};

NodeMachine::NodeMachine(int index, const Scenario& scenario, node::EngineConfig::Fleet fleet, const Mutation& mutation,
                         Scheduler& scheduler, Trace& trace, Referee& referee)
    : index_(index),
      name_(absl::StrCat("node-", index)),
      mutation_(mutation),
      scheduler_(scheduler),
      trace_(trace),
      referee_(referee),
      dice_(scenario.seed, 1000 + static_cast<uint64_t>(index)),
      clock_(scheduler),
      programs_(std::make_unique<ProgramsOfNode>(*this)),
      prober_(std::make_unique<ProberOfNode>(*this)),
      services_(ServicesOf(scenario.nodes[static_cast<size_t>(index)])),
      rules_(name_, services_, scenario.nodes[static_cast<size_t>(index)].copies, referee),
      hardware_(std::make_shared<Process>(name_)) {
  machine_.config.node = name_;
  machine_.config.fleet = std::move(fleet);
  for (const std::string& service : services_) {
    machine_.AddService(service);
    machine_.PutByHand(service, node::IssuedFor(kByHand));
  }
  for (Service& service : machine_.config.services) service.probes[0].timeout = absl::Seconds(3);
  if (scenario.nodes[static_cast<size_t>(index)].copies) machine_.DeclareFiles(FileInstall::kCopy);
}

void NodeMachine::StartAgent() {
  auto agent = std::make_shared<Agent>();
  agent->process = std::make_shared<Process>(absl::StrCat(name_, "/agent-", ++lives_));
  agent->files = std::make_unique<testing::FaultFileSystem>(machine_.disk);
  agent->files->FailWhere([this](absl::string_view operation) { return MeetFileOperation(operation); }, ENOSPC);
  agent_ = agent;
  scheduler_.Spawn(agent->process, [this, agent] { RunAgent(agent); });
}

void NodeMachine::RunAgent(const AgentPtr& agent) {
  clock_.Sleep(dice_.Between(absl::Milliseconds(5), absl::Milliseconds(150)));
  if (!agent->process->is_alive()) return;
  node::EngineEnvironment environment = machine_.Environment();
  environment.files = agent->files.get();
  environment.processes = programs_.get();
  environment.prober = prober_.get();
  environment.clock = &clock_;
  absl::StatusOr<std::unique_ptr<node::Engine>> engine = node::Engine::Start(machine_.config, environment);
  if (agent->files->has_crashed() && agent == agent_) Die();
  if (!agent->process->is_alive()) return;
  if (!engine.ok()) {
    trace_.Note(name_, " agent does not start: ", engine.status().message());
    scheduler_.Spawn(hardware_, [this, agent] {
      scheduler_.Sleep(dice_.Between(absl::Seconds(1), absl::Seconds(3)));
      if (agent == agent_ && has_power_ && hardware_->is_alive()) StartAgent();
    });
    return;
  }
  agent->engine = *std::move(engine);
  v1::Command describe;
  describe.set_id("start");
  describe.mutable_describe();
  rules_.Started(agent->engine->Handle(describe, nullptr).inventory());
  trace_.Note(name_, " agent runs", agent->engine->Recovered().empty() ? "" : ", having recovered");
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
  while (agent->process->is_alive()) {
    scheduler_.Wait(agent.get(), pause);
    if (!agent->process->is_alive()) return;
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
    if (agent->files->has_crashed() && agent == agent_) Die();
    if (!agent->process->is_alive()) return;
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

bool NodeMachine::MeetFileOperation(absl::string_view operation) {
  if (std::exchange(is_changed_, false)) CheckFiles(/*idle=*/false);
  const bool changes = testing::ChangesDisk(operation);
  if (changes) {
    is_changed_ = true;
    is_checked_idle_ = false;
  }
  if (changes || absl::StartsWith(operation, "Sync")) {
    clock_.Owe(troubles_.slow_disk ? dice_.Between(absl::Milliseconds(5), absl::Milliseconds(120))
                                   : absl::Microseconds(200));
  }
  const bool takes_space = absl::StartsWith(operation, "MakeDirectory") || absl::StartsWith(operation, "CreateFile") ||
                           absl::StartsWith(operation, "MakeLink");
  return troubles_.full_disk && takes_space;
}

bool NodeMachine::IsIdle() const {
  return agent_ != nullptr && agent_->is_ready && agent_->changing == 0 && !agent_->is_reverting &&
         !agent_->engine->ConfirmBy().has_value();
}

void NodeMachine::Look() {
  if (agent_ != nullptr && agent_->process->is_alive() && agent_->files->has_crashed()) Die();
  if (!has_power_) return;
  const bool idle = !is_checked_idle_ && IsIdle();
  if (!std::exchange(is_changed_, false) && !idle) return;
  is_checked_idle_ = idle;
  CheckFiles(idle);
}

void NodeMachine::CheckFiles(bool idle) {
  for (const std::string& service : services_) {
    rules_.FilesHold(service, GenerationOf(machine_.FilesOf(service)), idle);
  }
}

void NodeMachine::KillAgent(int operations, absl::Duration after) {
  if (agent_ == nullptr || !agent_->process->is_alive()) return;
  death_ = Death{.after = after};
  if (operations == 0) return Die();
  agent_->files->CrashAt(agent_->files->count() + operations);
}

void NodeMachine::LosePower(int operations, uint64_t seed, absl::Duration after) {
  if (!has_power_ || agent_ == nullptr || !agent_->process->is_alive()) return;
  death_ = Death{.is_power_loss = true, .seed = seed, .after = after};
  if (operations == 0) return Die();
  agent_->files->CrashInTheMiddleOf(agent_->files->count() + operations, seed);
}

void NodeMachine::FreezeAgent(absl::Duration duration) {
  if (agent_ != nullptr) scheduler_.Freeze(*agent_->process, duration);
}

void NodeMachine::Die() {
  if (!agent_->process->is_alive()) return;
  const Death death = death_.value_or(Death{.after = absl::Seconds(1)});
  death_.reset();
  trace_.Note(name_, death.is_power_loss ? " loses power" : " agent is killed");
  agent_->files->CrashAt(1);
  scheduler_.Kill(*agent_->process);
  agent_->is_ready = false;
  scheduler_.Notify(this);
  is_changed_ = true;
  is_checked_idle_ = false;
  if (death.is_power_loss) {
    has_power_ = false;
    machine_.disk.Crash(death.seed);
    for (const std::string& service : services_) machine_.running[service].is_down = true;
  } else {
    machine_.disk.Restart();
  }
  scheduler_.Spawn(hardware_, [this, death] {
    scheduler_.Sleep(death.after);
    if (!hardware_->is_alive()) return;
    if (death.is_power_loss) Boot();
    StartAgent();
  });
}

void NodeMachine::Boot() {
  has_power_ = true;
  clock_.Reboot();
  old_workers_.clear();
  trace_.Note(name_, " has power");
  for (const std::string& service : services_) {
    scheduler_.Spawn(hardware_, [this, service, boot = clock_.BootId()] {
      while (hardware_->is_alive()) {
        scheduler_.Sleep(dice_.Between(absl::Milliseconds(5), absl::Milliseconds(400)));
        if (!has_power_ || clock_.BootId() != boot) return;
        const std::string files = machine_.FilesOf(service);
        node::SimulatedNode::Running& running = machine_.running[service];
        if (GenerationOf(files) < 0) continue;
        running.served = files;
        running.is_down = false;
        return;
      }
    });
  }
}

absl::StatusOr<ProcessResult> NodeMachine::RunProgram(const ProcessRequest& request) {
  const auto killed = [this] { return !IsAlive(scheduler_) || agent_->files->has_crashed(); };
  clock_.Sleep(dice_.Between(absl::Milliseconds(1), absl::Milliseconds(dice_.OneIn(8) ? 900 : 60)));
  if (killed()) return absl::AbortedError("killed");
  const std::string& service = request.argv[0];
  const int files = GenerationOf(machine_.FilesOf(service));
  ProcessResult result;
  if (request.argv.size() == 2) {
    const bool fails = troubles_.failing_check || files < 0;
    result = fails ? FakeProcessRunner::Exits(1, "cannot load certificate") : FakeProcessRunner::Exits(0);
    trace_.Note(name_, " ", service, " check of generation ", files, fails ? " fails" : " passes");
  } else {
    rules_.Reloaded(service, files);
    const bool fails = troubles_.failing_reload || files < 0 || machine_.running[service].is_down;
    result = fails ? FakeProcessRunner::Exits(1, "not running") : FakeProcessRunner::Exits(0);
    trace_.Note(name_, " ", service, " reload with generation ", files, fails ? " fails" : "",
                troubles_.lying_reload && !fails ? " does nothing" : "");
    if (!fails && !troubles_.lying_reload) Reload(service);
  }
  clock_.Sleep(dice_.Between(absl::Milliseconds(1), absl::Milliseconds(10)));
  if (killed()) return absl::AbortedError("killed");
  return result;
}

void NodeMachine::Reload(const std::string& service) {
  node::SimulatedNode::Running& running = machine_.running[service];
  const std::string files = machine_.FilesOf(service);
  const absl::Duration both_serve =
      dice_.OneIn(3) ? dice_.Between(absl::ZeroDuration(), absl::Milliseconds(800)) : absl::ZeroDuration();
  old_workers_[service] = {scheduler_.Now() + both_serve, running.served};
  running.served = files;
}

Observation NodeMachine::LookFromWithin(const ProbeSpec& spec) {
  clock_.Sleep(dice_.Between(absl::Milliseconds(1), absl::Milliseconds(15)));
  if (!IsAlive(scheduler_)) return FakeProber::Fails("killed");
  const std::string service(absl::StripSuffix(std::get<TlsProbe>(spec.what).address, ".local:443"));
  const node::SimulatedNode::Running& running = machine_.running[service];
  if (mutation_ == Mutation::kProbesSeeWhatTheyShould) return FakeProber::Serves(machine_.FilesOf(service));
  if (running.is_down || troubles_.service_down) return FakeProber::Fails("connection refused");
  if (troubles_.flapping_probe && dice_.OneIn(3)) return FakeProber::Fails("connection reset");
  const auto old = old_workers_.find(service);
  if (old != old_workers_.end() && scheduler_.Now() < old->second.first && dice_.OneIn(2)) {
    rules_.Seen(service, GenerationOf(old->second.second));
    return FakeProber::Serves(old->second.second);
  }
  rules_.Seen(service, GenerationOf(running.served));
  return FakeProber::Serves(running.served);
}

Observation NodeMachine::LookFromOutside() {
  const std::string& service = services_.front();
  const node::SimulatedNode::Running& running = machine_.running[service];
  if (!has_power_ || running.is_down || troubles_.service_down) return FakeProber::Fails("connection refused");
  if (troubles_.flapping_probe && dice_.OneIn(3)) return FakeProber::Fails("connection reset");
  return FakeProber::Serves(running.served);
}

std::optional<v1::Report> NodeMachine::Handle(const AgentPtr& agent, const v1::Command& command) {
  const bool changes = command.has_install() || command.has_confirm() || command.has_revert();
  rules_.CommandBegins(command);
  v1::Command obeyed = command;
  if (mutation_ == Mutation::kEpochsAreIgnored) obeyed.set_epoch(1'000'000);
  if (mutation_ == Mutation::kResultsAreForgotten) obeyed.set_id(absl::StrCat(command.id(), "/", dice_.Next() % 1000));
  if (changes) ++agent->changing;
  v1::Report report;
  if (mutation_ == Mutation::kConfirmsAreLost && command.has_confirm()) {
    report.mutable_install_result()->set_outcome(v1::Outcome::INSTALLED);
  } else if (mutation_ == Mutation::kRevertsAreLost && command.has_revert()) {
    report.mutable_install_result()->set_outcome(v1::Outcome::REVERTED);
  } else {
    report = agent->engine->Handle(obeyed, nullptr);
  }
  report.set_command_id(command.id());
  if (changes) --agent->changing;
  if (agent->files->has_crashed() && agent == agent_) Die();
  const bool died = !agent->process->is_alive();
  if (!died && agent == agent_) Look();
  rules_.CommandEnds(command, died ? nullptr : &report);
  if (died) return std::nullopt;
  scheduler_.Notify(&agent->changing);
  scheduler_.Notify(agent.get());
  clock_.Settle();
  if (!agent->process->is_alive()) return std::nullopt;
  return report;
}

std::string NodeMachine::ProblemAtEnd(int wanted) {
  if (agent() == nullptr) return absl::StrCat(name_, ": its agent does not run");
  if (agent_->engine->ConfirmBy().has_value()) return absl::StrCat(name_, ": something waits for Confirm");
  if (rules_.good() != wanted) return absl::StrCat(name_, ": ", rules_.Where());
  for (const std::string& service : services_) {
    const int files = GenerationOf(machine_.FilesOf(service));
    if (files != wanted) return absl::StrCat(name_, ": ", service, "'s files hold generation ", files);
    const int served = GenerationOf(machine_.running[service].served);
    if (served != wanted) return absl::StrCat(name_, ": ", service, " serves generation ", served);
  }
  const std::vector<std::string> left = machine_.Temporaries();
  return left.empty() ? "" : absl::StrCat(name_, ": left behind: ", left.front());
}

}  // namespace certcast::simulation
