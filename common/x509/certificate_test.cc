#include "common/x509/certificate.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>

#include <string>

#include "absl/time/civil_time.h"
#include "common/x509/pem.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/test_ca.h"

namespace certcast {
namespace {

using ::certcast::testing::CertificateSpec;
using ::certcast::testing::HasReason;
using ::certcast::testing::IsOk;
using ::certcast::testing::IsOkAndHolds;
using ::certcast::testing::IssuedCertificate;
using ::certcast::testing::MakeEcKey;
using ::certcast::testing::MakeRsaKey;
using ::certcast::testing::TestCa;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

absl::Time Utc(int year, int month, int day, int hour = 0, int minute = 0, int second = 0) {
  return absl::FromCivil(absl::CivilSecond(year, month, day, hour, minute, second), absl::UTCTimeZone());
}

TEST(CertificateTest, ShowsItsFields) {
  const TestCa ca = TestCa::Root("My Root");
  const IssuedCertificate issued = ca.Issue({.dns_names = {"*.Example.com", "example.com"},
                                             .uris = {"certcast://fleet/node/a"},
                                             .ip_addresses = {"192.0.2.1", "2001:db8::1"},
                                             .common_name = "A Leaf",
                                             .not_before = Utc(2026, 1, 2, 3, 4, 5),
                                             .not_after = Utc(2051, 1, 2, 3, 4, 5)});
  const Certificate& leaf = issued.certificate;
  EXPECT_THAT(leaf.dns_names(), ElementsAre("*.example.com", "example.com"));
  EXPECT_THAT(leaf.uris(), ElementsAre("certcast://fleet/node/a"));
  EXPECT_THAT(leaf.ip_addresses(), ElementsAre("192.0.2.1", "2001:db8::1"));
  EXPECT_EQ(leaf.subject_name(), "A Leaf");
  EXPECT_EQ(leaf.issuer_name(), "My Root");
  EXPECT_EQ(leaf.not_before(), Utc(2026, 1, 2, 3, 4, 5));
  EXPECT_EQ(leaf.not_after(), Utc(2051, 1, 2, 3, 4, 5));
  EXPECT_FALSE(leaf.is_ca());
  EXPECT_TRUE(ca.certificate().is_ca());
  EXPECT_EQ(leaf.sha256(), Sha256Hex(leaf.der()));
  EXPECT_EQ(leaf.spki_sha256(), issued.key.spki_sha256());
}

TEST(CertificateTest, WithoutNamesItHasNone) {
  const Certificate leaf = TestCa::Root("").Issue({}).certificate;
  EXPECT_THAT(leaf.dns_names(), IsEmpty());
  EXPECT_EQ(leaf.subject_name(), "");
  EXPECT_EQ(leaf.issuer_name(), "");
}

TEST(CertificateTest, CopiesOutliveTheFirst) {
  std::vector<Certificate> copies;
  {
    const Certificate leaf = TestCa::Root().Issue({.dns_names = {"a.test"}}).certificate;
    copies.push_back(leaf);
  }
  EXPECT_NE(X509_get0_pubkey(copies[0].get()), nullptr);
  EXPECT_EQ(copies[0].subject_name(), "a.test");
}

TEST(CertificateTest, FromX509IsTheSame) {
  const Certificate leaf = TestCa::Root().Issue({.dns_names = {"a.test"}}).certificate;
  const auto same = Certificate::FromX509(leaf.get());
  ASSERT_THAT(same, IsOk());
  EXPECT_EQ(same->sha256(), leaf.sha256());
}

TEST(CertificateTest, RefusesOtherBytesAfterIt) {
  const std::string der = TestCa::Root().Issue({}).certificate.der();
  EXPECT_THAT(Certificate::FromDer(der), IsOk());
  EXPECT_THAT(Certificate::FromDer(der + '\0'), HasReason(Reason::MALFORMED, HasSubstr("followed by other bytes")));
  EXPECT_THAT(Certificate::FromDer(der + der), HasReason(Reason::MALFORMED));
  EXPECT_THAT(Certificate::FromDer(""), HasReason(Reason::MALFORMED));
  EXPECT_THAT(Certificate::FromDer(std::string(70000, '0')), HasReason(Reason::MALFORMED, HasSubstr("larger than")));
}

TEST(CertificateTest, TruncatedAnywhereIsRefused) {
  const std::string der = TestCa::Root().Issue({.dns_names = {"a.test"}}).certificate.der();
  for (size_t size = 0; size < der.size(); ++size) {
    EXPECT_THAT(Certificate::FromDer(der.substr(0, size)), HasReason(Reason::MALFORMED)) << size;
  }
  EXPECT_EQ(ERR_peek_error(), 0u);
}

TEST(CertificateTest, RefusesAnotherEncodingOfTheSame) {
  // The outer length in three bytes where two are enough: BER allows it, DER does not.
  const std::string der = TestCa::Root().Issue({.dns_names = {"a.test"}}).certificate.der();
  ASSERT_EQ(der.substr(0, 2), "\x30\x82");
  const std::string longer = std::string("\x30\x83\0", 3) + der.substr(2);
  EXPECT_THAT(Certificate::FromDer(longer), HasReason(Reason::MALFORMED, HasSubstr("not in DER")));
}

TEST(CertificateTest, RefusesOddDates) {
  const TestCa ca = TestCa::Root();
  for (const std::string& raw : std::vector<std::string>{
           "00000101000000Z",      // year 0
           "20260101000000+0100",  // an offset
           "20260101000000",       // no zone
           "20260101000000.5Z",    // a fraction
           "202601010000Z",        // no seconds, and as long as a UTCTime: month 26
           "20261301000000Z",      // month 13
           "20260230000000Z",      // 30 February
           "20260101250000Z",      // hour 25
           "-0260101000000Z",      // a negative year
           "2026010100000Z",       // a digit less
       }) {
    EXPECT_THAT(Certificate::FromDer(ca.IssueDer({.raw_not_before = raw})),
                HasReason(Reason::MALFORMED, HasSubstr("notBefore is not a date")))
        << raw;
    EXPECT_THAT(Certificate::FromDer(ca.IssueDer({.raw_not_after = raw})),
                HasReason(Reason::MALFORMED, HasSubstr("notAfter is not a date")))
        << raw;
  }
}

TEST(CertificateTest, ReadsDatesAtTheEnds) {
  const TestCa ca = TestCa::Root();
  const auto old = Certificate::FromDer(ca.IssueDer({.raw_not_before = "00010101000000Z"}));
  ASSERT_THAT(old, IsOk());
  EXPECT_EQ(old->not_before(), Utc(1, 1, 1));
  // RFC 5280 section 4.1.2.5: no well-defined end.
  const auto endless = Certificate::FromDer(ca.IssueDer({.raw_not_after = "99991231235959Z"}));
  ASSERT_THAT(endless, IsOk());
  EXPECT_EQ(endless->not_after(), Utc(9999, 12, 31, 23, 59, 59));
  // UTCTime: 50 is 1950, 49 is 2049.
  const auto utc =
      Certificate::FromDer(ca.IssueDer({.raw_not_before = "500101000000Z", .raw_not_after = "491231235959Z"}));
  ASSERT_THAT(utc, IsOk());
  EXPECT_EQ(utc->not_before(), Utc(1950, 1, 1));
  EXPECT_EQ(utc->not_after(), Utc(2049, 12, 31, 23, 59, 59));
}

TEST(CertificateTest, RefusesNamesThatEndEarly) {
  const TestCa ca = TestCa::Root();
  const std::string with_nul("good.test\0.evil.test", 20);
  EXPECT_THAT(Certificate::FromDer(ca.IssueDer({.dns_names = {with_nul}, .common_name = "x"})),
              HasReason(Reason::MALFORMED, HasSubstr("DNS name")));
  EXPECT_THAT(Certificate::FromDer(ca.IssueDer({.uris = {with_nul}})), HasReason(Reason::MALFORMED, HasSubstr("URI")));
  EXPECT_THAT(Certificate::FromDer(ca.IssueDer({.common_name = with_nul})),
              HasReason(Reason::MALFORMED, HasSubstr("subject has a common name with NUL")));
  EXPECT_THAT(Certificate::FromDer(ca.IssueDer({.common_name = "a\nb"})), HasReason(Reason::MALFORMED));
  EXPECT_THAT(Certificate::FromDer(ca.IssueDer({.dns_names = {""}})), HasReason(Reason::MALFORMED));
  EXPECT_THAT(Certificate::FromDer(ca.IssueDer({.dns_names = {"a b.test"}, .common_name = "x"})),
              HasReason(Reason::MALFORMED));
  EXPECT_THAT(Certificate::FromDer(ca.IssueDer({.dns_names = {"\xc3\xbc.test"}, .common_name = "x"})),
              HasReason(Reason::MALFORMED));
}

TEST(CertificateTest, RefusesTwoListsOfNames) {
  const TestCa ca = TestCa::Root();
  EXPECT_THAT(Certificate::FromDer(
                  ca.IssueDer({.dns_names = {"a.test"}, .extensions = {{NID_subject_alt_name, "DNS:b.test"}}})),
              HasReason(Reason::MALFORMED));
}

TEST(ParseChainPemTest, RoundTrip) {
  const TestCa ca = TestCa::Root().Intermediate();
  const IssuedCertificate leaf = ca.Issue({.dns_names = {"a.test"}});
  const auto chain = ParseChainPem(leaf.fullchain_pem);
  ASSERT_THAT(chain, IsOkAndHolds(SizeIs(2)));
  EXPECT_EQ((*chain)[0].sha256(), leaf.certificate.sha256());
  EXPECT_EQ((*chain)[1].sha256(), ca.certificate().sha256());
  EXPECT_EQ(ChainToPem(*chain), leaf.fullchain_pem);
}

TEST(ParseChainPemTest, WhiteSpaceAndWindowsLineEndsAreNormalized) {
  const IssuedCertificate leaf = TestCa::Root().Intermediate().Issue({});
  std::string pem = leaf.fullchain_pem;
  for (size_t i = 0; (i = pem.find('\n', i)) != std::string::npos; i += 2) pem.insert(i, 1, '\r');
  const auto chain = ParseChainPem("\r\n" + pem + "\r\n\r\n");
  ASSERT_THAT(chain, IsOk());
  EXPECT_EQ(ChainToPem(*chain), leaf.fullchain_pem);
}

TEST(ParseChainPemTest, RefusesAnythingElse) {
  const IssuedCertificate leaf = TestCa::Root().Issue({.dns_names = {"a.test"}});
  const std::string& pem = leaf.fullchain_pem;
  const std::string key(leaf.key_pem.ExposeSecret());
  std::string eleven;
  for (int i = 0; i < 11; ++i) eleven += pem;
  struct {
    std::string pem;
    absl::string_view why;
  } const cases[] = {
      {"", "no certificate"},
      {" \n", "no certificate"},
      {"subject=CN = a\n" + pem, "text before the first block"},
      {pem + "# end\n", "text between or after"},
      {pem + key, "found a private key"},
      {key + pem, "found a private key"},
      {pem + EncodePem("CERTIFICATE REQUEST", "x"), "found a CERTIFICATE REQUEST"},
      {pem + EncodePem("CERTIFICATE", "x"), "certificate 2: the certificate does not parse"},
      {EncodePem("CERTIFICATE", leaf.certificate.der() + "x"), "certificate 1: the certificate is followed by other"},
      {eleven, "more than 10 certificates"},
      {pem + std::string(size_t{64} * 1024, '\n'), "larger than"},
  };
  for (const auto& c : cases) {
    EXPECT_THAT(ParseChainPem(c.pem), HasReason(Reason::MALFORMED, HasSubstr(std::string(c.why)))) << c.why;
  }
}

TEST(CheckKeyMatchesTest, ComparesTheKeys) {
  const TestCa ca = TestCa::Root();
  for (const KeyType type : {KeyType::kEcdsaP256, KeyType::kEcdsaP384, KeyType::kRsa2048, KeyType::kEd25519}) {
    const IssuedCertificate leaf = ca.Issue({.dns_names = {"a.test"}, .key_type = type});
    EXPECT_THAT(CheckKeyMatches(leaf.certificate, leaf.key), IsOk());
    EXPECT_THAT(CheckKeyMatches(leaf.certificate, *PrivateKey::Generate(type)),
                HasReason(Reason::KEY_MISMATCH, HasSubstr("a.test")));
    EXPECT_THAT(CheckKeyMatches(leaf.certificate, ca.key()), HasReason(Reason::KEY_MISMATCH));
  }
  EXPECT_EQ(ERR_peek_error(), 0u);
}

// The private half of `other` with the public half of `key`.
PrivateKey ForgeEcKey(const PrivateKey& key, const PrivateKey& other) {
  unsigned char point[65];
  size_t size = 0;
  BIGNUM* scalar = nullptr;
  EXPECT_EQ(EVP_PKEY_get_octet_string_param(key.get(), OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point), &size), 1);
  EXPECT_EQ(EVP_PKEY_get_bn_param(other.get(), OSSL_PKEY_PARAM_PRIV_KEY, &scalar), 1);
  const SslPtr<BIGNUM> owned(scalar);
  OSSL_PARAM_BLD* builder = OSSL_PARAM_BLD_new();
  OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, "P-256", 0);
  OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point, size);
  OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_PRIV_KEY, scalar);
  OSSL_PARAM* parameters = OSSL_PARAM_BLD_to_param(builder);
  const SslPtr<EVP_PKEY_CTX> context(EVP_PKEY_CTX_new_from_name(nullptr, "EC", nullptr));
  EVP_PKEY* forged = nullptr;
  EXPECT_EQ(EVP_PKEY_fromdata_init(context.get()), 1);
  EXPECT_EQ(EVP_PKEY_fromdata(context.get(), &forged, EVP_PKEY_KEYPAIR, parameters), 1);
  OSSL_PARAM_free(parameters);
  OSSL_PARAM_BLD_free(builder);
  const SslPtr<EVP_PKEY> forged_owned(forged);
  const SslPtr<BIO> bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_PKCS8PrivateKey(bio.get(), forged, nullptr, nullptr, 0, nullptr, nullptr);
  char* text = nullptr;
  const long length = BIO_get_mem_data(bio.get(), &text);
  return *PrivateKey::FromPem(absl::string_view(text, static_cast<size_t>(length)));
}

