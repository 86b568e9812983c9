// The same way to a node by OpenSSH's client, for a person to try.
#ifndef CERTCAST_CONTROLLER_TRANSPORT_SSH_BY_HAND_H_
#define CERTCAST_CONTROLLER_TRANSPORT_SSH_BY_HAND_H_

#include <map>
#include <string>

#include "absl/strings/string_view.h"
#include "common/process/process.h"
#include "controller/config/config.h"
#include "controller/transport/ssh/login.h"
#include "controller/transport/ssh/ssh_dialer.h"

namespace certcast::controller {

// A line for a shell that goes the target's way and runs `command` there: the same servers, jump hosts, known hosts,
// key, certificate and ssh-agent, and nothing else that ssh would take from its configuration or from beside it. It
// asks for the passphrase of a key that has one, and stops where certcast does. `command` is a shell's, and goes in as
// it is.
std::string SshLine(const SshTarget& target, absl::string_view command);

// Makes such lines for nodes. Keys are read once.
class SshByHand {
 public:
  // `processes` outlives it.
  explicit SshByHand(ProcessRunner& processes) : processes_(processes) {}

  // Of a node that has `ssh`. Empty where what is wrong is on this side (ssh_config, a key that can't be read, an agent
  // that is not there): a line would go another way then, or fail in another.
  std::string LineFor(const NodeConfig& node, absl::string_view command);

 private:
  bool CanLogIn(const SshLogin& login);

  ProcessRunner& processes_;
  // By identity of the login.
  std::map<std::string, bool> can_log_in_;
};

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_TRANSPORT_SSH_BY_HAND_H_
