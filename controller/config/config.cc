#include "controller/config/config.h"

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/yaml/document.h"
#include "common/yaml/value.h"
#include "controller/config/inventory_nodes.h"
#include "controller/config/sections.h"

namespace certcast::controller {
namespace {

// Room for about 100,000 nodes.
constexpr yaml::Limits kLimits = {.bytes = 16 << 20};
constexpr size_t kMaxAccounts = 1000;
constexpr size_t kMaxCertificates = 10'000;
constexpr size_t kMaxNodes = 100'000;

using Index = absl::flat_hash_map<std::string, size_t>;

template <typename Entry>
Index MakeIndex(const std::vector<Entry>& entries) {
  Index index;
  for (size_t i = 0; i < entries.size(); ++i) index.emplace(entries[i].name, i);
  return index;
}

template <typename Entry>
const Entry* FindByName(const std::vector<Entry>& entries, absl::string_view name) {
  const auto found =
      std::find_if(entries.begin(), entries.end(), [&](const Entry& entry) { return entry.name == name; });
  return found == entries.end() ? nullptr : &*found;
}

template <typename Entry>
const Entry* FindByName(const std::vector<Entry>& entries, const Index& index, absl::string_view name) {
  if (index.size() == entries.size()) {
    const auto found = index.find(name);
    return found == index.end() ? nullptr : &entries[found->second];
  }
  return FindByName(entries, name);
}

template <typename Read>
auto ReadList(const yaml::Value& list, absl::string_view expected, size_t most, const Read& read,
              std::vector<yaml::Value>& places) {
  places = list.Items(expected, 0, most);
  std::vector<decltype(read(list))> entries;
  entries.reserve(places.size());
  for (const yaml::Value& place : places) entries.push_back(read(place));
  return entries;
}

Config ReadDocument(yaml::Document& document, InventoryNodes& inventory) {
  const yaml::Map map =
      document.root().ReadMap("a map with state, master_key, accounts, certificates and nodes",
                              {"state", "master_key", "accounts", "certificates", "nodes", "ssh", "services"});
  Config config;
  Places places;
  config.path = document.absolute_path();
  config.state = map.Require("state").Path();
  config.master_key = ReadMasterKey(
      map.Require("master_key", "write master_key: {file: /etc/certcast/master.key}; `certcast init` makes that file"));
  config.accounts = ReadList(map.Find("accounts"), "a list of accounts", kMaxAccounts, &ReadAccount, places.accounts);
  config.certificates = ReadList(map.Find("certificates"), "a list of certificates", kMaxCertificates, &ReadCertificate,
                                 places.certificates);
  const SshOptions ssh = ReadSshOptions(map.Find("ssh"), SshOptions());
  const auto read_node = [&ssh](const yaml::Value& node) { return ReadNode(node, ssh); };
  if (const yaml::Value nodes = map.Find("nodes"); nodes.is_map()) {
    places.nodes = inventory.Read(nodes, kMaxNodes);
    for (const yaml::Value& place : places.nodes) config.nodes.push_back(read_node(place));
  } else {
    config.nodes =
        ReadList(nodes, "a list of nodes, or {ansible_inventory: {file: PATH}}", kMaxNodes, read_node, places.nodes);
  }
  places.services = map.Find("services");
  config.certificate_index = MakeIndex(config.certificates);
  config.node_index = MakeIndex(config.nodes);
  CheckDistinct(config, places);
  if (!inventory.is_known()) return config;
  ReadSshServices(config, places);
  CheckReferences(config, places);
  return config;
}

absl::StatusOr<Config> Finish(absl::StatusOr<std::unique_ptr<yaml::Document>> document) {
  if (!document.ok()) return document.status();
  // Its values are looked at as long as the configuration is read.
  InventoryNodes inventory;
  Config config = ReadDocument(**document, inventory);
  inventory.ReportErrors();
  if (absl::Status status = (*document)->status(); !status.ok()) return status;
  return config;
}

bool HasLabels(const NodeConfig& node, const std::map<std::string, std::string>& labels) {
  return std::all_of(labels.begin(), labels.end(), [&](const auto& label) {
    const auto found = node.labels.find(label.first);
    return found != node.labels.end() && found->second == label.second;
  });
}

}  // namespace

std::string ChainPreference::ToString() const {
  if (!root_sha256.empty()) return absl::StrCat("root ", root_sha256);
  return issuer.empty() ? "" : absl::StrCat("issuer ", issuer);
}

std::vector<std::string> CertificateConfig::Accounts() const {
  std::vector<std::string> accounts = further_accounts;
  if (!account.empty()) accounts.insert(accounts.begin(), account);
  return accounts;
}

std::string CertificateConfig::DefaultServerName() const {
  if (domains.empty()) return "";
  absl::string_view name = domains.front();
  return absl::ConsumePrefix(&name, "*.") ? absl::StrCat("www.", name) : std::string(name);
}

const AccountConfig* Config::FindAccount(absl::string_view name) const {
  return FindByName(accounts, name);
}

const CertificateConfig* Config::FindCertificate(absl::string_view name) const {
  return FindByName(certificates, certificate_index, name);
}

const NodeConfig* Config::FindNode(absl::string_view name) const {
  return FindByName(nodes, node_index, name);
}

std::vector<const NodeConfig*> Config::NodesOf(const CertificateConfig& certificate) const {
  const NodeSelector& selector = certificate.nodes;
  const absl::flat_hash_set<absl::string_view> names(selector.names.begin(), selector.names.end());
  std::vector<const NodeConfig*> chosen;
  for (const NodeConfig& node : nodes) {
    const bool by_label = !selector.labels.empty() && HasLabels(node, selector.labels);
    if (selector.all || by_label || names.contains(node.name)) chosen.push_back(&node);
  }
  return chosen;
}

absl::StatusOr<Config> ReadConfig(const std::string& path) {
  return Finish(yaml::Document::Read(path, kLimits));
}

absl::StatusOr<Config> ParseConfig(absl::string_view text, const std::string& path) {
  return Finish(yaml::Document::Parse(text, path, kLimits));
}

}  // namespace certcast::controller
