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
constexpr absl::string_view kScheme = "grpc://";

std::string ReadAddress(const yaml::Value& value) {
  constexpr absl::string_view kExpected = "an address such as grpc://10.0.0.1:7444";
  const std::string text = value.Text(kExpected);
  absl::string_view address = text;
  if (text.empty()) return "";
  if (text == "home" || absl::StartsWith(text, "ssh://")) {
    value.FailExpected(kExpected, text == "home" ? "nodes that dial home are not supported by this version"
                                                 : "ssh:// is not supported by this version");
  } else if (!absl::ConsumePrefix(&address, kScheme)) {
    value.FailExpected(kExpected);
  } else {
    const absl::Status status = CheckHostPort(address);
    value.Fail(status);
    if (status.ok()) return std::string(address);
  }
  return "";
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
  const yaml::Map map = value.ReadMap("host:port, or a map with address and server_name", EndpointKeys());
  Endpoints endpoints = ReadEndpoints(map, /*requires_name=*/false);
  if (endpoints.server_names.empty()) endpoints.server_names.emplace_back();
  for (const std::string& address : endpoints.addresses) {
    for (const std::string& server_name : endpoints.server_names) {
      node.verify.push_back({.address = address, .server_name = server_name, .starttls = endpoints.starttls});
    }
  }
}

}  // namespace

NodeConfig ReadNode(const yaml::Value& value) {
  const yaml::Map map = value.ReadMap("a node", {"name", "address", "labels", "verify"});
  NodeConfig node;
  node.name = map.Require("name").Name();
  node.address = ReadAddress(map.Require("address"));
  node.labels = ReadLabels(map.Find("labels"));
  for (const yaml::Value& item : map.Find("verify").Items("a list of host:port", 1, kMaxEndpoints)) {
    ReadVerify(item, node);
  }
  return node;
}

}  // namespace certcast::controller
