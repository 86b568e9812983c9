// How fast a controller reaches many nodes.
//
// Measured, with the controller's own transport, executor and store, over loopback with mutual TLS:
//   links     open a link to every node (TCP, TLS, HTTP/2, Hello), as many at once as --parallel says
//   installs  one Install of 6 KiB on each open link, and its answer
//   rollout   a whole rollout in one wave: connect, Install, Confirm, each step saved in SQLite before it is taken
// and the controller's memory for a link that is open and idle.
//
// Not measured: the nodes' work. Theirs is the real front end over an engine that says yes at once. Neither are waves,
// soaking and the controller's own look at what is served (`verify`). Nodes and controller share the machine: their CPU
// is counted apart, but it is the same cores that do the work.
#include <algorithm>
#include <atomic>
#include <cstdint>
#include <functional>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "common/clock/clock.h"
#include "common/probe/probe.h"
#include "common/status/status.h"
#include "controller/config/config.h"
#include "controller/rollout/executor.h"
#include "controller/rollout/planner.h"
#include "controller/rollout/record.h"
#include "controller/rollout/stored_rollout_log.h"
#include "controller/rollout/worker_threads.h"
#include "controller/store/rollout_records.h"
#include "controller/store/sqlite_store.h"
#include "controller/transport/grpc_transport.h"
#include "controller/transport/link.h"
#include "tests/bench/measure.h"
#include "tests/bench/node_processes.h"
#include "tests/bench/program.h"
#include "tests/bench/simulated_fleet.h"
#include "tests/bench/work_folder.h"

namespace certcast::bench {
namespace {

using controller::GrpcTransport;
using controller::Link;
using controller::NodeConfig;

constexpr size_t kInstallBytes = 6144;
constexpr absl::Duration kPatience = absl::Seconds(60);

// Bare gRPC 1.51 with mutual TLS on two cores, both ends on the machine: the middle of what was measured.
struct Reference {
  const char* what;
  double low;
  double high;
  bool more_is_better;

  double middle() const { return (low + high) / 2; }
  // How many times worse than the reference.
  double Times(double measured) const { return more_is_better ? middle() / measured : measured / middle(); }
};
constexpr Reference kLinks{"new links a second", 285, 350, true};
constexpr Reference kInstalls{"6 KiB messages answered a second", 10'000 / 1.7, 10'000 / 1.5, true};
constexpr Reference kMemory{"KiB an idle link", 118, 140, false};

struct Flags {
  int nodes = 500;
  int parallel = 64;
  int processes = 2;
  bool links_only = false;
  std::string output = "table";
  std::string directory;
};

struct Result {
  Flags flags;
  double load = 0;
  size_t install_bytes = 0;
  size_t answer_bytes = 0;
  std::vector<Phase> phases;
  int64_t bytes_a_link = 0;
  int64_t peak_bytes = 0;

  bool ok() const {
    return std::all_of(phases.begin(), phases.end(), [](const Phase& phase) { return phase.failed == 0; });
  }
};

// Counts failures of one phase from many threads.
class Failures {
 public:
  explicit Failures(Phase& phase) : phase_(phase) {}
  void Add(const std::string& text) {
    absl::MutexLock lock(&mutex_);
    if (phase_.failed++ == 0) phase_.failure = text;
  }

 private:
  absl::Mutex mutex_;
  Phase& phase_ ABSL_GUARDED_BY(mutex_);
};

class Fanout {
 public:
  Fanout(const Flags& flags, const SimulatedFleet& fleet)
      : flags_(flags), fleet_(fleet), transport_(fleet.ControllerIdentity()) {
    result_.flags = flags;
    result_.load = LoadAverage();
  }

  absl::StatusOr<Result> Run() {
    RETURN_IF_ERROR(WarmUp());
    {
      const std::vector<std::unique_ptr<Link>> links = MeasureLinks();
      if (!flags_.links_only && result_.ok()) MeasureInstalls(links);
    }
    if (!flags_.links_only && result_.ok()) RETURN_IF_ERROR(MeasureRollout());
    result_.peak_bytes = PeakResidentBytes();
    return std::move(result_);
  }

 private:
  // gRPC's threads and tables are there from the first link on; they are not what a link costs.
  absl::Status WarmUp() { return transport_.Open(fleet_.nodes().front(), kPatience).status(); }

  Phase NewPhase(const std::string& name) const {
    Phase phase;
    phase.name = name;
    phase.count = flags_.nodes;
    return phase;
  }

  // `work` is called for each node and says what went wrong.
  void MeasureEach(Phase phase, const std::function<absl::Status(size_t node)>& work) {
    Failures failures(phase);
    Latencies latencies;
    Measure(
        phase, [this] { return fleet_.Cpu(); },
        [&] {
          controller::ForEachAtOnce(fleet_.nodes().size(), flags_.parallel, [&](size_t node) {
            const absl::Time start = absl::Now();
            const absl::Status status = work(node);
            latencies.Add(absl::Now() - start);
            if (!status.ok()) failures.Add(std::string(status.message()));
          });
        });
    phase.median = latencies.At(0.5);
    phase.p99 = latencies.At(0.99);
    result_.phases.push_back(std::move(phase));
  }

