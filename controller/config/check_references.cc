#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <variant>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/yaml/first_seen.h"
#include "common/yaml/grammar.h"
#include "controller/config/sections.h"
#include "controller/config/ssh_services.h"

namespace certcast::controller {
namespace {

// Looking for what was meant among many thousand names takes a while, so only so many names are.
constexpr int kMaxSuggestions = 20;

using LabelValues = std::map<std::string, std::set<std::string>>;

template <typename Entry>
std::vector<absl::string_view> NamesOf(const std::vector<Entry>& entries) {
  std::vector<absl::string_view> names;
  names.reserve(entries.size());
  for (const Entry& entry : entries) names.push_back(entry.name);
  return names;
}

std::string Meant(absl::string_view word, const std::vector<absl::string_view>& words) {
  const absl::string_view nearest = NearestWord(word, words);
  return nearest.empty() ? "" : absl::StrCat("did you mean ", nearest, "?");
}

template <typename Entry>
void CheckNames(const std::vector<Entry>& entries, const std::vector<yaml::Value>& places, absl::string_view what) {
  yaml::FirstSeen seen(what);
  for (size_t i = 0; i < entries.size(); ++i) seen.Add(entries[i].name, yaml::Map(places[i]).Find("name"));
}

// The jump hosts before it; empty where it is reached directly.
std::string WayTo(const NodeConfig& node) {
  if (!node.ssh.has_value()) return "";
  return absl::StrJoin(node.ssh->options.jump, ",",
                       [](std::string* out, const SshServer& jump) { absl::StrAppend(out, jump.ToString()); });
}

class ReferenceCheck {
 public:
  explicit ReferenceCheck(const Config& config)
      : config_(config), node_names_(NamesOf(config.nodes)), has_unnamed_node_(config.FindNode("") != nullptr) {
    for (const NodeConfig& node : config.nodes) {
      for (const auto& [key, value] : node.labels) labels_[key].insert(value);
    }
  }

  void Check(const CertificateConfig& certificate, const yaml::Map& map) {
    CheckAccount(certificate.account, map.Find("account"));
    for (const yaml::Value& item : map.Find("accounts").Children()) {
      if (item.is_text() && CheckName(item.Text()).ok()) CheckAccount(item.Text(), item);
    }
    CheckChallengeNodes(certificate, map.Find("challenge"));
    const yaml::Value nodes = map.Find("nodes");
    if (!nodes || !CheckSelector(certificate, nodes)) return;
    if (const yaml::Value rollout = map.Find("rollout"); rollout.is_map()) {
      CheckSpread(certificate, yaml::Map(rollout).Find("spread"));
    }
  }

  void Check(const NodeConfig& node, const yaml::Map& map) {
    for (const yaml::Value& endpoint : map.Find("verify").Children()) {
      if (!endpoint.is_map()) continue;
      const yaml::Value place = yaml::Map(endpoint).Find("certificate");
      if (place && CheckName(place.Text()).ok()) CheckServed(node, place);
    }
  }

 private:
  // That the node is given the certificate.
  void CheckServed(const NodeConfig& node, const yaml::Value& place) {
    std::vector<absl::string_view> given;
    for (const CertificateConfig& certificate : config_.certificates) {
      const std::vector<const NodeConfig*> nodes = config_.NodesOf(certificate);
      if (std::find(nodes.begin(), nodes.end(), &node) != nodes.end()) given.push_back(certificate.name);
    }
    if (std::find(given.begin(), given.end(), place.Text()) != given.end()) return;
    place.FailExpected("the name of a certificate that goes to this node", Meant(place.Text(), given));
  }

  void CheckAccount(const std::string& name, const yaml::Value& place) const {
    if (name.empty() || config_.FindAccount(name) != nullptr) return;
    // One without a good name, which has its own error, may be the one that is meant.
    if (config_.FindAccount("") != nullptr) return;
    place.FailExpected("the name of an account under `accounts`", Meant(name, NamesOf(config_.accounts)));
  }

  // A challenge that is shown on the certificate's nodes needs some, and each that certcast.yaml defines says where.
  void CheckChallengeNodes(const CertificateConfig& certificate, const yaml::Value& challenge) const {
    if (!certificate.challenge.has_value() || !certificate.challenge->http01.has_value() ||
        !std::holds_alternative<HttpFleet>(*certificate.challenge->http01)) {
      return;
    }
    const std::vector<const NodeConfig*> nodes = config_.NodesOf(certificate);
    if (nodes.empty()) {
      challenge.Fail("found a challenge that is shown on the certificate's nodes, but it has none",
                     "choose some by `nodes`, or another solver");
    }
    for (const NodeConfig* node : nodes) {
      if (!node->ssh.has_value() || !node->ssh->hosted() || !node->ssh->http_challenge.empty()) continue;
      challenge.Fail(absl::StrCat("found a challenge that is shown on the certificate's nodes, but ", node->name,
                                  " has no http_challenge"),
                     "add http_challenge: {webroot: DIRECTORY} to that node");
      return;
    }
  }