TEST(CheckKeyMatchesTest, AKeyFileThatOnlyClaimsThePublicKeyIsNotEnough) {
  const IssuedCertificate leaf = TestCa::Root().Issue({.dns_names = {"a.test"}});
  const PrivateKey forged = ForgeEcKey(leaf.key, *PrivateKey::Generate(KeyType::kEcdsaP256));
  ASSERT_EQ(forged.spki_sha256(), leaf.certificate.spki_sha256());
  EXPECT_THAT(CheckKeyMatches(leaf.certificate, forged), HasReason(Reason::KEY_MISMATCH));
}

TEST(CheckKeyStrengthTest, Table) {
  const TestCa ca = TestCa::Root();
  const PrivateKey rsa1024 = MakeRsaKey(1024);
  const PrivateKey rsa2047 = MakeRsaKey(2047);
  const PrivateKey p521 = MakeEcKey("P-521");
  const PrivateKey p224 = MakeEcKey("P-224");
  const PrivateKey koblitz = MakeEcKey("secp256k1");
  const auto check = [&](const CertificateSpec& spec) { return CheckKeyStrength(ca.Issue(spec).certificate); };
  EXPECT_THAT(check({.key_type = KeyType::kEcdsaP256}), IsOk());
  EXPECT_THAT(check({.key_type = KeyType::kEcdsaP384}), IsOk());
  EXPECT_THAT(check({.key_type = KeyType::kRsa2048}), IsOk());
  EXPECT_THAT(check({.key = &p521}), IsOk());
  EXPECT_THAT(check({.key = &rsa1024}), HasReason(Reason::KEY_TYPE_NOT_ALLOWED, HasSubstr("RSA of 1024 bits")));
  EXPECT_THAT(check({.key = &rsa2047}), HasReason(Reason::KEY_TYPE_NOT_ALLOWED, HasSubstr("RSA of 2047 bits")));
  EXPECT_THAT(check({.key = &p224}), HasReason(Reason::KEY_TYPE_NOT_ALLOWED, HasSubstr("secp224r1")));
  EXPECT_THAT(check({.key = &koblitz}), HasReason(Reason::KEY_TYPE_NOT_ALLOWED, HasSubstr("secp256k1")));
  EXPECT_THAT(check({.key_type = KeyType::kEd25519}), HasReason(Reason::KEY_TYPE_NOT_ALLOWED, HasSubstr("ED25519")));
}

