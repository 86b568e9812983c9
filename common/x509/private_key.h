// Private keys: made, read, written, compared. Key material in PEM form lives in Secret.
#ifndef CERTCAST_COMMON_X509_PRIVATE_KEY_H_
#define CERTCAST_COMMON_X509_PRIVATE_KEY_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/secret/secret.h"
#include "common/x509/ssl_ptr.h"

namespace certcast {

enum class KeyType { kEcdsaP256, kEcdsaP384, kRsa2048, kRsa3072, kRsa4096, kEd25519 };

// As in the configuration: "ecdsa-p256", "rsa-2048". Ed25519 signs manifests; no certificate has it.
absl::string_view KeyTypeName(KeyType type);
absl::StatusOr<KeyType> ParseKeyType(absl::string_view name);

// Thread-compatible; const use from several threads is safe. OpenSSL wipes the key when it is freed.
class PrivateKey {
 public:
  static absl::StatusOr<PrivateKey> Generate(KeyType type);
  // PKCS#8, or the older EC and RSA forms, at most 16 KiB; nothing but the one key (and the EC PARAMETERS that OpenSSL
  // writes before the older EC form). Errors are MALFORMED, with a hint for an encrypted one. Never asks for a
  // passphrase. An EC key is written and digested with its public point uncompressed, in whatever form it came.
  static absl::StatusOr<PrivateKey> FromPem(absl::string_view pem);

  // PKCS#8, not encrypted.
  absl::StatusOr<Secret> ToPem() const;

  // SHA-256 of the SubjectPublicKeyInfo, lower-case hex.
  const std::string& spki_sha256() const { return spki_sha256_; }
  // DER of the SubjectPublicKeyInfo.
  absl::StatusOr<std::string> PublicKeyDer() const;

  // For OpenSSL calls; owned by this.
  EVP_PKEY* get() const { return key_.get(); }

 private:
  PrivateKey(SslPtr<EVP_PKEY> key, std::string spki_sha256)
      : key_(std::move(key)), spki_sha256_(std::move(spki_sha256)) {}
  SslPtr<EVP_PKEY> key_;
  std::string spki_sha256_;
};

// The NID of the named curve that a key is on, such as NID_X9_62_prime256v1; NID_undef for a key of another kind, and
// for a curve that is spelt out, which no certificate may have (RFC 5480 section 2.1.1). Leaves no OpenSSL error.
int CurveOf(const EVP_PKEY* key);

// What to sign X.509 structures with: SHA-256, SHA-384 for P-384; null for Ed25519, which brings its own.
const EVP_MD* SigningDigest(const EVP_PKEY* key);

// A PKCS#10 request (RFC 2986), DER, with `dns_names` as subjectAltName and, where it fits 64 characters, the first as
// common name; without names, neither. No extended key usage: CAs set it. kInvalidArgument for a name with other
// characters than letters, digits and "-._*".
absl::StatusOr<std::string> MakeCsr(const PrivateKey& key, const std::vector<std::string>& dns_names);
// The same as PEM.
std::string CsrDerToPem(absl::string_view der);

}  // namespace certcast

#endif  // CERTCAST_COMMON_X509_PRIVATE_KEY_H_
