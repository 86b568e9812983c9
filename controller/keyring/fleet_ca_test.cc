#include "controller/keyring/fleet_ca.h"

#include <openssl/x509v3.h>

#include <set>

#include "absl/strings/str_replace.h"
#include "common/status/status.h"
#include "common/x509/pem.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/status_matchers.h"

namespace certcast::controller {
namespace {

using ::certcast::testing::HasCode;
using ::certcast::testing::HasReason;
using ::certcast::testing::IsOk;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr char kFleet[] = "0b9f8a52-6f52-4a55-9d3e-0e5a7d0f9c11";
const IdentityNames kNames = {"web-01", "web-01.node.certcast", "certcast://fleet/node/web-01"};

class FleetCaTest : public ::testing::Test {
 protected:
  Certificate Sign() {
    auto certificate = SignIdentity(ca_, ca_key_, key_.get(), kNames, clock_.Now());
    EXPECT_THAT(certificate, IsOk());
    return *std::move(certificate);
  }

  certcast::testing::FakeClock clock_;
  PrivateKey ca_key_ = *PrivateKey::Generate(KeyType::kEcdsaP256);
  PrivateKey key_ = *PrivateKey::Generate(KeyType::kEcdsaP256);
  Certificate ca_ = *MakeFleetCa(ca_key_, kFleet, clock_.Now());
};

TEST_F(FleetCaTest, TheCaSignsLeavesAndNothingElse) {
  EXPECT_EQ(ca_.subject_name(), "certcast fleet CA 0b9f8a52");
  EXPECT_EQ(ca_.issuer_name(), ca_.subject_name());
  EXPECT_TRUE(ca_.is_ca());
  EXPECT_EQ(X509_get_pathlen(ca_.get()), 0);
  EXPECT_EQ(X509_get_key_usage(ca_.get()), static_cast<uint32_t>(KU_KEY_CERT_SIGN));
  EXPECT_EQ(X509_verify(ca_.get(), ca_key_.get()), 1);
  EXPECT_THAT(CheckKeyMatches(ca_, ca_key_), IsOk());
  EXPECT_GE(ca_.not_after() - clock_.Now(), absl::Hours(24 * 3650));
  EXPECT_LE(ca_.not_before(), clock_.Now());
}

TEST_F(FleetCaTest, AnIdentityIsAServerAndAClient) {
  const Certificate leaf = Sign();
  EXPECT_EQ(leaf.subject_name(), "web-01");
  EXPECT_THAT(leaf.dns_names(), ElementsAre("web-01.node.certcast"));
  EXPECT_THAT(leaf.uris(), ElementsAre("certcast://fleet/node/web-01"));
  EXPECT_FALSE(leaf.is_ca());
  EXPECT_EQ(X509_get_extended_key_usage(leaf.get()), static_cast<uint32_t>(XKU_SSL_SERVER | XKU_SSL_CLIENT));
  EXPECT_EQ(X509_get_key_usage(leaf.get()), static_cast<uint32_t>(KU_DIGITAL_SIGNATURE));
  EXPECT_EQ(X509_verify(leaf.get(), ca_key_.get()), 1);
  EXPECT_THAT(CheckKeyMatches(leaf, key_), IsOk());
  EXPECT_THAT(CheckChain({leaf, ca_}, clock_.Now(), false), IsOk());
  EXPECT_THAT(CheckChainAgainstRoots({leaf}, {ca_}, clock_.Now()), IsOk());
}

TEST_F(FleetCaTest, AnIdentityLasts30DaysFromAMinuteAgo) {
  clock_.Advance(absl::Hours(1));
  const Certificate leaf = Sign();
  EXPECT_EQ(leaf.not_before(), clock_.Now() - absl::Minutes(1));
  EXPECT_EQ(leaf.not_after(), clock_.Now() + absl::Hours(24 * 30));
}

TEST_F(FleetCaTest, AnIdentityNeverOutlivesTheCa) {
  clock_.JumpTo(ca_.not_after() - absl::Hours(24));
  EXPECT_EQ(Sign().not_after(), ca_.not_after());
  clock_.JumpTo(ca_.not_after());
  EXPECT_THAT(SignIdentity(ca_, ca_key_, key_.get(), kNames, clock_.Now()), HasReason(Reason::EXPIRED));
}

TEST_F(FleetCaTest, SerialsAreRandomAndOf128Bits) {
  std::set<std::string> seen;
  for (int i = 0; i < 20; ++i) {
    const Certificate leaf = Sign();
    const SslPtr<BIGNUM> serial(ASN1_INTEGER_to_BN(X509_get0_serialNumber(leaf.get()), nullptr));
    EXPECT_EQ(BN_num_bits(serial.get()), 128);
    EXPECT_FALSE(BN_is_negative(serial.get()));
    EXPECT_TRUE(seen.insert(leaf.sha256()).second);
  }
}

TEST_F(FleetCaTest, ACertificateOfAnotherCaDoesNotVerify) {
  const PrivateKey other_key = *PrivateKey::Generate(KeyType::kEcdsaP256);
  const Certificate other_ca = *MakeFleetCa(other_key, kFleet, clock_.Now());
  const Certificate leaf = *SignIdentity(other_ca, other_key, key_.get(), kNames, clock_.Now());
  EXPECT_THAT(CheckChainAgainstRoots({leaf}, {ca_}, clock_.Now()), HasReason(Reason::CHAIN_INVALID));
}

std::string Request(KeyType type) {
  return CsrDerToPem(*MakeCsr(*PrivateKey::Generate(type), {"a.example"}));
}

TEST(ReadRequestKey, AcceptsTheUsualKeys) {
  for (const KeyType type : {KeyType::kEcdsaP256, KeyType::kEcdsaP384, KeyType::kRsa2048}) {
    const PrivateKey key = *PrivateKey::Generate(type);
    const auto read = ReadRequestKey(CsrDerToPem(*MakeCsr(key, {"a.example"})), "web-01");
    ASSERT_THAT(read, IsOk());
    EXPECT_EQ(EVP_PKEY_eq(read->get(), key.get()), 1);
  }
}

TEST(ReadRequestKey, RefusesOtherKeys) {
  EXPECT_THAT(ReadRequestKey(Request(KeyType::kEd25519), "web-01"),
              AllOf(HasCode(absl::StatusCode::kInvalidArgument),
                    HasReason(Reason::REASON_UNSPECIFIED, HasSubstr("key is of a kind"))));
}

// A request that is signed by `key`, whatever that is.
std::string RequestOf(EVP_PKEY* key) {
  const SslPtr<X509_REQ> request(X509_REQ_new());
  EXPECT_EQ(X509_REQ_set_pubkey(request.get(), key), 1);
  EXPECT_GT(X509_REQ_sign(request.get(), key, EVP_sha256()), 0);
  unsigned char* der = nullptr;
  const int size = i2d_X509_REQ(request.get(), &der);
  std::string pem = CsrDerToPem(absl::string_view(reinterpret_cast<char*>(der), static_cast<size_t>(size)));
  OPENSSL_free(der);
  return pem;
}

TEST(ReadRequestKey, RefusesShortRsaAndOtherCurves) {
  const SslPtr<EVP_PKEY> rsa(EVP_RSA_gen(1024));
  EXPECT_THAT(ReadRequestKey(RequestOf(rsa.get()), "web-01"), HasCode(absl::StatusCode::kInvalidArgument));
  const SslPtr<EVP_PKEY> koblitz(EVP_EC_gen("secp256k1"));
  EXPECT_THAT(ReadRequestKey(RequestOf(koblitz.get()), "web-01"), HasCode(absl::StatusCode::kInvalidArgument));
  const SslPtr<EVP_PKEY> p521(EVP_EC_gen("P-521"));
  EXPECT_THAT(ReadRequestKey(RequestOf(p521.get()), "web-01"), HasCode(absl::StatusCode::kInvalidArgument));
}

TEST(ReadRequestKey, RefusesAnotherNodesRequest) {
  const PrivateKey key = *PrivateKey::Generate(KeyType::kEcdsaP256);
  const std::string request = CsrDerToPem(*MakeCsr(key, {"web-01.node.certcast"}));
  EXPECT_THAT(ReadRequestKey(request, "web-01"), IsOk());
  const absl::Status refused = ReadRequestKey(request, "web-02").status();
  EXPECT_THAT(refused, HasCode(absl::StatusCode::kInvalidArgument));
  EXPECT_EQ(FailureOf(refused).detail(), "the certificate request is node web-01's");
  EXPECT_THAT(FailureOf(refused).hint(), HasSubstr("`certcast nodes sign web-01`"));
}

TEST(ReadRequestKey, RefusesASignatureByAnotherKey) {
  // The key in the request is exchanged, its signature is not: both are 32-byte curve points in the same places.
  const PrivateKey mine = *PrivateKey::Generate(KeyType::kEcdsaP256);
  const PrivateKey other = *PrivateKey::Generate(KeyType::kEcdsaP256);
  const std::string der = *MakeCsr(mine, {"a.example"});
  const std::string forged = absl::StrReplaceAll(der, {{*mine.PublicKeyDer(), *other.PublicKeyDer()}});
  ASSERT_NE(forged, der);
  EXPECT_THAT(ReadRequestKey(CsrDerToPem(forged), "web-01"),
              AllOf(HasCode(absl::StatusCode::kInvalidArgument),
                    HasReason(Reason::REASON_UNSPECIFIED, HasSubstr("signature does not verify"))));
}

TEST(ReadRequestKey, RefusesWhatIsNoSingleRequest) {
  const std::string request = Request(KeyType::kEcdsaP256);
  const PrivateKey key = *PrivateKey::Generate(KeyType::kEcdsaP256);
  const std::string private_key(key.ToPem()->ExposeSecret());
  std::string trailing = *MakeCsr(key, {"a.example"}) + "x";
  for (const std::string& pem :
       {std::string(), std::string("hello"), request + request, private_key, request + private_key,
        EncodePem("CERTIFICATE REQUEST", "not ASN.1"), EncodePem("CERTIFICATE REQUEST", trailing),
        EncodePem("CERTIFICATE", *MakeCsr(key, {"a.example"})), request + std::string(size_t{16} << 10, '\n')}) {
    const auto read = ReadRequestKey(pem, "web-01");
    EXPECT_THAT(read, HasCode(absl::StatusCode::kInvalidArgument)) << pem;
    // A key that was given by mistake is not repeated.
    EXPECT_EQ(certcast::testing::Describe(read.status()).find("MIG"), std::string::npos);
  }
}

}  // namespace
}  // namespace certcast::controller
