// What an agent costs that has nothing to do.
//
// Measured on the shipped, static `certcast-node run`, enrolled and with one service configured: resident memory (of
// which private to it), threads, how often one of its threads was woken, and CPU; first without a link, then with one
// that is open and idle, whose keepalive pings are the only traffic.
//
// Woken: voluntary context switches, summed over the threads, as the kernel counts them: each is a thread that went to
// sleep again after it had run. Not measured: what dial-home costs.
#include <dirent.h>
#include <sys/stat.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/substitute.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "common/identity/names.h"
#include "common/process/process.h"
#include "common/status/status.h"
#include "common/x509/private_key.h"
#include "controller/transport/grpc_transport.h"
#include "tests/bench/measure.h"
#include "tests/bench/work_folder.h"
#include "tests/testing/program.h"
#include "tests/testing/test_ca.h"
#include "tests/testing/test_fleet.h"

namespace certcast::bench {
namespace {

constexpr char kAgent[] = "node/certcast-node";
constexpr char kNode[] = "rest-01";
constexpr char kFleetId[] = "6d1c7f6e-3a5b-4f0e-9c53-0d5f6c1b7a10";
constexpr absl::Duration kPlenty = absl::Seconds(20);

// $0 name, $1 folder, $2 address.
constexpr absl::string_view kNodeYaml = R"(name: $0
state: $1/state
listen: $2
allow_names: ["*.example.com"]
services:
  - name: web
    certificate: wildcard
    files:
      - {path: $1/tls/fullchain.pem, content: fullchain}
      - {path: $1/tls/privkey.pem, content: private_key}
    reload: none
    probes:
      - tls: {address: "127.0.0.1:443", server_name: www.example.com}
)";

struct Flags {
  int seconds = 60;
  std::string output = "table";
  std::string directory;
};

// Since the process started.
struct Usage {
  int64_t resident = 0;
  int64_t resident_private = 0;
  int threads = 0;
  int64_t wakeups = 0;
  absl::Duration cpu;
};

struct Line {
  std::string what;
  Usage usage;
  double wakeups_a_minute = 0;
  double cpu_ms_a_minute = 0;
};

// The number after `key` in a file of /proc/PID.
int64_t NumberIn(const std::string& path, absl::string_view key) {
  for (absl::string_view line : absl::StrSplit(testing::ReadFile(path), '\n')) {
    if (!absl::ConsumePrefix(&line, key)) continue;
    const std::vector<absl::string_view> words = absl::StrSplit(line, absl::ByAnyChar(": \t"), absl::SkipEmpty());
    int64_t number = 0;
    if (!words.empty() && absl::SimpleAtoi(words.front(), &number)) return number;
  }
  return 0;
}

Usage UsageOf(pid_t pid) {
  Usage usage;
  const std::string process = absl::StrCat("/proc/", pid);
  usage.resident = NumberIn(process + "/status", "VmRSS") * 1024;
  usage.resident_private = NumberIn(process + "/status", "RssAnon") * 1024;
  for (const auto& thread : std::filesystem::directory_iterator(process + "/task")) {
    ++usage.threads;
    usage.wakeups += NumberIn(thread.path().string() + "/status", "voluntary_ctxt_switches");
  }
  usage.cpu = CpuOf(pid);
  return usage;
}

Line Watch(std::string what, pid_t pid, absl::Duration time) {
  const Usage before = UsageOf(pid);
  absl::SleepFor(time);
  Line line{.what = std::move(what), .usage = UsageOf(pid)};
  const double minutes = absl::ToDoubleMinutes(time);
  line.wakeups_a_minute = static_cast<double>(line.usage.wakeups - before.wakeups) / minutes;
  line.cpu_ms_a_minute = absl::ToDoubleMilliseconds(line.usage.cpu - before.cpu) / minutes;
  return line;
}

// An agent of its own fleet, in a folder of its own.
class Agent {
 public:
  static absl::StatusOr<std::unique_ptr<Agent>> Start(const std::string& parent) {
    std::unique_ptr<Agent> agent(new Agent);
    ASSIGN_OR_RETURN(agent->folder_, WorkFolder::Make(parent));
    RETURN_IF_ERROR(agent->Enrol());
    ASSIGN_OR_RETURN(agent->program_, testing::Program::Start(
                                          {.argv = agent->Argv("run"), .output = agent->log(), .error = agent->log()}));
    RETURN_IF_ERROR(Annotate(
        testing::WaitUntil("the agent listens", kPlenty,
                           [&] { return absl::StrContains(testing::ReadFile(agent->log()), "listening on "); }),
        testing::ReadFile(agent->log())));
    return agent;
  }

  pid_t pid() const { return program_->pid(); }

  absl::StatusOr<std::unique_ptr<controller::Link>> Open() const {
    testing::IssuedCertificate issued =
        ca_.Issue({.dns_names = {ControllerDnsName()}, .uris = {ControllerUri(fleet_.id())}});
    controller::GrpcTransport transport({.fleet_id = fleet_.id(),
                                         .chain_pem = issued.fullchain_pem,
                                         .private_key_pem = std::move(issued.key_pem),
                                         .fleet_ca_pem = ca_.root_pem()});
    return transport.Open({.name = kNode, .address = address_}, kPlenty);
  }

