// Sealing under a master key: envelope encryption with AES-256-GCM (NIST SP 800-38D). See Sealed in store.proto.
#ifndef CERTCAST_CONTROLLER_KEYRING_ENVELOPE_H_
#define CERTCAST_CONTROLLER_KEYRING_ENVELOPE_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "certcast/state/v1/store.pb.h"
#include "common/secret/secret.h"

namespace certcast::controller {

constexpr size_t kMasterKeySize = 32;

// Under a fresh data key, which is wrapped by `master` (kMasterKeySize bytes). Nonces are random: one master key is
// good for 2^32 seals.
absl::StatusOr<state::v1::Sealed> SealUnder(const Secret& master, absl::string_view purpose, const Secret& secret);

// STORAGE_FAILED, naming the purpose, when the record is of another purpose, was changed, or was sealed under another
// key.
absl::StatusOr<Secret> OpenUnder(const Secret& master, absl::string_view purpose, const state::v1::Sealed& sealed);

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_KEYRING_ENVELOPE_H_
