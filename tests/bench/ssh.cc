// How fast a certificate reaches hosts over SSH, beside what else brings two files there.
//
// Measured on real OpenSSH servers on loopback, one a host, with the programs as they are shipped:
//   certcast, first contact   `certcast apply` to hosts that have no agent: it is uploaded, checked and started
//   certcast, later contact   `certcast apply` of a new generation: login, install, check, reload, probe, Confirm;
//                             journalled and synced on the host, each step saved by the controller before it is taken
//   ssh true                  what the machine can do: `ssh host true` by OpenSSH, nothing more
//   bare libssh               the least a program can do: log in, write the same two files by one command
//   pdsh, clush               the files through the login's standard input, a link, the reload; one login a host
//   ansible-playbook          directory, copy, copy, link, command; and all of it in one task; and a play of one task
//                             on this machine, certcast.fleet.certificate, which is a later contact
// The hosts share one agent after the first contact, as they share sshd and their shells, unless told otherwise.
// By turns, each once what the one before it wrote is on the disk. own CPU is the program's on this side. All CPU is
// that of hosts and services as well, which share the machine.
//
// The others have curve25519 as key exchange where it is not said otherwise, which is a favour (OpenSSH's default takes
// its client 90 ms; there is a line for it). certcast asks for P-256 first, which costs both ends less: there are lines
// for that as well. Further favours: no facts, and nothing is synced, checked, probed or put back. Not measured: waves,
// soaking, `verify`.
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/substitute.h"
#include "common/status/status.h"
#include "tests/bench/comparison.h"
#include "tests/bench/measure.h"
#include "tests/bench/process_tree.h"
#include "tests/bench/program.h"
#include "tests/bench/ssh_hosts.h"
#include "tests/bench/ssh_tools.h"
#include "tests/bench/work_folder.h"
#include "tests/testing/program.h"

namespace certcast::bench {
namespace {

using testing::ReadFile;
using testing::WriteFile;

constexpr char kCertcast[] = "controller/certcast";
constexpr char kAgent[] = "node/certcast-node";

constexpr char kFirst[] = "certcast, first contact";
constexpr char kLater[] = "certcast, later contact";
constexpr char kBareLibssh[] = "bare libssh, two files";
constexpr char kPdsh[] = "pdsh";
constexpr char kFiveTasks[] = "ansible, five tasks, warm";
constexpr char kTask[] = "ansible, certcast.fleet.certificate";

struct Flags {
  int hosts = 20;
  int parallel = 32;
  int repeat = 3;
  bool no_plays = false;
  bool own_agents = false;
  std::string output = "table";
  std::string directory;
};

// One way to do it, over its repetitions.
struct Line {
  std::string name;
  int failed = 0;
  std::string failure;
  std::vector<Measured> runs;
  int logins = 0;
};

struct Result {
  Flags flags;
  double load = 0;
  std::vector<Line> lines;
  // What was not compared, and why.
  std::vector<std::string> left_out;

  const Line* Find(absl::string_view name) const {
    for (const Line& line : lines) {
      if (line.name == name && !line.runs.empty()) return &line;
    }
    return nullptr;
  }
};

// `certcast` with a configuration for these hosts.
class Controller {
 public:
  Controller(const SshHosts& hosts, int parallel)
      : hosts_(hosts), parallel_(parallel), folder_(hosts.folder() + "/controller") {}

  absl::Status Init() const {
    std::filesystem::create_directory(folder_);
    RETURN_IF_ERROR(WriteFile(config(), Configuration()));
    return Succeed({"init"});
  }

  // Makes it the certificate's next generation.
  absl::Status Import(const testing::IssuedCertificate& issued) const {
    RETURN_IF_ERROR(WriteFile(folder_ + "/new.pem", issued.fullchain_pem));
    RETURN_IF_ERROR(WriteFile(folder_ + "/new.key", issued.key_pem.ExposeSecret()));
    return Succeed({"import", "wildcard", "--fullchain", folder_ + "/new.pem", "--key", folder_ + "/new.key"});
  }

  MeasuredCommand Command(const std::vector<std::string>& arguments) const {
    MeasuredCommand command;
    command.argv = {program(), "--config", config()};
    command.argv.insert(command.argv.end(), arguments.begin(), arguments.end());
    command.log = log_file();
    return command;
  }
  std::string log_file() const { return folder_ + "/log"; }
  std::string config() const { return folder_ + "/certcast.yaml"; }
  static std::string program() { return std::filesystem::absolute(kCertcast).string(); }

