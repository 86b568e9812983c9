// How long a certificate takes to a whole fleet, and what that costs the controller.
//
// Measured, with everything of the controller real but its command line: `apply` after an import, which asks every node
// what it has, plans waves of 1, 10% and 100%, and takes every node through Install, a look at what its web server
// serves from here, and Confirm, each step saved in SQLite on disk before it is taken. Before that, links to all nodes
// at once for what one costs in memory; and the plan of a hundred thousand nodes.
//
// The nodes are processes of their own on this machine, over loopback: the agent's front end and engine, identities
// from the fleet's CA, mutual TLS, and files in memory; their web servers speak TLS. They share the cores with the
// controller: CPU is counted apart. This process is the controller, each fleet in a fresh one. What the nodes do not
// have is a disk that takes its time, and the network's distance.
#include <malloc.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/process/process.h"
#include "common/status/status.h"
#include "controller/api/controller.h"
#include "controller/keyring/keyring.h"
#include "controller/rollout/planner.h"
#include "controller/rollout/record.h"
#include "controller/rollout/worker_threads.h"
#include "controller/transport/grpc_transport.h"
#include "controller/transport/link.h"
#include "tests/bench/counting_store.h"
#include "tests/bench/managed_fleet.h"
#include "tests/bench/measure.h"
#include "tests/bench/program.h"

namespace certcast::bench {
namespace {

using Progress = v1::ApplyEvent::Progress;
using nlohmann::ordered_json;

constexpr int kPlanned = 100'000;
constexpr absl::Duration kPatience = absl::Seconds(60);

struct Flags {
  std::vector<int> nodes = {1000, 10'000};
  int parallel = 64;
  int processes = 4;
  bool one = false;
  bool serve = false;
  std::string output = "table";
  std::string directory;
};

// What the controller must keep to.
constexpr double kAimSeconds = 90;
constexpr double kAimKibALink = 200;
constexpr double kAimPlanSeconds = 1;
// So much more may a node cost among ten thousand than among a thousand.
constexpr double kAimSlope = 1.2;

// VmHWM of this process since the last ResetPeak.
int64_t PeakBytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("VmHWM:", 0) == 0) return std::stoll(line.substr(6)) * 1024;
  }
  return 0;
}

void ResetPeak() {
  malloc_trim(0);
  std::ofstream("/proc/self/clear_refs") << "5";
}

int64_t BytesBelow(const std::string& directory) {
  int64_t bytes = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
    if (entry.is_regular_file()) bytes += static_cast<int64_t>(entry.file_size());
  }
  return bytes;
}

double Kib(int64_t bytes) {
  return static_cast<double>(bytes) / 1024;
}

// The parts of a call, as its progress tells them apart.
class Parts {
 public:
  void See(const Progress& progress) {
    const std::string name = progress.phase() == Progress::ASKING ? "asking"
                             : progress.phase() == Progress::WAVE ? absl::StrCat("wave ", progress.wave())
                                                                  : "";
    if (name.empty() || (!parts_.empty() && parts_.back().name == name)) return;
    End();
    Part& part = parts_.emplace_back();
    part.name = name;
    part.nodes = progress.size();
    part.start = absl::Now();
    part.cpu_before = OwnCpu();
  }
  void End() {
    if (parts_.empty() || parts_.back().wall > absl::ZeroDuration()) return;
    parts_.back().wall = absl::Now() - parts_.back().start;
    parts_.back().cpu = OwnCpu() - parts_.back().cpu_before;
  }
  ordered_json ToJson() const {
    ordered_json json = ordered_json::array();
    for (const Part& part : parts_) {
      json.push_back({{"name", part.name},
                      {"nodes", part.nodes},
                      {"seconds", absl::ToDoubleSeconds(part.wall)},
                      {"ownCpuSeconds", absl::ToDoubleSeconds(part.cpu)}});
    }
    return json;
  }

 private:
  struct Part {
    std::string name;
    int nodes = 0;
    absl::Time start;
    absl::Duration wall;
    absl::Duration cpu_before;
    absl::Duration cpu;
  };
  std::vector<Part> parts_;
};

ordered_json MeasurePlan() {
  std::vector<controller::FleetMember> fleet;
  for (int i = 0; i < kPlanned; ++i) {
    fleet.push_back({.name = NameOf(i), .labels = {{"rack", absl::StrCat("r", i % 400)}, {"role", "web"}}});
  }
  controller::RolloutPolicy policy;
  policy.waves = {{.count = 1}, {.percent = 10}, {.percent = 100}};
  policy.spread_label = "rack";
  Latencies plans;
  Latencies records;
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    absl::Time start = absl::Now();
    const controller::RolloutPlan plan = controller::PlanRollout(fleet, policy, seed);
    plans.Add(absl::Now() - start);
    start = absl::Now();
    const state::v1::Rollout record =
        controller::MakeRollout({"wildcard", 1, std::string(64, 'a')}, fleet, policy, seed, start);
    records.Add(absl::Now() - start);
    if (plan.waves.size() != 3 || record.nodes_size() != kPlanned) return {};
  }
  return {{"nodes", kPlanned},
          {"medianSeconds", absl::ToDoubleSeconds(plans.At(0.5))},
          {"withRecordMedianSeconds", absl::ToDoubleSeconds(records.At(0.5))}};
}

