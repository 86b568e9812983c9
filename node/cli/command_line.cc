#include "node/cli/command_line.h"

#include <sys/stat.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <functional>
#include <string>

#include "common/command_line/usage_error.h"
#include "common/command_line/written.h"
#include "common/version/version.h"
#include "node/cli/setup.h"
#include "node/cli/verbs.h"

namespace certcast::node {
namespace {

constexpr char kDefaultConfig[] = "/etc/certcast/node.yaml";

constexpr char kAbout[] =
    R"(The agent of certcast: installs certificates that the fleet's controller sends to this machine, reloads the
services that use them, looks at what they serve, and puts the old certificate back when that is not right.)";

constexpr char kEveryPage[] =
    R"(

The configuration is --config FILE, else $CERTCAST_NODE_CONFIG, else /etc/certcast/node.yaml.
Exit codes: 0 done, or nothing to do; 1 failed; 2 wrong arguments or configuration.)";

constexpr char kJoining[] =
    R"(Joining a fleet, over any channel that you trust:
  certcast-node csr > csr.pem                               on the node
  certcast nodes sign web-01 < csr.pem > identity.pem       on the controller
  certcast-node accept < identity.pem                       on the node
  certcast-node run                                         on the node, under its service manager)";

constexpr char kRun[] =
    R"(Listens on `listen` of the configuration and carries out what the fleet's controller says. Peers must show a
certificate of the fleet's CA, and be the controller; others are refused, with a line on standard error.

First puts right what a crash left half-done. Then prints one line when it listens:
  listening on 127.0.0.1:7444 as web-01, fleet 0b9f8a52-6f52-4a55-9d3e-0e5a7d0f9c11
Port 0 picks a free one.

An install waits until the controller confirms it. When no Confirm comes in time, the agent goes back to the
certificate before by itself.

Signals: SIGTERM and SIGINT finish the command under way, then end; a second one ends at once, and the next start
puts things right. SIGHUP reads configuration and identity anew; if they can't be used, all stays as it was.)";

constexpr char kStdio[] =
    R"(Carries out the commands that come on standard input, and reports on standard output: what the controller runs
over SSH. Each message has its length before it as a varint; the messages are those of certcast/v1/link.proto.

The line `certcast-link 1` comes before the first report.

The state is locked only while a command is carried out, so that the next connection can confirm what this one
installed. A command that changes something waits up to a minute for another one. An install goes on when the
connection breaks. When the input ends while an install waits for its Confirm, this stays until its time is over, and
goes back unless another connection has confirmed it. Needs no identity for looking; installs need one.

Where there is no /etc/certcast/node.yaml (and no --config), the controller's first command says what this host is: its
name, state directory and services. The host keeps that, and belongs to the fleet of that controller from then on.)";

constexpr char kCsr[] =
    R"(Prints a certificate request (PEM, RFC 2986) for this node's own key. The key is made the first time, in
STATE/identity/key.pem, readable by its owner alone; it never leaves the machine and is never overwritten. Running
this again prints a request for the same key.

  certcast-node csr | ssh controller certcast nodes sign web-01 | certcast-node accept)";

constexpr char kAccept[] =
    R"(Reads an identity from standard input, as `certcast nodes sign NAME` prints it: this node's certificate, the
fleet CA's, and the fleet's id and manifest key. Checks that the certificate is for this node's key and name, signed
by that CA, and valid now; then keeps it. From then on the node takes orders from that fleet alone.

An identity of the same fleet replaces the one before (a renewal). One of another fleet, or with another manifest
key, is refused without --force. When it is refused, what was there stays.

In another fleet, epochs and generations count anew. What is installed stays in force, and services go on with it
until the new fleet installs something: it counts as what was there before, and a first install there that fails goes
back to it. What waits for the old fleet's Confirm goes back when the agent takes the identity up.)";

constexpr char kStatus[] =
    R"(Prints what is installed for each certificate and service, and what is not as it was installed (drift). Read from
the disk, without a lock: it works beside a running agent, and may see the middle of an install.

On a host that is reached over SSH and has no node.yaml, --state names its state directory.

With --probe it also looks at what each service serves now, and exits with 1 when that is not what is installed.
-o json prints one JSON document: the Inventory of certcast/v1/link.proto.)";

constexpr char kRecover[] =
    R"(Finishes or takes back what a crash left half-done, as `run` does at its start, and says what that was. Fails
while an agent runs: it has done so already.

A node whose clock can't be right (CLOCK_SUSPICIOUS) installs nothing: it is before the time at which the latest bundle
was signed, or more than a year after that and after the end of the node's identity; without an identity, more than a
year from when the bundle that is brought was signed. Where the clock is right all the same, --trust-clock says so, and
the node goes by it from then on.

