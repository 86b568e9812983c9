// A fleet for tests: its id, its signing key, and the bundles it signs.
#ifndef CERTCAST_TESTS_TESTING_TEST_FLEET_H_
#define CERTCAST_TESTS_TESTING_TEST_FLEET_H_

#include <cstdint>
#include <string>

#include "absl/time/time.h"
#include "certcast/v1/bundle.pb.h"
#include "common/manifest/manifest.h"
#include "common/x509/private_key.h"
#include "tests/testing/test_ca.h"

namespace certcast::testing {

// What goes wrong in here ends the test program: it is a fault of the test.
class TestFleet {
 public:
  explicit TestFleet(std::string id = "test-fleet");
  TestFleet(std::string id, PrivateKey signing_key);

  const std::string& id() const { return id_; }
  const PrivateKey& signing_key() const { return signing_key_; }
  const ManifestKey& key() const { return key_; }

  v1::Bundle Bundle(const IssuedCertificate& issued, const std::string& certificate, uint64_t generation,
                    absl::Time signed_at, absl::Duration lifetime = absl::Hours(24)) const;
  // Of any manifest: signed anew, with the parts of `bundle`.
  v1::Bundle Resign(v1::Bundle bundle, const v1::Manifest& manifest) const;

  // What `certcast nodes sign` prints for the node `name` with this key, `ca` being the fleet's.
  std::string Identity(const TestCa& ca, const std::string& name, const PrivateKey& key) const {
    return Identity(ca, name, key, id_);
  }
  // Of another fleet with the same keys.
  std::string Identity(const TestCa& ca, const std::string& name, const PrivateKey& key, const std::string& fleet_id,
                       absl::Time not_after = CertificateSpec().not_after) const;

 private:
  std::string id_;
  PrivateKey signing_key_;
  ManifestKey key_;
};

}  // namespace certcast::testing

#endif  // CERTCAST_TESTS_TESTING_TEST_FLEET_H_
