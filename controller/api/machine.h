// What the controller uses of the machine and the network, so that a test can be both.
#ifndef CERTCAST_CONTROLLER_API_MACHINE_H_
#define CERTCAST_CONTROLLER_API_MACHINE_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/clock/clock.h"
#include "common/file/file_system.h"
#include "common/probe/probe.h"
#include "common/probe/resolver.h"
#include "common/process/process.h"
#include "controller/acme/dns_client.h"
#include "controller/acme/http_client.h"
#include "controller/keyring/keyring.h"
#include "controller/store/store.h"
#include "controller/transport/agent_installer.h"
#include "controller/transport/link.h"

namespace certcast::controller {

// All that is pointed to outlives the controller.
struct Machine {
  FileSystem* files = nullptr;
  ProcessRunner* processes = nullptr;
  Prober* prober = nullptr;
  // Of the host names that are probed.
  Resolver* resolver = &Resolver::Local();
  Clock* clock = nullptr;
  HttpClient* http = nullptr;
  DnsClient* dns = nullptr;
  // The store below the state directory; `make`: where it is missing.
  std::function<absl::StatusOr<std::unique_ptr<Store>>(const std::string& state, bool make)> open_store;
  // Links to the fleet's nodes, with the controller's identity.
  std::function<absl::StatusOr<std::unique_ptr<Transport>>(const std::string& fleet_id, ControllerIdentity identity)>
      make_transport;
  // For the hosts of that fleet.
  std::function<std::unique_ptr<AgentInstaller>(const std::string& fleet_id)> make_agent_installer;
};

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_API_MACHINE_H_
