#include "common/x509/pkcs12.h"

#include <openssl/pkcs12.h>

#include <fstream>
#include <string>

#include "common/process/process.h"
#include "common/x509/ssl_ptr.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temporary_directory.h"
#include "tests/testing/test_ca.h"

namespace certcast {
namespace {

using ::certcast::testing::HasCode;
using ::certcast::testing::HasReason;
using ::certcast::testing::IsOk;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr char kPassword[] = "correct horse";

const testing::TestCa& Ca() {
  static const auto* const ca = new testing::TestCa(testing::TestCa::Root().Intermediate());
  return *ca;
}

struct Made {
  testing::IssuedCertificate issued;
  std::vector<Certificate> chain;
  Secret file;
};

Made Make(Pkcs12Encryption encryption, const testing::CertificateSpec& spec) {
  Made made{.issued = Ca().Issue(spec)};
  made.chain = ParseChainPem(made.issued.fullchain_pem).value();
  made.file = MakePkcs12(made.issued.key, made.chain, Secret(kPassword), "wildcard", encryption).value();
  return made;
}

Made Make(Pkcs12Encryption encryption) {
  return Make(encryption, {.dns_names = {"*.example.com"}});
}

class EachEncryption : public ::testing::TestWithParam<Pkcs12Encryption> {};

TEST_P(EachEncryption, OpensAsItWasMade) {
  const Made made = Make(GetParam());
  const auto contents = OpenPkcs12(made.file.ExposeSecret(), Secret(kPassword));
  ASSERT_THAT(contents, IsOk());
  EXPECT_EQ(contents->leaf.sha256(), made.issued.certificate.sha256());
  ASSERT_EQ(contents->others.size(), 1u);
  EXPECT_EQ(contents->others[0].sha256(), Ca().certificate().sha256());
  EXPECT_EQ(contents->alias, "wildcard");
  EXPECT_EQ(contents->encryption, GetParam());
}

TEST_P(EachEncryption, HoldsTheKey) {
  const Made made = Make(GetParam(), {.dns_names = {"a.example.com"}, .key_type = KeyType::kRsa2048});
  const std::string bytes(made.file.ExposeSecret());
  const auto* position = reinterpret_cast<const unsigned char*>(bytes.data());
  const SslPtr<PKCS12> file(d2i_PKCS12(nullptr, &position, static_cast<long>(bytes.size())));
  EVP_PKEY* key = nullptr;
  X509* leaf = nullptr;
  ASSERT_EQ(PKCS12_parse(file.get(), kPassword, &key, &leaf, nullptr), 1);
  const SslPtr<EVP_PKEY> owned_key(key);
  const SslPtr<X509> owned_leaf(leaf);
  EXPECT_EQ(EVP_PKEY_eq(key, made.issued.key.get()), 1);
}

TEST_P(EachEncryption, IsReadByOpensslsOwnProgram) {
  const Made made = Make(GetParam());
  const testing::TemporaryDirectory directory;
  const std::string path = directory.path() + "/a.p12";
  std::ofstream(path) << made.file.ExposeSecret();
  // Without -legacy: it needs nothing but OpenSSL's default provider.
  const auto shown = ProcessRunner::Real().Run(
      {.argv = {"openssl", "pkcs12", "-in", path, "-info", "-noenc", "-passin", "stdin"}, .input = kPassword});
  ASSERT_THAT(shown, IsOk());
  EXPECT_TRUE(shown->ok()) << shown->error;
  EXPECT_THAT(shown->output, HasSubstr("friendlyName: wildcard"));
  EXPECT_THAT(shown->output, HasSubstr("BEGIN PRIVATE KEY"));
  const bool modern = GetParam() == Pkcs12Encryption::kModern;
  EXPECT_THAT(shown->error, HasSubstr(modern ? "MAC: sha256, Iteration 10000" : "MAC: sha1, Iteration 10000"));
  EXPECT_THAT(shown->error, HasSubstr(modern ? "PBES2, PBKDF2, AES-256-CBC, Iteration 10000, PRF hmacWithSHA256"
                                             : "pbeWithSHA1And3-KeyTripleDES-CBC, Iteration 10000"));
  EXPECT_THAT(shown->error, Not(HasSubstr(modern ? "TripleDES" : "AES")));
}

TEST_P(EachEncryption, EveryFileIsAnother) {
  const Made made = Make(GetParam());
  const auto again = MakePkcs12(made.issued.key, made.chain, Secret(kPassword), "wildcard", GetParam());
  ASSERT_THAT(again, IsOk());
  EXPECT_FALSE(again->Equals(made.file));
}

TEST_P(EachEncryption, TellsNothingWithoutThePassword) {
  const Made made = Make(GetParam());
  EXPECT_EQ(made.file.ExposeSecret().find("example.com"), absl::string_view::npos);
  const auto opened = OpenPkcs12(made.file.ExposeSecret(), Secret("wrong"));
  EXPECT_THAT(opened, HasReason(Reason::MALFORMED));
  EXPECT_THAT(opened.status().message(), HasSubstr("does not open with the password"));
}

TEST_P(EachEncryption, NoTruncatedFileOpens) {
  const Made made = Make(GetParam());
  const absl::string_view whole = made.file.ExposeSecret();
  for (size_t size = 0; size < whole.size(); ++size) {
    EXPECT_THAT(OpenPkcs12(whole.substr(0, size), Secret(kPassword)), HasReason(Reason::MALFORMED)) << size;
  }
  EXPECT_THAT(OpenPkcs12(std::string(whole) + '\0', Secret(kPassword)), HasReason(Reason::MALFORMED));
}

INSTANTIATE_TEST_SUITE_P(All, EachEncryption, ::testing::Values(Pkcs12Encryption::kModern, Pkcs12Encryption::kLegacy),
                         [](const ::testing::TestParamInfo<Pkcs12Encryption>& info) {
                           return info.param == Pkcs12Encryption::kModern ? "Modern" : "Legacy";
                         });

TEST(Pkcs12, ALeafMayComeAlone) {
  const testing::IssuedCertificate issued = testing::TestCa::SelfSigned({.dns_names = {"a.example.com"}});
  const auto file = MakePkcs12(issued.key, {issued.certificate}, Secret(kPassword), "a", Pkcs12Encryption::kModern);
  ASSERT_THAT(file, IsOk());
  EXPECT_THAT(OpenPkcs12(file->ExposeSecret(), Secret(kPassword))->others, IsEmpty());
}

TEST(Pkcs12, RefusesPasswordsThatProgramsReadDifferently) {
  const Made made = Make(Pkcs12Encryption::kModern);
  for (const std::string& password : {std::string(), std::string("gr\xc3\xbc\xc3\x9f"), std::string("a\0b", 3),
                                      std::string("line\nend"), std::string(1025, 'x')}) {
    const auto file = MakePkcs12(made.issued.key, made.chain, Secret(password), "wildcard", Pkcs12Encryption::kModern);
    EXPECT_THAT(file, HasCode(absl::StatusCode::kInvalidArgument));
    if (password.empty()) continue;
    EXPECT_THAT(file.status().message(), Not(HasSubstr(password)));
  }
  EXPECT_THAT(MakePkcs12(made.issued.key, made.chain, Secret(std::string(1024, 'x')), "w", Pkcs12Encryption::kModern),
              IsOk());
}

// As others make them.
Secret MakeWith(const Made& made, int key_nid, int certificate_nid, int iterations, int mac_iterations) {
  const SslPtr<PKCS12> file(PKCS12_create(kPassword, "wildcard", made.issued.key.get(), made.chain[0].get(), nullptr,
                                          key_nid, certificate_nid, iterations, mac_iterations, 0));
  EXPECT_NE(file, nullptr);
  unsigned char* der = nullptr;
  const int size = i2d_PKCS12(file.get(), &der);
  Secret bytes(absl::string_view(reinterpret_cast<const char*>(der), static_cast<size_t>(size)));
  OPENSSL_free(der);
  return bytes;
}

struct Foreign {
  const char* name;
  int key_nid;
  int certificate_nid;
  int iterations;
  int mac_iterations;
  const char* why;
};

class ForeignFiles : public ::testing::TestWithParam<Foreign> {};

TEST_P(ForeignFiles, AreRefusedBeforeAnyPasswordIsHashed) {
  const Foreign& foreign = GetParam();
  const Made made = Make(Pkcs12Encryption::kModern);
  Secret bytes = MakeWith(made, foreign.key_nid, foreign.certificate_nid, foreign.iterations, foreign.mac_iterations);
  const auto opened = OpenPkcs12(bytes.ExposeSecret(), Secret(kPassword));
  EXPECT_THAT(opened, HasReason(Reason::MALFORMED));
  EXPECT_THAT(opened.status().message(), HasSubstr(foreign.why));
}

constexpr int kTripleDes = NID_pbe_WithSHA1And3_Key_TripleDES_CBC;

INSTANTIATE_TEST_SUITE_P(
    All, ForeignFiles,
    ::testing::Values(Foreign{"OtherCipher", NID_aes_128_cbc, NID_aes_128_cbc, 1, 1, "in a way that certcast does not"},
                      Foreign{"TwoWays", NID_aes_256_cbc, kTripleDes, 1, 1, "in two ways"},
                      Foreign{"CertificateInTheOpen", NID_aes_256_cbc, -1, 1, 1, "not encrypted"},
                      Foreign{"KeyInTheOpen", -1, NID_aes_256_cbc, 1, 1, "not encrypted"},
                      Foreign{"ManyIterations", NID_aes_256_cbc, NID_aes_256_cbc, 1000001, 1, "too many iterations"},
                      Foreign{"ManyLegacyIterations", kTripleDes, kTripleDes, 1000001, 1, "too many iterations"},
                      // Key and certificates, each below the bound.
                      Foreign{"ManyIterationsTogether", NID_aes_256_cbc, NID_aes_256_cbc, 500000, 1, "too many iter"},
                      Foreign{"ManyMacIterations", NID_aes_256_cbc, NID_aes_256_cbc, 1, 1000001, "too many iterations"},
                      Foreign{"ManyWithTheMac", NID_aes_256_cbc, NID_aes_256_cbc, 1000, 999000, "too many iterations"},
                      Foreign{"NoMac", NID_aes_256_cbc, NID_aes_256_cbc, 1, -1, "has no MAC"}),
    [](const ::testing::TestParamInfo<Foreign>& info) { return info.param.name; });

TEST(Pkcs12, OpensFilesOfOthersInTheSameSchemes) {
  const Made made = Make(Pkcs12Encryption::kModern);
  for (const int nid : {NID_aes_256_cbc, kTripleDes}) {
    const Secret bytes = MakeWith(made, nid, nid, 2048, 1);
    const auto contents = OpenPkcs12(bytes.ExposeSecret(), Secret(kPassword));
    ASSERT_THAT(contents, IsOk());
    EXPECT_EQ(contents->leaf.sha256(), made.issued.certificate.sha256());
  }
}

TEST(Pkcs12, RefusesWhatIsTooLarge) {
  EXPECT_THAT(OpenPkcs12(std::string((1 << 20) + 1, '0'), Secret(kPassword)), HasReason(Reason::MALFORMED));
}

}  // namespace
}  // namespace certcast
