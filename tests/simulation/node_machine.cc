#include "tests/simulation/node_machine.h"

#include <algorithm>
#include <cerrno>
#include <utility>
#include <variant>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/status/status.h"
#include "tests/simulation/certificates.h"
#include "tests/testing/fake_prober.h"
#include "tests/testing/fake_process_runner.h"

namespace certcast::simulation {
namespace {

using testing::FakeProber;
using testing::FakeProcessRunner;

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
      hardware_(std::make_shared<Process>(name_)),
      is_ssh_(scenario.nodes[static_cast<size_t>(index)].is_ssh) {
  const Scenario::Node& made = scenario.nodes[static_cast<size_t>(index)];
  machine_.config.node = name_;
  machine_.config.fleet = std::move(fleet);
  AddService("nginx", 0);
  if (made.services > 1) AddService("haproxy", 0);
  if (made.has_mail) AddService("dovecot", 1);
  for (Service& service : machine_.config.services) service.probes[0].timeout = absl::Seconds(3);
  if (made.copies) machine_.DeclareFiles(FileInstall::kCopy);
  for (int certificate = 0; certificate < kMostCertificates; ++certificate) {
    std::vector<std::string> its;
    for (const auto& [service, uses] : services_) {
      if (uses == certificate) its.push_back(service);
    }
    if (!its.empty()) rules_.try_emplace(certificate, name_, certificate, its, made.copies, epoch_, referee);
  }
}

void NodeMachine::AddService(const std::string& service, int certificate) {
  services_[service] = certificate;
  machine_.AddService(service, NameOfCertificate(certificate));
  machine_.PutByHand(service, IssuedFor(certificate, 0));
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
  if (is_ssh_) return agents_.empty() && is_settled_;
  return HasCalmedDown() && agents_.front()->changing == 0 && !agents_.front()->is_reverting &&
         !agents_.front()->engine->ConfirmBy().has_value();
}

void NodeMachine::Look() {
  const std::vector<AgentPtr> agents = agents_;
  for (const AgentPtr& agent : agents) HasDied(agent);
  is_excused_ = is_excused_ || troubles_.mislead();
  if (!has_power_) return;
  const bool idle = !is_checked_idle_ && IsIdle();
  if (!std::exchange(is_changed_, false) && !idle) return;
  is_checked_idle_ = idle;
  CheckFiles(idle);
}

void NodeMachine::CheckFiles(bool idle) {
  for (auto& [service, certificate] : services_) RulesOf(service).FilesHold(service, FilesHold(service), idle);
  if (idle) CheckServed();
}

void NodeMachine::CheckServed() {
  for (const auto& [service, certificate] : services_) {
    const node::SimulatedNode::Running& running = machine_.running[service];
    const int served = GenerationOf(certificate, running.served);
    if (running.is_down || served == FilesHold(service)) continue;
    if (is_excused_) return;
    return referee_.Break("an idle node serves what its files are",
                          absl::StrCat(name_, ": ", service, " serves generation ", served, " of ",
                                       NameOfCertificate(certificate), ", its files hold ", FilesHold(service)));
  }
  is_excused_ = troubles_.mislead();
}

int NodeMachine::FilesHold(const std::string& service) {
  return GenerationOf(services_.at(service), machine_.FilesOf(service));
}

bool NodeMachine::KillAgent(int operations, absl::Duration after) {
  if (agents_.empty()) return false;
  const AgentPtr agent = agents_.back();
  death_ = Death{.after = after};
  if (operations == 0) {
    Die(agent);
  } else {
    agent->files->CrashAt(agent->files->count() + operations);
  }
  return true;
}

void NodeMachine::LosePower(int operations, uint64_t seed, absl::Duration after) {
  if (!has_power_) return;
  const Death death = {.is_power_loss = true, .seed = seed, .after = after};
  if (operations == 0 || agents_.empty()) return LosePowerNow(death);
  death_ = death;
  const AgentPtr agent = agents_.back();
  agent->files->CrashInTheMiddleOf(agent->files->count() + operations, seed);
}

bool NodeMachine::FreezeAgent(absl::Duration duration) {
  for (const AgentPtr& agent : agents_) scheduler_.Freeze(*agent->process, duration);
  return !agents_.empty();
}

void NodeMachine::Die(const AgentPtr& agent) {
  if (!agent->process->is_alive()) return;
  const Death death = death_.value_or(Death{.after = absl::Seconds(1)});
  death_.reset();
  if (death.is_power_loss) return LosePowerNow(death);
  trace_.Note(agent->process->name(), " is killed");
  Kill(agent);
  if (agents_.empty()) machine_.disk.Restart();
  if (is_ssh_) return;
  scheduler_.Spawn(hardware_, [this, death] {
    scheduler_.Sleep(death.after);
    if (hardware_->is_alive() && has_power_) StartAgent();
  });
}

void NodeMachine::LosePowerNow(const Death& death) {
  trace_.Note(name_, " loses power");
  death_.reset();
  while (!agents_.empty()) Kill(agents_.back());
  is_settled_ = false;
  is_changed_ = true;
  is_checked_idle_ = false;
  has_power_ = false;
  machine_.disk.Crash(death.seed);
  for (auto& [name, service] : machine_.running) service.is_down = true;
  scheduler_.Notify(this);
  scheduler_.Spawn(hardware_, [this, death] {
    scheduler_.Sleep(death.after);
    if (!hardware_->is_alive()) return;
    Boot();
    if (is_ssh_) {
      RecoverAtBoot();
    } else {
      StartAgent();
    }
  });
}

void NodeMachine::Boot() {
  has_power_ = true;
  clock_.Reboot();
  old_workers_.clear();
  trace_.Note(name_, " has power");
  for (const auto& [service, certificate] : services_) {
    scheduler_.Spawn(hardware_, [this, service = service] { BootService(service); });
  }
}

// Again and again, until its files are whole.
void NodeMachine::BootService(const std::string& service) {
  const std::string boot = clock_.BootId();
  while (hardware_->is_alive()) {
    scheduler_.Sleep(dice_.Between(absl::Milliseconds(5), absl::Milliseconds(400)));
    if (!has_power_ || clock_.BootId() != boot) return;
    const std::string files = machine_.FilesOf(service);
    if (FilesHold(service) < 0) continue;
    trace_.Note(name_, " ", service, " starts with generation ", FilesHold(service));
    machine_.running[service].served = files;
    machine_.running[service].is_down = false;
    is_checked_idle_ = false;
    return;
  }
}

absl::StatusOr<ProcessResult> NodeMachine::RunProgram(const ProcessRequest& request) {
  const auto killed = [this] {
    return !IsAlive(scheduler_) || Current() == nullptr || Current()->files->has_crashed();
  };
  clock_.Sleep(dice_.Between(absl::Milliseconds(1), absl::Milliseconds(dice_.OneIn(8) ? 900 : 60)));
  if (killed()) return absl::AbortedError("killed");
  const std::string& service = request.argv[0];
  const int files = FilesHold(service);
  ProcessResult result;
  if (request.argv.size() == 2) {
    const bool fails = troubles_.failing_check || files < 0;
    result = fails ? FakeProcessRunner::Exits(1, "cannot load certificate") : FakeProcessRunner::Exits(0);
    trace_.Note(name_, " ", service, " check of generation ", files, fails ? " fails" : " passes");
  } else {
    RulesOf(service).Reloaded(service, files);
    const bool fails = troubles_.failing_reload || files < 0 || machine_.running[service].is_down;
    result = fails ? FakeProcessRunner::Exits(1, "not running") : FakeProcessRunner::Exits(0);
    trace_.Note(name_, " ", service, " reload with generation ", files, fails ? " fails" : "",
                troubles_.lying_reload && !fails ? " does nothing" : "");
    const bool is_ignored = mutation_ == Mutation::kRecoveryDoesNotReload && !Current()->is_ready;
    if (!fails && !troubles_.lying_reload && !is_ignored) Reload(service);
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
  is_checked_idle_ = false;
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
    RulesOf(service).Seen(service, GenerationOf(services_.at(service), old->second.second));
    return FakeProber::Serves(old->second.second);
  }
  RulesOf(service).Seen(service, GenerationOf(services_.at(service), running.served));
  return FakeProber::Serves(running.served);
}

Observation NodeMachine::LookFromOutside(absl::string_view port) {
  const std::string service = port == "993" ? "dovecot" : "nginx";
  const node::SimulatedNode::Running& running = machine_.running[service];
  if (!has_power_ || running.is_down || troubles_.service_down) return FakeProber::Fails("connection refused");
  if (troubles_.flapping_probe && dice_.OneIn(3)) return FakeProber::Fails("connection reset");
  return FakeProber::Serves(running.served);
}

std::optional<v1::Report> NodeMachine::Handle(const AgentPtr& agent, const v1::Command& command) {
  const bool changes = command.has_install() || command.has_confirm() || command.has_revert();
  // Over SSH its process reads one command after the other.
  while (is_ssh_ && agent->process->is_alive() && (agent->changing > 0 || agent->is_reverting)) {
    scheduler_.Wait(&agent->changing, absl::Hours(1));
  }
  if (!agent->process->is_alive()) return std::nullopt;
  const int about = changes ? CertificateIn(command) : kMostCertificates;
  if (changes) rules_.at(about).CommandBegins(command);
  v1::Command obeyed = command;
  if (mutation_ == Mutation::kCertificatesAreMixedUp && command.has_revert() && rules_.size() > 1) {
    obeyed.mutable_revert()->set_certificate(NameOfCertificate(1 - about));
    obeyed.mutable_revert()->set_generation(static_cast<uint64_t>(rules_.at(1 - about).good()));
  }
  if (mutation_ == Mutation::kEpochsAreIgnored) obeyed.set_epoch(1'000'000);
  if (mutation_ == Mutation::kResultsAreForgotten) obeyed.set_id(absl::StrCat(command.id(), "/", dice_.Next() % 1000));
  const bool counts = changes || is_ssh_;
  if (counts) ++agent->changing;
  v1::Report report;
  if (mutation_ == Mutation::kConfirmsAreLost && command.has_confirm()) {
    report.mutable_install_result()->set_outcome(v1::Outcome::INSTALLED);
  } else if (mutation_ == Mutation::kRevertsAreLost && command.has_revert()) {
    report.mutable_install_result()->set_outcome(v1::Outcome::REVERTED);
  } else {
    report = agent->engine->Handle(obeyed, nullptr);
  }
  report.set_command_id(command.id());
  if (counts) --agent->changing;
  const bool died = HasDied(agent);
  if (!died) Look();
  if (changes) rules_.at(about).CommandEnds(command, died ? nullptr : &report);
  if (died) return std::nullopt;
  scheduler_.Notify(&agent->changing);
  scheduler_.Notify(agent.get());
  clock_.Settle();
  if (!agent->process->is_alive()) return std::nullopt;
  return report;
}

std::string NodeMachine::ProblemAtEnd(const Scenario& scenario) {
  if (!HasCalmedDown()) return absl::StrCat(name_, is_ssh_ ? ": a process is left" : ": its agent does not run");
  if (SomethingWaits()) return absl::StrCat(name_, ": something waits for Confirm");
  for (const auto& [certificate, rules] : rules_) {
    const std::string problem = ProblemAtEnd(certificate, scenario.Latest(certificate));
    if (!problem.empty()) return absl::StrCat(name_, ": ", problem);
  }
  const std::vector<std::string> left = machine_.Temporaries();
  return left.empty() ? "" : absl::StrCat(name_, ": left behind: ", left.front());
}

std::string NodeMachine::ProblemAtEnd(int certificate, int wanted) {
  if (rules_.at(certificate).good() != wanted) return rules_.at(certificate).Where();
  for (const auto& [service, uses] : services_) {
    if (uses != certificate) continue;
    if (FilesHold(service) != wanted) return absl::StrCat(service, "'s files hold generation ", FilesHold(service));
    const int served = GenerationOf(certificate, machine_.running[service].served);
    if (served != wanted) return absl::StrCat(service, " serves generation ", served);
  }
  return "";
}

}  // namespace certcast::simulation