 private:
  Agent() = default;

  std::string config() const { return folder_->path() + "/node.yaml"; }
  std::string log() const { return folder_->path() + "/agent.log"; }
  std::vector<std::string> Argv(const std::string& verb) const { return {kAgent, "--config", config(), verb}; }

  absl::Status Run(const std::string& verb, std::string input) const {
    ASSIGN_OR_RETURN(const ProcessResult result,
                     ProcessRunner::Real().Run({.argv = Argv(verb), .input = std::move(input), .timeout = kPlenty}));
    return result.ok() ? absl::OkStatus() : absl::InternalError(absl::StrCat(result.Describe(), ": ", result.error));
  }

  absl::Status Enrol() {
    ASSIGN_OR_RETURN(const int port, testing::FreePort("127.0.0.1"));
    address_ = absl::StrCat("127.0.0.1:", port);
    if (mkdir((folder_->path() + "/tls").c_str(), 0755) != 0) return FailErrno(errno, "making a directory");
    RETURN_IF_ERROR(testing::WriteFile(config(), absl::Substitute(kNodeYaml, kNode, folder_->path(), address_)));
    RETURN_IF_ERROR(Run("csr", ""));
    ASSIGN_OR_RETURN(const PrivateKey key,
                     PrivateKey::FromPem(testing::ReadFile(folder_->path() + "/state/identity/key.pem")));
    return Run("accept", fleet_.Identity(ca_, kNode, key));
  }

  const testing::TestFleet fleet_{kFleetId};
  const testing::TestCa ca_ = testing::TestCa::Root("fleet CA");
  std::unique_ptr<WorkFolder> folder_;
  std::string address_;
  std::unique_ptr<testing::Program> program_;
};

absl::StatusOr<std::vector<Line>> MeasureAgent(const Flags& flags) {
  ASSIGN_OR_RETURN(const std::unique_ptr<Agent> agent, Agent::Start(flags.directory));
  const absl::Duration time = absl::Seconds(flags.seconds);
  std::vector<Line> lines = {Watch("no link", agent->pid(), time)};
  ASSIGN_OR_RETURN(const std::unique_ptr<controller::Link> link, agent->Open());
  v1::Command describe;
  describe.set_id("describe");
  describe.mutable_describe();
  RETURN_IF_ERROR(link->Call(describe, kPlenty, [](const v1::Progress&) {}).status());
  lines.push_back(Watch("one idle link", agent->pid(), time));
  return lines;
}

double Megabytes(int64_t bytes) {
  return static_cast<double>(bytes) / 1e6;
}

std::string ToTable(const std::vector<Line>& lines, int seconds) {
  std::vector<std::vector<std::string>> cells = {
      {"at rest", "resident MB", "private MB", "threads", "woken a minute", "CPU ms a minute"}};
  for (const Line& line : lines) {
    cells.push_back({line.what, Number(Megabytes(line.usage.resident)), Number(Megabytes(line.usage.resident_private)),
                     absl::StrCat(line.usage.threads), Number(line.wakeups_a_minute), Number(line.cpu_ms_a_minute)});
  }
  return absl::StrCat("watched for ", seconds, " s each\n\n", Table(cells));
}

nlohmann::ordered_json ToJson(const std::vector<Line>& lines, int seconds) {
  nlohmann::ordered_json json;
  json["secondsEach"] = seconds;
  json["atRest"] = nlohmann::ordered_json::array();
  for (const Line& line : lines) {
    json["atRest"].push_back({{"what", line.what},
                              {"residentBytes", line.usage.resident},
                              {"privateBytes", line.usage.resident_private},
                              {"threads", line.usage.threads},
                              {"wakeupsAMinute", line.wakeups_a_minute},
                              {"cpuMsAMinute", line.cpu_ms_a_minute}});
  }
  return json;
}

int Run(const Flags& flags) {
  const absl::StatusOr<std::vector<Line>> lines = MeasureAgent(flags);
  if (!lines.ok()) {
    const v1::Failure failure = FailureOf(lines.status());
    std::cerr << "rest: " << failure.detail() << (failure.hint().empty() ? "" : "\n  ") << failure.hint() << "\n";
    return absl::IsInvalidArgument(lines.status()) ? 2 : 1;
  }
  std::cout << (flags.output == "json" ? ToJson(*lines, flags.seconds).dump(2) + "\n" : ToTable(*lines, flags.seconds));
  return 0;
}

}  // namespace
}  // namespace certcast::bench

int main(int argc, char** argv) {
  // As the program itself does.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  certcast::controller::SilenceGrpcLog();
  certcast::bench::Flags flags;
  CLI::App app(
      "What an agent at rest costs: memory, wake-ups, CPU.\n"
      "Run it as: bazel run //tests/bench:rest -- --seconds 300\n"
      "See the top of tests/bench/rest.cc for what is measured.");
  app.add_option("--seconds", flags.seconds, "how long it is watched, without a link and with one")
      ->capture_default_str()
      ->check(CLI::Range(1, 86'400));
  app.add_option("--directory", flags.directory, "where the agent's files are made ($TMPDIR)");
  app.add_option("-o,--output", flags.output, "table or json")
      ->capture_default_str()
      ->check(CLI::IsMember({"table", "json"}));
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  return certcast::bench::Run(flags);
}
