// What it takes to obtain a certificate, beside other ACME clients.
//
// Measured against one real Pebble with pebble-challtestsrv as its DNS (every validation is done): the programs as they
// are shipped, certcast, certbot, lego, uacme and dehydrated, each for one name with a P-256 key, a new account, in a
// home of its own, by http-01 from the same folder; by turns. Seconds and CPU are of the program and what it starts
// (hooks), medians. Requests are counted by Pebble's own log. Each trusts Pebble's root by its own means; uacme has
// none, and is started by `unshare` and `mount`, some 2 ms of its CPU. `certcast with init` also makes the fleet with
// its keys and CA, which others have no counterpart of. Account keys are each one's own choice: dehydrated's is RSA
// 4096 and certbot's RSA 2048, which is most of dehydrated's CPU.
//
// Then the controller's own Issuer alone, in this process: one name, and a wildcard with its apex (two authorizations,
// two TXT records at one name by a hook), ECDSA P-256 and RSA-2048 keys, each as a renewal of the last.
//
// Not measured: a real CA and real DNS, where nearly all of the time goes; Pebble looks at once (PEBBLE_VA_NOSLEEP) and
// refuses no nonce. The seconds here are pauses between two looks at an order, starting programs, and keys.
#include <algorithm>
#include <filesystem>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/status/status.h"
#include "tests/bench/acme_clients.h"
#include "tests/bench/comparison.h"
#include "tests/bench/measure.h"
#include "tests/bench/own_issuance.h"
#include "tests/bench/process_tree.h"
#include "tests/bench/program.h"
#include "tests/bench/work_folder.h"

namespace certcast::bench {
namespace {

struct Flags {
  int repeat = 5;
  std::vector<std::string> clients;
  bool no_own = false;
  std::string output = "table";
  std::string directory;
};

// One client, over its repetitions.
struct Line {
  AcmeClient client;
  int failed = 0;
  std::string failure;
  std::vector<Measured> runs;
  std::vector<int> requests;

