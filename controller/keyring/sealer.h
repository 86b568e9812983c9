// Secrets at rest.
#ifndef CERTCAST_CONTROLLER_KEYRING_SEALER_H_
#define CERTCAST_CONTROLLER_KEYRING_SEALER_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "certcast/state/v1/store.pb.h"
#include "common/secret/secret.h"

namespace certcast::controller {

// Thread-safe.
class Sealer {
 public:
  virtual ~Sealer() = default;
  // `purpose` names the record, as in `certificate/wildcard/7`: only the same purpose opens it again.
  virtual absl::StatusOr<state::v1::Sealed> Seal(absl::string_view purpose, const Secret& secret) = 0;
  // Fails when the master key is another one, the purpose differs or a bit was changed.
  virtual absl::StatusOr<Secret> Open(absl::string_view purpose, const state::v1::Sealed& sealed) = 0;
};

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_KEYRING_SEALER_H_
