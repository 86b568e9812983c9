// Reaches the nodes of the configuration whose address is ssh://.
#ifndef CERTCAST_CONTROLLER_TRANSPORT_SSH_SSH_TRANSPORT_H_
#define CERTCAST_CONTROLLER_TRANSPORT_SSH_SSH_TRANSPORT_H_

#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/file/file_system.h"
#include "common/probe/resolver.h"
#include "common/process/process.h"
#include "controller/transport/agent_installer.h"
#include "controller/transport/link.h"
#include "controller/transport/ssh/agent_digests.h"
#include "controller/transport/ssh/ssh_dialer.h"

namespace certcast::controller {

struct SshTransportOptions {
  // What a host pins at first contact.
  std::string fleet_id;
  std::string manifest_key_pem;
  // Where digests of agents are kept from one run to the next, as AgentDigests has it.
  std::string digests_file;
  // For use_ssh_config, instead of the user's and the system's; empty: those.
  std::string ssh_config_file;
};

// What a node's configuration comes to. INVALID_ARGUMENT with what is wrong in ssh_config, when that is used.
// The node has `ssh`.
absl::StatusOr<SshTarget> MakeSshTarget(const NodeConfig& node, const SshTransportOptions& options,
                                        ProcessRunner& processes);

// Thread-safe. Links may outlive it.
class SshTransport final : public Transport, public AgentInstaller {
 public:
  // `resolver` and `processes` outlive it and its links.
  SshTransport(SshTransportOptions options, Resolver& resolver, ProcessRunner& processes)
      : options_(std::move(options)),
        processes_(processes),
        dialer_(resolver, AgentDigests(FileSystem::Real(), options_.digests_file)) {}

  // As in link.h. May take longer than `timeout`: by what connect_timeout was raised to, and for the upload of an agent
  // that the host has not, as long as it gets on.
  absl::StatusOr<std::unique_ptr<Link>> Open(const NodeConfig& node, absl::Duration timeout) override;
  // As in agent_installer.h; `timeout` as above.
  absl::StatusOr<AgentOnHost> PutAgent(const NodeConfig& node, bool only_look, absl::Duration timeout) override;

 private:
  absl::StatusOr<SshTarget> TargetOf(const NodeConfig& node) const;

  const SshTransportOptions options_;
  ProcessRunner& processes_;
  SshDialer dialer_;
};

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_TRANSPORT_SSH_SSH_TRANSPORT_H_
