// Is that the host? Never decided by first use.
#ifndef CERTCAST_CONTROLLER_TRANSPORT_SSH_HOST_TRUST_H_
#define CERTCAST_CONTROLLER_TRANSPORT_SSH_HOST_TRUST_H_

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "controller/transport/ssh/host_certificate.h"
#include "controller/transport/ssh/known_hosts.h"
#include "controller/transport/ssh/public_key.h"

namespace certcast::controller {

// Whether `shown`, the key that the host has proven to hold, may be believed: one of `known`'s keys, or the key of a
// good certificate of one of its authorities. HOST_KEY_UNKNOWN with the fingerprint and the line to add,
// HOST_KEY_CHANGED with both fingerprints and the place of the old line, or of the one that revokes it. `certificate`:
// what the host showed as its certificate, if it was asked. `peer` names the host in messages.
absl::Status CheckHostKey(const SshPublicKey& shown, const std::optional<SshCertificate>& certificate,
                          const KnownHost& known, const std::string& peer, absl::Time now);

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_TRANSPORT_SSH_HOST_TRUST_H_
