// Puts the agent on hosts that are logged in to.
#ifndef CERTCAST_CONTROLLER_TRANSPORT_AGENT_INSTALLER_H_
#define CERTCAST_CONTROLLER_TRANSPORT_AGENT_INSTALLER_H_

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "controller/config/config.h"
#include "controller/transport/agent_on_host.h"

namespace certcast::controller {

// Thread-safe.
class AgentInstaller {
 public:
  virtual ~AgentInstaller() = default;
  // Puts the agent of this controller where it is missing, and starts it once to see that it answers. With `only_look`
  // nothing is uploaded; what is left is at most an empty directory. No service, file or state of the host's is
  // touched. The node has `ssh`. Errors as of Transport::Open. Idempotent.
  virtual absl::StatusOr<AgentOnHost> PutAgent(const NodeConfig& node, bool only_look, absl::Duration timeout) = 0;
};

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_TRANSPORT_AGENT_INSTALLER_H_
