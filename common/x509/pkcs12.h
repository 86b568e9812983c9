// PKCS#12 files (RFC 7292): a private key and its chain under a password.
#ifndef CERTCAST_COMMON_X509_PKCS12_H_
#define CERTCAST_COMMON_X509_PKCS12_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/secret/secret.h"
#include "common/x509/certificate.h"
#include "common/x509/private_key.h"

namespace certcast {

// Of keys, certificates and MAC alike, with 10,000 iterations (RFC 8018).
enum class Pkcs12Encryption {
  // AES-256-CBC under PBKDF2 with HMAC-SHA-256; MAC with SHA-256. OpenSSL 1.1, JDK 8u301, Windows Server 2019 and
  // later.
  kModern,
  // 3DES under the key derivation of RFC 7292 appendix B with SHA-1; MAC with SHA-1. For what came before. Not RC2-40,
  // which OpenSSL's own `-legacy` takes for certificates: whoever reads that reads 3DES too, and OpenSSL 3 keeps RC2 in
  // a module that a static program can't load.
  kLegacy,
};

// A file with the key and its chain, leaf first; `alias` is the friendlyName of key and leaf. Every file is another:
// salts are random. kInvalidArgument for a password that is empty, longer than 1024 characters or not printable ASCII:
// others are encoded by each program in its own way.
absl::StatusOr<Secret> MakePkcs12(const PrivateKey& key, const std::vector<Certificate>& chain, const Secret& password,
                                  const std::string& alias, Pkcs12Encryption encryption);

// What is in a file that was made as above, or by others in a like way.
struct Pkcs12Contents {
  // The one that the key is of.
  Certificate leaf;
  // In no order.
  std::vector<Certificate> others;
  // Of the leaf; empty: none.
  std::string alias;
  Pkcs12Encryption encryption = Pkcs12Encryption::kModern;
};

// MALFORMED for what is no such file, has another password (its MAC is checked first), is encrypted in another way,
// asks for more than 1,000,000 iterations in all its parts together, or does not hold a key with its certificate. At
// most 1 MiB.
absl::StatusOr<Pkcs12Contents> OpenPkcs12(absl::string_view bytes, const Secret& password);

}  // namespace certcast

#endif  // CERTCAST_COMMON_X509_PKCS12_H_
