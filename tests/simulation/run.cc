#include "tests/simulation/run.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "certcast/state/v1/store.pb.h"
#include "certcast/v1/api.pb.h"
#include "common/clock/clock.h"
#include "common/status/status.h"
#include "controller/api/controller.h"
#include "controller/api/machine.h"
#include "controller/config/config.h"
#include "controller/keyring/keyring.h"
#include "node/engine/simulated_node.h"
#include "tests/simulation/dice.h"
#include "tests/simulation/network.h"
#include "tests/simulation/node_machine.h"
#include "tests/simulation/rollout_rules.h"
#include "tests/simulation/scheduler.h"
#include "tests/simulation/shared_store.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/fake_process_runner.h"
#include "tests/testing/memory_file_system.h"
#include "tests/testing/memory_store.h"

namespace certcast::simulation {
namespace {

using controller::Config;
using controller::Controller;
using controller::Machine;

constexpr char kCertificate[] = "wildcard";
constexpr char kMasterKey[] = "CERTCAST_SIMULATED_MASTER_KEY";
// Nothing in a run takes longer than that once nothing goes wrong any more.
constexpr absl::Duration kPatience = absl::Minutes(15);
constexpr int64_t kMostEvents = 400'000;

// What `certcast init` leaves: made once in a process, since keys take time.
struct Beginnings {
  std::vector<controller::StoredRecord> records;
  node::EngineConfig::Fleet fleet;
};

Config MakeConfig(const Scenario& scenario) {
  Config config;
  config.path = "/etc/certcast/certcast.yaml";
  config.state = "/var/lib/certcast";
  config.master_key.key = {SecretReference::Kind::kEnvironment, kMasterKey};
  controller::CertificateConfig certificate;
  certificate.name = kCertificate;
  certificate.domains = {"*.example.com"};
  certificate.nodes.all = true;
  certificate.rollout = scenario.policy;
  config.certificates.push_back(std::move(certificate));
  for (size_t i = 0; i < scenario.nodes.size(); ++i) {
    controller::NodeConfig node;
    node.name = absl::StrCat("node-", i);
    node.address = absl::StrCat(node.name, ":7444");
    node.labels["rack"] = absl::StrCat("rack-", scenario.nodes[i].rack);
    if (scenario.nodes[i].is_verified) node.verify = {{.address = absl::StrCat(node.name, ":443")}};
    config.nodes.push_back(std::move(node));
  }
  return config;
}

// Opens a store that is elsewhere.
class StoreView final : public controller::Store {
 public:
  explicit StoreView(testing::MemoryStore& store) : store_(store) {}
  absl::StatusOr<controller::StoredRecord> Get(absl::string_view key) override { return store_.Get(key); }
  absl::StatusOr<std::vector<controller::StoredRecord>> List(absl::string_view prefix) override {
    return store_.List(prefix);
  }
  absl::StatusOr<int64_t> Commit(const controller::Transaction& transaction) override {
    return store_.Commit(transaction);
  }
  absl::StatusOr<std::unique_ptr<controller::Lease>> TakeLease(absl::string_view holder) override {
    return store_.TakeLease(holder);
  }

 private:
  testing::MemoryStore& store_;
};

const Beginnings& BeginningsOfAll() {
  static const auto* const made = [] {
    testing::MemoryStore store;
    testing::MemoryFileSystem files;
    testing::FakeClock clock(StartOfRun());
    setenv(kMasterKey, absl::Base64Escape(std::string(32, 'k')).c_str(), 1);
    Machine machine;
    machine.files = &files;
    machine.clock = &clock;
    machine.open_store = [&](const std::string&, bool) { return std::make_unique<StoreView>(store); };
    const Config config = MakeConfig({});
    Controller(config, machine).Init().value();
    const std::unique_ptr<controller::Keyring> keyring =
        controller::Keyring::Open(config.master_key, {&store, &files, &clock}).value();
    auto* beginnings =
        new Beginnings{.records = store.List("").value(),
                       .fleet = {keyring->fleet_id(), ManifestKey::FromPrivate(keyring->manifest_key()).value()}};
    return beginnings;
  }();
  return *made;
}

class World {
 public:
  World(const Scenario& scenario, Mutation mutation);
  Outcome Run();

