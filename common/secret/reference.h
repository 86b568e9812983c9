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

// Reads it, without one trailing line end (LF or CRLF). Errors: missing (code kNotFound), no reference, empty or larger
// than 64 KiB (kInvalidArgument); for a file also not a regular one, or open to group or others (PERMISSION_DENIED with
// the chmod that helps). systemd guards credentials by their directory, so their mode is not looked at.
absl::StatusOr<Secret> ReadSecret(const SecretReference& reference);

}  // namespace certcast

#endif  // CERTCAST_COMMON_SECRET_REFERENCE_H_
