// Public keys and signatures as SSH writes them (RFC 4253 section 6.6, RFC 5656, RFC 8332, RFC 8709).
#ifndef CERTCAST_CONTROLLER_TRANSPORT_SSH_PUBLIC_KEY_H_
#define CERTCAST_CONTROLLER_TRANSPORT_SSH_PUBLIC_KEY_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace certcast::controller {

// A key of any kind, in its wire form. Two are the same key when their blobs are the same.
struct SshPublicKey {
  std::string blob;

  // "ssh-ed25519"; empty when the blob is none.
  std::string type() const;
  // As `ssh-keygen -l` prints it: "SHA256:" and base64 without padding.
  std::string Fingerprint() const;
  // As in known_hosts: "ssh-ed25519 AAAA...".
  std::string ToLine() const;

  friend bool operator==(const SshPublicKey& a, const SshPublicKey& b) { return a.blob == b.blob; }
};

// From the two fields of a line. MALFORMED when it is not base64, or of another type than it says.
absl::StatusOr<SshPublicKey> ParseSshPublicKey(absl::string_view type, absl::string_view base64);

// Whether `key` made this signature (wire form) over `message`. AUTH_FAILED when not, also for what is too weak:
// RSA below 2048 bits, SHA-1, DSA; keys of hardware tokens are not supported.
absl::Status VerifySshSignature(const SshPublicKey& key, absl::string_view message, absl::string_view signature);

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_TRANSPORT_SSH_PUBLIC_KEY_H_
