// What ~/.ssh/config and /etc/ssh/ssh_config say of a host: asked of OpenSSH itself (`ssh -G`), so that it means here
// what it means there.
#ifndef CERTCAST_CONTROLLER_TRANSPORT_SSH_SSH_CONFIG_H_
#define CERTCAST_CONTROLLER_TRANSPORT_SSH_SSH_CONFIG_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/probe/address.h"
#include "common/process/process.h"

namespace certcast::controller {

struct SshConfigEntry {
  std::string user;
  HostPort to;
  // HostKeyAlias.
  std::string known_as;
  // Paths, `~` read as $HOME; those that ssh would try, also where there is none.
  std::vector<std::string> identity_files;
  std::vector<std::string> certificate_files;
  // A socket's path; empty: none.
  std::string agent_socket;
  // The user's, then the system's.
  std::vector<std::string> known_hosts;
  // `user@host:port` as ProxyJump has them, in the order in which they are passed.
  std::vector<std::string> jumps;
};

// Connects to nobody. `user` and `port` as they are given elsewhere: empty and 0 leave them to the configuration.
// `file` replaces both files. INVALID_ARGUMENT for a ProxyCommand, which is not run here, and for what ssh refuses.
absl::StatusOr<SshConfigEntry> LookUpSshConfig(const std::string& host, const std::string& user, uint16_t port,
                                               const std::string& file, ProcessRunner& processes);

// From what `ssh -G` prints.
absl::StatusOr<SshConfigEntry> ParseSshConfig(absl::string_view text);

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_TRANSPORT_SSH_SSH_CONFIG_H_
