// node.yaml.
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/identity/names.h"
#include "common/probe/address.h"
#include "common/x509/names.h"
#include "node/config/config.h"
#include "tests/fuzz/config_errors.h"
#include "tests/fuzz/service_promises.h"
#include "tests/fuzz/target.h"

namespace certcast::fuzz {
namespace {

constexpr char kPath[] = "/etc/certcast/node.yaml";

void RequireSound(const node::Config& config) {
  Require(CheckNodeName(config.name).ok(), "a node's name is one");
  Require(IsAbsolute(config.state), "the state's path is absolute");
  Require(config.keep >= 0 && config.keep <= 100, "what is kept is bounded");
  Require(config.listen.empty() || ParseHostPort(config.listen).ok(), "the address is one");
  Require(!config.allow_names.empty(), "some name is allowed");
  for (const std::string& name : config.allow_names) {
    Require(name == "*" || CheckDnsName(name).ok(), "an allowed name is one");
  }
  for (const Service& service : config.services) RequireService(service, config.state);
}

}  // namespace

std::vector<Seed> Seeds() {
  return {};
}

void TryInput(absl::string_view input) {
  const absl::StatusOr<node::Config> config = node::ParseConfig(input, kPath);
  RequirePlaces(config.status(), input, kPath);
  if (config.ok()) RequireSound(*config);
  // YAML's byte order mark and directives stand first, or nowhere.
  if (absl::StartsWith(input, "\xef\xbb\xbf") || absl::StartsWith(input, "%") || absl::StrContains(input, "\n%")) {
    return;
  }
  const absl::StatusOr<node::Config> moved = node::ParseConfig(absl::StrCat("# a comment\n", input), kPath);
  RequireMovedByOneLine(config.status(), moved.status(), kPath);
}

}  // namespace certcast::fuzz
