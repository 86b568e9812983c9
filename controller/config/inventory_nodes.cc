#include "controller/config/inventory_nodes.h"

#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/status/status.h"

namespace certcast::controller {
namespace {

constexpr absl::string_view kExpected = "a map such as {file: inventory.json, group: web}";
constexpr size_t kMaxServices = 64;
constexpr size_t kMaxEndpoints = 64;
constexpr int kMaxPort = 65535;

InventoryDefaults ReadDefaults(const yaml::Map& map) {
  InventoryDefaults defaults;
  if (const yaml::Value group = map.Find("group")) defaults.group = group.Text("the name of a group");
  if (const yaml::Value services = map.Find("services")) {
    defaults.services = services.Texts("a list of service names", 1, kMaxServices);
  }
  if (const yaml::Value state = map.Find("state")) defaults.state = state.Text("an absolute path on the hosts");
  for (const yaml::Value& label : map.Find("labels").Entries("a map of texts such as {role: web}")) {
    defaults.labels[label.key()] = label.Text("a text");
  }
  if (const yaml::Value verify = map.Find("verify")) {
    defaults.verify = verify.Texts("a list of host:port, or :port of each host", 1, kMaxEndpoints);
  }
  const yaml::Value port = map.Find("agent_port");
  defaults.agent_port = port.Integer(1, kMaxPort, 0);
  for (const char* key : {"services", "state"}) {
    if (!port || !map.Find(key)) continue;
    map.Find(key).Fail(absl::StrCat("found ", key, " beside agent_port, expected one of the two"),
                       "an agent has it in its own node.yaml");
  }
  return defaults;
}

// The entry stands on one line that nobody wrote, so its place says nothing.
absl::string_view WithoutPlace(absl::string_view line, absl::string_view path) {
  const size_t end = line.find(": ", path.size());
  return end == absl::string_view::npos ? line : line.substr(end + 2);
}

}  // namespace

std::vector<yaml::Value> InventoryNodes::Read(const yaml::Value& nodes, size_t most) {
  std::vector<yaml::Value> values;
  place_ = nodes.ReadMap("a list of nodes, or {ansible_inventory: {file: PATH}}", {"ansible_inventory"})
               .Require("ansible_inventory");
  const yaml::Map map =
      place_.ReadMap(kExpected, {"file", "group", "services", "state", "labels", "verify", "agent_port"});
  const InventoryDefaults defaults = ReadDefaults(map);
  file_ = map.Require("file").Path();
  absl::StatusOr<std::vector<InventoryHost>> hosts = std::vector<InventoryHost>();
  if (!file_.empty()) hosts = ReadAnsibleInventory(file_, defaults);
  if (!hosts.ok()) {
    for (absl::string_view line : absl::StrSplit(hosts.status().message(), '\n')) {
      map.Find("file").Fail(line, FailureOf(hosts.status()).hint());
    }
  } else if (hosts->size() > most) {
    map.Find("file").Fail(absl::StrCat("found ", hosts->size(), " hosts, expected at most ", most));
  } else {
    for (const InventoryHost& host : *hosts) Add(host, map.Find("file"), values);
  }
  known_ = !values.empty();
  return values;
}

void InventoryNodes::Add(const InventoryHost& host, const yaml::Value& file, std::vector<yaml::Value>& values) {
  absl::StatusOr<std::unique_ptr<yaml::Document>> entry = yaml::Document::Parse(host.entry, file_, {});
  if (!entry.ok()) {
    return file.Fail(absl::StrCat("host ", host.name, ": ", WithoutPlace(entry.status().message(), file_)));
  }
  values.push_back((*entry)->root());
  hosts_.push_back({host.name, *std::move(entry)});
}

void InventoryNodes::ReportErrors() const {
  for (const Host& host : hosts_) {
    const absl::Status status = host.entry->status();
    if (status.ok()) continue;
    for (absl::string_view line : absl::StrSplit(status.message(), '\n')) {
      place_.Fail(absl::StrCat("host ", host.name, " of ", file_, ": ", WithoutPlace(line, file_)));
    }
  }
}

}  // namespace certcast::controller
