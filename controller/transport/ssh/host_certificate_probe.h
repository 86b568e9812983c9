// What host certificate does that server have?
//
// libssh does not ask for one. Ours is the beginning of a connection and no more: versions, key exchange methods with
// certificates as the only host keys, and the first message of the exchange, whose answer holds the certificate in the
// clear (RFC 4253 sections 4 to 8, RFC 8731). It shows nothing by itself; the session that follows must prove that the
// server has the certificate's key.
#ifndef CERTCAST_CONTROLLER_TRANSPORT_SSH_HOST_CERTIFICATE_PROBE_H_
#define CERTCAST_CONTROLLER_TRANSPORT_SSH_HOST_CERTIFICATE_PROBE_H_

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "common/file/descriptor.h"
#include "common/probe/deadline.h"
#include "controller/transport/ssh/host_certificate.h"

namespace certcast::controller {

// Over a connected socket that nothing was said on; non-blocking. nullopt when the server ends the exchange, as one
// does that has no certificate, or has one that does not parse. TIMED_OUT, LINK_LOST, PROTOCOL. `peer` names it in
// messages.
absl::StatusOr<std::optional<SshCertificate>> FetchHostCertificate(Descriptor socket, const std::string& peer,
                                                                   Deadline deadline);

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_TRANSPORT_SSH_HOST_CERTIFICATE_PROBE_H_
