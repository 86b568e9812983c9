// Where a secret of the configuration is: it is never inline.
#ifndef CERTCAST_COMMON_SECRET_REFERENCE_H_
#define CERTCAST_COMMON_SECRET_REFERENCE_H_

#include <string>

#include "absl/status/statusor.h"
#include "common/secret/secret.h"

namespace certcast {

// `{file: PATH}`, `{env: NAME}` or `{credential: NAME}` (systemd's LoadCredential: $CREDENTIALS_DIRECTORY/NAME).
struct SecretReference {
  enum class Kind { kNone, kFile, kEnvironment, kCredential };
  Kind kind = Kind::kNone;
  // A path (absolute once the configuration is read), a variable or a credential.
  std::string name;

  bool empty() const { return kind == Kind::kNone; }
  // For messages: `file /etc/certcast/eab.key`.
  std::string Describe() const;
};

// Reads it, without one trailing line end. Errors: missing, empty, larger than 64 KiB; for a file also readable by
// group or others (PERMISSION_DENIED with the chmod that helps).
absl::StatusOr<Secret> ReadSecret(const SecretReference& reference);

}  // namespace certcast

#endif  // CERTCAST_COMMON_SECRET_REFERENCE_H_
