// OpenSSH certificates (PROTOCOL.certkeys of OpenSSH), as far as a host's or a user's is looked at here.
#ifndef CERTCAST_CONTROLLER_TRANSPORT_SSH_HOST_CERTIFICATE_H_
#define CERTCAST_CONTROLLER_TRANSPORT_SSH_HOST_CERTIFICATE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "controller/transport/ssh/known_hosts.h"
#include "controller/transport/ssh/public_key.h"

namespace certcast::controller {

struct SshCertificate {
  enum class Kind { kUser = 1, kHost = 2, kOther };

  // The one that it speaks for.
  SshPublicKey key;
  uint64_t serial = 0;
  Kind kind = Kind::kOther;
  std::string key_id;
  std::vector<std::string> principals;
  absl::Time valid_after;
  // InfiniteFuture: for ever.
  absl::Time valid_before;
  std::vector<std::string> critical_options;
  SshPublicKey authority;

  // What the authority signed, and how.
  std::string signed_part;
  std::string signature;
};

// From its wire form. MALFORMED when it is not one.
absl::StatusOr<SshCertificate> ParseSshCertificate(absl::string_view blob);

// Whether it makes its key the host's: signed by one of the host's authorities that is not revoked, of type host, in
// its time, naming the host (patterns count, an empty list does not), without critical options. AUTH_FAILED with what
// is wrong.
absl::Status CheckHostCertificate(const SshCertificate& certificate, const KnownHost& known, absl::Time now);

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_TRANSPORT_SSH_HOST_CERTIFICATE_H_
