#include "common/x509/private_key.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/obj_mac.h>
#include <openssl/pem.h>

#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/x509/digest.h"
#include "common/x509/openssl_errors.h"
#include "common/x509/pem.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace certcast {
namespace {

using ::certcast::testing::HasCode;
using ::certcast::testing::HasReason;
using ::certcast::testing::IsOk;
using ::certcast::testing::IsOkAndHolds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

PrivateKey Generate(KeyType type = KeyType::kEcdsaP256) {
  auto key = PrivateKey::Generate(type);
  EXPECT_THAT(key, IsOk());
  return *std::move(key);
}

std::string Pem(const PrivateKey& key) {
  return std::string(key.ToPem()->ExposeSecret());
}

// What other programs write. `cipher` null: not encrypted.
std::string TraditionalPem(const PrivateKey& key, const EVP_CIPHER* cipher = nullptr) {
  const SslPtr<BIO> bio(BIO_new(BIO_s_mem()));
  unsigned char password[] = "password";
  EXPECT_EQ(PEM_write_bio_PrivateKey_traditional(bio.get(), key.get(), cipher, cipher == nullptr ? nullptr : password,
                                                 cipher == nullptr ? 0 : 8, nullptr, nullptr),
            1);
  char* text = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &text);
  return std::string(text, static_cast<size_t>(size));
}

std::string EncryptedPkcs8(const PrivateKey& key) {
  const SslPtr<BIO> bio(BIO_new(BIO_s_mem()));
  EXPECT_EQ(PEM_write_bio_PKCS8PrivateKey(bio.get(), key.get(), EVP_aes_128_cbc(), "password", 8, nullptr, nullptr), 1);
  char* text = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &text);
  return std::string(text, static_cast<size_t>(size));
}

