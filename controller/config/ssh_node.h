// How a host without a listening agent is reached, and what it is told to be.
#ifndef CERTCAST_CONTROLLER_CONFIG_SSH_NODE_H_
#define CERTCAST_CONTROLLER_CONFIG_SSH_NODE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "common/http_challenge/place.h"
#include "common/secret/reference.h"

namespace certcast::controller {

// One SSH server: the host itself, or one on the way. User and host are of a strict grammar: letters, digits and `._-`,
// no `-` or `.` in front; the host may be an IPv6 address, here without brackets.
struct SshServer {
  // Empty only with SshOptions::use_ssh_config: as it says there.
  std::string user;
  std::string host;
  // 0 only with SshOptions::use_ssh_config: as it says there.
  uint16_t port = 0;

  // `deploy@10.0.0.9:22`, `deploy@[::1]:22`; without what is not known.
  std::string ToString() const;
};

struct SshKey {
  // Absolute. Empty: none.
  std::string file;
  // Empty: the file is not encrypted.
  SecretReference passphrase;
};

// `ssh:`, the node's own over the file's. Paths are absolute.
struct SshOptions {
  SshKey key;
  // OpenSSH's, of that key. Empty: none.
  std::string certificate;
  // Ask the agent at $SSH_AUTH_SOCK.
  bool agent = false;
  // Empty only with use_ssh_config: as it says there.
  std::string known_hosts;
  // The static binary that is put on hosts. Empty: certcast-node beside the running program, else
  // /usr/lib/certcast/certcast-node.
  std::string agent_binary;
  // Where it is put on the host: absolute, of the same characters as SshNode::state. Empty: `bin` below the state, with
  // sudo ~/.certcast/bin.
  std::string agent_directory;
  // In the order in which they are passed.
  std::vector<SshServer> jump;
  // Run the agent by `sudo -n`.
  bool sudo = false;
  // ~/.ssh/config and /etc/ssh/ssh_config are honoured.
  bool use_ssh_config = false;
  // To connect, agree on keys and log in, for each server on the way.
  absl::Duration connect_timeout = absl::Seconds(10);
};

struct SshNode {
  SshServer server;
  SshOptions options;

  // Whether certcast.yaml says what runs there. Otherwise the host has a node.yaml and an identity, as agents have.
  bool hosted() const { return !services.empty(); }

  // --- What goes into the NodeDefinition. Without services all but `state` is empty.
  // On the host; absolute, of letters, digits and `/._-+@=,:`, and not `/`.
  std::string state = "/var/lib/certcast-node";
  // Names of the services, in the node's order.
  std::vector<std::string> services;
  // Domains of the certificates that these services use, and what the node's `allow_names` adds (a CA, or who bought a
  // certificate, may have put more names into it); sorted.
  std::vector<std::string> allow_names;
  // The services as text, a YAML list of one line each; read back, it is what certcast.yaml says. At most 256 KiB.
  // Nodes with the same services share it.
  std::shared_ptr<const std::string> services_yaml;
  // Where fleet http-01 tokens go; empty: nowhere.
  HttpChallengePlace http_challenge;
};

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_CONFIG_SSH_NODE_H_