  double Seconds() const { return absl::ToDoubleSeconds(Median(runs, &Measured::wall)); }
  double CpuSeconds() const { return absl::ToDoubleSeconds(Median(runs, &Measured::own_cpu)); }
  // Of the run that needed fewest: looks at what is not decided yet are a matter of luck.
  int LeastRequests() const { return *std::min_element(requests.begin(), requests.end()); }
  int MostRequests() const { return *std::max_element(requests.begin(), requests.end()); }
};

struct Result {
  double load = 0;
  std::vector<Line> lines;
  // What was not compared, and why.
  std::vector<std::string> left_out;
  // In this process.
  std::vector<IssuanceLine> own;
};

absl::StatusOr<std::vector<Line>> ChosenClients(const Flags& flags, std::vector<std::string>& left_out) {
  std::vector<Line> lines;
  std::vector<std::string> names;
  for (AcmeClient& client : AcmeClients()) {
    names.push_back(client.name);
    if (!flags.clients.empty() && std::count(flags.clients.begin(), flags.clients.end(), client.name) == 0) continue;
    if (!client.program.empty() && !IsInstalled(client.program)) {
      left_out.push_back(NotInstalled(client.name, client.program, client.package));
      continue;
    }
    lines.push_back({.client = std::move(client)});
  }
  for (const std::string& asked : flags.clients) {
    if (std::count(names.begin(), names.end(), asked) == 0) return FailInput(absl::StrCat("no client ", asked));
  }
  return lines;
}

// From an empty home to a certificate, which Pebble's log must have, and no other.
absl::Status MeasureOnce(const AcmeSite& site, const std::string& home, Line& line) {
  std::filesystem::create_directory(home);
  ASSIGN_OR_RETURN(const std::vector<MeasuredCommand> commands, line.client.prepare(site, home));
  const int requests = site.Requests();
  const int issued = site.Issued();
  Measured sum;
  for (const MeasuredCommand& command : commands) {
    ASSIGN_OR_RETURN(const Measured one, RunMeasured(command, absl::ZeroDuration()));
    sum.wall += one.wall;
    sum.own_cpu += one.own_cpu;
    sum.all_cpu += one.all_cpu;
    if (one.exit_code == 0) continue;
    ++line.failed;
    line.failure = absl::StrCat(command.argv[0], " exited with ", one.exit_code, "\n", LastOf(command.log));
    break;
  }
  if (line.failed == 0 && site.Issued() != issued + 1) {
    ++line.failed;
    line.failure = absl::StrCat("Pebble issued ", site.Issued() - issued, " certificates for one");
  }
  line.runs.push_back(sum);
  line.requests.push_back(site.Requests() - requests);
  return absl::OkStatus();
}

absl::StatusOr<Result> MeasureClients(const Flags& flags) {
  RETURN_IF_ERROR(AdoptDescendants());
  Result result;
  result.load = LoadAverage();
  ASSIGN_OR_RETURN(result.lines, ChosenClients(flags, result.left_out));
  ASSIGN_OR_RETURN(const std::unique_ptr<WorkFolder> folder, WorkFolder::Make(flags.directory));
  const std::string& path = folder->path();
  const std::string site_folder = path + "/site";
  const std::string own_folder = path + "/own";
  for (const std::string& made : {site_folder, own_folder}) std::filesystem::create_directory(made);
  {
    ASSIGN_OR_RETURN(const std::unique_ptr<AcmeSite> site, AcmeSite::Start(site_folder));
    for (int i = 0; i < flags.repeat; ++i) {
      for (size_t at = 0; at < result.lines.size(); ++at) {
        RETURN_IF_ERROR(MeasureOnce(*site, absl::StrCat(path, "/home-", i, "-", at), result.lines[at]));
      }
    }
  }
  if (!flags.no_own) {
    ASSIGN_OR_RETURN(result.own, MeasureOwnIssuance(own_folder, flags.repeat));
  }
  return result;
}

std::vector<Aim> Aims(const Result& result) {
  const Line* own = nullptr;
  std::vector<Aim> aims;
  for (const Line& line : result.lines) {
    if (line.client.name == "certcast" && line.failed == 0) own = &line;
  }
  if (own == nullptr) return {};
  for (const Line& line : result.lines) {
    if (line.client.program.empty() || line.failed > 0) continue;
    const std::string& name = line.client.name;
    aims.push_back({absl::StrCat("requests, in those of ", name), 1, false,
                    static_cast<double>(own->LeastRequests()) / line.LeastRequests()});
    aims.push_back({absl::StrCat("seconds, in those of ", name), 1, false, own->Seconds() / line.Seconds()});
    if (name != "lego") continue;
    aims.push_back({"CPU, in that of lego", 1, false, own->CpuSeconds() / line.CpuSeconds()});
  }
  return aims;
}

nlohmann::ordered_json ToJson(const Result& result) {
  nlohmann::ordered_json json;
  json["loadAverage"] = result.load;
  json["clients"] = nlohmann::ordered_json::array();
  for (const Line& line : result.lines) {
    json["clients"].push_back({{"name", line.client.name},
                               {"runs", line.runs.size()},
                               {"failed", line.failed},
                               {"leastRequests", line.LeastRequests()},
                               {"mostRequests", line.MostRequests()},
                               {"seconds", line.Seconds()},
                               {"cpuSeconds", line.CpuSeconds()}});
  }
  json["aims"] = ToJson(Aims(result));
  json["leftOut"] = result.left_out;
  json["certificates"] = ToJson(result.own);
  return json;
}

std::string Range(int least, int most) {
  return least == most ? absl::StrCat(least) : absl::StrCat(least, " to ", most);
}

std::string ToTable(const Result& result) {
  std::string text =
      absl::StrCat("one certificate and a new account, against Pebble on this machine; medians; load average ",
                   Number(result.load), "\n\n");
  std::vector<std::vector<std::string>> cells = {{"client", "runs", "failed", "requests", "seconds", "CPU s"}};
  for (const Line& line : result.lines) {
    cells.push_back({line.client.name, absl::StrCat(line.runs.size()), absl::StrCat(line.failed),
                     Range(line.LeastRequests(), line.MostRequests()), absl::StrFormat("%.3f", line.Seconds()),
                     absl::StrFormat("%.3f", line.CpuSeconds())});
  }
  absl::StrAppend(&text, Table(cells), "\n", AimTable(Aims(result)));
  for (const std::string& what : result.left_out) absl::StrAppend(&text, "left out: ", what, "\n");
  if (!result.own.empty()) absl::StrAppend(&text, "\nthe Issuer alone\n\n", ToTable(result.own));
  return text;
}

absl::StatusOr<int> Run(const Flags& flags) {
  ASSIGN_OR_RETURN(const Result result, MeasureClients(flags));
  std::cout << (flags.output == "json" ? ToJson(result).dump(2) + "\n" : ToTable(result));
  int failed = 0;
  for (const Line& line : result.lines) {
    if (line.failed > 0) std::cerr << "issue: " << line.client.name << ": " << line.failure << "\n";
    failed += line.failed;
  }
  return failed > 0 ? 1 : 0;
}

}  // namespace
}  // namespace certcast::bench

int main(int argc, char** argv) {
  certcast::bench::Flags flags;
  certcast::bench::Program program(
      "issue",
      "What it takes to obtain a certificate: seconds, CPU and requests, against Pebble, beside other ACME clients.",
      "//tests/bench:issue -- --repeat 10   (as root, after tests/setup.sh --bench)");
  CLI::App& app = program.app();
  app.add_option("--repeat", flags.repeat, "how often each certificate is issued")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000));
  app.add_option("--clients", flags.clients, "these alone: certcast,lego")->delimiter(',');
  app.add_flag("--no-own", flags.no_own, "leave out the Issuer alone");
  program.OfferDirectory(flags.directory, "store and Pebble's files are made");
  program.OfferOutput(flags.output);
  return program.Main(argc, argv, [&] { return certcast::bench::Run(flags); });
}
