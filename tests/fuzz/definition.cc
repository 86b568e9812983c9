// What a controller says that a host is, which has no configuration of its own: NodeDefinition.
#include "node/hosted/definition.h"

#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "certcast/v1/link.pb.h"
#include "common/identity/names.h"
#include "common/status/status.h"
#include "common/x509/names.h"
#include "tests/fuzz/service_promises.h"
#include "tests/fuzz/target.h"
#include "tests/testing/test_fleet.h"

namespace certcast::fuzz {
namespace {

const std::string& ManifestKeyPem() {
  static const std::string& pem = *new std::string(testing::TestFleet().key().ToPem());
  return pem;
}

void RequireSound(const node::EngineConfig& config, const v1::NodeDefinition& definition) {
  Require(config.node == definition.node() && CheckNodeName(config.node).ok(), "a node's name is one");
  Require(config.state == definition.state() && IsAbsolute(config.state) && !absl::EndsWith(config.state, "/") &&
              !absl::StrContains(config.state, "//"),
          "the state's path is absolute, and written in one way");
  Require(config.keep >= 1 && config.keep <= 100, "what is kept is bounded");
  Require(config.hosted && config.fleet.has_value() && config.fleet->id == definition.fleet_id() &&
              !config.fleet->id.empty(),
          "a hosted node has a fleet");
  Require(!config.allow_names.empty(), "some name is allowed");
  for (const std::string& name : config.allow_names) {
    Require(name == "*" || CheckDnsName(name).ok(), "an allowed name is one");
  }
  for (const Service& service : config.services) RequireService(service, config.state);
}

std::string Pieces(absl::string_view node, absl::string_view state, absl::string_view fleet, absl::string_view names,
                   absl::string_view services) {
  return absl::StrCat("\x02", PieceOf(node), PieceOf(state), PieceOf(fleet), PieceOf(names), services);
}

constexpr char kServices[] = R"(- name: nginx
  certificate: wildcard
  preset: nginx
  files:
    - {path: /etc/nginx/tls/fullchain.pem, content: fullchain, group: "0", mode: "0644"}
    - {path: /etc/nginx/tls/privkey.pem, content: private_key, mode: "0600"}
  probes:
    - tls: {address: "127.0.0.1:443", server_name: www.example.com}
- name: keystore
  certificate: wildcard
  files:
    - {path: /srv/app/key.p12, content: pkcs12, password: {file: /srv/app/password}, install: copy}
  reload: {signal: HUP, pid_file: /run/app.pid}
  probes:
    - tcp: {address: "127.0.0.1:8443"}
)";

}  // namespace

// What is kept, then the texts; the services are the rest.
std::vector<Seed> Seeds() {
  return {
      {.name = "nginx",
       .bytes = Pieces("web-01", "/var/lib/certcast-node", "fleet", "*.example.com,example.com", kServices)},
      {.name = "nothing", .bytes = Pieces("web-01", "/srv/state", "fleet", "*", "[]")},
      {.name = "relative",
       .bytes = Pieces("web-01", "/srv/state", "fleet", "*",
                       "[{name: a, certificate: a, files: [{path: a, content: cert}], probes: []}]")},
      {.name = "no-list", .bytes = Pieces("web-01", "/srv/state/../x", "fleet", "*", "name: a")},
  };
}

void TryInput(absl::string_view input) {
  InputReader reader(input);
  v1::NodeDefinition definition;
  definition.set_keep(static_cast<int>(reader.Byte()));
  definition.set_node(std::string(reader.Piece()));
  definition.set_state(std::string(reader.Piece()));
  definition.set_fleet_id(std::string(reader.Piece()));
  for (const absl::string_view name : absl::StrSplit(reader.Piece(), ',', absl::SkipEmpty())) {
    definition.add_allow_names(std::string(name));
  }
  definition.set_services_yaml(std::string(reader.Rest()));
  definition.set_manifest_key_pem(ManifestKeyPem());

  const absl::StatusOr<node::EngineConfig> config = node::ReadDefinition(definition);
  RequireOrderly(config.status());
  if (config.ok()) return RequireSound(*config, definition);
  Require(ReasonOf(config.status()) == Reason::MALFORMED, "a definition that is wrong is MALFORMED");
  Require(absl::StartsWith(config.status().message(), "the node's definition: "), "an error says what it is about");
}

}  // namespace certcast::fuzz
