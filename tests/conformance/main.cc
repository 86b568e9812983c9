// conformance: holds a node to what the link promises, from outside. See README.md.
#include <signal.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <functional>
#include <future>
#include <iomanip>
#include <iostream>
#include <iterator>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/command_line/usage_error.h"
#include "common/status/status.h"
#include "tests/conformance/connection.h"
#include "tests/conformance/examiner.h"
#include "tests/conformance/site.h"

namespace certcast::conformance {
namespace {

constexpr int kConforms = 0;
constexpr int kDoesNot = 1;
constexpr int kUsage = 2;

struct Options {
  std::string folder;
  SiteOptions site = {.node = "node-under-test"};
  std::string grpc;
  std::vector<std::string> stdio;
  std::vector<std::string> only;
  int patience = 30;
  std::string output = "table";
};

bool IsWanted(const Check& check, const std::vector<std::string>& only) {
  return only.empty() || std::any_of(only.begin(), only.end(),
                                     [&](const std::string& start) { return absl::StartsWith(check.name, start); });
}

int ReportError(const absl::Status& status) {
  std::cerr << "conformance: " << status.message() << "\n";
  return absl::IsInvalidArgument(status) || absl::IsNotFound(status) ? kUsage : kDoesNot;
}

// One line a check on standard output as it goes, or one JSON document at the end.
class Protocol {
 public:
  explicit Protocol(bool json) : json_(json) {}

  void Add(size_t number, const Check& check, const absl::Status& seen) {
    const bool skipped = absl::IsUnimplemented(seen);
    const char* const result = seen.ok() ? "ok" : skipped ? "n/a" : "FAILED";
    ++(seen.ok() ? passed_ : skipped ? skipped_ : failed_);
    document_["checks"].push_back({{"number", number},
                                   {"name", check.name},
                                   {"promise", check.promise},
                                   {"source", check.source},
                                   {"result", result},
                                   {"detail", std::string(seen.message())}});
    if (json_) return;
    std::cout << std::setw(3) << number << " " << std::left << std::setw(6) << result << " " << std::setw(26)
              << check.name << std::right << " " << check.promise << " [" << check.source << "]\n";
    if (!seen.ok()) std::cout << "           " << seen.message() << "\n";
    std::cout << std::flush;
  }

  int Finish() {
    document_["passed"] = passed_;
    document_["failed"] = failed_;
    document_["notApplicable"] = skipped_;
    if (json_) {
      std::cout << document_.dump(2) << std::endl;
    } else {
      std::cout << passed_ << " passed, " << failed_ << " failed, " << skipped_ << " not applicable" << std::endl;
    }
    return failed_ == 0 && passed_ > 0 ? kConforms : kDoesNot;
  }