  // Whether at least one node is chosen, and all that are named exist.
  bool CheckSelector(const CertificateConfig& certificate, const yaml::Value& nodes) {
    if (certificate.nodes.all && config_.nodes.empty()) {
      nodes.Fail("found all, but there are no nodes", "add `nodes`, or leave this out until there are some");
      return false;
    }
    if (nodes.is_list()) return CheckNodeNames(nodes);
    return certificate.nodes.labels.empty() || CheckLabels(certificate, nodes);
  }

  bool CheckNodeNames(const yaml::Value& nodes) {
    bool known = true;
    if (has_unnamed_node_) return false;
    for (const yaml::Value& item : nodes.Children()) {
      if (!item.is_text() || !CheckName(item.Text()).ok() || config_.FindNode(item.Text()) != nullptr) continue;
      const bool suggest = suggestions_++ < kMaxSuggestions;
      item.FailExpected("the name of a node under `nodes`", suggest ? Meant(item.Text(), node_names_) : "");
      known = false;
    }
    return known;
  }

  bool CheckLabels(const CertificateConfig& certificate, const yaml::Value& nodes) const {
    bool known = true;
    for (const auto& [key, value] : certificate.nodes.labels) {
      if (value.empty()) return false;  // has its own error
      known = CheckLabel(yaml::Map(nodes).Find(key), key, value) && known;
    }
    if (known && config_.NodesOf(certificate).empty()) {
      nodes.Fail("no node has all of these labels", "every one of them must match");
      known = false;
    }
    return known;
  }

  bool CheckLabel(const yaml::Value& place, const std::string& key, const std::string& value) const {
    const auto values = labels_.find(key);
    if (values == labels_.end()) {
      std::vector<absl::string_view> keys;
      for (const auto& [known, unused] : labels_) keys.push_back(known);
      place.Fail(absl::StrCat("no node has the label ", Quoted(key)), Meant(key, keys));
      return false;
    }
    if (values->second.count(value) != 0) return true;
    place.FailExpected(absl::StrCat("a value of the label ", Quoted(key), " that at least one node has"),
                       Meant(value, {values->second.begin(), values->second.end()}));
    return false;
  }

  void CheckSpread(const CertificateConfig& certificate, const yaml::Value& spread) const {
    const std::string& label = certificate.rollout.spread_label;
    if (!spread.is_map() || label.empty()) return;
    const std::vector<const NodeConfig*> nodes = config_.NodesOf(certificate);
    const auto has_label = [&](const NodeConfig* node) { return node->labels.count(label) != 0; };
    if (nodes.empty() || std::any_of(nodes.begin(), nodes.end(), has_label)) return;
    std::vector<absl::string_view> keys;
    for (const auto& [known, unused] : labels_) keys.push_back(known);
    yaml::Map(spread).Find("label").FailExpected("a label that at least one of the certificate's nodes has",
                                                 Meant(label, keys));
  }

  const Config& config_;
  const std::vector<absl::string_view> node_names_;
  // A node without a good name has its own error, and may be one that is meant.
  const bool has_unnamed_node_;
  LabelValues labels_;
  int suggestions_ = 0;
};

}  // namespace

void CheckDistinct(const Config& config, const Places& places) {
  CheckNames(config.accounts, places.accounts, "the account name");
  CheckNames(config.certificates, places.certificates, "the certificate name");
  CheckNames(config.nodes, places.nodes, "the node name");
  // Two sites may have the same private network, each behind a jump host of its own.
  std::map<std::string, yaml::FirstSeen> addresses;
  for (size_t i = 0; i < config.nodes.size(); ++i) {
    auto& behind = addresses.emplace(WayTo(config.nodes[i]), "the address").first->second;
    behind.Add(config.nodes[i].address, yaml::Map(places.nodes[i]).Find("address"));
  }
}

void ReadSshServices(Config& config, const Places& places) {
  ServiceCatalogue catalogue(places.services);
  catalogue.CheckCertificates(config);
  for (size_t i = 0; i < config.nodes.size(); ++i) {
    if (!config.nodes[i].ssh) continue;
    if (const yaml::Value services = yaml::Map(places.nodes[i]).Find("services")) {
      catalogue.Choose(services, config, *config.nodes[i].ssh);
    }
  }
  const auto is_ssh = [](const NodeConfig& node) { return node.ssh.has_value(); };
  if (std::none_of(config.nodes.begin(), config.nodes.end(), is_ssh)) return;
  for (const CertificateConfig& certificate : config.certificates) {
    if (certificate.name.empty()) continue;
    for (const NodeConfig* node : config.NodesOf(certificate)) {
      if (!node->ssh || catalogue.Uses(*node->ssh, certificate.name, config)) continue;
      yaml::Map(places.nodes[node - config.nodes.data()])
          .Find("services")
          .Fail(absl::StrCat("the certificate ", certificate.name,
                             " goes to this node, but none of its services uses it"),
                "add one, or choose other nodes for the certificate");
    }
  }
}

void CheckReferences(const Config& config, const Places& places) {
  ReferenceCheck check(config);
  for (size_t i = 0; i < config.certificates.size(); ++i) {
    check.Check(config.certificates[i], yaml::Map(places.certificates[i]));
  }
  for (size_t i = 0; i < config.nodes.size(); ++i) check.Check(config.nodes[i], yaml::Map(places.nodes[i]));
}

}  // namespace certcast::controller
