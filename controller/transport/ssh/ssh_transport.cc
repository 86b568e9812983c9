#include "controller/transport/ssh/ssh_transport.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/probe/address.h"
#include "common/status/status.h"
#include "controller/transport/ssh/ssh_config.h"

namespace certcast::controller {
namespace {

constexpr char kBinaryName[] = "certcast-node";
constexpr char kInstalledBinary[] = "/usr/lib/certcast/certcast-node";
// Of the login's home: the host's state belongs to another user then.
constexpr char kDirectoryWithSudo[] = ".certcast/bin";
constexpr uint16_t kSshPort = 22;
// Generations, as a node.yaml has it that says nothing of it.
constexpr int kKeep = 2;
// ProxyJump may lead to hosts that have a ProxyJump of their own.
constexpr size_t kMostJumps = 8;

std::string FindBinary(const std::string& configured) {
  if (!configured.empty()) return configured;
  std::error_code error;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  const std::filesystem::path beside = self.parent_path() / kBinaryName;
  return !error && std::filesystem::exists(beside, error) ? beside.string() : kInstalledBinary;
}

std::string DirectoryOf(const SshNode& node) {
  if (!node.options.agent_directory.empty()) return node.options.agent_directory;
  return node.options.sudo ? kDirectoryWithSudo : absl::StrCat(node.state, "/bin");
}

SshLogin LoginOf(const SshOptions& options) {
  SshLogin login;
  if (!options.key.file.empty()) login.key = {SecretReference::Kind::kFile, options.key.file};
  login.passphrase = options.key.passphrase;
  login.certificate_file = options.certificate;
  const char* socket = options.agent ? std::getenv("SSH_AUTH_SOCK") : nullptr;
  if (socket != nullptr) login.agent_socket = socket;
  return login;
}

SshHop HopOf(const SshServer& server, const SshOptions& options) {
  SshHop hop;
  hop.user = server.user;
  hop.to = {server.host, server.port == 0 ? kSshPort : server.port};
  hop.login = LoginOf(options);
  if (!options.known_hosts.empty()) hop.known_hosts = {options.known_hosts};
  hop.connect_timeout = options.connect_timeout;
  return hop;
}

// The first of them that is there; empty when none is.
std::string FirstThere(const std::vector<std::string>& files) {
  for (const std::string& file : files) {
    if (access(file.c_str(), F_OK) == 0) return file;
  }
  return {};
}

// What the configuration leaves out, as ssh_config has it.
void Fill(const SshConfigEntry& entry, SshHop& hop) {
  if (hop.user.empty()) hop.user = entry.user;
  hop.to = entry.to;
  hop.known_as = entry.known_as;
  if (hop.known_hosts.empty()) hop.known_hosts = entry.known_hosts;
  SshLogin& login = hop.login;
  if (!login.key.empty() || !login.agent_socket.empty()) return;
  login.agent_socket = entry.agent_socket;
  const std::string key = FirstThere(entry.identity_files);
  if (key.empty()) return;
  login.key = {SecretReference::Kind::kFile, key};
  login.agent_may_have_key = true;
  login.certificate_file = FirstThere(entry.certificate_files);
  if (login.certificate_file.empty()) login.certificate_file = FirstThere({absl::StrCat(key, "-cert.pub")});
}

// Builds hops, with what ssh_config says where it is asked.
class HopBuilder {
 public:
  HopBuilder(const SshOptions& options, const std::string& config_file, ProcessRunner& processes)
      : options_(options), config_file_(config_file), processes_(processes) {}

  // The jumps that ssh_config has for it go to `jumps`, unless that is nullptr.
  absl::StatusOr<SshHop> Build(const SshServer& server, std::vector<std::string>* jumps) const {
    SshHop hop = HopOf(server, options_);
    if (!options_.use_ssh_config) return hop;
    absl::StatusOr<SshConfigEntry> entry =
        LookUpSshConfig(server.host, server.user, server.port, config_file_, processes_);
    if (!entry.ok()) return Annotate(entry.status(), server.ToString());
    Fill(*entry, hop);
    if (jumps != nullptr) *jumps = std::move(entry->jumps);
    return hop;
  }

