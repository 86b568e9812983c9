// The static certcast-node that hosts without one get.
#ifndef CERTCAST_CONTROLLER_TRANSPORT_SSH_AGENT_BINARY_H_
#define CERTCAST_CONTROLLER_TRANSPORT_SSH_AGENT_BINARY_H_

#include <cstddef>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "controller/transport/ssh/agent_digests.h"

namespace certcast::controller {

struct AgentBinary {
  std::string path;
  size_t size = 0;
  // Lower-case hex.
  std::string sha256;
  // As `uname -m` says on a machine that runs it: "x86_64".
  std::string machine;

  // What lies there, without keeping it: most hosts have it. Read whole only where `digests` does not know it.
  // NO_AGENT_BINARY when it can't be read, or is not an ELF program for Linux of a machine that is known here.
  static absl::StatusOr<std::shared_ptr<const AgentBinary>> Look(const std::string& path, const AgentDigests& digests);

  // For hosts that have it not. NO_AGENT_BINARY also when it is not what it was when it was looked at.
  absl::StatusOr<std::shared_ptr<const std::string>> Read() const;
};

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_TRANSPORT_SSH_AGENT_BINARY_H_