// One fleet.
class Run {
 public:
  Run(const Flags& flags, const ManagedFleet& fleet) : flags_(flags), fleet_(fleet), machine_(fleet.MakeMachine()) {
    machine_.open_store = [this, open = machine_.open_store](
                              const std::string& state,
                              bool make) -> absl::StatusOr<std::unique_ptr<controller::Store>> {
      ASSIGN_OR_RETURN(std::unique_ptr<controller::Store> store, open(state, make));
      return std::make_unique<CountingStore>(std::move(store), cost_);
    };
  }

  absl::StatusOr<ordered_json> Measure() {
    ordered_json json = {{"nodes", flags_.nodes.front()},
                         {"parallel", flags_.parallel},
                         {"nodeProcesses", flags_.processes},
                         {"loadAverage", LoadAverage()}};
    const absl::Time start = absl::Now();
    ASSIGN_OR_RETURN(controller::Config config, controller::ReadConfig(fleet_.config_path()));
    json["configSeconds"] = absl::ToDoubleSeconds(absl::Now() - start);
    ASSIGN_OR_RETURN(json["links"], MeasureLinks(config));
    RETURN_IF_ERROR(fleet_.ImportNext(machine_));
    ASSIGN_OR_RETURN(json["apply"], MeasureApply(std::move(config)));
    return json;
  }

 private:
  absl::Duration NodesCpu() const { return fleet_.processes().Cpu(); }

  absl::StatusOr<ordered_json> MeasureLinks(const controller::Config& config) {
    ASSIGN_OR_RETURN(const auto store, machine_.open_store(config.state, false));
    ASSIGN_OR_RETURN(const auto keyring, controller::Keyring::Open(config.master_key, {.store = store.get()}));
    ASSIGN_OR_RETURN(controller::ControllerIdentity identity, keyring->LoadControllerIdentity());
    ASSIGN_OR_RETURN(const auto transport, machine_.make_transport(keyring->fleet_id(), std::move(identity)));
    // gRPC's threads and tables are there from the first link on; they are not what a link costs.
    RETURN_IF_ERROR(transport->Open(config.nodes.front(), kPatience).status());
    std::vector<std::unique_ptr<controller::Link>> links(config.nodes.size());
    Phase phase;
    phase.name = "links";
    phase.count = static_cast<int>(links.size());
    std::atomic<int> failed{0};
    const int64_t before = ResidentBytes();
    bench::Measure(
        phase, [this] { return NodesCpu(); },
        [&] {
          controller::ForEachAtOnce(links.size(), flags_.parallel, [&](size_t i) {
            auto link = transport->Open(config.nodes[i], kPatience);
            if (link.ok()) {
              links[i] = *std::move(link);
            } else if (failed++ == 0) {
              std::cerr << "rollout: " << link.status() << "\n";
            }
          });
        });
    phase.failed = failed;
    ordered_json json = ToJson(phase);
    json["bytesPerLink"] = (ResidentBytes() - before) / static_cast<int64_t>(links.size());
    return json;
  }

  absl::StatusOr<ordered_json> MeasureApply(controller::Config config) {
    const std::string state = config.state;
    const size_t nodes = config.nodes.size();
    controller::Controller controller(std::move(config), machine_);
    Parts parts;
    Phase phase;
    phase.name = "apply";
    phase.count = static_cast<int>(nodes);
    const std::atomic<bool> stop{false};
    absl::StatusOr<v1::ApplyResponse> response = absl::UnknownError("");
    ResetPeak();
    const int64_t before = ResidentBytes();
    const int64_t commits = cost_.commits;
    const int64_t writes = cost_.writes;
    const int64_t bytes = cost_.bytes;
    const int64_t nanoseconds = cost_.nanoseconds;
    bench::Measure(
        phase, [this] { return NodesCpu(); },
        [&] {
          response = controller.Apply(
              {}, [&](const Progress& progress) { parts.See(progress); }, stop);
        });
    parts.End();
    const int64_t peak = PeakBytes();
    RETURN_IF_ERROR(response.status());
    phase.failed = phase.count - Converged(*response);
    ordered_json json = ToJson(phase);
    json["parts"] = parts.ToJson();
    json["bytesAtMost"] = peak - before;
    json["bytesAtMostPerNode"] = (peak - before) / static_cast<int64_t>(nodes);
    json["store"] = {{"commits", cost_.commits - commits},
                     {"writes", cost_.writes - writes},
                     {"bytes", cost_.bytes - bytes},
                     {"seconds", static_cast<double>(cost_.nanoseconds - nanoseconds) / 1e9},
                     {"bytesOnDisk", BytesBelow(state)}};
    return json;
  }