  std::vector<std::unique_ptr<Link>> MeasureLinks() {
    std::vector<std::unique_ptr<Link>> links(fleet_.nodes().size());
    const int64_t before = ResidentBytes();
    MeasureEach(NewPhase("links"), [&](size_t node) {
      absl::StatusOr<std::unique_ptr<Link>> link = transport_.Open(fleet_.nodes()[node], kPatience);
      if (!link.ok()) return link.status();
      links[node] = *std::move(link);
      return absl::OkStatus();
    });
    result_.bytes_a_link = (ResidentBytes() - before) / flags_.nodes;
    return links;
  }

  void MeasureInstalls(const std::vector<std::unique_ptr<Link>>& links) {
    const v1::Bundle bundle = fleet_.MakeBundle(1, kInstallBytes);
    std::atomic<size_t> install_bytes{0};
    std::atomic<size_t> answer_bytes{0};
    MeasureEach(NewPhase("installs"), [&](size_t node) {
      v1::Command command;
      command.set_id(controller::CommandId("wildcard-1-33m8z0", node, controller::CommandRole::kInstall, 0));
      command.set_epoch(1);
      *command.mutable_install()->mutable_bundle() = bundle;
      command.mutable_install()->mutable_confirm_timeout()->set_seconds(60);
      const absl::StatusOr<v1::Report> report = links[node]->Call(command, kPatience, nullptr);
      if (!report.ok()) return report.status();
      install_bytes = command.ByteSizeLong();
      answer_bytes = report->ByteSizeLong();
      return report->install_result().outcome() == v1::Outcome::INSTALLED
                 ? absl::OkStatus()
                 : absl::InternalError(report->ShortDebugString());
    });
    result_.install_bytes = install_bytes;
    result_.answer_bytes = answer_bytes;
  }

  absl::Status MeasureRollout() {
    ASSIGN_OR_RETURN(const std::unique_ptr<WorkFolder> folder, WorkFolder::Make(flags_.directory));
    ASSIGN_OR_RETURN(const std::unique_ptr<controller::Store> store,
                     controller::SqliteStore::Open(folder->path() + "/state", {.make = true}));
    ASSIGN_OR_RETURN(const std::unique_ptr<controller::Lease> lease, store->TakeLease("fanout"));
    Phase phase = NewPhase("rollout");
    absl::StatusOr<state::v1::Rollout> ended = absl::UnknownError("");
    Measure(
        phase, [this] { return fleet_.Cpu(); }, [&] { ended = RollOut(*store, lease->epoch()); });
    RETURN_IF_ERROR(ended.status());
    Failures failures(phase);
    Latencies latencies;
    for (const state::v1::Rollout::Node& node : ended->nodes()) {
      latencies.Add(absl::Milliseconds(node.result().duration_ms()));
      if (node.result().outcome() != v1::Outcome::INSTALLED) failures.Add(node.result().detail());
    }
    phase.median = latencies.At(0.5);
    phase.p99 = latencies.At(0.99);
    result_.phases.push_back(std::move(phase));
    return absl::OkStatus();
  }

  absl::StatusOr<state::v1::Rollout> RollOut(controller::Store& store, uint64_t epoch) {
    const v1::Bundle bundle = fleet_.MakeBundle(2, kInstallBytes);
    v1::Manifest manifest;
    if (!manifest.ParseFromString(bundle.manifest())) return absl::InternalError("the manifest does not parse");
    absl::flat_hash_map<std::string, const NodeConfig*> nodes;
    std::vector<controller::FleetMember> members;
    for (const NodeConfig& node : fleet_.nodes()) {
      nodes[node.name] = &node;
      members.push_back({.name = node.name});
    }
    controller::RolloutPolicy policy;
    policy.waves = {{.percent = 100}};
    policy.parallel = flags_.parallel;
    state::v1::Rollout rollout = controller::MakeRollout({kCertificate, manifest.generation(), manifest.leaf_sha256()},
                                                         members, policy, 1, absl::Now());
    ASSIGN_OR_RETURN(const std::string id, controller::RolloutRecords(store).Create(rollout, epoch));
    rollout.set_id(id);
    controller::StoredRolloutLog log(store, id, epoch);
    controller::RolloutInputs inputs;
    inputs.bundle = [&bundle]() -> absl::StatusOr<v1::Bundle> { return v1::Bundle(bundle); };
    inputs.find_node = [&nodes](absl::string_view name) {
      const auto found = nodes.find(name);
      return found == nodes.end() ? nullptr : found->second;
    };
    inputs.epoch = epoch;
    const std::atomic<bool> stop{false};
    return controller::ExecuteRollout(
        rollout, inputs, {&transport_, &Prober::Real(), &Clock::Real(), &log}, [](const v1::ApplyEvent::Progress&) {},
        stop);
  }