 private:
  absl::Status Succeed(const std::vector<std::string>& arguments) const {
    ASSIGN_OR_RETURN(const Measured measured, RunMeasured(Command(arguments), absl::ZeroDuration()));
    if (measured.exit_code == 0) return absl::OkStatus();
    return absl::InternalError(absl::StrCat("certcast ", arguments[0], ": ", ReadFile(log_file())));
  }

  std::string Configuration() const {
    std::string nodes;
    std::string services;
    for (const SshHost& host : hosts_.hosts()) {
      absl::StrAppend(&nodes,
                      absl::Substitute(R"(  - {name: $0, address: "ssh://$1@$2", state: $3/state, services: [$0]}
)",
                                       host.name, kSshUser, host.sshd->endpoint(), host.folder));
      absl::StrAppend(&services, absl::Substitute(R"(  - name: $0
    certificate: wildcard
    files:
      - {path: $1/fullchain.pem, content: fullchain}
      - {path: $1/privkey.pem, content: private_key}
    check: [test, -s, $1/privkey.pem]
    reload: {run: [bash, $1/reload], timeout: 60s}
    probes: [{tls: {address: "$2", server_name: www.example.com, timeout: 10s}}]
)",
                                                  host.name, host.folder, host.service->address()));
    }
    return absl::Substitute(R"(state: store
master_key: {file: master.key}
certificates:
  - {name: wildcard, domains: ["*.example.com"], nodes: all, rollout: {waves: ["100%"], parallel: $0}}
ssh: {key: {file: $1}, known_hosts: $2, agent_binary: $3}
nodes:
$4services:
$5)",
                            parallel_, hosts_.key_file(), hosts_.known_hosts_file(),
                            std::filesystem::absolute(kAgent).string(), nodes, services);
  }

  const SshHosts& hosts_;
  const int parallel_;
  const std::string folder_;
};

class SshBenchmark {
 public:
  SshBenchmark(const Flags& flags, const SshHosts& hosts)
      : flags_(flags), hosts_(hosts), controller_(hosts, flags.parallel), tools_(hosts, flags.parallel) {
    result_.flags = flags;
    result_.load = LoadAverage();
  }

  absl::StatusOr<Result> Run() {
    RETURN_IF_ERROR(tools_.Prepare(hosts_.Issue()));
    RETURN_IF_ERROR(controller_.Init());
    RETURN_IF_ERROR(MeasureApply(kFirst));
    if (!flags_.own_agents) RETURN_IF_ERROR(hosts_.ShareAgents());
    // By turns, so that what else the machine does is in all of them.
    for (int i = 0; i < flags_.repeat; ++i) {
      RETURN_IF_ERROR(MeasureApply(kLater));
      RETURN_IF_ERROR(MeasureTool("ssh true", tools_.SshTrue(), ""));
      RETURN_IF_ERROR(MeasureCopy(kBareLibssh, "", "",
                                  [this](const auto& to) { return tools_.BareLibssh(to, KeyExchange::kCurve25519); }));
      RETURN_IF_ERROR(MeasureCopy("bare libssh, P-256", "", "",
                                  [this](const auto& to) { return tools_.BareLibssh(to, KeyExchange::kP256); }));
      RETURN_IF_ERROR(MeasureCopy(kPdsh, "pdsh", "pdsh",
                                  [this](const auto& to) { return tools_.Pdsh(to, KeyExchange::kCurve25519); }));
      RETURN_IF_ERROR(MeasureCopy("pdsh, P-256", "pdsh", "pdsh",
                                  [this](const auto& to) { return tools_.Pdsh(to, KeyExchange::kP256); }));
      RETURN_IF_ERROR(MeasureCopy("pdsh, sntrup761", "pdsh", "pdsh",
                                  [this](const auto& to) { return tools_.Pdsh(to, KeyExchange::kDefault); }));
      RETURN_IF_ERROR(
          MeasureCopy("clush", "clush", "clustershell", [this](const auto& to) { return tools_.Clush(to); }));
    }
    if (!flags_.no_plays) RETURN_IF_ERROR(MeasurePlays());
    return std::move(result_);
  }

 private:
  // Once: the first time opens connections, the second finds them.
  absl::Status MeasurePlays() {
    const auto five = [this](const auto& to) { return tools_.AnsiblePlaybook(to, Play::kFiveTasks); };
    const auto one = [this](const auto& to) { return tools_.AnsiblePlaybook(to, Play::kOneTask); };
    RETURN_IF_ERROR(MeasureCopy("ansible, five tasks, cold", "ansible-playbook", "ansible-core", five));
    RETURN_IF_ERROR(MeasureCopy(kFiveTasks, "ansible-playbook", "ansible-core", five));
    RETURN_IF_ERROR(MeasureCopy("ansible, one task, warm", "ansible-playbook", "ansible-core", one));
    if (!IsInstalled("ansible-playbook")) return absl::OkStatus();
    return MeasureApply(kTask, tools_.CertificateTask(controller_.program(), controller_.config()), tools_.log_file());
  }

