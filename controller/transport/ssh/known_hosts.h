// Which keys a host may show: known_hosts files (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT).
//
// Read here and not by libssh, which splits a line's names before it looks at them (so that `!name` excludes nothing),
// takes spaces only, and knows no markers.
#ifndef CERTCAST_CONTROLLER_TRANSPORT_SSH_KNOWN_HOSTS_H_
#define CERTCAST_CONTROLLER_TRANSPORT_SSH_KNOWN_HOSTS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/probe/address.h"
#include "controller/transport/ssh/public_key.h"

namespace certcast::controller {

struct KnownKey {
  SshPublicKey key;
  // FILE:LINE.
  std::string place;
};

// What the files say of one host.
struct KnownHost {
  // As known_hosts names it: `host`, or `[host]:port` where the port is not 22. Lower case.
  std::string name;
  // The host alone: what a host certificate names.
  std::string host;
  std::vector<std::string> files;

  std::vector<KnownKey> keys;
  // Lines of the same host at port 22, where this one's port has no line of its own. Good for being believed, as
  // OpenSSH does, but not for being contradicted.
  std::vector<KnownKey> keys_without_port;
  std::vector<KnownKey> authorities;
  std::vector<KnownKey> revoked;
  // Lines that name the host but do not parse: `FILE:LINE: why`.
  std::vector<std::string> broken;

  // nullptr when there is none.
  const KnownKey* FindKey(const SshPublicKey& key) const;
  const KnownKey* FindRevoked(const SshPublicKey& key) const;
  // Of the keys that are known, the types, each once, in the order of the files.
  std::vector<std::string> KeyTypes() const;
};

// Reads all `files` (hashed names, patterns, markers). A file that is missing counts as empty when there are others;
// errors are those of files.
absl::StatusOr<KnownHost> FindKnownHost(const std::vector<std::string>& files, const HostPort& to);
// The same for one file's text that is at hand; adds to `known`, whose name and host are set.
void AddKnownHostLines(absl::string_view text, const std::string& file, KnownHost& known);

// `*` and `?` as in known_hosts and in the principals of host certificates.
bool MatchesHostPattern(absl::string_view pattern, absl::string_view name);

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_TRANSPORT_SSH_KNOWN_HOSTS_H_