  const Flags flags_;
  const SimulatedFleet& fleet_;
  GrpcTransport transport_;
  Result result_;
};

struct Comparison {
  Reference reference;
  double measured;
};

std::vector<Comparison> Compare(const Result& result) {
  std::vector<Comparison> comparisons;
  for (const Phase& phase : result.phases) {
    if (phase.name == "links") {
      comparisons.push_back({kLinks, phase.PerSecond()});
      comparisons.push_back({kMemory, static_cast<double>(result.bytes_a_link) / 1024});
    }
    if (phase.name == "installs") comparisons.push_back({kInstalls, phase.PerSecond()});
  }
  return comparisons;
}

nlohmann::ordered_json ToJson(const Result& result) {
  nlohmann::ordered_json json;
  json["nodes"] = result.flags.nodes;
  json["parallel"] = result.flags.parallel;
  json["nodeProcesses"] = result.flags.processes;
  json["loadAverage"] = result.load;
  json["installBytes"] = result.install_bytes;
  json["answerBytes"] = result.answer_bytes;
  json["bytesPerIdleLink"] = result.bytes_a_link;
  json["peakBytes"] = result.peak_bytes;
  json["phases"] = nlohmann::ordered_json::array();
  for (const Phase& phase : result.phases) json["phases"].push_back(ToJson(phase));
  json["comparison"] = nlohmann::ordered_json::array();
  for (const Comparison& comparison : Compare(result)) {
    json["comparison"].push_back({{"what", comparison.reference.what},
                                  {"referenceLow", comparison.reference.low},
                                  {"referenceHigh", comparison.reference.high},
                                  {"measured", comparison.measured},
                                  {"timesWorse", comparison.reference.Times(comparison.measured)}});
  }
  return json;
}

std::string ToTable(const Result& result) {
  std::string text = absl::StrCat(result.flags.nodes, " nodes in ", result.flags.processes, " processes, ",
                                  result.flags.parallel, " in flight; load average ", Number(result.load), "\n\n");
  std::vector<std::vector<std::string>> lines = {PhaseHead("nodes")};
  for (const Phase& phase : result.phases) lines.push_back(PhaseLine(phase));
  absl::StrAppend(&text, Table(lines), "\n");
  absl::StrAppend(&text, "controller memory: ", Number(static_cast<double>(result.bytes_a_link) / 1024),
                  " KiB an idle link, ", Number(static_cast<double>(result.peak_bytes) / (1 << 20)), " MiB at most\n");
  if (result.install_bytes > 0) {
    absl::StrAppend(&text, "an Install has ", result.install_bytes, " bytes, its answer ", result.answer_bytes, "\n");
  }
  lines = {{"against bare gRPC", "reference", "measured", "times worse"}};
  for (const Comparison& comparison : Compare(result)) {
    const Reference& reference = comparison.reference;
    lines.push_back({reference.what, absl::StrCat(Number(reference.low), " to ", Number(reference.high)),
                     Number(comparison.measured), Number(reference.Times(comparison.measured))});
  }
  absl::StrAppend(&text, "\n", Table(lines));
  return text;
}

absl::StatusOr<Result> MeasureFanout(const Flags& flags) {
  // The controller has a socket a link. A node has one that listens and, while links come and go, two connections.
  const int a_process = std::max(flags.nodes, 3 * (flags.nodes / flags.processes + 1));
  RETURN_IF_ERROR(RaiseDescriptorLimit(static_cast<size_t>(a_process) + 512));
  ASSIGN_OR_RETURN(const std::unique_ptr<SimulatedFleet> fleet, SimulatedFleet::Start(flags.nodes, flags.processes));
  controller::SilenceGrpcLog();
  return Fanout(flags, *fleet).Run();
}

absl::StatusOr<int> Run(const Flags& flags) {
  ASSIGN_OR_RETURN(const Result result, MeasureFanout(flags));
  std::cout << (flags.output == "json" ? ToJson(result).dump(2) + "\n" : ToTable(result));
  for (const Phase& phase : result.phases) {
    if (phase.failed > 0)
      std::cerr << "fanout: " << phase.name << ": " << phase.failed << " failed: " << phase.failure << "\n";
  }
  return result.ok() ? 0 : 1;
}

}  // namespace
}  // namespace certcast::bench

int main(int argc, char** argv) {
  certcast::bench::Flags flags;
  certcast::bench::Program program(
      "fanout",
      "How fast a controller reaches many simulated nodes: new links, one Install on each open link, a whole "
      "rollout.",
      "//tests/bench:fanout -- --nodes 1000");
  CLI::App& app = program.app();
  app.add_option("--nodes", flags.nodes, "how many nodes")->capture_default_str()->check(CLI::Range(1, 50'000));
  program.OfferFleet(flags.parallel, flags.processes);
  app.add_flag("--links-only", flags.links_only, "open links, nothing more");
  program.OfferDirectory(flags.directory, "the controller's store is made");
  program.OfferOutput(flags.output);
  return program.Main(argc, argv, [&] { return certcast::bench::Run(flags); });
}