TEST(CheckKeyStrengthTest, ThePointOfAnEcKeyIsUncompressed) {
  const PrivateKey key = *PrivateKey::Generate(KeyType::kEcdsaP256);
  for (const char* form : {"uncompressed", "compressed", "hybrid"}) {
    ASSERT_EQ(EVP_PKEY_set_utf8_string_param(key.get(), OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT, form), 1);
    const SslPtr<X509> leaf(X509_dup(TestCa::SelfSigned({.dns_names = {"a.test"}}).certificate.get()));
    ASSERT_EQ(X509_set_pubkey(leaf.get(), key.get()), 1);
    ASSERT_GT(X509_sign(leaf.get(), key.get(), EVP_sha256()), 0);
    const auto certificate = Certificate::FromX509(leaf.get());
    ASSERT_THAT(certificate, IsOk());
    EXPECT_THAT(CheckKeyMatches(*certificate, key), IsOk());
    if (form == std::string("uncompressed")) {
      EXPECT_THAT(CheckKeyStrength(*certificate), IsOk());
    } else {
      EXPECT_THAT(CheckKeyStrength(*certificate), HasReason(Reason::KEY_TYPE_NOT_ALLOWED, HasSubstr("EC point")))
          << form;
    }
  }
}

TEST(CheckDatesTest, Table) {
  const absl::Time from = Utc(2026, 1, 1);
  const absl::Time to = Utc(2026, 4, 1);
  const Certificate leaf = TestCa::Root().Issue({.not_before = from, .not_after = to}).certificate;
  EXPECT_THAT(CheckDates(leaf, from), IsOk());
  EXPECT_THAT(CheckDates(leaf, to), IsOk());
  EXPECT_THAT(CheckDates(leaf, from - absl::Seconds(60)), IsOk());
  EXPECT_THAT(
      CheckDates(leaf, from - absl::Seconds(61)),
      HasReason(Reason::NOT_YET_VALID, HasSubstr("valid from 2026-01-01 00:00:00 UTC; it is 2025-12-31 23:58:59")));
  EXPECT_THAT(
      CheckDates(leaf, to + absl::Seconds(1)),
      HasReason(Reason::EXPIRED, HasSubstr("expired at 2026-04-01 00:00:00 UTC; it is 2026-04-01 00:00:01 UTC")));
}

}  // namespace
}  // namespace certcast
