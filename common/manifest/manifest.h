// The signed statement about a bundle: made by the controller, checked by the node before it believes anything else.
#ifndef CERTCAST_COMMON_MANIFEST_MANIFEST_H_
#define CERTCAST_COMMON_MANIFEST_MANIFEST_H_

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

// Ed25519 public key (RFC 8032), 32 bytes raw.
class ManifestKey {
 public:
  // From 32 raw bytes, or from the PEM of a SubjectPublicKeyInfo.
  static absl::StatusOr<ManifestKey> FromPem(absl::string_view pem);
  static absl::StatusOr<ManifestKey> FromPrivate(const PrivateKey& key);
  std::string ToPem() const;
  const std::string& raw() const { return raw_; }

 private:
  std::string raw_;
};

struct BundleInput {
  std::string fleet_id;
  std::string certificate;
  uint64_t generation = 0;
  absl::string_view fullchain_pem;
  const Secret* private_key_pem = nullptr;
  absl::Time signed_at;
  // How long a node may accept it.
  absl::Duration lifetime = absl::Hours(24);
};

// Parses the chain, fills the manifest from it and signs it.
absl::StatusOr<v1::Bundle> MakeBundle(const BundleInput& input, const PrivateKey& signing_key);

// What a bundle turned out to be, once all of it was checked.
struct VerifiedBundle {
  v1::Manifest manifest;
  std::vector<Certificate> chain;  // leaf first
  PrivateKey key;
  std::string fullchain_pem;
  Secret private_key_pem;
  // SHA-256 over the leaf's and the key's digests: what makes two bundles of one generation the same.
  std::string digest;
};

struct BundlePolicy {
  std::string fleet_id;
  std::vector<std::string> allow_names;
  absl::Time now;
};

// In this order, the first that fails is the reason: sizes (MALFORMED), signature over the exact bytes (SIGNATURE_INVALID),
// fleet (FOREIGN_FLEET), the manifest's lifetime with a minute's tolerance (MANIFEST_EXPIRED), digests of the parts and
// the leaf's own against the manifest (FINGERPRINT_MISMATCH), key and leaf (KEY_MISMATCH), key type, chain order and
// signatures, dates, names. Generation and digest against what was accepted before are the caller's.
absl::StatusOr<VerifiedBundle> VerifyBundle(const v1::Bundle& bundle, const ManifestKey& key, const BundlePolicy& policy);

}  // namespace certcast

#endif  // CERTCAST_COMMON_MANIFEST_MANIFEST_H_