 private:
  // One call of the controller, in a process of its own.
  struct Invocation {
    ProcessPtr process;
    std::atomic<bool> stop{false};
    bool has_ended = false;
    bool is_apply = false;
    absl::Status status;
    v1::ApplyResponse applied;
  };
  using InvocationPtr = std::shared_ptr<Invocation>;

  bool IsOver() const { return !operator_->is_alive(); }
  InvocationPtr Start(const std::string& verb, std::function<void(Controller&, Invocation&)> call);
  InvocationPtr StartApply();
  // False when it takes too long.
  bool Await(const std::function<bool()>& condition, absl::Duration patience);
  void EndOf(const InvocationPtr& invocation);
  InvocationPtr RunningApply();
  void BringGenerations();
  void ApplyNowAndThen();
  void Operate();
  void CheckTheEnd();
  void Happen(const FaultEvent& fault);
  bool Begin(const FaultEvent& fault);
  void End(const FaultEvent& fault);
  void Heal();
  void KillController(Process& process);
  void AfterSlice();
  void Mutate();

  const Scenario& scenario_;
  const Mutation mutation_;
  Scheduler scheduler_;
  Trace trace_;
  Referee referee_;
  Dice dice_;
  std::vector<std::unique_ptr<NodeMachine>> nodes_;
  Network network_;
  SharedStore store_;
  RolloutRules rules_;
  testing::MemoryFileSystem files_;
  testing::FakeProcessRunner processes_;
  MachineClock clock_;
  Config config_;
  ProcessPtr operator_ = std::make_shared<Process>("operator");
  std::vector<InvocationPtr> running_;
  // A controller that dies after so many more slices of its own.
  Process* doomed_ = nullptr;
  int slices_left_ = 0;
  bool healed_ = false;
  size_t brought_ = 0;
  int invocations_ = 0;
  Outcome outcome_;
};

World::World(const Scenario& scenario, Mutation mutation)
    : scenario_(scenario),
      mutation_(mutation),
      scheduler_(scenario.seed),
      trace_(scheduler_),
      referee_(scheduler_, trace_),
      dice_(scenario.seed, 2),
      network_(scenario.seed, nodes_, scheduler_, trace_),
      store_(scheduler_, scenario.seed),
      rules_(scenario, nodes_, trace_, referee_),
      clock_(scheduler_),
      config_(MakeConfig(scenario)) {
  const Beginnings& beginnings = BeginningsOfAll();
  controller::Transaction first;
  for (const controller::StoredRecord& record : beginnings.records) first.writes.push_back({record.key, record.value});
  store_.records().Commit(first).value();
  for (size_t i = 0; i < scenario.nodes.size(); ++i) {
    nodes_.push_back(std::make_unique<NodeMachine>(static_cast<int>(i), scenario_, beginnings.fleet, mutation_,
                                                   scheduler_, trace_, referee_));
  }
  scheduler_.AfterEachSlice([this] { AfterSlice(); });
  store_.Watch([this](const controller::Transaction& written) { rules_.Committed(written); },
               [this](uint64_t epoch) { rules_.LeaseTaken(epoch); });
  network_.OnCommands(
      [this](const Process& sender, const std::string& node, const v1::Command& command) {
        rules_.Sent(sender, node, command);
      },
      [this](const Process&, const std::string& node, const Observation& seen) { rules_.SeenFromHere(node, seen); });
  Mutate();
}

void World::Mutate() {
  if (mutation_ == Mutation::kBudgetIsNotKept) config_.certificates[0].rollout.parallel = 64;
  store_.Alter([this](controller::Transaction& transaction) {
    if (mutation_ == Mutation::kLeaseIsNotChecked) transaction.epoch = 0;
    if (mutation_ != Mutation::kStepsAreNotSaved) return;
    const auto begins = [](const controller::Transaction::Write& write) {
      state::v1::Rollout::Node node;
      return absl::StartsWith(write.key, "rollout-nodes/") && write.value.has_value() &&
             node.ParseFromString(*write.value) && node.step() == state::v1::Rollout::Node::INSTALLING;
    };
    std::vector<controller::Transaction::Write>& writes = transaction.writes;
    writes.erase(std::remove_if(writes.begin(), writes.end(), begins), writes.end());
  });
}

Outcome World::Run() {
  controller::Threads::Replace(&scheduler_);
  scheduler_.Spawn(operator_, [this] { Operate(); });
  if (!scheduler_.Run() && !referee_.violation().happened()) {
    outcome_.violation = {"somebody can go on", "every task waits for another"};
  }
  controller::Threads::Replace(nullptr);
  if (referee_.violation().happened()) outcome_.violation = referee_.violation();
  outcome_.trace = trace_.lines();
  outcome_.events = scheduler_.slices();
  outcome_.commands = network_.commands();
  outcome_.rollouts = rules_.rollouts();
  outcome_.ends = rules_.ends();
  for (const std::unique_ptr<NodeMachine>& node : nodes_) {
    outcome_.installs += node->rules().installs();
    outcome_.confirms += node->rules().confirms();
    outcome_.reverts += node->rules().reverts();
  }
  return outcome_;
}

void World::AfterSlice() {
  for (const std::unique_ptr<NodeMachine>& node : nodes_) node->Look();
  if (scheduler_.slices() > kMostEvents) referee_.Break("it comes to an end", "too many events");
  if (doomed_ == nullptr || scheduler_.current().get() != doomed_ || --slices_left_ > 0) return;
  KillController(*std::exchange(doomed_, nullptr));
}

bool World::Await(const std::function<bool()>& condition, absl::Duration patience) {
  const absl::Duration until = scheduler_.Now() + patience;
  while (!condition()) {
    if (IsOver()) return true;
    if (scheduler_.Now() >= until) return false;
    scheduler_.Wait(this, std::min(until - scheduler_.Now(), absl::Milliseconds(500)));
  }
  return true;
}

World::InvocationPtr World::Start(const std::string& verb, std::function<void(Controller&, Invocation&)> call) {
  auto invocation = std::make_shared<Invocation>();
  invocation->process = std::make_shared<Process>(absl::StrCat(verb, "-", ++invocations_));
  running_.push_back(invocation);
  scheduler_.Spawn(invocation->process, [this, invocation, call = std::move(call)] {
    const ProcessPtr process = invocation->process;
    const std::unique_ptr<Prober> prober = network_.ProberOf(process);
    Machine machine;
    machine.files = &files_;
    machine.processes = &processes_;
    machine.prober = prober.get();
    machine.clock = &clock_;
    machine.open_store = [this, process](const std::string&, bool) { return store_.Open(process); };
    machine.make_transport = [this, process](const std::string&, controller::ControllerIdentity) {
      return network_.TransportOf(process);
    };
    trace_.Note(process->name(), " starts");
    Controller controller(config_, machine);
    call(controller, *invocation);
    if (process->is_alive()) {
      trace_.Note(process->name(), " ends ", absl::StatusCodeToString(invocation->status.code()), " ",
                  invocation->status.ok() ? "" : v1::Reason::Code_Name(ReasonOf(invocation->status)));
    }
    EndOf(invocation);
  });
  return invocation;
}

void World::EndOf(const InvocationPtr& invocation) {
  invocation->has_ended = true;
  running_.erase(std::remove(running_.begin(), running_.end(), invocation), running_.end());
  if (doomed_ == invocation->process.get()) doomed_ = nullptr;
  scheduler_.Notify(this);
}

World::InvocationPtr World::StartApply() {
  ++outcome_.applies;
  InvocationPtr invocation = Start("apply", [](Controller& controller, Invocation& self) {
    absl::StatusOr<v1::ApplyResponse> response = controller.Apply(
        {}, [](const v1::ApplyEvent::Progress&) {}, self.stop);
    self.status = response.status();
    if (response.ok()) self.applied = *std::move(response);
  });
  invocation->is_apply = true;
  return invocation;
}

World::InvocationPtr World::RunningApply() {
  for (const InvocationPtr& invocation : running_) {
    if (invocation->is_apply && invocation->process->is_alive() && store_.IsHeldBy(*invocation->process)) {
      return invocation;
    }
  }
  return nullptr;
}

void World::BringGenerations() {
  for (size_t i = 0; i < scenario_.generations.size(); ++i) {
    scheduler_.Sleep(scenario_.generations[i] - scheduler_.Now());
    const testing::IssuedCertificate& issued = node::IssuedFor(i + 1);
    v1::ImportRequest request;
    request.set_certificate(kCertificate);
    request.set_fullchain_pem(issued.fullchain_pem);
    request.set_private_key_pem(std::string(issued.key_pem.ExposeSecret()));
    while (!IsOver()) {
      const InvocationPtr import = Start("import", [request](Controller& controller, Invocation& self) {
        self.status = controller.Import(request).status();
      });
      Await([&] { return import->has_ended; }, kPatience);
      if (import->status.ok() && import->has_ended) break;
      scheduler_.Sleep(absl::Milliseconds(300));
    }
    ++brought_;
    scheduler_.Notify(this);
  }
}

void World::ApplyNowAndThen() {
  while (!IsOver() && !healed_) {
    const InvocationPtr apply = StartApply();
    Await([&] { return apply->has_ended; }, kPatience);
    const bool did_nothing = apply->status.ok() && apply->process->is_alive() && apply->applied.rollouts_size() == 0;
    const size_t brought = brought_;
    if (did_nothing)
      Await([&] { return brought_ != brought || healed_; }, dice_.Between(absl::Seconds(5), absl::Seconds(20)));
    scheduler_.Sleep(dice_.Between(absl::Milliseconds(50), absl::Seconds(dice_.OneIn(3) ? 8 : 2)));
  }
}

void World::Operate() {
  for (const std::unique_ptr<NodeMachine>& node : nodes_) node->StartAgent();
  for (const FaultEvent& fault : scenario_.faults) {
    scheduler_.Spawn(operator_, [this, &fault] { Happen(fault); });
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

void World::CheckTheEnd() {
  if (!Await([this] { return brought_ == scenario_.generations.size() && running_.empty(); }, kPatience)) {
    return referee_.Break("every call ends", "one does not");
  }
  const auto all_run = [this] {
    return std::all_of(nodes_.begin(), nodes_.end(), [](const auto& node) { return node->agent() != nullptr; });
  };
  if (!Await(all_run, kPatience)) return referee_.Break("every agent starts again", "one does not");
  // Whatever waits for Confirm has gone back by then.
  scheduler_.Sleep(scenario_.policy.confirm_timeout + absl::Minutes(2));
  for (const std::unique_ptr<NodeMachine>& node : nodes_) {
    if (IsOver()) return;
    if (node->agent()->engine->ConfirmBy().has_value()) {
      return referee_.Break("nobody waits for ever", absl::StrCat(node->name(), " waits for Confirm"));
    }
  }
  std::string problem;
  for (int i = 0; i < 4; ++i) {
    const InvocationPtr apply = StartApply();
    if (!Await([&] { return apply->has_ended; }, kPatience)) {
      return referee_.Break("every call ends", "apply does not");
    }
    if (IsOver()) return;
    scheduler_.Sleep(absl::Seconds(5));
    problem = apply->status.ok() ? rules_.ProblemAtEnd() : std::string(apply->status.message());
    for (const std::unique_ptr<NodeMachine>& node : nodes_) {
      if (problem.empty()) problem = node->ProblemAtEnd(static_cast<int>(scenario_.generations.size()));
    }
    if (problem.empty()) return;
  }
  referee_.Break("all is well in the end", problem);
}

void World::Happen(const FaultEvent& fault) {
  scheduler_.Sleep(fault.at - scheduler_.Now());
  if (IsOver() || healed_ || !Begin(fault)) return;
  trace_.Note("fault: ", NameOf(fault.kind), " node-", fault.node);
  ++outcome_.faults[static_cast<size_t>(fault.kind)];
  scheduler_.Sleep(fault.length);
  if (!IsOver() && !healed_) End(fault);
}

bool World::Begin(const FaultEvent& fault) {
  NodeMachine& node = *nodes_[static_cast<size_t>(fault.node)];
  Network::Troubles& network = network_.troubles(node.name());
  NodeMachine::Troubles& troubles = node.troubles();
  const int operations = fault.dice % 3 == 0 ? 0 : static_cast<int>(fault.dice / 3 % 90);
  const InvocationPtr apply = RunningApply();
  switch (fault.kind) {
    case FaultKind::kPartition:
      return network.partition = true;
    case FaultKind::kLoss:
      return network.loss = true;
    case FaultKind::kDelay:
      return network.delay = true;
    case FaultKind::kLateDelivery:
      return network.late_delivery = true;
    case FaultKind::kKilledAgent:
      node.KillAgent(operations, std::min(fault.length, absl::Seconds(10)));
      return true;
    case FaultKind::kFrozenAgent:
      node.FreezeAgent(fault.length);
      return true;
    case FaultKind::kPowerLoss:
      node.LosePower(operations, fault.dice | 1, fault.length);
      return true;
    case FaultKind::kSlowDisk:
      return troubles.slow_disk = true;
    case FaultKind::kFullDisk:
      return troubles.full_disk = true;
    case FaultKind::kClockSkew:
      node.clock().SetSkew(absl::Seconds(static_cast<int64_t>(fault.dice % 14400) - 7200));
      return true;
    case FaultKind::kFlappingProbe:
      return troubles.flapping_probe = true;
    case FaultKind::kLyingReload:
      return troubles.lying_reload = true;
    case FaultKind::kFailingReload:
      return troubles.failing_reload = true;
    case FaultKind::kFailingCheck:
      return troubles.failing_check = true;
    case FaultKind::kServiceDown:
      return troubles.service_down = true;
    case FaultKind::kKilledController:
      if (apply == nullptr) return false;
      doomed_ = apply->process.get();
      slices_left_ = 1 + static_cast<int>(fault.dice % 60);
      return true;
    case FaultKind::kFrozenController:
      if (apply == nullptr) return false;
      scheduler_.Freeze(*apply->process, fault.length);
      return true;
    case FaultKind::kTakenLease:
      if (apply == nullptr) return false;
      store_.Release(*apply->process);
      if (fault.dice % 2 == 0) scheduler_.Freeze(*apply->process, fault.length);
      StartApply();
      return true;
    case FaultKind::kStop:
      if (apply == nullptr) return false;
      apply->stop = true;
      return true;
    case FaultKind::kSlowStore:
      store_.SetCommitTime(absl::Milliseconds(600));
      return true;
    case FaultKind::kFailingStore:
      store_.SetFailure(Fail(Reason::NO_SPACE, "the controller's disk is full"));
      return true;
  }
  return false;
}

void World::End(const FaultEvent& fault) {
  NodeMachine& node = *nodes_[static_cast<size_t>(fault.node)];
  Network::Troubles& network = network_.troubles(node.name());
  NodeMachine::Troubles& troubles = node.troubles();
  switch (fault.kind) {
    case FaultKind::kPartition:
      network.partition = false;
      break;
    case FaultKind::kLoss:
      network.loss = false;
      break;
    case FaultKind::kDelay:
      network.delay = false;
      break;
    case FaultKind::kLateDelivery:
      network.late_delivery = false;
      break;
    case FaultKind::kSlowDisk:
      troubles.slow_disk = false;
      break;
    case FaultKind::kFullDisk:
      troubles.full_disk = false;
      break;
    case FaultKind::kClockSkew:
      node.clock().SetSkew(absl::ZeroDuration());
      break;
    case FaultKind::kFlappingProbe:
      troubles.flapping_probe = false;
      break;
    case FaultKind::kLyingReload:
      troubles.lying_reload = false;
      break;
    case FaultKind::kFailingReload:
      troubles.failing_reload = false;
      break;
    case FaultKind::kFailingCheck:
      troubles.failing_check = false;
      break;
    case FaultKind::kServiceDown:
      troubles.service_down = false;
      break;
    case FaultKind::kSlowStore:
      store_.SetCommitTime(absl::Milliseconds(5));
      break;
    case FaultKind::kFailingStore:
      store_.SetFailure(absl::OkStatus());
      break;
    default:
      break;
  }
}

void World::Heal() {
  network_.Heal();
  store_.SetCommitTime(absl::Milliseconds(5));
  store_.SetFailure(absl::OkStatus());
  doomed_ = nullptr;
  for (const std::unique_ptr<NodeMachine>& node : nodes_) {
    node->troubles() = {};
    node->clock().SetSkew(absl::ZeroDuration());
  }
}

void World::KillController(Process& process) {
  trace_.Note(process.name(), " is killed");
  scheduler_.Kill(process);
  store_.Release(process);
}

}  // namespace

Outcome RunScenario(const Scenario& scenario, Mutation mutation) {
  return World(scenario, mutation).Run();
}

}  // namespace certcast::simulation
