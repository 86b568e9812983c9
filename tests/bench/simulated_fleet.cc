#include "tests/bench/simulated_fleet.h"

#include <openssl/objects.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "certcast/v1/link.pb.h"
#include "common/identity/names.h"
#include "common/manifest/manifest.h"
#include "common/status/status.h"
#include "common/version/version.h"
#include "node/frontend/grpc_server.h"
#include "node/identity/identity.h"
#include "tests/bench/instant_engine.h"

namespace certcast::bench {
namespace {

using testing::CertificateSpec;
using testing::IssuedCertificate;
using testing::TestCa;

class InstantNode final : public RunningNode {
 public:
  std::string Describe() const override { return server_->address(); }

  absl::Status Serve(int index, const TestCa& ca, const testing::TestFleet& fleet) {
    const std::string name = NameOf(index);
    IssuedCertificate issued = ca.Issue({.dns_names = {NodeDnsName(name)}, .uris = {NodeUri(fleet.id(), name)}});
    const node::Identity identity{.file = {issued.certificate, ca.certificate(), fleet.id(), name, fleet.key()},
                                  .private_key_pem = std::move(issued.key_pem)};
    const node::GrpcServerOptions options{.listen = absl::StrCat(LoopbackOf(index), ":0"),
                                          .version = kVersion,
                                          .on_refused = [](absl::string_view) {},
                                          .on_handled = [] {}};
    ASSIGN_OR_RETURN(server_, node::GrpcServer::Start(options, identity, engine_));
    return absl::OkStatus();
  }

 private:
  InstantEngine engine_;
  std::unique_ptr<node::GrpcServer> server_;
};

size_t InstallBytes(const v1::Bundle& bundle) {
  v1::Command command;
  command.set_id("wildcard-1-33m8z0/00000/install/0");
  command.set_epoch(1);
  *command.mutable_install()->mutable_bundle() = bundle;
  command.mutable_install()->mutable_confirm_timeout()->set_seconds(60);
  return command.ByteSizeLong();
}

}  // namespace

SimulatedFleet::SimulatedFleet()
    : fleet_("6d1c7f6e-3a5b-4f0e-9c53-0d5f6c1b7a10"),
      ca_(TestCa::Root("fleet CA")),
      issuing_ca_(TestCa::Root("public root").Intermediate("public intermediate")) {
}

absl::StatusOr<std::unique_ptr<SimulatedFleet>> SimulatedFleet::Start(int nodes, int processes) {
  auto fleet = std::unique_ptr<SimulatedFleet>(new SimulatedFleet());
  const auto make = [&fleet](int index) -> absl::StatusOr<std::unique_ptr<RunningNode>> {
    auto node = std::make_unique<InstantNode>();
    RETURN_IF_ERROR(node->Serve(index, fleet->ca_, fleet->fleet_));
    return node;
  };
  ASSIGN_OR_RETURN(fleet->processes_, NodeProcesses::Start(nodes, processes, make));
  for (const std::string& address : fleet->processes_->descriptions()) {
    fleet->nodes_.push_back({.name = NameOf(static_cast<int>(fleet->nodes_.size())), .address = address});
  }
  return fleet;
}

controller::LinkIdentity SimulatedFleet::ControllerIdentity() const {
  IssuedCertificate issued = ca_.Issue({.dns_names = {ControllerDnsName()}, .uris = {ControllerUri(fleet_.id())}});
  // With the CA's certificate after its own, as the keyring has it.
  return {.fleet_id = fleet_.id(),
          .chain_pem = absl::StrCat(issued.certificate.ToPem(), ca_.root_pem()),
          .private_key_pem = std::move(issued.key_pem),
          .fleet_ca_pem = ca_.root_pem()};
}

v1::Bundle SimulatedFleet::MakeBundle(uint64_t generation, size_t install_bytes) const {
  CertificateSpec spec{.dns_names = {"*.bench.test", "bench.test"}};
  const auto make = [&] { return fleet_.Bundle(issuing_ca_.Issue(spec), kCertificate, generation, absl::Now()); };
  v1::Bundle bundle = make();
  const size_t size = InstallBytes(bundle);
  if (size >= install_bytes) return bundle;
  // Base64 with line ends makes 65 of 48.
  const size_t padding = (install_bytes - size) * 48 / 65;
  spec.extensions.emplace_back(NID_netscape_comment, std::string(padding, 'x'));
  return make();
}

}  // namespace certcast::bench