  Line& LineOf(const std::string& name) {
    for (Line& line : result_.lines) {
      if (line.name == name) return line;
    }
    result_.lines.emplace_back().name = name;
    return result_.lines.back();
  }

  absl::Status MeasureApply(const std::string& name) {
    return MeasureApply(name, controller_.Command({"apply"}), controller_.log_file());
  }

  // `command` rolls the next generation out.
  absl::Status MeasureApply(const std::string& name, const MeasuredCommand& command, const std::string& log) {
    const testing::IssuedCertificate issued = hosts_.Issue();
    RETURN_IF_ERROR(controller_.Import(issued));
    RETURN_IF_ERROR(MeasureTool(name, command, log));
    Line& line = LineOf(name);
    for (const SshHost& host : hosts_.hosts()) {
      const std::string served = host.Served();
      if (served == issued.certificate.sha256()) continue;
      if (line.failed++ == 0) line.failure = absl::StrCat(host.name, " serves ", served);
    }
    return absl::OkStatus();
  }

  // `package` has `program`; both empty: it is always there.
  absl::Status MeasureCopy(const std::string& name, const std::string& program, const std::string& package,
                           const std::function<MeasuredCommand(const std::string& directory)>& command) {
    if (!program.empty() && !IsInstalled(program)) {
      const std::string why = NotInstalled(name, program, package);
      if (std::find(result_.left_out.begin(), result_.left_out.end(), why) == result_.left_out.end()) {
        result_.left_out.push_back(why);
      }
      return absl::OkStatus();
    }
    const std::string directory = absl::StrCat("g", ++directories_);
    RETURN_IF_ERROR(MeasureTool(name, command(directory), tools_.log_file()));
    if (const int missing = tools_.CountMissing(directory); missing > 0) {
      Line& line = LineOf(name);
      line.failed += missing;
      if (line.failure.empty()) line.failure = absl::StrCat(missing, " hosts have not got the files");
    }
    return absl::OkStatus();
  }

  absl::Status MeasureTool(const std::string& name, const MeasuredCommand& command, const std::string& log) {
    Line& line = LineOf(name);
    const int logins = hosts_.Logins();
    // What the one before left to be written is not of this one: a first contact leaves a program for each host.
    sync();
    ASSIGN_OR_RETURN(const Measured measured, RunMeasured(command));
    line.logins = hosts_.Logins() - logins;
    line.runs.push_back(measured);
    if (measured.exit_code != 0) {
      ++line.failed;
      line.failure = absl::StrCat(command.argv[0], " exited with ", measured.exit_code, "\n", LastOf(log));
    }
    return absl::OkStatus();
  }

  const Flags flags_;
  const SshHosts& hosts_;
  const Controller controller_;
  const SshTools tools_;
  int directories_ = 0;
  Result result_;
};

std::vector<Aim> Aims(const Result& result) {
  std::vector<Aim> aims;
  const Line* later = result.Find(kLater);
  if (later == nullptr) return aims;
  const double wall = absl::ToDoubleSeconds(Median(later->runs, &Measured::wall));
  const auto times_faster = [&](const char* than, double wanted) {
    const Line* other = result.Find(than);
    if (other == nullptr) return;
    const double its_wall = absl::ToDoubleSeconds(Median(other->runs, &Measured::wall));
    aims.push_back({absl::StrCat("later contact, times as fast as ", than), wanted, true, its_wall / wall});
  };
  times_faster(kFiveTasks, 30);
  times_faster(kPdsh, 1);
  if (const Line* task = result.Find(kTask), *plays = result.Find(kFiveTasks); task != nullptr && plays != nullptr) {
    aims.push_back({absl::StrCat(kTask, ", times as fast as ", kFiveTasks), 20, true,
                    absl::FDivDuration(Median(plays->runs, &Measured::wall), Median(task->runs, &Measured::wall))});
  }
  if (const Line* bare = result.Find(kBareLibssh)) {
    aims.push_back(
        {"later contact, controller CPU in that of bare libssh", 2, false,
         absl::FDivDuration(Median(later->runs, &Measured::own_cpu), Median(bare->runs, &Measured::own_cpu))});
  }
  return aims;
}

