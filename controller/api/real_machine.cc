#include "controller/api/real_machine.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/probe/system_resolver.h"
#include "common/status/status.h"
#include "common/version/version.h"
#include "controller/acme/curl_http_client.h"
#include "controller/acme/ldns_dns_client.h"
#include "controller/acme/trace.h"
#include "controller/store/sqlite_store.h"
#include "controller/transport/grpc_transport.h"
#include "controller/transport/ssh/ssh_transport.h"
#include "controller/transport/transport_by_address.h"

namespace certcast::controller {

RealMachine::RealMachine()
    : http_(MakeCurlHttpClient(absl::StrCat("certcast/", kVersion))),
      dns_(MakeLdnsClient()),
      prober_(Prober::Over(SystemResolver(), ProcessRunner::Real())) {
  machine_.files = &FileSystem::Real();
  machine_.processes = &ProcessRunner::Real();
  machine_.prober = prober_.get();
  machine_.resolver = &SystemResolver();
  machine_.clock = &Clock::Real();
  machine_.http = http_.get();
  machine_.dns = dns_.get();
  machine_.open_store = [this](const std::string& state, bool make) -> absl::StatusOr<std::unique_ptr<Store>> {
    agent_digests_ = absl::StrCat(state, "/agent_digests");
    SqliteStoreOptions options;
    options.make = make;
    return SqliteStore::Open(state, options);
  };
  machine_.make_transport = [this](const std::string& fleet_id,
                                   ControllerIdentity identity) -> absl::StatusOr<std::unique_ptr<Transport>> {
    SshTransportOptions ssh;
    ssh.fleet_id = fleet_id;
    ssh.manifest_key_pem = std::move(identity.manifest_key_pem);
    ssh.digests_file = agent_digests_;
    return std::make_unique<TransportByAddress>(
        std::make_unique<GrpcTransport>(LinkIdentity{.fleet_id = fleet_id,
                                                     .chain_pem = std::move(identity.chain_pem),
                                                     .private_key_pem = std::move(identity.private_key_pem),
                                                     .fleet_ca_pem = std::move(identity.fleet_ca_pem)}),
        std::make_unique<SshTransport>(std::move(ssh), SystemResolver(), ProcessRunner::Real()));
  };
  machine_.make_agent_installer = [this](const std::string& fleet_id) {
    SshTransportOptions ssh;
    ssh.fleet_id = fleet_id;
    ssh.digests_file = agent_digests_;
    return std::make_unique<SshTransport>(std::move(ssh), SystemResolver(), ProcessRunner::Real());
  };
}

absl::Status RealMachine::TraceTo(const std::string& path) {
  ASSIGN_OR_RETURN(auto traced, TracingHttpClient::Open(path, std::move(http_), Clock::Real()));
  traced_ = traced.get();
  http_ = std::move(traced);
  machine_.http = http_.get();
  return absl::OkStatus();
}

absl::Status RealMachine::TraceWritten() const {
  return traced_ == nullptr ? absl::OkStatus() : traced_->written();
}

}  // namespace certcast::controller
