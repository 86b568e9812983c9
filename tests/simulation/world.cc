#include "tests/simulation/world.h"

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "certcast/state/v1/store.pb.h"
#include "common/clock/clock.h"
#include "common/status/status.h"
#include "controller/api/machine.h"
#include "controller/keyring/keyring.h"
#include "node/engine/simulated_node.h"
#include "tests/simulation/certificates.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/memory_store.h"
#include "tests/testing/store_view.h"

namespace certcast::simulation {
namespace {

using controller::Config;
using controller::Controller;
using controller::Machine;

constexpr char kMasterKey[] = "CERTCAST_SIMULATED_MASTER_KEY";
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
  for (int i = 0; i < scenario.certificates; ++i) {
    controller::CertificateConfig& certificate = config.certificates.emplace_back();
    certificate.name = NameOfCertificate(i);
    certificate.domains = {"*.example.com"};
    certificate.nodes.all = i == 0;
    certificate.rollout = scenario.policy;
  }
  for (size_t i = 0; i < scenario.nodes.size(); ++i) {
    controller::NodeConfig node;
    node.name = absl::StrCat("node-", i);
    node.address = absl::StrCat(node.name, ":7444");
    if (scenario.nodes[i].is_ssh) node.ssh.emplace();
    node.labels["rack"] = absl::StrCat("rack-", scenario.nodes[i].rack);
    for (int of = 0; of < scenario.certificates; ++of) {
      if (of > 0 && scenario.Has(i, of)) config.certificates[static_cast<size_t>(of)].nodes.names.push_back(node.name);
      if (!scenario.nodes[i].is_verified || !scenario.Has(i, of)) continue;
      node.verify.push_back(
          {.address = absl::StrCat(node.name, of == 0 ? ":443" : ":993"), .certificate = NameOfCertificate(of)});
    }
    config.nodes.push_back(std::move(node));
  }
  return config;
}

const Beginnings& BeginningsOfAll() {
  static const auto* const made = [] {
    testing::MemoryStore store;
    testing::MemoryFileSystem files;
    testing::FakeClock clock(StartOfRun());
    setenv(kMasterKey, absl::Base64Escape(std::string(32, 'k')).c_str(), 1);
    Machine machine;
    machine.files = &files;
    machine.clock = &clock;
    machine.open_store = [&](const std::string&, bool) { return std::make_unique<testing::StoreView>(store); };
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

// --- What a broken store does to writes.
using Write = controller::Transaction::Write;

bool Begins(const Write& write) {
  state::v1::Rollout::Node node;
  return absl::StartsWith(write.key, "rollout-nodes/") && write.value.has_value() &&
         node.ParseFromString(*write.value) && node.step() == state::v1::Rollout::Node::INSTALLING;
}

bool Asks(const Write& write) {
  return absl::StartsWith(write.key, "rollout-requests/") && write.value.has_value();
}

void ForgetWhoPaused(Write& write) {
  state::v1::Rollout head;
  if (!absl::StartsWith(write.key, "rollouts/") || !write.value.has_value()) return;
  head.ParseFromString(*write.value);
  head.clear_paused_by();
  write.value = head.SerializeAsString();
}

}  // namespace

World::World(const Scenario& scenario, Mutation mutation)
    : scenario_(scenario),
      mutation_(mutation),
      scheduler_(scenario.seed),
      trace_(scheduler_),
      referee_(scheduler_, trace_),
      dice_(scenario.seed, 2),
      network_(scenario.seed, nodes_, scheduler_, trace_),
      store_(scheduler_, scenario.seed),
      rules_(scenario, nodes_, scheduler_, trace_, referee_),
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
  store_.Watch([this](const controller::Transaction& written) { rules_.Committed(*scheduler_.current(), written); },
               [this](uint64_t epoch) { rules_.LeaseTaken(epoch); });
  network_.OnCommands(
      [this](const Process& sender, const std::string& node, const v1::Command& command) {
        rules_.Sent(sender, node, command);
      },
      [this](const Process&, const std::string& node, const Observation& seen) { rules_.SeenFromHere(node, seen); });
  Mutate();
}

void World::Mutate() {
  for (controller::CertificateConfig& certificate : config_.certificates) {
    if (mutation_ == Mutation::kBudgetIsNotKept) certificate.rollout.parallel = 64;
    if (mutation_ == Mutation::kWindowsAreIgnored) certificate.rollout.windows.reset();
  }
  store_.Alter([this](controller::Transaction& transaction) {
    if (mutation_ == Mutation::kLeaseIsNotChecked) transaction.epoch = 0;
    std::vector<Write>& writes = transaction.writes;
    if (mutation_ == Mutation::kStepsAreNotSaved) std::erase_if(writes, Begins);
    if (mutation_ == Mutation::kRequestsAreLost) std::erase_if(writes, Asks);
    if (mutation_ == Mutation::kPausesAreForgotten) std::for_each(writes.begin(), writes.end(), ForgetWhoPaused);
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
    for (const auto& [certificate, rules] : node->rules()) {
      outcome_.installs += rules.installs();
      outcome_.confirms += rules.confirms();
      outcome_.reverts += rules.reverts();
    }
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

bool World::AwaitEnd(const InvocationPtr& invocation) {
  if (Await([&] { return invocation->has_ended; }, kPatience)) return true;
  referee_.Break("every call ends", absl::StrCat(invocation->process->name(), " does not"));
  return false;
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

World::InvocationPtr World::CarryingOut() {
  for (const InvocationPtr& invocation : running_) {
    if (invocation->carries_out && invocation->process->is_alive() && store_.IsHeldBy(*invocation->process)) {
      return invocation;
    }
  }
  return nullptr;
}

void World::KillController(Process& process) {
  trace_.Note(process.name(), " is killed");
  scheduler_.Kill(process);
  store_.Release(process);
}

Outcome RunScenario(const Scenario& scenario, Mutation mutation) {
  return World(scenario, mutation).Run();
}

}  // namespace certcast::simulation