  static int Converged(const v1::ApplyResponse& response) {
    int converged = 0;
    for (const v1::Rollout& rollout : response.rollouts()) {
      for (const v1::Rollout::Node& node : rollout.nodes()) {
        if (node.outcome() == v1::Outcome::INSTALLED) ++converged;
        if (node.outcome() != v1::Outcome::INSTALLED && node.outcome() != v1::Outcome::SKIPPED) {
          std::cerr << "rollout: " << node.ShortDebugString() << "\n";
        }
      }
    }
    return converged;
  }

  const Flags& flags_;
  const ManagedFleet& fleet_;
  StoreCost cost_;
  controller::Machine machine_;
};

absl::StatusOr<std::unique_ptr<ManagedFleet>> StartFleet(const Flags& flags) {
  const int nodes = flags.nodes.front();
  // The controller has a socket a link. A node has one that listens and, while links come and go, two connections.
  const int a_process = std::max(nodes, 3 * (nodes / flags.processes + 1));
  RETURN_IF_ERROR(RaiseDescriptorLimit(static_cast<size_t>(a_process) + 512));
  return ManagedFleet::Start(
      {.nodes = nodes, .processes = flags.processes, .parallel = flags.parallel, .directory = flags.directory});
}

absl::StatusOr<int> MeasureOne(const Flags& flags) {
  ASSIGN_OR_RETURN(const auto fleet, StartFleet(flags));
  controller::SilenceGrpcLog();
  ASSIGN_OR_RETURN(const ordered_json json, Run(flags, *fleet).Measure());
  std::cout << json.dump(2) << "\n";
  return json["apply"]["failed"] == 0 && json["links"]["failed"] == 0 ? 0 : 1;
}

// A fleet to try the program on, until standard input ends.
absl::StatusOr<int> Serve(const Flags& flags) {
  ASSIGN_OR_RETURN(const auto fleet, StartFleet(flags));
  RETURN_IF_ERROR(fleet->ImportNext(fleet->MakeMachine()));
  std::cout << "certcast --config " << fleet->config_path() << " apply" << std::endl;
  for (std::string line; std::getline(std::cin, line);) {
    if (line != "import") continue;
    const absl::Status imported = fleet->ImportNext(fleet->MakeMachine());
    std::cout << (imported.ok() ? "imported" : imported.ToString()) << std::endl;
  }
  return 0;
}

absl::StatusOr<ordered_json> MeasureInOwnProcess(const Flags& flags, int nodes) {
  ProcessRequest request;
  request.argv = {"/proc/self/exe", "--one",
                  "--nodes",        absl::StrCat(nodes),
                  "--parallel",     absl::StrCat(flags.parallel),
                  "--processes",    absl::StrCat(flags.processes)};
  if (!flags.directory.empty()) request.argv.insert(request.argv.end(), {"--directory", flags.directory});
  request.timeout = absl::Minutes(20);
  request.max_output = 1 << 20;
  ASSIGN_OR_RETURN(const ProcessResult result, ProcessRunner::Real().Run(request));
  if (!result.ok()) {
    return absl::InternalError(absl::StrCat(nodes, " nodes: ", result.Describe(), ": ", result.error, result.output));
  }
  ordered_json json = ordered_json::parse(result.output, nullptr, false);
  if (!json.is_object()) return absl::InternalError(absl::StrCat("what is that? ", result.output));
  return json;
}

// Seconds that one more node costs, between the smallest and the largest fleet, against what one costs in the smallest.
void AddSlope(ordered_json& json) {
  const ordered_json& runs = json["runs"];
  if (runs.size() < 2) return;
  const ordered_json& small = runs.front()["apply"];
  const ordered_json& large = runs.back()["apply"];
  const auto slope = [&](const char* of) {
    const double each = small[of].get<double>() / small["count"].get<double>();
    const double more = (large[of].get<double>() - small[of].get<double>()) /
                        (large["count"].get<double>() - small["count"].get<double>());
    return ordered_json{{"msEachInTheSmallest", each * 1000}, {"msEachMore", more * 1000}, {"ratio", more / each}};
  };
  json["slope"] = {{"time", slope("seconds")}, {"ownCpu", slope("ownCpuSeconds")}};
}

struct Aim {
  std::string what;
  double aim;
  double measured;
  bool met() const { return measured <= aim; }
};

