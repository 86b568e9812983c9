// The static certcast-node that hosts without one get.
#ifndef CERTCAST_CONTROLLER_TRANSPORT_SSH_AGENT_BINARY_H_
#define CERTCAST_CONTROLLER_TRANSPORT_SSH_AGENT_BINARY_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace certcast::controller {

struct AgentBinary {
  std::string path;
  std::string contents;
  // Lower-case hex.
  std::string sha256;
  // As `uname -m` says on a machine that runs it: "x86_64".
  std::string machine;

  // NO_AGENT_BINARY when it can't be read, or is not an ELF program for Linux of a machine that is known here.
  static absl::StatusOr<std::shared_ptr<const AgentBinary>> Read(const std::string& path);
};

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_TRANSPORT_SSH_AGENT_BINARY_H_
