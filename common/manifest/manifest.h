// The signed statement about a bundle: made by the controller, checked by the node before it believes anything else.
#ifndef CERTCAST_COMMON_MANIFEST_MANIFEST_H_
#define CERTCAST_COMMON_MANIFEST_MANIFEST_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "certcast/v1/bundle.pb.h"
#include "common/secret/secret.h"
#include "common/x509/certificate.h"
#include "common/x509/private_key.h"

namespace certcast {

// Ed25519 public key (RFC 8032), 32 bytes raw. Immutable. Thread-safe.
class ManifestKey {
 public:
  // Errors are MALFORMED: another size, another kind of key.
  static absl::StatusOr<ManifestKey> FromRaw(absl::string_view raw);
  // From the PEM of a SubjectPublicKeyInfo and nothing else.
  static absl::StatusOr<ManifestKey> FromPem(absl::string_view pem);
  static absl::StatusOr<ManifestKey> FromPrivate(const PrivateKey& key);
  std::string ToPem() const;
  const std::string& raw() const { return raw_; }

  // Whether `signature` is this key's over exactly `bytes`.
  bool Verifies(absl::string_view bytes, absl::string_view signature) const;

  friend bool operator==(const ManifestKey&, const ManifestKey&) = default;

 private:
  explicit ManifestKey(absl::string_view raw) : raw_(raw) {}
  std::string raw_;
};

struct BundleInput {
  std::string fleet_id;
  // Its name in the configuration: letters, digits, "-", "_", ".", at most 64, a letter or digit first.
  std::string certificate;
  // From 1.
  uint64_t generation = 0;
  absl::string_view fullchain_pem;
  // Not owned.
  const Secret* private_key_pem = nullptr;
  absl::Time signed_at;
  // How long a node may accept it.
  absl::Duration lifetime = absl::Hours(24);
};

// Parses chain and key, fills the manifest from them and signs it. Both travel as OpenSSL writes them (PKCS#8 for the
// key), whatever line ends they came with. KEY_MISMATCH when they don't belong together; whether nodes accept the rest
// is theirs to say. The signing key must be Ed25519 (kInvalidArgument). The result holds the key: see WipeKey.
absl::StatusOr<v1::Bundle> MakeBundle(const BundleInput& input, const PrivateKey& signing_key);

// Overwrites the private key in a message that is not needed any more.
void WipeKey(v1::Bundle& bundle);

// What a bundle turned out to be, once all of it was checked.
struct VerifiedBundle {
  v1::Manifest manifest;
  std::vector<Certificate> chain;  // leaf first
  PrivateKey key;
  // As OpenSSL writes them, so that every service can read them: the bytes that travelled, unless those had other white
  // space.
  std::string fullchain_pem;
  Secret private_key_pem;
  // SHA-256 over the leaf's and its key's digests: what makes two bundles of one generation the same. Lower-case hex.
  std::string digest;
};

struct BundlePolicy {
  // Never empty: nothing passes without a fleet.
  std::string fleet_id;
  // As in NameAllowed; a leaf's IP address must be named as it is.
  std::vector<std::string> allow_names;
  absl::Time now;
};

// In this order, the first that fails is the reason: sizes (MALFORMED), signature over the exact bytes
// (SIGNATURE_INVALID), the manifest parses and names a certificate and a generation (MALFORMED), fleet (FOREIGN_FLEET),
// the manifest's lifetime with a minute's tolerance (MANIFEST_EXPIRED), digests of the parts (FINGERPRINT_MISMATCH),
// the parts parse (MALFORMED), the leaf's digests, names and dates against the manifest (FINGERPRINT_MISMATCH), key and
// leaf (KEY_MISMATCH), key type (KEY_TYPE_NOT_ALLOWED), chain order and signatures (CHAIN_INVALID; a leaf alone may be
// right, only the controller knows), dates (EXPIRED, NOT_YET_VALID), names (NAME_NOT_ALLOWED). Generation and digest
// against what was accepted before are the caller's.
absl::StatusOr<VerifiedBundle> VerifyBundle(const v1::Bundle& bundle, const ManifestKey& key,
                                            const BundlePolicy& policy);

}  // namespace certcast

#endif  // CERTCAST_COMMON_MANIFEST_MANIFEST_H_
