// Whether what the CA issued is what was ordered, before any of it is believed.
#ifndef CERTCAST_CONTROLLER_ACME_ISSUED_CERTIFICATE_H_
#define CERTCAST_CONTROLLER_ACME_ISSUED_CERTIFICATE_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/x509/certificate.h"
#include "common/x509/private_key.h"
#include "controller/config/config.h"

namespace certcast::controller {

// The chain of `pem`, leaf first: every configured name is in it (a CA may add some), it has our key, its dates hold at
// `now`, each certificate is signed by the next, and it ends at the roots of `certificate.ca_file` where that is set.
// CERTIFICATE_UNEXPECTED says what is wrong; FailInput when ca_file can't be read.
absl::StatusOr<std::vector<Certificate>> CheckIssuedChain(absl::string_view pem, const CertificateConfig& certificate,
                                                          const PrivateKey& key, absl::Time now);

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_ACME_ISSUED_CERTIFICATE_H_
