// One SSH server: the host itself, or one on the way to it.
#ifndef CERTCAST_CONTROLLER_TRANSPORT_SSH_HOP_H_
#define CERTCAST_CONTROLLER_TRANSPORT_SSH_HOP_H_

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/probe/address.h"
#include "controller/transport/ssh/login.h"

namespace certcast::controller {

struct SshHop {
  std::string user;
  HostPort to;
  // Under which name known_hosts has it; empty: as `to` says.
  std::string known_as;
  // How to log in there, and which keys it may show: files in the form of known_hosts.
  SshLogin login;
  std::vector<std::string> known_hosts;
  // To connect, agree on keys and log in.
  absl::Duration connect_timeout = absl::Seconds(10);

  // "deploy@10.0.0.9:22".
  std::string ToString() const { return absl::StrCat(user, "@", to.ToString()); }
};

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_TRANSPORT_SSH_HOP_H_
