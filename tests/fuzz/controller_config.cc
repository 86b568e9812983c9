// certcast.yaml.
#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/identity/names.h"
#include "common/probe/address.h"
#include "common/x509/names.h"
#include "controller/config/config.h"
#include "tests/fuzz/config_errors.h"
#include "tests/fuzz/target.h"

namespace certcast::fuzz {
namespace {

constexpr char kPath[] = "/etc/certcast/certcast.yaml";

void RequireRollout(const controller::RolloutPolicy& policy) {
  Require(!policy.waves.empty(), "a rollout has waves");
  for (const controller::WaveSize& wave : policy.waves) {
    Require(wave.count > 0 || (wave.percent > 0 && wave.percent <= 100), "a wave has nodes");
  }
  Require(policy.parallel >= 1 && policy.max_failures >= 0 && policy.spread_in_flight >= 1, "a rollout gets on");
  Require(policy.soak >= absl::ZeroDuration() && policy.confirm_timeout >= absl::Seconds(1) &&
              policy.confirm_timeout <= absl::Hours(1) && policy.node_timeout > absl::ZeroDuration() &&
              policy.node_timeout < absl::InfiniteDuration(),
          "times are as nodes take them");
}

void RequireCertificate(const controller::CertificateConfig& certificate, const controller::Config& config) {
  Require(CheckNodeName(certificate.name).ok(), "a certificate's name is the name of a directory");
  Require(config.FindCertificate(certificate.name) == &certificate, "a certificate is found by its name");
  Require(certificate.imported() || config.FindAccount(certificate.account) != nullptr, "an account is there");
  Require(certificate.imported() != certificate.challenge.has_value(), "what is ordered has a challenge");
  Require(!certificate.domains.empty(), "a certificate has names");
  for (const std::string& domain : certificate.domains) Require(CheckDnsName(domain).ok(), "a name is one");
  Require(!absl::StrContains(certificate.DefaultServerName(), "*"), "servers are asked for a name, not a pattern");
  if (certificate.renewal.at) Require(*certificate.renewal.at > 0 && *certificate.renewal.at <= 1, "a share is one");
  RequireRollout(certificate.rollout);
  for (const controller::NodeConfig* node : config.NodesOf(certificate)) {
    Require(node != nullptr && config.FindNode(node->name) == node, "a certificate's nodes are nodes");
  }
  for (const std::string& name : certificate.nodes.names) {
    Require(config.FindNode(name) != nullptr, "a node that is named is there");
  }
}

void RequireSound(const controller::Config& config) {
  Require(absl::StartsWith(config.state, "/"), "the state's path is absolute");
  for (const controller::AccountConfig& account : config.accounts) {
    Require(config.FindAccount(account.name) == &account, "an account is found by its name");
    Require(ParseUrl(account.directory).ok(), "a directory is a URL");
  }
  for (const controller::NodeConfig& node : config.nodes) {
    Require(CheckNodeName(node.name).ok(), "a node's name is one");
    Require(config.FindNode(node.name) == &node, "a node is found by its name");
    if (node.ssh.has_value()) {
      Require(!node.ssh->server.host.empty(), "a host is named");
      Require(absl::StartsWith(node.ssh->state, "/"), "a host's state is absolute");
    } else {
      Require(ParseHostPort(node.address).ok(), "an address is one");
    }
    for (const controller::VerifyEndpoint& endpoint : node.verify) {
      Require(ParseHostPort(endpoint.address).ok(), "an address is one");
    }
  }
  for (const controller::CertificateConfig& certificate : config.certificates) RequireCertificate(certificate, config);
}

}  // namespace

std::vector<Seed> Seeds() {
  return {};
}

void TryInput(absl::string_view input) {
  const absl::StatusOr<controller::Config> config = controller::ParseConfig(input, kPath);
  RequirePlaces(config.status(), input, kPath);
  if (config.ok()) RequireSound(*config);
  // YAML's byte order mark and directives stand first, or nowhere.
  if (absl::StartsWith(input, "\xef\xbb\xbf") || absl::StartsWith(input, "%") || absl::StrContains(input, "\n%")) {
    return;
  }
  const absl::StatusOr<controller::Config> moved = controller::ParseConfig(absl::StrCat("# a comment\n", input), kPath);
  RequireMovedByOneLine(config.status(), moved.status(), kPath);
}

}  // namespace certcast::fuzz
