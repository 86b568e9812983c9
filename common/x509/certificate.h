// X.509 certificates (RFC 5280) as certcast looks at them, and what must hold between leaf, chain and key.
#ifndef CERTCAST_COMMON_X509_CERTIFICATE_H_
#define CERTCAST_COMMON_X509_CERTIFICATE_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/x509/digest.h"
#include "common/x509/names.h"
#include "common/x509/openssl_errors.h"
#include "common/x509/private_key.h"
#include "common/x509/ssl_ptr.h"

namespace certcast {

// One parsed certificate. Immutable; copies share the parsed form. Thread-safe.
class Certificate {
 public:
  // MALFORMED when it is larger than 64 KiB, does not parse, is not DER to the letter, has trailing bytes, names with
  // NUL or other bytes that no name has, or dates that are not as in RFC 5280 section 4.1.2.5 or outside of years 1 to
  // 9999.
  static absl::StatusOr<Certificate> FromDer(absl::string_view der);
  // From its encoding; later changes to `certificate` don't show here.
  static absl::StatusOr<Certificate> FromX509(const X509* certificate);

  // SHA-256 of the DER, lower-case hex.
  const std::string& sha256() const { return sha256_; }
  // SHA-256 of the SubjectPublicKeyInfo, lower-case hex.
  const std::string& spki_sha256() const { return spki_sha256_; }
  // subjectAltName dNSNames, in order, lower case.
  const std::vector<std::string>& dns_names() const { return dns_names_; }
  // subjectAltName iPAddresses as text: "192.0.2.1", "2001:db8::1".
  const std::vector<std::string>& ip_addresses() const { return ip_addresses_; }
  // subjectAltName URIs.
  const std::vector<std::string>& uris() const { return uris_; }
  absl::Time not_before() const { return not_before_; }
  absl::Time not_after() const { return not_after_; }
  // The common name of subject and issuer (the last, where there are several); empty where there is none.
  const std::string& subject_name() const { return subject_name_; }
  const std::string& issuer_name() const { return issuer_name_; }
  const std::string& der() const { return der_; }
  std::string ToPem() const;
  // BasicConstraints cA.
  bool is_ca() const { return is_ca_; }

  // For OpenSSL calls; owned by this, not to be changed.
  X509* get() const { return certificate_.get(); }

 private:
  Certificate() = default;
  absl::Status ReadAlternativeNames();
  std::shared_ptr<X509> certificate_;
  std::string der_;
  std::string sha256_;
  std::string spki_sha256_;
  std::vector<std::string> dns_names_;
  std::vector<std::string> ip_addresses_;
  std::vector<std::string> uris_;
  std::string subject_name_;
  std::string issuer_name_;
  absl::Time not_before_;
  absl::Time not_after_;
  bool is_ca_ = false;
};

// Leaf first. At least one, at most 10 certificates and 64 KiB; anything but certificates and white space between them
// is refused (MALFORMED), a private key above all.
absl::StatusOr<std::vector<Certificate>> ParseChainPem(absl::string_view pem);
// As OpenSSL writes it, whatever white space and line ends came in.
std::string ChainToPem(const std::vector<Certificate>& chain);

// Each certificate is signed by the next, which is a CA (RFC 8555 section 9.1 with RFC 5280 section 6.1): CHAIN_INVALID
// names the place and what is wrong: `wrong order`, `missing intermediate`, `foreign certificate`, `bad signature`, or
// another rule of RFC 5280; a CA that is not valid at `now` too. The leaf's dates are CheckDates's. A leaf alone is
// accepted only when `allow_leaf_alone` (self-signed, or a private CA whose root clients hold).
absl::Status CheckChain(const std::vector<Certificate>& chain, absl::Time now, bool allow_leaf_alone);
// The chain ends at one of `roots` (or includes one), CHAIN_INVALID otherwise. All dates are checked at `now`.
absl::Status CheckChainAgainstRoots(const std::vector<Certificate>& chain, const std::vector<Certificate>& roots,
                                    absl::Time now);

// KEY_MISMATCH when the key is not the leaf's, shown by comparing them and by a signature that the leaf's key verifies.
absl::Status CheckKeyMatches(const Certificate& leaf, const PrivateKey& key);
// KEY_TYPE_NOT_ALLOWED for anything but RSA of 2048 to 8192 bits and ECDSA on P-256, P-384 or P-521 (named curves,
// the public point uncompressed: RFC 5480 section 2.2 forbids the hybrid form, and TLS has no other than this, RFC 8422
// section 5.1.2).
absl::Status CheckKeyStrength(const Certificate& leaf);
// EXPIRED; NOT_YET_VALID, with a minute's tolerance for clocks that differ.
absl::Status CheckDates(const Certificate& leaf, absl::Time now);

}  // namespace certcast

#endif  // CERTCAST_COMMON_X509_CERTIFICATE_H_
