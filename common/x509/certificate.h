// X.509 certificates (RFC 5280) as certcast looks at them, and what must hold between leaf, chain and key.
#ifndef CERTCAST_COMMON_X509_CERTIFICATE_H_
#define CERTCAST_COMMON_X509_CERTIFICATE_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/x509/private_key.h"
#include "common/x509/ssl_ptr.h"

namespace certcast {

// One parsed certificate. Immutable; copies share the parsed form. Thread-safe.
class Certificate {
 public:
  // MALFORMED when it does not parse, has trailing bytes, or dates outside of years 1 to 9999.
  static absl::StatusOr<Certificate> FromDer(absl::string_view der);
  // Takes a reference of its own.
  static absl::StatusOr<Certificate> FromX509(X509* certificate);

  // SHA-256 of the DER, lower-case hex.
  const std::string& sha256() const { return sha256_; }
  // SHA-256 of the SubjectPublicKeyInfo, lower-case hex.
  const std::string& spki_sha256() const { return spki_sha256_; }
  // subjectAltName dNSNames, in order, lower case.
  const std::vector<std::string>& dns_names() const { return dns_names_; }
  // subjectAltName URIs.
  const std::vector<std::string>& uris() const { return uris_; }
  absl::Time not_before() const { return not_before_; }
  absl::Time not_after() const { return not_after_; }
  // The common name of subject and issuer; empty where there is none.
  const std::string& subject_name() const { return subject_name_; }
  const std::string& issuer_name() const { return issuer_name_; }
  const std::string& der() const { return der_; }
  std::string ToPem() const;
  // BasicConstraints cA.
  bool is_ca() const { return is_ca_; }

  // For OpenSSL calls; owned by this.
  X509* get() const { return certificate_.get(); }

 private:
  Certificate() = default;
  std::shared_ptr<X509> certificate_;
  std::string der_;
  std::string sha256_;
  std::string spki_sha256_;
  std::vector<std::string> dns_names_;
  std::vector<std::string> uris_;
  std::string subject_name_;
  std::string issuer_name_;
  absl::Time not_before_;
  absl::Time not_after_;
  bool is_ca_ = false;
};

// Leaf first. At least one, at most 10 certificates and 64 KiB; anything but certificates and white space between them is
// refused (MALFORMED), a private key above all.
absl::StatusOr<std::vector<Certificate>> ParseChainPem(absl::string_view pem);
std::string ChainToPem(const std::vector<Certificate>& chain);

// Each certificate is signed by the next, which is a CA (RFC 8555 section 9.1 with RFC 5280 section 6.1): CHAIN_INVALID
// names the place and what is wrong: order, a foreign or missing intermediate, a bad signature, an expired one at `now`.
// A leaf alone is accepted only when `allow_leaf_alone` (self-signed, or a private CA whose root clients hold).
absl::Status CheckChain(const std::vector<Certificate>& chain, absl::Time now, bool allow_leaf_alone);
// The chain ends at one of `roots` (or includes one), CHAIN_INVALID otherwise. Dates are checked at `now`.
absl::Status CheckChainAgainstRoots(const std::vector<Certificate>& chain, const std::vector<Certificate>& roots,
                                    absl::Time now);

// KEY_MISMATCH when the key is not the leaf's.
absl::Status CheckKeyMatches(const Certificate& leaf, const PrivateKey& key);
// KEY_TYPE_NOT_ALLOWED for anything but RSA of 2048 to 8192 bits and ECDSA on P-256, P-384 or P-521.
absl::Status CheckKeyStrength(const Certificate& leaf);
// EXPIRED, NOT_YET_VALID (with a minute's tolerance for clocks that differ).
absl::Status CheckDates(const Certificate& leaf, absl::Time now);

// RFC 6125 section 6.4.3: `pattern` is a name, or one with `*` as its whole left-most label, which stands for exactly one
// label. Case is ignored. No partial wildcards.
bool NameMatches(absl::string_view pattern, absl::string_view host);
// Whether what `allowed` names covers the certificate's name `name`, which may be a wildcard itself: "*.example.com" is
// covered by "*.example.com" alone, "a.example.com" by both. In `allowed`, "*" alone covers everything.
bool NameAllowed(const std::vector<std::string>& allowed, absl::string_view name);
// A DNS name as in a certificate: LDH labels of at most 63, 253 in all, at least two labels, optionally "*." first.
absl::Status CheckDnsName(absl::string_view name);

// Lower-case hex of SHA-256.
std::string Sha256Hex(absl::string_view bytes);
// OpenSSL's queued errors as one line, and empties the queue.
std::string TakeOpensslErrors();

}  // namespace certcast

#endif  // CERTCAST_COMMON_X509_CERTIFICATE_H_
