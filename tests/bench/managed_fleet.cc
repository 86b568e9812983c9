#include "tests/bench/managed_fleet.h"

#include <fstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/clock/clock.h"
#include "common/file/file_system.h"
#include "common/identity/names.h"
#include "common/probe/probe.h"
#include "common/process/process.h"
#include "common/status/status.h"
#include "common/x509/private_key.h"
#include "controller/api/controller.h"
#include "controller/keyring/keyring.h"
#include "controller/store/sqlite_store.h"
#include "controller/transport/grpc_transport.h"
#include "node/identity/identity.h"
#include "tests/bench/memory_node.h"
#include "tests/bench/web_port.h"
#include "tests/testing/test_ca.h"

namespace certcast::bench {
namespace {

constexpr char kCertificateName[] = "wildcard";
// Handshakes at once, a process.
constexpr int kWebThreads = 2;

absl::Status Write(const std::string& path, const std::string& text) {
  std::ofstream file(path);
  file << text;
  file.close();
  return file ? absl::OkStatus() : absl::InternalError(absl::StrCat("can't write ", path));
}

// Key, request and certificate, as `csr`, `nodes sign` and `accept` make them.
absl::StatusOr<node::Identity> Enrol(controller::Keyring& keyring, const std::string& name) {
  ASSIGN_OR_RETURN(const PrivateKey key, PrivateKey::Generate(KeyType::kEcdsaP256));
  ASSIGN_OR_RETURN(const std::string request, MakeCsr(key, {NodeDnsName(name)}));
  ASSIGN_OR_RETURN(const controller::NodeIdentity signed_identity, keyring.SignNode(name, CsrDerToPem(request)));
  ASSIGN_OR_RETURN(node::IdentityFile file, node::IdentityFile::Parse(signed_identity.pem));
  ASSIGN_OR_RETURN(Secret private_key_pem, key.ToPem());
  return node::Identity{.file = std::move(file), .private_key_pem = std::move(private_key_pem)};
}

}  // namespace

controller::Machine ManagedFleet::MakeMachine() {
  controller::Machine machine;
  machine.files = &FileSystem::Real();
  machine.processes = &ProcessRunner::Real();
  machine.prober = &Prober::Real();
  machine.clock = &Clock::Real();
  machine.open_store = [](const std::string& state, bool make) -> absl::StatusOr<std::unique_ptr<controller::Store>> {
    controller::SqliteStoreOptions options;
    options.make = make;
    return controller::SqliteStore::Open(state, options);
  };
  machine.make_transport =
      [](const std::string& fleet_id,
         controller::ControllerIdentity identity) -> absl::StatusOr<std::unique_ptr<controller::Transport>> {
    return std::make_unique<controller::GrpcTransport>(
        controller::LinkIdentity{.fleet_id = fleet_id,
                                 .chain_pem = std::move(identity.chain_pem),
                                 .private_key_pem = std::move(identity.private_key_pem),
                                 .fleet_ca_pem = std::move(identity.fleet_ca_pem)});
  };
  return machine;
}

absl::StatusOr<std::unique_ptr<ManagedFleet>> ManagedFleet::Start(const ManagedFleetOptions& options) {
  auto fleet = std::unique_ptr<ManagedFleet>(new ManagedFleet());
  ASSIGN_OR_RETURN(fleet->folder_, WorkFolder::Make(options.directory));
  RETURN_IF_ERROR(fleet->Init(options));
  RETURN_IF_ERROR(fleet->StartNodes(options));
  std::vector<std::string> nodes;
  for (const std::string& description : fleet->processes_->descriptions()) {
    const std::pair<std::string, std::string> at = absl::StrSplit(description, ' ');
    nodes.push_back(absl::StrCat("  - {name: ", NameOf(static_cast<int>(nodes.size())), ", address: \"grpc://",
                                 at.first, "\", labels: {rack: r", nodes.size() % 40, "}, verify: [\"", at.second,
                                 "\"]}"));
  }
  RETURN_IF_ERROR(fleet->WriteConfig(options, nodes));
  return fleet;
}

absl::Status ManagedFleet::Init(const ManagedFleetOptions& options) {
  RETURN_IF_ERROR(Write(folder_->path() + "/root.pem", root_.root_pem()));
  // The nodes are not there yet, and their names are not needed.
  RETURN_IF_ERROR(WriteConfig(options, {"  - {name: node-0, address: \"grpc://127.0.0.1:1\"}"}));
  ASSIGN_OR_RETURN(controller::Config config, controller::ReadConfig(config_path()));
  return controller::Controller(std::move(config), MakeMachine()).Init().status();
}

absl::Status ManagedFleet::StartNodes(const ManagedFleetOptions& options) {
  ASSIGN_OR_RETURN(const controller::Config config, controller::ReadConfig(config_path()));
  ASSIGN_OR_RETURN(const std::unique_ptr<controller::Store> store, controller::SqliteStore::Open(state_path(), {}));
  ASSIGN_OR_RETURN(const std::unique_ptr<controller::Keyring> keyring,
                   controller::Keyring::Open(config.master_key, {.store = store.get()}));
  const auto make = [&keyring](int index) -> absl::StatusOr<std::unique_ptr<RunningNode>> {
    // In the node's process: one for all of its nodes, and as long as it lives.
    static WebPort* web = nullptr;
    if (web == nullptr) {
      ASSIGN_OR_RETURN(std::unique_ptr<WebPort> started, WebPort::Start(kWebThreads));
      web = started.release();
    }
    ASSIGN_OR_RETURN(node::Identity identity, Enrol(*keyring, NameOf(index)));
    return MakeMemoryNode(
        {.index = index, .certificate = kCertificateName, .identity = std::move(identity), .web = web});
  };
  ASSIGN_OR_RETURN(processes_, NodeProcesses::Start(options.nodes, options.processes, make));
  return absl::OkStatus();
}

absl::Status ManagedFleet::WriteConfig(const ManagedFleetOptions& options,
                                       const std::vector<std::string>& nodes) const {
  std::string text =
      absl::StrCat("state: state\nmaster_key: {file: master.key}\ncertificates:\n  - name: ", kCertificateName,
                   "\n    domains: [\"*.bench.test\", \"bench.test\"]\n    ca_file: root.pem\n"
                   "    nodes: all\n    rollout: {waves: [\"1\", \"10%\", \"100%\"], parallel: ",
                   options.parallel, "}\nnodes:\n");
  for (const std::string& node : nodes) absl::StrAppend(&text, node, "\n");
  return Write(config_path(), text);
}

absl::Status ManagedFleet::ImportNext(const controller::Machine& machine) const {
  const testing::IssuedCertificate issued = issuer_.Issue({.dns_names = {"*.bench.test", "bench.test"}});
  v1::ImportRequest request;
  request.set_certificate(kCertificateName);
  request.set_fullchain_pem(issued.fullchain_pem);
  request.set_private_key_pem(std::string(issued.key_pem.ExposeSecret()));
  ASSIGN_OR_RETURN(controller::Config config, controller::ReadConfig(config_path()));
  return controller::Controller(std::move(config), machine).Import(request).status();
}

}  // namespace certcast::bench
