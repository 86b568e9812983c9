// A CA for tests: roots, intermediates and leaves, right ones and wrong ones. In memory, P-256 unless said otherwise,
// so fast.
//
//   TestCa root = TestCa::Root();
//   TestCa intermediate = root.Intermediate();
//   IssuedCertificate leaf = intermediate.Issue({.dns_names = {"*.example.com"}});
//   ... leaf.fullchain_pem, leaf.key_pem
//
// What goes wrong in here ends the test program: it is a fault of the test.
#ifndef CERTCAST_TESTS_TESTING_TEST_CA_H_
#define CERTCAST_TESTS_TESTING_TEST_CA_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "common/secret/secret.h"
#include "common/x509/certificate.h"
#include "common/x509/private_key.h"

namespace certcast::testing {

// What a certificate is to be. All but the first few lines are for wrong ones.
struct CertificateSpec {
  std::vector<std::string> dns_names;
  std::vector<std::string> uris;
  // As text: "192.0.2.1".
  std::vector<std::string> ip_addresses;
  // Unset: the first DNS name, or none. Empty: none.
  std::optional<std::string> common_name;
  // By default valid from 2020 to 2049: now as well as by FakeClock's time.
  absl::Time not_before = absl::FromUnixSeconds(1577836800);
  absl::Time not_after = absl::FromUnixSeconds(2524607999);
  // 0: a random one.
  uint64_t serial = 0;
  KeyType key_type = KeyType::kEcdsaP256;
  // Instead of a new key of key_type. Not owned.
  const PrivateKey* key = nullptr;
  bool is_ca = false;
  std::optional<int> path_length;
  // Signed by another key than the issuer's, with all else as if it were right.
  bool wrong_signature = false;
  // Instead of the dates above, as they are encoded: "491231235959Z" (13 characters: UTCTime, otherwise
  // GeneralizedTime).
  std::string raw_not_before;
  std::string raw_not_after;
  // More extensions: NID, and the value as in openssl.cnf's x509v3_config.
  std::vector<std::pair<int, std::string>> extensions;
};

struct IssuedCertificate {
  Certificate certificate;
  PrivateKey key;
  // Leaf, then intermediates without the root.
  std::string fullchain_pem;
  Secret key_pem;
};

// Copies share the CA's key.
class TestCa {
 public:
  static TestCa Root(const std::string& common_name = "Test Root", CertificateSpec spec = {});
  // One that was made earlier.
  static TestCa FromPem(absl::string_view certificate_pem, absl::string_view key_pem);
  // Signed by this one.
  TestCa Intermediate(const std::string& common_name = "Test Intermediate", CertificateSpec spec = {}) const;
  IssuedCertificate Issue(const CertificateSpec& spec) const;
  // As DER, for what Certificate refuses to parse.
  std::string IssueDer(const CertificateSpec& spec) const;
  // Its own issuer.
  static IssuedCertificate SelfSigned(const CertificateSpec& spec);

  const Certificate& certificate() const { return certificates_.front(); }
  const PrivateKey& key() const { return *key_; }
  std::string root_pem() const { return certificates_.back().ToPem(); }
  // This one first, the root last.
  const std::vector<Certificate>& path() const { return certificates_; }

 private:
  TestCa(std::vector<Certificate> certificates, std::shared_ptr<const PrivateKey> key)
      : certificates_(std::move(certificates)), key_(std::move(key)) {}

  std::vector<Certificate> certificates_;
  std::shared_ptr<const PrivateKey> key_;
};

// Keys that PrivateKey::Generate does not make.
PrivateKey MakeRsaKey(unsigned bits);
// "P-521", "secp256k1".
PrivateKey MakeEcKey(const std::string& curve);

}  // namespace certcast::testing

#endif  // CERTCAST_TESTS_TESTING_TEST_CA_H_
