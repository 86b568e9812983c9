#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/service/read_endpoint.h"
#include "common/status/status.h"
#include "common/yaml/grammar.h"
#include "controller/config/sections.h"

namespace certcast::controller {
namespace {

constexpr size_t kMaxEndpoints = 64;
constexpr size_t kMaxLabel = 63;

// Exactly one of them is set, none after an error.
struct Address {
  std::string grpc;
  std::optional<SshServer> ssh;
};

Address ReadAddress(const yaml::Value& value) {
  constexpr absl::string_view kExpected = "an address such as grpc://10.0.0.1:7444 or ssh://deploy@10.0.0.1:22";
  const std::string text = value.Text(kExpected);
  absl::string_view address = text;
  if (text.empty()) return {};
  if (absl::ConsumePrefix(&address, "ssh://")) return {.ssh = ReadSshServer(address, value)};
  if (absl::ConsumePrefix(&address, "grpc://")) {
    const absl::Status status = CheckHostPort(address);
    value.Fail(status);
    if (status.ok()) return {.grpc = std::string(address)};
    return {};
  }
  value.FailExpected(kExpected, text == "home" ? "nodes that dial home are not supported by this version" : "");
  return {};
}

// What runs on a host that has an agent is decided by its own node.yaml.
void RefuseForAgents(const yaml::Map& map) {
  for (const absl::string_view key : {"services", "allow_names", "state", "ssh", "http_challenge"}) {
    if (const yaml::Value value = map.Find(key)) {
      value.Fail(absl::StrCat("found ", key, " of a node that is not reached over ssh, expected none"),
                 "an agent has it in its own node.yaml; or is the address to be ssh://user@host?");
    }
  }
}

std::map<std::string, std::string> ReadLabels(const yaml::Value& value) {
  std::map<std::string, std::string> labels;
  for (const yaml::Value& entry : value.Entries("a map of texts such as {role: web}")) {
    const std::string text = entry.Text("a text");
    if (text.size() > kMaxLabel || entry.key().empty() || entry.key().size() > kMaxLabel) {
      entry.Fail("expected a label and a value of 1 to 63 characters each");
    }
    labels[entry.key()] = text;
  }
  return labels;
}

void ReadVerify(const yaml::Value& value, NodeConfig& node) {
  if (value.is_text()) {
    node.verify.push_back({.address = value.HostPort()});
    return;
  }
  const yaml::Map map =
      value.ReadMap("host:port, or a map with address and server_name", EndpointKeys({"certificate"}));
  Endpoints endpoints = ReadEndpoints(map, /*requires_name=*/false);
  if (endpoints.server_names.empty()) endpoints.server_names.emplace_back();
  const yaml::Value certificate = map.Find("certificate");
  const std::string certificate_name = certificate ? certificate.Name() : "";
  for (const std::string& address : endpoints.addresses) {
    for (const std::string& server_name : endpoints.server_names) {
      node.verify.push_back({.address = address,
                             .server_name = server_name,
                             .starttls = endpoints.starttls,
                             .certificate = certificate_name});
    }
  }
}

}  // namespace

NodeConfig ReadNode(const yaml::Value& value, const SshOptions& ssh) {
  const yaml::Map map = value.ReadMap("a node", {"name", "address", "http_address", "labels", "verify", "services",
                                                 "allow_names", "state", "ssh", "http_challenge"});
  NodeConfig node;
  node.name = map.Require("name").Name();
  const Address address = ReadAddress(map.Require("address"));
  node.address = address.grpc;
  if (address.ssh) {
    node.ssh = ReadSshNode(map, *address.ssh, ssh);
    node.address = node.ssh->server.ToString();
  } else if (!address.grpc.empty()) {
    RefuseForAgents(map);
  }
  if (const yaml::Value http = map.Find("http_address")) node.http_address = http.HostPort();
  node.labels = ReadLabels(map.Find("labels"));
  for (const yaml::Value& item : map.Find("verify").Items("a list of host:port", 1, kMaxEndpoints)) {
    ReadVerify(item, node);
  }
  return node;
}

}  // namespace certcast::controller
