// The fleet's internal CA: makes itself, and signs the identities of nodes and controller (RFC 5280).
#ifndef CERTCAST_CONTROLLER_KEYRING_FLEET_CA_H_
#define CERTCAST_CONTROLLER_KEYRING_FLEET_CA_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/x509/certificate.h"
#include "common/x509/private_key.h"
#include "common/x509/ssl_ptr.h"

namespace certcast::controller {

constexpr absl::Duration kCaLifetime = absl::Hours(24 * 3652);
constexpr absl::Duration kIdentityLifetime = absl::Hours(24 * 30);
// Before now, for clocks that are behind.
constexpr absl::Duration kBackdate = absl::Minutes(1);

// Self-signed, `certcast fleet CA <first 8 of the fleet id>`, CA:TRUE with pathlen 0, keyCertSign. Ten years.
absl::StatusOr<Certificate> MakeFleetCa(const PrivateKey& key, absl::string_view fleet_id, absl::Time now);

// Whose a certificate is; see common/identity/names.h.
struct IdentityNames {
  std::string common_name;
  std::string dns_name;
  std::string uri;
};

// For TLS as server and client, kIdentityLifetime but not beyond the CA's end. EXPIRED when that is past.
absl::StatusOr<Certificate> SignIdentity(const Certificate& ca, const PrivateKey& ca_key, EVP_PKEY* subject_key,
                                         const IdentityNames& names, absl::Time now);

// The public key of one PEM request (RFC 2986) of at most 16 KiB that is signed by that key. kInvalidArgument when it
// is no such request, the key is other than P-256, P-384 or RSA of 2048 to 8192 bits, or it names itself another
// node's. What else it says of itself is not looked at.
absl::StatusOr<SslPtr<EVP_PKEY>> ReadRequestKey(absl::string_view csr_pem, absl::string_view node);

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_KEYRING_FLEET_CA_H_
