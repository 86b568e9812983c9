#include "tests/testing/fleet.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/substitute.h"
#include "common/status/status.h"
#include "tests/testing/test_ca.h"

namespace certcast::testing {
namespace {

constexpr char kAgent[] = "node/certcast-node";
constexpr absl::Duration kStartTimeout = absl::Seconds(20);

// $0 name, $1 home, $2 agent's address, $3 nginx's, $4 timeout.
constexpr absl::string_view kNodeYaml = R"(name: $0
state: $1/state
listen: $2
allow_names: ["*.demo.test", "demo.test"]
services:
  - name: nginx
    certificate: wildcard
    files:
      - {path: $1/tls/fullchain.pem, content: fullchain, mode: "0644"}
      - {path: $1/tls/privkey.pem, content: private_key, mode: "0600"}
    check: [nginx, -t, -q, -e, $1/nginx.log, -c, $1/nginx.conf]
    reload: [$1/reload]
    probes:
      - tls: {address: "$3", server_name: www.demo.test, timeout: $4}
      - http: {url: "https://$3/", host: demo.test, status: 200, timeout: $4}
)";

// $0 home.
constexpr absl::string_view kConfig = R"(state: $0/controller
master_key: {file: $0/master.key}
)";

// $0 directory URL, $1 its root, $2 external account.
constexpr absl::string_view kAccount = R"(accounts:
  - name: pebble
    directory: $0
    ca_file: $1
    contact: ["mailto:ops@demo.test"]
    terms_of_service_agreed: true
$2)";

// $0 challenge and account, $1 rollout, $2 names.
constexpr absl::string_view kCertificate = R"(certificates:
  - name: wildcard
    domains: [$2]
$0    nodes: {role: web}
    rollout: $1
)";

// $0 hook, $1 resolver, $2 timeout.
constexpr absl::string_view kChallenge = R"(    account: pebble
    challenge: {type: dns-01, solver: exec, exec: {command: [$0], timeout: $2},
                propagation: {resolvers: ["$1"], timeout: 20s}}
)";

constexpr absl::string_view kHttpChallenge = R"(    account: pebble
    challenge: {type: http-01, solver: fleet, fleet: {timeout: 10s}}
)";

absl::Status MakeDirectory(const std::string& path) {
  return mkdir(path.c_str(), 0755) == 0 ? absl::OkStatus() : FailErrno(errno, absl::StrCat("making ", path));
}

absl::Status Expect(const CommandResult& result, absl::string_view what) {
  if (result.exit_code == 0) return absl::OkStatus();
  return absl::InternalError(absl::StrCat(what, ": exit code ", result.exit_code, ": ", result.err));
}