 private:
  const SshOptions& options_;
  const std::string& config_file_;
  ProcessRunner& processes_;
};

// Where more time to connect is configured than is usual, the caller's is not meant to cut it short.
absl::Duration RaisedTimeout(const SshTarget& target) {
  absl::Duration raised = target.host.connect_timeout;
  for (const SshHop& jump : target.jumps) raised += jump.connect_timeout;
  const absl::Duration usual = SshOptions().connect_timeout * static_cast<int64_t>(target.jumps.size() + 1);
  return raised > usual ? raised : absl::ZeroDuration();
}

// `user@host:port`, as ProxyJump has it, also with ssh:// before it.
absl::StatusOr<SshServer> ParseJump(absl::string_view text) {
  SshServer server;
  const std::string whole(text);
  absl::ConsumePrefix(&text, "ssh://");
  if (const size_t at = text.rfind('@'); at != absl::string_view::npos) {
    server.user = std::string(text.substr(0, at));
    text.remove_prefix(at + 1);
  }
  const absl::StatusOr<HostPort> with_port = ParseHostPort(text);
  if (with_port.ok()) {
    server.host = with_port->host;
    server.port = with_port->port;
  } else {
    server.host = std::string(text);
  }
  if (server.host.empty()) return FailInput(absl::StrCat("ssh_config has a ProxyJump to ", whole));
  return server;
}

// In the order in which they are passed; with ssh_config the first may have a way of its own.
absl::StatusOr<std::vector<SshHop>> BuildJumps(const HopBuilder& builder, std::vector<SshServer> servers) {
  std::vector<SshHop> hops;
  while (!servers.empty()) {
    std::vector<std::string> before;
    std::vector<SshHop> these;
    for (size_t i = 0; i < servers.size(); ++i) {
      ASSIGN_OR_RETURN(SshHop hop, builder.Build(servers[i], i == 0 ? &before : nullptr));
      these.push_back(std::move(hop));
    }
    hops.insert(hops.begin(), these.begin(), these.end());
    if (hops.size() > kMostJumps) return FailInput(absl::StrCat("the way has more than ", kMostJumps, " jump hosts"));
    servers.clear();
    for (const std::string& text : before) {
      ASSIGN_OR_RETURN(SshServer server, ParseJump(text));
      servers.push_back(std::move(server));
    }
  }
  return hops;
}

}  // namespace

absl::StatusOr<SshTarget> MakeSshTarget(const NodeConfig& node, const SshTransportOptions& options,
                                        ProcessRunner& processes) {
  const SshNode& ssh = *node.ssh;
  const HopBuilder builder(ssh.options, options.ssh_config_file, processes);
  SshTarget target;
  std::vector<std::string> configured;
  absl::StatusOr<SshHop> host = builder.Build(ssh.server, &configured);
  if (!host.ok()) return Annotate(host.status(), node.name);
  target.host = *std::move(host);
  std::vector<SshServer> servers = ssh.options.jump;
  if (servers.empty()) {
    for (const std::string& text : configured) {
      ASSIGN_OR_RETURN(SshServer server, ParseJump(text));
      servers.push_back(std::move(server));
    }
  }
  absl::StatusOr<std::vector<SshHop>> jumps = BuildJumps(builder, std::move(servers));
  if (!jumps.ok()) return Annotate(jumps.status(), node.name);
  target.jumps = *std::move(jumps);
  target.sudo = ssh.options.sudo;
  target.binary_directory = DirectoryOf(ssh);
  target.agent_binary = FindBinary(ssh.options.agent_binary);
  v1::NodeDefinition& definition = target.definition;
  definition.set_node(node.name);
  definition.set_state(ssh.state);
  definition.set_fleet_id(options.fleet_id);
  definition.set_manifest_key_pem(options.manifest_key_pem);
  for (const std::string& name : ssh.allow_names) definition.add_allow_names(name);
  definition.set_keep(kKeep);
  if (ssh.services_yaml != nullptr) definition.set_services_yaml(*ssh.services_yaml);
  if (!ssh.http_challenge.webroot.empty()) {
    definition.mutable_http_challenge()->set_webroot(ssh.http_challenge.webroot);
  } else if (!ssh.http_challenge.listen.empty()) {
    definition.mutable_http_challenge()->set_listen(ssh.http_challenge.listen);
  }
  return target;
}

absl::StatusOr<SshTarget> SshTransport::TargetOf(const NodeConfig& node) const {
  absl::StatusOr<SshTarget> target = MakeSshTarget(node, options_, processes_);
  // To a rollout it is a node that is not reached, for a reason.
  if (!target.ok()) return WithReason(std::move(target).status(), Reason::NO_ROUTE);
  return target;
}

absl::StatusOr<AgentOnHost> SshTransport::PutAgent(const NodeConfig& node, bool only_look, absl::Duration timeout) {
  ASSIGN_OR_RETURN(const SshTarget target, TargetOf(node));
  return dialer_.PutAgent(target, only_look, std::max(timeout, RaisedTimeout(target)));
}

absl::StatusOr<std::unique_ptr<Link>> SshTransport::Open(const NodeConfig& node, absl::Duration timeout) {
  ASSIGN_OR_RETURN(const SshTarget target, TargetOf(node));
  ASSIGN_OR_RETURN(std::unique_ptr<Link> link, dialer_.Open(target, std::max(timeout, RaisedTimeout(target))));
  if (link->hello().hosted() && !node.ssh->hosted()) {
    return Fail(
        Reason::DEFINITION_REFUSED,
        absl::StrCat(node.name, " at ", node.address,
                     " has no node.yaml that says what runs there, and the configuration does not say it either"),
        "add `services` to the node, or put a node.yaml on the host");
  }
  return link;
}

}  // namespace certcast::controller