TEST(KeyTypeTest, NamesAreThoseOfTheConfiguration) {
  for (const KeyType type : {KeyType::kEcdsaP256, KeyType::kEcdsaP384, KeyType::kRsa2048, KeyType::kRsa3072,
                             KeyType::kRsa4096, KeyType::kEd25519}) {
    EXPECT_THAT(ParseKeyType(KeyTypeName(type)), IsOkAndHolds(type));
  }
  EXPECT_EQ(KeyTypeName(KeyType::kRsa3072), "rsa-3072");
  EXPECT_THAT(ParseKeyType("rsa-1024"), HasCode(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(FailureOf(ParseKeyType("RSA").status()).hint(), HasSubstr("ecdsa-p256 ecdsa-p384 rsa-2048"));
}

TEST(PrivateKeyTest, GeneratesEachType) {
  struct {
    KeyType type;
    const char* kind;
    int bits;
  } const cases[] = {
      {KeyType::kEcdsaP256, "EC", 256}, {KeyType::kEcdsaP384, "EC", 384},    {KeyType::kRsa2048, "RSA", 2048},
      {KeyType::kRsa3072, "RSA", 3072}, {KeyType::kEd25519, "ED25519", 256},
  };
  for (const auto& c : cases) {
    const PrivateKey key = Generate(c.type);
    EXPECT_TRUE(EVP_PKEY_is_a(key.get(), c.kind)) << c.kind;
    EXPECT_EQ(EVP_PKEY_get_bits(key.get()), c.bits);
  }
}

TEST(PrivateKeyTest, PemRoundTrip) {
  for (const KeyType type : {KeyType::kEcdsaP256, KeyType::kRsa2048, KeyType::kEd25519}) {
    const PrivateKey key = Generate(type);
    const std::string pem = Pem(key);
    EXPECT_THAT(pem, StartsWith("-----BEGIN PRIVATE KEY-----\n"));
    const auto again = PrivateKey::FromPem(pem);
    ASSERT_THAT(again, IsOk());
    EXPECT_EQ(again->spki_sha256(), key.spki_sha256());
    EXPECT_EQ(Pem(*again), pem);
  }
}

TEST(PrivateKeyTest, SpkiDigestIsOfThePublicKeysDer) {
  const PrivateKey key = Generate();
  const auto der = key.PublicKeyDer();
  ASSERT_THAT(der, IsOk());
  EXPECT_EQ(key.spki_sha256(), Sha256Hex(*der));
  EXPECT_NE(key.spki_sha256(), Generate().spki_sha256());
}

TEST(PrivateKeyTest, ReadsOlderForms) {
  const PrivateKey ec = Generate();
  const PrivateKey rsa = Generate(KeyType::kRsa2048);
  EXPECT_THAT(TraditionalPem(ec), StartsWith("-----BEGIN EC PRIVATE KEY-----"));
  EXPECT_THAT(TraditionalPem(rsa), StartsWith("-----BEGIN RSA PRIVATE KEY-----"));
  for (const PrivateKey* key : {&ec, &rsa}) {
    const auto read = PrivateKey::FromPem(TraditionalPem(*key));
    ASSERT_THAT(read, IsOk());
    EXPECT_EQ(read->spki_sha256(), key->spki_sha256());
  }
  // As `openssl ecparam -genkey` writes it.
  const std::string parameters = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n";
  EXPECT_THAT(PrivateKey::FromPem(parameters + TraditionalPem(ec)), IsOk());
}

TEST(PrivateKeyTest, ReadsWindowsLineEnds) {
  std::string pem = Pem(Generate());
  for (size_t i = 0; (i = pem.find('\n', i)) != std::string::npos; i += 2) pem.insert(i, 1, '\r');
  EXPECT_THAT(PrivateKey::FromPem(pem), IsOk());
}

TEST(PrivateKeyTest, EncryptedIsRefusedWithoutAskingForAPassphrase) {
  const PrivateKey key = Generate();
  for (const std::string& pem : {EncryptedPkcs8(key), TraditionalPem(key, EVP_aes_128_cbc())}) {
    const auto read = PrivateKey::FromPem(pem);
    EXPECT_THAT(read, HasReason(Reason::MALFORMED, HasSubstr("encrypted"))) << pem;
    EXPECT_THAT(FailureOf(read.status()).hint(), HasSubstr("openssl pkey"));
  }
}

TEST(PrivateKeyTest, RefusesAnythingElse) {
  const std::string pem = Pem(Generate());
  const std::string certificate = EncodePem("CERTIFICATE", "x");
  struct {
    std::string pem;
    absl::string_view why;
  } const cases[] = {
      {"", "no private key"},
      {"secret", "text before the first block"},
      {pem + "trailing", "text between or after"},
      {pem + pem, "more than one private key"},
      {pem + certificate, "found a CERTIFICATE"},
      {certificate + pem, "found a CERTIFICATE"},
      {pem + "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n", "EC PARAMETERS"},
      {EncodePem("PRIVATE KEY", "not DER"), "does not parse"},
      {EncodePem("PUBLIC KEY", "x"), "found a PUBLIC KEY"},
      {std::string(16385, ' '), "larger than"},
  };
  for (const auto& c : cases) {
    EXPECT_THAT(PrivateKey::FromPem(c.pem), HasReason(Reason::MALFORMED, HasSubstr(std::string(c.why)))) << c.why;
  }
}

TEST(PrivateKeyTest, TruncatedAnywhereIsRefused) {
  const std::string pem = Pem(Generate());
  // Without the last line end it is still whole.
  for (size_t size = 0; size + 1 < pem.size(); ++size) {
    EXPECT_THAT(PrivateKey::FromPem(pem.substr(0, size)), HasReason(Reason::MALFORMED)) << size;
  }
}

TEST(PrivateKeyTest, ErrorsNeverQuoteTheKey) {
  const std::string pem = Pem(Generate());
  const std::string body = pem.substr(28, 64);
  for (const std::string& broken : {"x" + pem, pem + pem, pem.substr(0, 100), pem + "x"}) {
    const absl::Status status = PrivateKey::FromPem(broken).status();
    ASSERT_FALSE(status.ok());
    for (size_t i = 0; i + 8 <= body.size(); i += 4) {
      EXPECT_FALSE(absl::StrContains(FailureOf(status).ShortDebugString(), body.substr(i, 8)));
    }
  }
}

TEST(PrivateKeyTest, LeavesNoOpensslErrorsBehind) {
  EXPECT_THAT(PrivateKey::FromPem(EncodePem("PRIVATE KEY", "not DER")), Not(IsOk()));
  EXPECT_THAT(PrivateKey::FromPem(Pem(Generate())), IsOk());
  EXPECT_EQ(ERR_peek_error(), 0u);
}

TEST(PrivateKeyTest, HasOneDigestInWhateverFormItsPointCame) {
  const PrivateKey key = Generate(KeyType::kEcdsaP256);
  const std::string pem = Pem(key);
  for (const char* form : {"compressed", "hybrid"}) {
    ASSERT_EQ(EVP_PKEY_set_utf8_string_param(key.get(), OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT, form), 1);
    ASSERT_NE(Pem(key), pem);
    const auto read = PrivateKey::FromPem(Pem(key));
    ASSERT_THAT(read, IsOk());
    EXPECT_EQ(read->spki_sha256(), key.spki_sha256());
    EXPECT_EQ(Pem(*read), pem);
  }
}

TEST(CurveOfTest, IsThatOfANamedCurve) {
  EXPECT_EQ(CurveOf(Generate(KeyType::kEcdsaP256).get()), NID_X9_62_prime256v1);
  EXPECT_EQ(CurveOf(Generate(KeyType::kEcdsaP384).get()), NID_secp384r1);
  EXPECT_EQ(CurveOf(Generate(KeyType::kRsa2048).get()), NID_undef);
  EXPECT_EQ(CurveOf(Generate(KeyType::kEd25519).get()), NID_undef);
  // The same curve, spelt out.
  const PrivateKey key = Generate(KeyType::kEcdsaP256);
  ASSERT_EQ(EVP_PKEY_set_utf8_string_param(key.get(), OSSL_PKEY_PARAM_EC_ENCODING, "explicit"), 1);
  const auto spelt_out = PrivateKey::FromPem(Pem(key));
  ASSERT_THAT(spelt_out, IsOk());
  EXPECT_EQ(CurveOf(spelt_out->get()), NID_undef);
  EXPECT_EQ(ERR_peek_error(), 0u);
}

TEST(SigningDigestTest, FollowsTheKey) {
  EXPECT_EQ(EVP_MD_get_type(SigningDigest(Generate(KeyType::kEcdsaP256).get())), NID_sha256);
  EXPECT_EQ(EVP_MD_get_type(SigningDigest(Generate(KeyType::kEcdsaP384).get())), NID_sha384);
  EXPECT_EQ(EVP_MD_get_type(SigningDigest(Generate(KeyType::kRsa2048).get())), NID_sha256);
  EXPECT_EQ(SigningDigest(Generate(KeyType::kEd25519).get()), nullptr);
}

SslPtr<X509_REQ> ParseCsr(const std::string& der) {
  const auto* position = reinterpret_cast<const unsigned char*>(der.data());
  return SslPtr<X509_REQ>(d2i_X509_REQ(nullptr, &position, static_cast<long>(der.size())));
}

std::vector<std::string> NamesIn(X509_REQ* request) {
  STACK_OF(X509_EXTENSION)* extensions = X509_REQ_get_extensions(request);
  const SslPtr<GENERAL_NAMES> names(
      static_cast<GENERAL_NAMES*>(X509V3_get_d2i(extensions, NID_subject_alt_name, nullptr, nullptr)));
  sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
  std::vector<std::string> result;
  for (int i = 0; names != nullptr && i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    EXPECT_EQ(name->type, GEN_DNS);
    result.emplace_back(reinterpret_cast<const char*>(ASN1_STRING_get0_data(name->d.dNSName)),
                        ASN1_STRING_length(name->d.dNSName));
  }
  return result;
}

std::string CommonNameIn(X509_REQ* request) {
  char name[256] = "";
  X509_NAME_get_text_by_NID(X509_REQ_get_subject_name(request), NID_commonName, name, sizeof(name));
  return name;
}

TEST(MakeCsrTest, HasNamesKeyAndSignature) {
  for (const KeyType type : {KeyType::kEcdsaP256, KeyType::kEcdsaP384, KeyType::kRsa2048, KeyType::kEd25519}) {
    const PrivateKey key = Generate(type);
    const auto der = MakeCsr(key, {"*.example.com", "example.com"});
    ASSERT_THAT(der, IsOk());
    const SslPtr<X509_REQ> request = ParseCsr(*der);
    ASSERT_NE(request, nullptr);
    EXPECT_THAT(NamesIn(request.get()), ElementsAre("*.example.com", "example.com"));
    EXPECT_EQ(CommonNameIn(request.get()), "*.example.com");
    EXPECT_EQ(X509_REQ_verify(request.get(), key.get()), 1);
    EXPECT_EQ(X509_REQ_get_version(request.get()), X509_REQ_VERSION_1);
  }
}

TEST(MakeCsrTest, LongFirstNameIsNoCommonName) {
  const PrivateKey key = Generate();
  const std::string fits = std::string(52, 'a') + ".example.com";
  ASSERT_EQ(fits.size(), 64u);
  EXPECT_EQ(CommonNameIn(ParseCsr(*MakeCsr(key, {fits})).get()), fits);
  const SslPtr<X509_REQ> request = ParseCsr(*MakeCsr(key, {"a" + fits, "b.example.com"}));
  EXPECT_EQ(CommonNameIn(request.get()), "");
  EXPECT_THAT(NamesIn(request.get()), ElementsAre("a" + fits, "b.example.com"));
}

TEST(MakeCsrTest, WithoutNamesItHasNone) {
  const SslPtr<X509_REQ> request = ParseCsr(*MakeCsr(Generate(), {}));
  ASSERT_NE(request, nullptr);
  EXPECT_THAT(NamesIn(request.get()), ElementsAre());
  EXPECT_EQ(CommonNameIn(request.get()), "");
}

TEST(MakeCsrTest, NamesCanNotSmuggleOthersIn) {
  for (const std::string& name : std::vector<std::string>{"a.example.com,DNS:b.example.com", "email:x@example.com",
                                                          "a b", "", "a\n", "\xc3\xbc.de", std::string("a\0b", 3)}) {
    EXPECT_THAT(MakeCsr(Generate(), {name}), HasCode(absl::StatusCode::kInvalidArgument)) << name;
  }
}

TEST(MakeCsrTest, PemHoldsTheSameBytes) {
  const std::string der = *MakeCsr(Generate(), {"example.com"});
  const std::string pem = CsrDerToPem(der);
  const auto blocks = SplitPem(pem, 65536);
  ASSERT_THAT(blocks, IsOk());
  ASSERT_EQ(blocks->size(), 1u);
  EXPECT_EQ(blocks->front().label, "CERTIFICATE REQUEST");
  EXPECT_THAT(DecodePem(blocks->front()), IsOkAndHolds(der));
}

TEST(OpensslErrorsTest, AreOneLineAndTakenOnce) {
  ERR_clear_error();
  EXPECT_EQ(TakeOpensslErrors(), "");
  ERR_raise_data(ERR_LIB_USER, ERR_R_MALLOC_FAILURE, "one");
  ERR_raise(ERR_LIB_USER, ERR_R_INTERNAL_ERROR);
  EXPECT_EQ(TakeOpensslErrors(), "malloc failure (one); internal error");
  EXPECT_EQ(TakeOpensslErrors(), "");
}

TEST(Sha256HexTest, KnownAnswers) {
  // FIPS 180-2 appendix B.1, and the empty message.
  EXPECT_EQ(Sha256Hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(Sha256Hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

}  // namespace
}  // namespace certcast