std::vector<Aim> AimsOf(const ordered_json& json) {
  const ordered_json& last = json["runs"].back();
  const std::string nodes = absl::StrCat(last["nodes"].get<int>(), " nodes");
  std::vector<Aim> aims = {
      {absl::StrCat(nodes, " converge, seconds"), kAimSeconds, last["apply"]["seconds"].get<double>()},
      {"controller, KiB a connected node", kAimKibALink, Kib(last["links"]["bytesPerLink"].get<int64_t>())},
      {"planning 100000 nodes, seconds", kAimPlanSeconds, json["plan"]["withRecordMedianSeconds"].get<double>()}};
  if (json.contains("slope")) {
    aims.push_back({"one more node against one of the first, CPU", kAimSlope, json["slope"]["ownCpu"]["ratio"]});
    aims.push_back({"one more node against one of the first, time", kAimSlope, json["slope"]["time"]["ratio"]});
  }
  return aims;
}

std::string ToTable(const ordered_json& json) {
  std::vector<std::vector<std::string>> lines = {{"nodes", "seconds", "a second", "own CPU s", "own CPU ms each",
                                                  "nodes' CPU s", "MiB at most", "KiB a link", "commits", "KiB written",
                                                  "commit ms", "load"}};
  for (const ordered_json& run : json["runs"]) {
    const ordered_json& apply = run["apply"];
    const ordered_json& store = apply["store"];
    lines.push_back({absl::StrCat(run["nodes"].get<int>()), Number(apply["seconds"]), Number(apply["perSecond"]),
                     Number(apply["ownCpuSeconds"]), Number(apply["ownCpuMsEach"]), Number(apply["theirCpuSeconds"]),
                     Number(Kib(apply["bytesAtMost"]) / 1024), Number(Kib(run["links"]["bytesPerLink"])),
                     absl::StrCat(store["commits"].get<int64_t>()), Number(Kib(store["bytes"])),
                     Number(store["seconds"].get<double>() * 1000), Number(run["loadAverage"])});
  }
  std::string text = absl::StrCat("apply: waves of 1, 10% and 100%\n\n", Table(lines), "\n");
  lines = {{"of it", "nodes", "seconds", "own CPU s"}};
  for (const ordered_json& run : json["runs"]) {
    lines.push_back({absl::StrCat("reading the configuration"), absl::StrCat(run["nodes"].get<int>()),
                     Number(run["configSeconds"]), ""});
    for (const ordered_json& part : run["apply"]["parts"]) {
      lines.push_back({part["name"].get<std::string>(), absl::StrCat(part["nodes"].get<int>()), Number(part["seconds"]),
                       Number(part["ownCpuSeconds"])});
    }
  }
  absl::StrAppend(&text, Table(lines), "\n");
  lines = {{"aim", "at most", "measured", "met"}};
  for (const Aim& aim : AimsOf(json)) {
    lines.push_back({aim.what, Number(aim.aim), Number(aim.measured), aim.met() ? "yes" : "NO"});
  }
  return text + Table(lines);
}

absl::StatusOr<int> MeasureAll(const Flags& flags) {
  ordered_json json;
  json["plan"] = MeasurePlan();
  json["runs"] = ordered_json::array();
  for (const int nodes : flags.nodes) {
    ASSIGN_OR_RETURN(ordered_json one, MeasureInOwnProcess(flags, nodes));
    json["runs"].push_back(std::move(one));
  }
  AddSlope(json);
  std::cout << (flags.output == "json" ? json.dump(2) + "\n" : ToTable(json));
  return 0;
}

}  // namespace
}  // namespace certcast::bench

int main(int argc, char** argv) {
  certcast::bench::Flags flags;
  certcast::bench::Program program(
      "rollout",
      "How long a certificate takes to a whole fleet of simulated nodes, and what that costs the controller.",
      "//tests/bench:rollout -- --nodes 1000,10000");
  CLI::App& app = program.app();
  app.add_option("--nodes", flags.nodes, "fleets of how many nodes, one after the other [1000,10000]")
      ->delimiter(',')
      ->check(CLI::Range(1, 50'000));
  program.OfferFleet(flags.parallel, flags.processes);
  app.add_flag("--one", flags.one, "one fleet, in this process, as JSON");
  app.add_flag(
      "--serve", flags.serve,
      "measure nothing: start the first fleet, import a certificate, and say how to roll it out; until standard "
      "input ends. A line `import` there imports the next one");
  program.OfferDirectory(flags.directory, "the controller's store is made");
  program.OfferOutput(flags.output);
  return program.Main(argc, argv, [&]() -> absl::StatusOr<int> {
    if (flags.serve) return certcast::bench::Serve(flags);
    return flags.one ? certcast::bench::MeasureOne(flags) : certcast::bench::MeasureAll(flags);
  });
}
