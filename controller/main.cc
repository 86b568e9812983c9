// certcast: reads the command line and the configuration, hosts the controller in this process, and lets the verb speak
// to it through its API.
#include <grpcpp/channel.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdlib>
#include <iostream>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "common/command_line/usage_error.h"
#include "common/command_line/written.h"
#include "common/process/process.h"
#include "common/secret/secret.h"
#include "common/version/version.h"
#include "common/x509/key_library.h"
#include "controller/api/controller.h"
#include "controller/api/host.h"
#include "controller/api/real_machine.h"
#include "controller/cli/adopt.h"
#include "controller/cli/interrupt.h"
#include "controller/cli/nodes_import.h"
#include "controller/cli/session.h"
#include "controller/cli/verbs.h"
#include "controller/config/config.h"
#include "controller/transport/grpc_transport.h"
#include "google/protobuf/stubs/logging.h"

namespace certcast::controller {
namespace {

std::string ConfigPath(const cli::GlobalOptions& options) {
  if (!options.config.empty()) return options.config;
  const char* from_environment = std::getenv("CERTCAST_CONFIG");
  return from_environment != nullptr && *from_environment != '\0' ? from_environment : "/etc/certcast/certcast.yaml";
}

// Anything but for sure not.
bool IsThere(const std::string& path) {
  struct stat found = {};
  return lstat(path.c_str(), &found) == 0 || errno != ENOENT;
}

// A terminal that can redraw a line.
bool IsTerminal(int fd) {
  const char* term = std::getenv("TERM");
  return isatty(fd) == 1 && term != nullptr && std::string(term) != "dumb";
}

// https://no-color.org
bool WantsColour() {
  const char* no_color = std::getenv("NO_COLOR");
  return no_color == nullptr || *no_color == '\0';
}

int Columns(int fd) {
  winsize size = {};
  return ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

int Flush(int code) {
  return WroteStandardOutput("certcast") ? code : cli::kFailed;
}

int RunVerb(const cli::Verb& verb, const cli::GlobalOptions& options, cli::Interrupt& interrupt) {
  absl::StatusOr<Config> config = ReadConfig(ConfigPath(options));
  if (!config.ok()) return cli::ReportError(std::cerr, config.status());
  RealMachine machine;
  if (!options.trace.empty()) {
    if (absl::Status status = machine.TraceTo(options.trace); !status.ok()) return cli::ReportError(std::cerr, status);
  }
  Controller controller(*std::move(config), machine.get());
  ControllerHost host(controller);
  auto stub = v1::Controller::NewStub(host.channel());
  cli::Session session{options,
                       interrupt,
                       *stub,
                       std::cout,
                       std::cerr,
                       IsTerminal(STDERR_FILENO),
                       WantsColour(),
                       IsTerminal(STDOUT_FILENO),
                       [] { return Columns(STDERR_FILENO); }};
  const int code = verb(session);
  if (const absl::Status written = machine.TraceWritten(); !written.ok()) {
    std::cerr << "warning: the transcript is not whole: " << written.message() << "\n";
  }
  return Flush(code);
}

int Main(int argc, char** argv) {
  SetUmaskOfPrograms(umask(077));
  if (absl::Status hardened = HardenProcess(); !hardened.ok()) return cli::ReportError(std::cerr, hardened);
  StartOpensslForOneRun();
  // Debian's Abseil looks for cycles of locks each time one is taken, which is for tests: it cost a tenth of a link.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  SilenceGrpcLog();
  // Protobuf's own lines: a node could write them between ours. What does not parse is an error anyway.
  google::protobuf::SetLogHandler(nullptr);
  // Whoever reads the output may go away, as `head` does; a rollout goes on to its end.
  signal(SIGPIPE, SIG_IGN);
  cli::Interrupt interrupt;

  CLI::App app("One certificate, every server, proven serving.", "certcast");
  cli::GlobalOptions options;
  app.add_option("--config", options.config, "The configuration [$CERTCAST_CONFIG, /etc/certcast/certcast.yaml]");
  app.add_option("-o,--output", options.output, "table for people, json for programs")
      ->check(CLI::IsMember({"table", "json"}))
      ->capture_default_str();
  app.add_option("--trace", options.trace, "Add what is said to CAs, and what they answer, to this file; no secrets");
  app.set_version_flag("--version", std::string("certcast ") + kVersion);
  app.failure_message(DescribeUsageError);
  app.require_subcommand(1);
  // So that `certcast status -o json` works as well as `certcast -o json status`.
  app.fallthrough();
  app.footer(
      "`certcast VERB --help` says more of each. Results go to standard output, progress and errors to standard "
      "error.");
  cli::Verb chosen;
  cli::AddInit(app, chosen);
  cli::AddApply(app, chosen);
  cli::AddStatus(app, chosen);
  cli::AddVerify(app, chosen);
  cli::AddIssue(app, chosen);
  cli::AddImport(app, chosen);
  cli::WithoutConfig without_config;
  cli::AddAdopt(app, chosen, without_config);
  cli::AddRevoke(app, chosen);
  cli::AddReplace(app, chosen);
  cli::AddCertificates(app, chosen);
  cli::AddRollout(app, chosen);
  cli::AddAccounts(app, chosen);
  cli::AddNodes(app, chosen);
  cli::PlainVerb plain;
  cli::AddNodesImport(app, plain);
  cli::AddDoctor(app, chosen);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& asked) {
    return app.exit(asked);
  } catch (const CLI::ParseError& error) {
    app.exit(error);
    return cli::kUsage;
  }
  if (plain) return Flush(plain(std::cout, std::cerr));
  if (without_config && !IsThere(ConfigPath(options))) {
    const std::optional<int> ended = without_config(ConfigPath(options), std::cout, std::cerr);
    if (ended.has_value()) return Flush(*ended);
  }
  return RunVerb(chosen, options, interrupt);
}

}  // namespace
}  // namespace certcast::controller

int main(int argc, char** argv) {
  return certcast::controller::Main(argc, argv);
}
