// What Ansible hands to ssh(1) for a host, as far as certcast logs in the same way.
#ifndef CERTCAST_CONTROLLER_CONFIG_ANSIBLE_SSH_ARGUMENTS_H_
#define CERTCAST_CONTROLLER_CONFIG_ANSIBLE_SSH_ARGUMENTS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace certcast::controller {

struct AnsibleSshArguments {
  // `[user@]host[:port]`, in the order in which they are passed.
  std::vector<std::string> jump;
  // Empty: none is named.
  std::string key_file;
  int port = 0;
  std::string user;
};

// Of `ansible_ssh_common_args`: -J, -i, -l, -p and the options ProxyJump, ProxyCommand (where it is another ssh with
// -W), IdentityFile, Port and User. Other options are about how ssh behaves, not about where it goes, and are left out;
// certcast never accepts an unknown host key, whatever they say. An error is the text of what can't be followed.
absl::StatusOr<AnsibleSshArguments> ParseAnsibleSshArguments(absl::string_view text);

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_CONFIG_ANSIBLE_SSH_ARGUMENTS_H_