On a host that is reached over SSH and has no node.yaml, --state names its state directory; what the controller said of
the host last is kept there. With --wait it also waits: up to a minute for another process that is at work there, and
where an install is still to be confirmed until somebody does so, or the time for that is over and it goes back.

At boot it takes two calls, for which docs/operations.md has the systemd units. --before-services comes before the
services start: it puts their files right, and reloads and probes nothing. The same without it comes after they have
started: it reloads and probes what an install was cut off in, and ends it. The next contact of the controller, or the
start of an agent, does so too.

Exits with 1 also where an install ended as REVERT_FAILED, or a file that is gone can't be put back.)";

constexpr char kCheckConfig[] =
    R"(Reads the configuration and prints what is wrong with it: file, line, column, what was found and what was
expected. Exits with 2 when there is anything.)";

constexpr char kTest[] =
    R"(Runs the service's check command (as in `nginx -t`) and its probes against the certificate that is installed. It
changes nothing and reloads nothing. Exits with 1 when the check or a probe fails.)";

// A verb with its page; `run` gives the exit code.
CLI::App* AddVerb(CLI::App& app, const std::string& name, const std::string& summary, const char* page,
                  std::function<int()> run, int& exit_code) {
  CLI::App* verb = app.add_subcommand(name, summary);
  verb->footer(std::string("\n") + page + kEveryPage);
  verb->fallthrough();
  verb->callback([run = std::move(run), &exit_code] { exit_code = run(); });
  return verb;
}

// A link that leads nowhere is there too, and so is what can't be looked at: then reading it says what is wrong.
bool Exists(const std::string& path) {
  struct stat found;
  return lstat(path.c_str(), &found) == 0 || (errno != ENOENT && errno != ENOTDIR);
}

}  // namespace

int RunCommandLine(int argc, char** argv) {
  int exit_code = kDone;
  std::string config = kDefaultConfig;
  std::string output = "table";
  std::string service;
  bool force = false;
  StatusOptions status;
  RecoverOptions recover;

  CLI::App app(kAbout, "certcast-node");
  app.footer(std::string("\n") + kJoining + kEveryPage);
  app.set_version_flag("--version", std::string("certcast-node ") + kVersion);
  const CLI::Option* const config_option = app.add_option("--config", config, "The node's configuration")
                                               ->envname("CERTCAST_NODE_CONFIG")
                                               ->type_name("FILE");
  app.failure_message(DescribeUsageError);
  app.require_subcommand(1);

  AddVerb(
      app, "run", "Serve the controller over the network", kRun, [&] { return Run(config); }, exit_code);
  AddVerb(
      app, "stdio", "Serve one controller on standard input and output", kStdio,
      [&] { return config_option->count() == 0 && !Exists(config) ? HostedStdio() : Stdio(config); }, exit_code);
  AddVerb(
      app, "csr", "Print a certificate request for this node's own key", kCsr, [&] { return Csr(config); }, exit_code);
  AddVerb(
      app, "accept", "Read this node's identity, and belong to its fleet", kAccept,
      [&] { return Accept(config, force); }, exit_code)
      ->add_flag("--force", force, "Also replace the identity of another fleet");
  CLI::App* show = AddVerb(
      app, "status", "Print what is installed", kStatus,
      [&] {
        status.json = output == "json";
        return ShowStatus(config, status);
      },
      exit_code);
  show->add_option("-o,--output", output, "table or json")
      ->check(CLI::IsMember({"table", "json"}))
      ->type_name("FORMAT");
  show->add_flag("--probe", status.probe, "Also look at what is served now");
  show->add_option("--state", status.state, "Of a host without a configuration: its directory")->type_name("DIR");
  CLI::App* put_right = AddVerb(
      app, "recover", "Put right what a crash left half-done", kRecover, [&] { return Recover(config, recover); },
      exit_code);
  put_right->add_option("--state", recover.state, "Of a host without a configuration: its directory")->type_name("DIR");
  CLI::Option* const trust_clock =
      put_right->add_flag("--trust-clock", recover.trust_clock, "Also take this machine's clock for right");
  CLI::Option* const wait = put_right->add_flag("--wait", recover.wait, "Also wait until nothing is to be confirmed");
  put_right->add_flag("--before-services", recover.before_services, "Only the files, before services start at boot")
      ->excludes(trust_clock, wait);
  AddVerb(
      app, "check-config", "Check the configuration", kCheckConfig, [&] { return CheckConfig(config); }, exit_code);
  AddVerb(
      app, "test", "Run a service's check and probes; change nothing", kTest,
      [&] { return TestService(config, service); }, exit_code)
      ->add_option("SERVICE", service, "As the configuration names it")
      ->required();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    // Prints help, version or what is wrong.
    return app.exit(error) == 0 ? kDone : kUsage;
  }
  return WroteStandardOutput("certcast-node") ? exit_code : kFailed;
}

}  // namespace certcast::node
