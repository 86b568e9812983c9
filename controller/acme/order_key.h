// The private key of a certificate that is about to be ordered.
#ifndef CERTCAST_CONTROLLER_ACME_ORDER_KEY_H_
#define CERTCAST_CONTROLLER_ACME_ORDER_KEY_H_

#include "absl/status/statusor.h"
#include "common/x509/private_key.h"
#include "controller/config/config.h"
#include "controller/keyring/sealer.h"
#include "controller/store/store.h"

namespace certcast::controller {

// A new one of the configured type. With `reuse_key` that of the latest generation, if it is of that type and nobody
// said that it is out: no generation with it was revoked for keyCompromise, and no replacement was for it.
absl::StatusOr<PrivateKey> MakeKey(const CertificateConfig& certificate, Store& store, Sealer& sealer);

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_ACME_ORDER_KEY_H_
