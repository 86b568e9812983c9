#include <openssl/err.h>

#include <string>

#include "absl/strings/escaping.h"
#include "common/manifest/manifest.h"
#include "common/x509/pem.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace certcast {
namespace {

using ::certcast::testing::HasReason;
using ::certcast::testing::IsOk;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// RFC 8032 section 7.1, tests 1 to 3.
struct Vector {
  const char* public_key;
  const char* message;
  const char* signature;
} const kVectors[] = {
    {"d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe246"
     "55141"
     "438e7a100b"},
    {"3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb"
     "00d29"
     "1612bb0c00"},
    {"fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
     "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc"
     "027be"
     "ceea1ec40a"},
};

TEST(ManifestKeyTest, VerifiesTheVectorsOfRfc8032) {
  for (const Vector& v : kVectors) {
    const auto key = ManifestKey::FromRaw(absl::HexStringToBytes(v.public_key));
    ASSERT_THAT(key, IsOk());
    const std::string message = absl::HexStringToBytes(v.message);
    const std::string signature = absl::HexStringToBytes(v.signature);
    EXPECT_TRUE(key->Verifies(message, signature));
    EXPECT_FALSE(key->Verifies(message + '\0', signature));
    EXPECT_FALSE(key->Verifies(message, signature.substr(0, 63)));
    EXPECT_FALSE(key->Verifies(message, signature + '\0'));
    EXPECT_FALSE(key->Verifies(message, ""));
  }
  EXPECT_EQ(ERR_peek_error(), 0u);
}

TEST(ManifestKeyTest, EveryBitOfTheSignatureCounts) {
  const Vector& v = kVectors[2];
  const ManifestKey key = *ManifestKey::FromRaw(absl::HexStringToBytes(v.public_key));
  const std::string message = absl::HexStringToBytes(v.message);
  std::string signature = absl::HexStringToBytes(v.signature);
  for (size_t bit = 0; bit < signature.size() * 8; ++bit) {
    const char mask = static_cast<char>(1 << (bit % 8));
    signature[bit / 8] ^= mask;
    EXPECT_FALSE(key.Verifies(message, signature)) << bit;
    signature[bit / 8] ^= mask;
  }
}

// RFC 8032 section 5.1.7: S must be below the order of the group, or one message has several signatures.
TEST(ManifestKeyTest, RefusesTheSameSignatureWithTheGroupOrderAdded) {
  const Vector& v = kVectors[0];
  const std::string order = absl::HexStringToBytes("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
  std::string signature = absl::HexStringToBytes(v.signature);
  int carry = 0;
  for (size_t i = 0; i < 32; ++i) {
    const int sum = static_cast<unsigned char>(signature[32 + i]) + static_cast<unsigned char>(order[i]) + carry;
    signature[32 + i] = static_cast<char>(sum & 0xff);
    carry = sum >> 8;
  }
  ASSERT_EQ(carry, 0);
  EXPECT_FALSE(ManifestKey::FromRaw(absl::HexStringToBytes(v.public_key))->Verifies("", signature));
}

TEST(ManifestKeyTest, PemRoundTrip) {
  const PrivateKey signing_key = *PrivateKey::Generate(KeyType::kEd25519);
  const auto key = ManifestKey::FromPrivate(signing_key);
  ASSERT_THAT(key, IsOk());
  EXPECT_EQ(key->raw().size(), 32u);
  EXPECT_THAT(key->ToPem(), StartsWith("-----BEGIN PUBLIC KEY-----\n"));
  const auto again = ManifestKey::FromPem(key->ToPem());
  ASSERT_THAT(again, IsOk());
  EXPECT_EQ(*again, *key);
}

TEST(ManifestKeyTest, RefusesWhatIsNotOne) {
  const PrivateKey ec = *PrivateKey::Generate(KeyType::kEcdsaP256);
  const std::string good = ManifestKey::FromRaw(std::string(32, 'x'))->ToPem();
  EXPECT_THAT(ManifestKey::FromRaw(std::string(31, 'x')), HasReason(Reason::MALFORMED, HasSubstr("31 bytes")));
  EXPECT_THAT(ManifestKey::FromRaw(std::string(33, 'x')), HasReason(Reason::MALFORMED));
  EXPECT_THAT(ManifestKey::FromPrivate(ec), HasReason(Reason::MALFORMED, HasSubstr("Ed25519")));
  EXPECT_THAT(ManifestKey::FromPem(EncodePem("PUBLIC KEY", *ec.PublicKeyDer())),
              HasReason(Reason::MALFORMED, HasSubstr("Ed25519")));
  EXPECT_THAT(ManifestKey::FromPem(good), IsOk());
  EXPECT_THAT(ManifestKey::FromPem(good + good), HasReason(Reason::MALFORMED));
  EXPECT_THAT(ManifestKey::FromPem(good + "x"), HasReason(Reason::MALFORMED));
  EXPECT_THAT(ManifestKey::FromPem(""), HasReason(Reason::MALFORMED));
  EXPECT_THAT(ManifestKey::FromPem(EncodePem("CERTIFICATE", "x")), HasReason(Reason::MALFORMED));
  EXPECT_THAT(ManifestKey::FromPem(EncodePem("PUBLIC KEY", "x")), HasReason(Reason::MALFORMED));
  const std::string der = *DecodePem(SplitPem(good, 1024)->front());
  EXPECT_THAT(ManifestKey::FromPem(EncodePem("PUBLIC KEY", der + "x")), HasReason(Reason::MALFORMED));
  EXPECT_EQ(ERR_peek_error(), 0u);
}

}  // namespace
}  // namespace certcast
