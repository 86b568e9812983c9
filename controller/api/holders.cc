#include "controller/api/holders.h"

#include <algorithm>
#include <memory>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status/status.h"
#include "controller/rollout/verify.h"
#include "controller/store/records.h"
#include "controller/transport/link.h"

namespace certcast::controller {
namespace {

const DoomedLeaf* Find(const std::vector<DoomedLeaf>& doomed, absl::string_view sha256) {
  const auto it = std::find_if(doomed.begin(), doomed.end(),
                               [&](const DoomedLeaf& leaf) { return !sha256.empty() && leaf.sha256 == sha256; });
  return it == doomed.end() ? nullptr : &*it;
}

v1::Holder MakeHolder(const std::string& node, v1::Holder::Kind kind, const DoomedLeaf& leaf, std::string detail) {
  v1::Holder holder;
  holder.set_node(node);
  holder.set_kind(kind);
  holder.set_generation(leaf.generation);
  holder.set_leaf_sha256(leaf.sha256);
  holder.set_detail(std::move(detail));
  return holder;
}

// What it serves says more than what it has.
std::optional<v1::Holder> HolderIn(const SeenNode& seen, const std::string& certificate,
                                   const std::vector<DoomedLeaf>& doomed) {
  for (const v1::ProbeResult& probe : seen.inventory.probes()) {
    if (const DoomedLeaf* leaf = Find(doomed, probe.served_sha256()); leaf != nullptr) {
      return MakeHolder(seen.name, v1::Holder::SERVES, *leaf,
                        absl::StrCat(probe.service(), ": ", probe.probe(), " serves it"));
    }
  }
  for (const v1::Inventory::Service& service : seen.inventory.services()) {
    if (const DoomedLeaf* leaf = Find(doomed, service.installed_sha256()); leaf != nullptr) {
      return MakeHolder(seen.name, v1::Holder::HAS, *leaf, absl::StrCat(service.name(), ": its files hold it"));
    }
  }
  for (const v1::Inventory::Certificate& has : seen.inventory.certificates()) {
    if (const DoomedLeaf* leaf = Find(doomed, has.leaf_sha256()); leaf != nullptr) {
      return MakeHolder(seen.name, v1::Holder::HAS, *leaf, "it is in force there");
    }
    if (has.name() != certificate || has.confirmed() || !has.has_confirm_by()) continue;
    for (const DoomedLeaf& leaf : doomed) {
      if (leaf.generation == 0 || leaf.generation != has.previous_generation()) continue;
      return MakeHolder(seen.name, v1::Holder::RETURNS, leaf,
                        absl::StrCat("waits for Confirm of generation ", has.generation(), ", else goes back to it"));
    }
  }
  return std::nullopt;
}

v1::Holder Silent(const v1::StatusResponse::Node& row) {
  v1::Holder holder;
  holder.set_node(row.name());
  holder.set_kind(v1::Holder::UNKNOWN);
  holder.set_detail(absl::StrCat(ReasonName(row.reason()), ": ", row.detail()));
  return holder;
}

std::optional<v1::Holder> HolderBehind(const v1::VerifyResponse::Endpoint& endpoint,
                                       const std::vector<DoomedLeaf>& doomed) {
  v1::Holder holder;
  if (endpoint.served_sha256().empty()) {
    holder.set_kind(v1::Holder::UNKNOWN);
    holder.set_detail(endpoint.detail());
  } else if (const DoomedLeaf* leaf = Find(doomed, endpoint.served_sha256()); leaf != nullptr) {
    holder = MakeHolder("", v1::Holder::SERVES, *leaf, "it is served to the controller");
  } else {
    return std::nullopt;
  }
  holder.set_node(endpoint.node());
  holder.set_address(endpoint.address());
  holder.set_server_name(endpoint.server_name());
  return holder;
}

// The certificate's own nodes, then those that had it when they were last seen.
absl::StatusOr<std::vector<const NodeConfig*>> NodesThatMayHaveIt(const Config& config, Session& session,
                                                                  const CertificateConfig& certificate) {
  std::vector<const NodeConfig*> nodes = config.NodesOf(certificate);
  std::set<std::string> known;
  for (const NodeConfig* node : nodes) known.insert(node->name);
  ASSIGN_OR_RETURN(const std::vector<state::v1::Node> records, NodeRecords(*session.store).List());
  for (const state::v1::Node& record : records) {
    const NodeConfig* node = config.FindNode(record.name());
    if (node == nullptr || known.count(record.name()) > 0) continue;
    const auto& has = record.inventory().certificates();
    const bool had_it = std::any_of(has.begin(), has.end(), [&](const v1::Inventory::Certificate& entry) {
      return entry.name() == certificate.name && entry.generation() > 0;
    });
    if (had_it) nodes.push_back(node);
  }
  return nodes;
}

}  // namespace

absl::StatusOr<FleetLook> LookForHolders(const Config& config, const Machine& machine, Session& session,
                                         const CertificateConfig& certificate,
                                         const std::optional<state::v1::Generation>& wanted,
                                         const std::vector<DoomedLeaf>& doomed) {
  WantedCertificate asked;
  asked.name = certificate.name;
  if (wanted.has_value()) {
    asked.generation = wanted->generation();
    asked.leaf_sha256 = wanted->leaf_sha256();
  }
  ASSIGN_OR_RETURN(asked.nodes, NodesThatMayHaveIt(config, session, certificate));
  ASSIGN_OR_RETURN(ControllerIdentity identity, session.keyring->LoadControllerIdentity());
  ASSIGN_OR_RETURN(std::unique_ptr<Transport> transport,
                   machine.make_transport(session.keyring->fleet_id(), std::move(identity)));
  FleetStatusOptions options;
  options.epoch = session.epoch();

  FleetLook look;
  look.own_nodes = config.NodesOf(certificate).size();
  look.status = AskFleet({asked}, *transport, *machine.clock, options);
  std::set<std::string> answered;
  for (const SeenNode& seen : look.status.seen) {
    answered.insert(seen.name);
    if (auto holder = HolderIn(seen, certificate.name, doomed); holder.has_value()) look.holders.push_back(*holder);
  }
  for (const v1::StatusResponse::Node& row : look.status.rows) {
    if (answered.count(row.name()) == 0) look.holders.push_back(Silent(row));
  }
  std::vector<ExpectedEndpoint> endpoints;
  for (const NodeConfig* node : asked.nodes) {
    for (ExpectedEndpoint& endpoint :
         EndpointsOf(*node, certificate.name, certificate.DefaultServerName(), asked.leaf_sha256)) {
      endpoints.push_back(std::move(endpoint));
    }
  }
  look.endpoints = VerifyEndpoints(endpoints, *machine.prober, *machine.clock, {});
  std::set<std::string> own;
  for (size_t i = 0; i < look.own_nodes; ++i) own.insert(asked.nodes[i]->name);
  for (const v1::VerifyResponse::Endpoint& endpoint : look.endpoints) {
    const auto holder = HolderBehind(endpoint, doomed);
    if (!holder.has_value()) continue;
    // Where the certificate is not meant to be served any more, no answer under its name is no news.
    if (holder->kind() == v1::Holder::UNKNOWN && own.count(endpoint.node()) == 0) continue;
    look.holders.push_back(*holder);
  }
  return look;
}

}  // namespace certcast::controller