nlohmann::ordered_json ToJson(const Result& result) {
  nlohmann::ordered_json json;
  json["hosts"] = result.flags.hosts;
  json["parallel"] = result.flags.parallel;
  json["loadAverage"] = result.load;
  json["lines"] = nlohmann::ordered_json::array();
  for (const Line& line : result.lines) {
    const absl::Duration wall = Median(line.runs, &Measured::wall);
    json["lines"].push_back({{"name", line.name},
                             {"runs", line.runs.size()},
                             {"failed", line.failed},
                             {"logins", line.logins},
                             {"seconds", absl::ToDoubleSeconds(wall)},
                             {"perSecond", result.flags.hosts / absl::ToDoubleSeconds(wall)},
                             {"ownCpuSeconds", absl::ToDoubleSeconds(Median(line.runs, &Measured::own_cpu))},
                             {"allCpuSeconds", absl::ToDoubleSeconds(Median(line.runs, &Measured::all_cpu))}});
  }
  json["aims"] = ToJson(Aims(result));
  json["leftOut"] = result.left_out;
  return json;
}

std::string ToTable(const Result& result) {
  std::string text = absl::StrCat(result.flags.hosts, " hosts, ", result.flags.parallel,
                                  " at once; medians; load average ", Number(result.load), "\n\n");
  std::vector<std::vector<std::string>> cells = {{"what", "runs", "failed", "logins", "seconds", "hosts a second",
                                                  "own CPU s", "own CPU ms each", "all CPU s", "all CPU ms each"}};
  for (const Line& line : result.lines) {
    const absl::Duration wall = Median(line.runs, &Measured::wall);
    const absl::Duration own = Median(line.runs, &Measured::own_cpu);
    const absl::Duration all = Median(line.runs, &Measured::all_cpu);
    const int hosts = result.flags.hosts;
    cells.push_back({line.name, absl::StrCat(line.runs.size()), absl::StrCat(line.failed), absl::StrCat(line.logins),
                     Number(absl::ToDoubleSeconds(wall)), Number(hosts / absl::ToDoubleSeconds(wall)),
                     Number(absl::ToDoubleSeconds(own)), Milliseconds(own / hosts), Number(absl::ToDoubleSeconds(all)),
                     Milliseconds(all / hosts)});
  }
  absl::StrAppend(&text, Table(cells), "\n");
  absl::StrAppend(&text, AimTable(Aims(result)));
  for (const std::string& what : result.left_out) absl::StrAppend(&text, "left out: ", what, "\n");
  return text;
}

absl::StatusOr<Result> MeasureSsh(const Flags& flags) {
  RETURN_IF_ERROR(AdoptDescendants());
  ASSIGN_OR_RETURN(const std::unique_ptr<WorkFolder> folder, WorkFolder::Make(flags.directory));
  ASSIGN_OR_RETURN(const std::unique_ptr<SshHosts> hosts, SshHosts::Start(flags.hosts, folder->path()));
  return SshBenchmark(flags, *hosts).Run();
}

absl::StatusOr<int> Run(const Flags& flags) {
  ASSIGN_OR_RETURN(const Result result, MeasureSsh(flags));
  std::cout << (flags.output == "json" ? ToJson(result).dump(2) + "\n" : ToTable(result));
  int failed = 0;
  for (const Line& line : result.lines) {
    if (line.failed > 0)
      std::cerr << "ssh: " << line.name << ": " << line.failed << " failed: " << line.failure << "\n";
    failed += line.failed;
  }
  return failed > 0 ? 1 : 0;
}

}  // namespace
}  // namespace certcast::bench

int main(int argc, char** argv) {
  certcast::bench::Flags flags;
  certcast::bench::Program program(
      "ssh", "How fast a certificate reaches hosts over SSH, beside ssh, libssh, pdsh, clush and ansible-playbook.",
      "//tests/bench:ssh -- --hosts 100   (as root, after tests/setup.sh --bench)");
  CLI::App& app = program.app();
  app.add_option("--hosts", flags.hosts, "how many hosts")->capture_default_str()->check(CLI::Range(1, 500));
  app.add_option("--parallel", flags.parallel,
                 "how many at once; bare libssh has 16 threads, ansible-playbook 50 forks")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000));
  app.add_option("--repeat", flags.repeat, "of all but the first contact and the plays")
      ->capture_default_str()
      ->check(CLI::Range(1, 100));
  app.add_flag("--own-agents", flags.own_agents,
               "each host keeps the agent that was put there; it is read from the disk again where this machine has "
               "dropped it from its memory since");
  app.add_flag("--no-plays", flags.no_plays, "leave out ansible-playbook, which takes most of the time");
  program.OfferDirectory(flags.directory, "the hosts' disk is");
  program.OfferOutput(flags.output);
  return program.Main(argc, argv, [&] { return certcast::bench::Run(flags); });
}
