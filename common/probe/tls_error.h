// What OpenSSL's queue of errors says about a failed handshake, for operators. Only for tls_client.cc.
#ifndef CERTCAST_COMMON_PROBE_TLS_ERROR_H_
#define CERTCAST_COMMON_PROBE_TLS_ERROR_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace certcast {

// Empties this thread's queue. `error` is what SSL_get_error returned; errno as the call left it.
absl::Status TlsError(absl::string_view peer, int error, int system_error);

// For X509_V_ERR_*: `whose` names the certificate.
absl::Status VerificationError(absl::string_view peer, int error, absl::string_view whose);

}  // namespace certcast

#endif  // CERTCAST_COMMON_PROBE_TLS_ERROR_H_