 private:
  const bool json_;
  int passed_ = 0;
  int failed_ = 0;
  int skipped_ = 0;
  nlohmann::json document_ = {{"checks", nlohmann::json::array()}};
};

int Prepare(const Options& options) {
  const absl::Status prepared = PrepareSite(options.folder, options.site);
  if (!prepared.ok()) return ReportError(prepared);
  if (options.site.hosted) {
    std::cout << "made the fleet and the service in " << options.folder << "\n"
              << "next: conformance run " << options.folder << " -- COMMAND...\n";
  } else {
    std::cout << "made the fleet and the service in " << options.folder << "; node.yaml there is for certcast-node\n"
              << "next: conformance sign " << options.folder << " < csr.pem > identity.pem\n";
  }
  return kConforms;
}

int Sign(const Options& options) {
  const std::string csr((std::istreambuf_iterator<char>(std::cin)), std::istreambuf_iterator<char>());
  const absl::StatusOr<std::unique_ptr<Site>> site = Site::Open(options.folder);
  if (!site.ok()) return ReportError(site.status());
  const absl::StatusOr<std::string> identity = (*site)->Sign(csr);
  if (!identity.ok()) return ReportError(identity.status());
  std::cout << *identity << std::flush;
  return kConforms;
}

int List(const Options& options) {
  size_t number = 0;
  for (const Check& check : AllChecks()) {
    ++number;
    if (!IsWanted(check, options.only)) continue;
    std::cout << std::setw(3) << number << " " << std::left << std::setw(26) << check.name << std::right << " "
              << check.promise << " [" << check.source << "]\n";
  }
  return kConforms;
}

absl::Status RunOne(Examiner& examiner, const Check& check) {
  RETURN_IF_ERROR(Annotate(examiner.Settle(), "before the check began"));
  RETURN_IF_ERROR(check.run(examiner));
  RETURN_IF_ERROR(Annotate(examiner.LetGo(), "after it"));
  return examiner.ExpectNothingBeside();
}

int Run(const Options& options) {
  absl::StatusOr<std::unique_ptr<Site>> opened = Site::Open(options.folder);
  if (!opened.ok()) return ReportError(opened.status());
  Site& site = **opened;
  if (site.hosted() && !options.grpc.empty()) {
    return ReportError(absl::InvalidArgumentError("a hosted node speaks on its standard streams: -- COMMAND..."));
  }
  if (const absl::Status started = site.StartServices(); !started.ok()) return ReportError(started);
  const std::unique_ptr<Transport> transport =
      options.grpc.empty()
          ? MakeStdioTransport(options.stdio, site.folder() + "/stdio.log",
                               site.hosted() ? std::optional(site.Definition()) : std::nullopt)
          : MakeGrpcTransport(options.grpc, site.node(), site.fleet_ca().root_pem(), site.MakeController());
  const absl::Duration patience = absl::Seconds(options.patience);
  Examiner examiner(site, *transport, patience);
  const std::vector<Check> checks = AllChecks();
  std::map<std::string, std::future<absl::Status>> beside;
  for (const Check& check : checks) {
    if (!check.run_beside || !IsWanted(check, options.only)) continue;
    beside[check.name] = std::async(std::launch::async, check.run_beside, std::ref(*transport), patience);
  }
  Protocol protocol(options.output == "json");
  size_t number = 0;
  for (const Check& check : checks) {
    ++number;
    if (!IsWanted(check, options.only)) continue;
    protocol.Add(number, check, check.run_beside ? beside[check.name].get() : RunOne(examiner, check));
  }
  // So that nothing waits for Confirm when this ends.
  if (const absl::Status settled = examiner.Settle(); !settled.ok()) {
    std::cerr << "conformance: at the end: " << settled.message() << "\n";
  }
  return protocol.Finish();
}

int Main(int argc, char** argv) {
  signal(SIGPIPE, SIG_IGN);
  CLI::App app("Holds a node to what certcast's link promises, from outside.", "conformance");
  app.failure_message(DescribeUsageError);
  app.require_subcommand(1);
  app.footer(
      "conformance prepare DIR --listen 127.0.0.1:7444; enrol the node with what `conformance sign DIR` prints for its "
      "request; start it; conformance run DIR --grpc 127.0.0.1:7444. See tests/conformance/README.md.");
  Options options;
  CLI::App* const prepare = app.add_subcommand("prepare", "Makes a fleet, and a service to look after, in DIR");
  prepare->add_option("DIR", options.folder, "An empty folder, or one to be made")->required();
  prepare->add_option("--node", options.site.node, "The node's name in the fleet")->capture_default_str();
  auto* const listen =
      prepare->add_option("--listen", options.site.listen, "`listen` in node.yaml: host:port; empty for stdio");
  prepare
      ->add_flag("--hosted", options.site.hosted,
                 "The node has no configuration: it is told over stdio what it looks after")
      ->excludes(listen);
  prepare->add_option("--challenge-listen", options.site.challenge_listen,
                      "host:port where the node shows HTTP challenges; by default it does so in DIR/webroot");
  CLI::App* const sign = app.add_subcommand("sign", "Reads a certificate request, prints the node's identity");
  sign->add_option("DIR", options.folder, "What `prepare` made")->required();
  CLI::App* const list = app.add_subcommand("list", "Prints every check with its promise");
  list->add_option("--only", options.only, "Checks whose names begin so")->allow_extra_args(false);
  CLI::App* const run = app.add_subcommand("run", "Runs the checks; 0: all passed, 1: one failed, 2: usage");
  run->add_option("DIR", options.folder, "What `prepare` made")->required();
  auto* const grpc = run->add_option("--grpc", options.grpc, "host:port of a node that runs");
  auto* const stdio = run->add_option("COMMAND", options.stdio,
                                      "After `--`: a program that speaks the link on its standard input and output");
  grpc->excludes(stdio);
  run->add_option("--only", options.only, "Checks whose names begin so")->allow_extra_args(false);
  run->add_option("--patience", options.patience, "Seconds within which a node must have done what it should")
      ->check(CLI::Range(1, 600))
      ->capture_default_str();
  run->add_option("-o,--output", options.output, "table for people, json for programs")
      ->check(CLI::IsMember({"table", "json"}))
      ->capture_default_str();
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& asked) {
    return app.exit(asked);
  } catch (const CLI::ParseError& error) {
    app.exit(error);
    return kUsage;
  }
  if (prepare->parsed()) return Prepare(options);
  if (sign->parsed()) return Sign(options);
  if (list->parsed()) return List(options);
  if (options.grpc.empty() && options.stdio.empty()) {
    return ReportError(absl::InvalidArgumentError("say how to reach the node: --grpc HOST:PORT, or -- COMMAND..."));
  }
  return Run(options);
}

}  // namespace
}  // namespace certcast::conformance

int main(int argc, char** argv) {
  return certcast::conformance::Main(argc, argv);
}