int Count(absl::string_view text, absl::string_view part) {
  int count = 0;
  for (size_t at = text.find(part); at != absl::string_view::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

}  // namespace

const absl::string_view kReload = "nginx -s reload -e $home/nginx.log -c $home/nginx.conf\n";

absl::Status FleetNode::Prepare(const std::string& host, absl::string_view old_chain, absl::string_view old_key,
                                absl::Duration probe_timeout) {
  RETURN_IF_ERROR(MakeDirectory(home_));
  RETURN_IF_ERROR(MakeDirectory(home_ + "/tls"));
  RETURN_IF_ERROR(WriteFile(home_ + "/tls/fullchain.pem", old_chain, 0644));
  RETURN_IF_ERROR(WriteFile(home_ + "/tls/privkey.pem", old_key));
  RETURN_IF_ERROR(SetReload(kReload));
  ASSIGN_OR_RETURN(const int agent_port, FreePort(host));
  ASSIGN_OR_RETURN(const int https_port, FreePort(host));
  agent_address_ = absl::StrCat(host, ":", agent_port);
  verify_address = absl::StrCat(host, ":", https_port);
  RETURN_IF_ERROR(WriteFile(
      home_ + "/node.yaml",
      absl::Substitute(kNodeYaml, name_, home_, agent_address_, verify_address, absl::FormatDuration(probe_timeout))));
  ASSIGN_OR_RETURN(nginx_, Nginx::Start(home_, verify_address));
  return absl::OkStatus();
}

absl::Status FleetNode::PrepareHttp(const std::string& address, bool by_web_server) {
  http_address = address;
  std::string place = absl::StrCat("listen: \"", address, "\"");
  if (by_web_server) {
    webroot = home_ + "/www";
    RETURN_IF_ERROR(MakeDirectory(webroot));
    ASSIGN_OR_RETURN(web_server_, Program::Start({.argv = {"busybox", "httpd", "-f", "-p", address, "-h", webroot}}));
    place = absl::StrCat("webroot: ", webroot);
  }
  const std::string config = home_ + "/node.yaml";
  return WriteFile(config, absl::StrCat(ReadFile(config), "http_challenge: {", place, "}\n"));
}

absl::Status FleetNode::StartAgent() {
  constexpr absl::string_view kListening = "listening on ";
  const int before = Count(AgentLog(), kListening);
  ASSIGN_OR_RETURN(
      agent_,
      Program::Start({.argv = {std::filesystem::absolute(kAgent).string(), "--config", home_ + "/node.yaml", "run"},
                      .output = agent_log(),
                      .error = agent_log()}));
  const absl::Status started = WaitUntil(absl::StrCat("the agent of ", name_, " listens"), kStartTimeout,
                                         [&] { return Count(AgentLog(), kListening) > before; });
  return Annotate(started, AgentLog());
}

CommandResult FleetNode::Agent(std::vector<std::string> arguments, absl::string_view input) const {
  arguments.insert(arguments.begin(), {"--config", home_ + "/node.yaml"});
  return RunCaptured(home_, kAgent, std::move(arguments), input);
}

absl::Status FleetNode::SetReload(absl::string_view lines) const {
  // In its place at once: a shell may be reading the one that is there.
  RETURN_IF_ERROR(WriteFile(home_ + "/reload.new",
                            absl::StrCat("#!/bin/sh\nset -eu\nhome=", home_, "\necho reload >>$home/reloads\n", lines),
                            0755));
  return rename((home_ + "/reload.new").c_str(), (home_ + "/reload").c_str()) == 0
             ? absl::OkStatus()
             : absl::ErrnoToStatus(errno, "renaming reload");
}

int FleetNode::Reloads() const {
  return Count(ReadFile(home_ + "/reloads"), "\n");
}

Fleet::Fleet(FleetOptions options) : options_(std::move(options)), controller_(directory_.path()) {
}

absl::Status Fleet::Start() {
  // nginx's workers, which are not root, pass through it.
  if (chmod(home().c_str(), 0755) != 0) return FailErrno(errno, absl::StrCat("opening ", home()));
  RETURN_IF_ERROR(MakeDirectory(home() + "/pebble"));
  ASSIGN_OR_RETURN(pebble_, Pebble::Start(home() + "/pebble", options_.pebble));
  if (options_.hook.empty()) options_.hook = pebble_->hook();
  const IssuedCertificate old = TestCa::SelfSigned({.dns_names = {"*.demo.test", "demo.test"}});
  nodes_.reserve(static_cast<size_t>(options_.nodes));
  for (int i = 1; i <= options_.nodes; ++i) {
    FleetNode& node = nodes_.emplace_back(absl::StrCat("web-", i), absl::StrCat(home(), "/web-", i));
    RETURN_IF_ERROR(node.Prepare(absl::StrCat("127.0.20.", i), old.certificate.ToPem(), old.key_pem.ExposeSecret(),
                                 options_.probe_timeout));
    if (options_.http01) {
      RETURN_IF_ERROR(node.PrepareHttp(absl::StrCat("127.0.20.", i, ":", pebble_->http_port()), i % 2 == 0));
    }
  }
  RETURN_IF_ERROR(WriteConfig());
  RETURN_IF_ERROR(Expect(controller_.Run({"init"}), "certcast init"));
  for (FleetNode& node : nodes_) RETURN_IF_ERROR(Enrol(node));
  return absl::OkStatus();
}

absl::Status Fleet::WriteConfig() const {
  std::string text = absl::Substitute(kConfig, home());
  std::string challenge;
  if (!options_.imported) {
    const std::string external = options_.external_account.empty()
                                     ? ""
                                     : absl::StrCat("    external_account: ", options_.external_account, "\n");
    const bool other_ca = !options_.directory_url.empty();
    absl::StrAppend(&text, absl::Substitute(kAccount, other_ca ? options_.directory_url : pebble_->directory_url(),
                                            other_ca ? options_.directory_root : pebble_->ca_file(), external));
    challenge = options_.http01
                    ? std::string(kHttpChallenge)
                    : absl::Substitute(kChallenge, options_.hook, pebble_->dns_address(), options_.hook_timeout);
  }
  absl::StrAppend(&text,
                  absl::Substitute(kCertificate, absl::StrCat(challenge, options_.certificate_lines), options_.rollout,
                                   options_.http01 ? "demo.test, www.demo.test" : R"("*.demo.test", "demo.test")"),
                  "nodes:\n");
  for (const FleetNode& node : nodes_) {
    if (!node.configured) continue;
    absl::StrAppend(&text, "  - {name: ", node.name(), ", address: \"grpc://", node.agent_address(),
                    "\", labels: {role: web}, verify: [\"", node.verify_address, "\"]",
                    node.http_address.empty() ? "" : absl::StrCat(", http_address: \"", node.http_address, "\""),
                    "}\n");
  }
  return WriteFile(controller_.config_path(), text);
}

absl::Status Fleet::Enrol(FleetNode& node) {
  const CommandResult request = node.Agent({"csr"});
  RETURN_IF_ERROR(Expect(request, "certcast-node csr"));
  const CommandResult identity = controller_.Run({"nodes", "sign", node.name()}, request.out);
  RETURN_IF_ERROR(Expect(identity, "certcast nodes sign"));
  RETURN_IF_ERROR(Expect(node.Agent({"accept"}, identity.out), "certcast-node accept"));
  return node.StartAgent();
}

int Fleet::Orders() const {
  return Count(pebble_->Log(), "Added order ");
}

FleetNode& Fleet::node(absl::string_view name) {
  for (FleetNode& node : nodes_) {
    if (node.name() == name) return node;
  }
  std::fprintf(stderr, "the fleet has no node %s\n", std::string(name).c_str());
  std::abort();
}

std::vector<std::string> Fleet::Served() {
  std::vector<std::string> served;
  for (FleetNode& node : nodes_) served.push_back(node.nginx().Served());
  return served;
}

std::vector<pid_t> Fleet::Workers() {
  std::vector<pid_t> workers;
  for (FleetNode& node : nodes_) workers.push_back(node.nginx().Worker());
  return workers;
}

}  // namespace certcast::testing
