#include "controller/adopt/adopt.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/x509/private_key.h"
#include "controller/acme/jose.h"
#include "controller/config/config.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/program.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temporary_directory.h"
#include "tests/testing/test_ca.h"

namespace certcast::controller {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using testing::HasCode;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::IsOk;
using ::testing::SizeIs;

constexpr char kLetsEncrypt[] = "https://acme-v02.api.letsencrypt.org/directory";

class AdoptTest : public ::testing::Test {
 protected:
  std::string at(const std::string& path) const { return directory_.path() + "/" + path; }
  void Write(const std::string& path, absl::string_view text) {
    std::filesystem::create_directories(std::filesystem::path(at(path)).parent_path());
    ASSERT_THAT(testing::WriteFile(at(path), text), IsOk());
  }
  // A pair for *.example.com and example.com.
  void WritePair(const std::string& fullchain, const std::string& key, KeyType type = KeyType::kEcdsaP256,
                 const std::vector<std::string>& names = {"*.example.com", "example.com"}) {
    const auto issued = root_.Intermediate().Issue({.dns_names = names, .key_type = type});
    Write(fullchain, issued.fullchain_pem);
    Write(key, issued.key_pem.ExposeSecret());
  }
  static std::string Pem(const PrivateKey& key) { return std::string(key.ToPem()->ExposeSecret()); }

  Adoption Read(const std::string& client) {
    auto adoption = ReadClient(client, directory_.path());
    EXPECT_THAT(adoption, IsOk());
    return adoption.ok() ? *std::move(adoption) : Adoption();
  }
  // It is a configuration.
  static Config Parsed(const Adoption& adoption) {
    const std::string text = NewConfigFor(adoption, "another client", "state");
    EXPECT_THAT(text, HasSubstr(ConfigFor(adoption)));
    const auto config = ParseConfig(text, "/etc/certcast/certcast.yaml");
    EXPECT_THAT(config, IsOk()) << text;
    return config.ok() ? *config : Config();
  }

  testing::TemporaryDirectory directory_;
  const testing::TestCa root_ = testing::TestCa::Root();
};

std::string Number(EVP_PKEY* key, const char* name) {
  BIGNUM* number = nullptr;
  EXPECT_EQ(EVP_PKEY_get_bn_param(key, name, &number), 1);
  std::string bytes(static_cast<size_t>(BN_num_bytes(number)), 0);
  BN_bn2bin(number, reinterpret_cast<unsigned char*>(bytes.data()));
  BN_free(number);
  return Base64UrlEncode(bytes);
}

// As certbot writes an account's key.
nlohmann::json RsaJwk(EVP_PKEY* key) {
  return {{"kty", "RSA"},
          {"n", Number(key, OSSL_PKEY_PARAM_RSA_N)},
          {"e", Number(key, OSSL_PKEY_PARAM_RSA_E)},
          {"d", Number(key, OSSL_PKEY_PARAM_RSA_D)},
          {"p", Number(key, OSSL_PKEY_PARAM_RSA_FACTOR1)},
          {"q", Number(key, OSSL_PKEY_PARAM_RSA_FACTOR2)},
          {"dp", Number(key, OSSL_PKEY_PARAM_RSA_EXPONENT1)},
          {"dq", Number(key, OSSL_PKEY_PARAM_RSA_EXPONENT2)},
          {"qi", Number(key, OSSL_PKEY_PARAM_RSA_COEFFICIENT1)}};
}

TEST_F(AdoptTest, TakesOverFromCertbot) {
  const PrivateKey account = *PrivateKey::Generate(KeyType::kRsa2048);
  const std::string folder = "accounts/acme-v02.api.letsencrypt.org/directory/0123abcd";
  Write(folder + "/private_key.json", RsaJwk(account.get()).dump());
  Write(
      folder + "/regr.json",
      R"({"body": {"contact": ["mailto:ops@example.com"]}, "uri": "https://acme-v02.api.letsencrypt.org/acme/acct/7"})");
  WritePair("live/example.com/fullchain.pem", "live/example.com/privkey.pem", KeyType::kRsa2048);
  Write("renewal/example.com.conf", absl::StrCat("# renew_before_expiry = 30 days\nversion = 2.1.0\n[renewalparams]\n",
                                                 "account = 0123abcd\nauthenticator = manual\nserver = ", kLetsEncrypt,
                                                 "\nmanual_auth_hook = /etc/hooks/auth --zone x\n",
                                                 "manual_cleanup_hook = /etc/hooks/clean\nreuse_key = True\n"));
  const Adoption adoption = Read("certbot");
  EXPECT_THAT(adoption.left, IsEmpty());
  ASSERT_THAT(adoption.accounts, SizeIs(1));
  EXPECT_EQ(adoption.accounts[0].url, "https://acme-v02.api.letsencrypt.org/acme/acct/7");
  EXPECT_EQ(PrivateKey::FromPem(adoption.accounts[0].key.ExposeSecret())->spki_sha256(), account.spki_sha256());
  const Config config = Parsed(adoption);
  EXPECT_EQ(config.accounts[0].name, "letsencrypt");
  EXPECT_EQ(config.accounts[0].directory, kLetsEncrypt);
  EXPECT_THAT(config.accounts[0].contact, ElementsAre("mailto:ops@example.com"));
  EXPECT_EQ(config.certificates[0].name, "example-com");
  EXPECT_THAT(config.certificates[0].domains, ElementsAre("*.example.com", "example.com"));
  EXPECT_EQ(config.certificates[0].key_type, KeyType::kRsa2048);
  EXPECT_TRUE(config.certificates[0].reuse_key);
  EXPECT_THAT(ConfigFor(adoption), HasSubstr(R"(certbot-hook: {auth: ["/etc/hooks/auth", "--zone", "x"], cleanup: )"));
}

TEST_F(AdoptTest, TakesOverFromAcmeSh) {
  const PrivateKey account = *PrivateKey::Generate(KeyType::kEcdsaP256);
  Write("ca/acme.zerossl.com/v2/DV90/account.key", Pem(account));
  Write("ca/acme.zerossl.com/v2/DV90/ca.conf",
        "ACCOUNT_URL='https://acme.zerossl.com/v2/DV90/account/x'\nCA_EAB_KEY_ID='kid-7'\nCA_EMAIL='a@example.com'\n");
  WritePair("*.example.com_ecc/fullchain.cer", "*.example.com_ecc/*.example.com.key");
  Write("*.example.com_ecc/*.example.com.conf",
        "Le_Domain='*.example.com'\nLe_Webroot='dns_cf'\nLe_API='__ACME_BASE64__START_aHR0cHM6Ly9hY21lLnplcm9zc2wuY29t"
        "L3YyL0RWOTA=__ACME_BASE64__END_'\n");
  const Adoption adoption = Read("acme.sh");
  ASSERT_THAT(adoption.accounts, SizeIs(1));
  EXPECT_EQ(adoption.accounts[0].directory, "https://acme.zerossl.com/v2/DV90");
  EXPECT_EQ(PrivateKey::FromPem(adoption.accounts[0].key.ExposeSecret())->spki_sha256(), account.spki_sha256());
  const Config config = Parsed(adoption);
  EXPECT_EQ(config.accounts[0].external_account->key_id, "kid-7");
  EXPECT_EQ(config.certificates[0].account, "zerossl");
  EXPECT_EQ(config.certificates[0].key_type, KeyType::kEcdsaP256);
  EXPECT_THAT(ConfigFor(adoption), HasSubstr("solver: acme-sh"));
}

TEST_F(AdoptTest, TakesOverFromLego) {
  const std::string folder = "accounts/localhost_14000/a@example.com";
  Write(folder + "/account.json",
        R"({"email": "a@example.com", "registration": {"uri": "https://localhost:14000/acct/1"}})");
  Write(folder + "/keys/a@example.com.key", Pem(*PrivateKey::Generate(KeyType::kEcdsaP256)));
  WritePair("certificates/_.example.com.crt", "certificates/_.example.com.key", KeyType::kEcdsaP384);
  Write("certificates/_.example.com.issuer.crt", "not looked at");
  const Adoption adoption = Read("lego");
  EXPECT_THAT(adoption.left, ElementsAre(HasSubstr("compare accounts[].directory with its --server")));
  const Config config = Parsed(adoption);
  EXPECT_EQ(config.accounts[0].directory, "https://localhost:14000/directory");
  EXPECT_EQ(config.certificates[0].name, "wildcard-example-com");
  EXPECT_EQ(config.certificates[0].key_type, KeyType::kEcdsaP384);
  EXPECT_THAT(ConfigFor(adoption), HasSubstr("# It was done by a provider that it does not keep the name of"));
}

TEST_F(AdoptTest, TakesOverFromDehydrated) {
  const std::string folder = absl::StrCat("accounts/", Base64UrlEncode(absl::StrCat(kLetsEncrypt, "\n")));
  Write(folder + "/account_key.pem", Pem(*PrivateKey::Generate(KeyType::kRsa4096)));
  Write(folder + "/account_id.json", R"({"url": "https://acme-v02.api.letsencrypt.org/acme/acct/9"})");
  Write("config", "CHALLENGETYPE=\"dns-01\"\nHOOK=/etc/dehydrated/hook.sh\nPRIVATE_KEY_RENEW=\"no\"\n#HOOK=/x\n");
  WritePair("certs/example.com/fullchain.pem", "certs/example.com/privkey.pem");
  const Adoption adoption = Read("dehydrated");
  EXPECT_EQ(adoption.accounts.at(0).url, "https://acme-v02.api.letsencrypt.org/acme/acct/9");
  const Config config = Parsed(adoption);
  EXPECT_EQ(config.accounts[0].directory, kLetsEncrypt);
  EXPECT_TRUE(config.certificates[0].reuse_key);
  EXPECT_THAT(ConfigFor(adoption), HasSubstr("dehydrated-hook: {command: [\"/etc/dehydrated/hook.sh\"]}"));
}

TEST_F(AdoptTest, WhatDoesNotBelongTogetherIsLeft) {
  WritePair("certs/good/fullchain.pem", "certs/good/privkey.pem");
  WritePair("certs/mixed/fullchain.pem", "certs/mixed/other.pem");
  Write("certs/mixed/privkey.pem", Pem(*PrivateKey::Generate(KeyType::kEcdsaP256)));
  Write("certs/broken/fullchain.pem", "-----BEGIN CERTIFICATE-----");
  Write("certs/broken/privkey.pem", "");
  WritePair("certs/alone/fullchain.pem", "elsewhere.pem");
  const Adoption adoption = Read("dehydrated");
  EXPECT_THAT(adoption.certificates, SizeIs(1));
  EXPECT_THAT(adoption.left, SizeIs(4)) << "and no account";
  EXPECT_THAT(adoption.left, Contains(AllOf(HasSubstr("mixed: "), HasSubstr("certs/mixed/privkey.pem"))));
}

TEST_F(AdoptTest, AHookThatIsAShellLineIsNotContinued) {
  WritePair("live/a/fullchain.pem", "live/a/privkey.pem");
  Write("renewal/a.conf", absl::StrCat("authenticator = manual\nserver = ", kLetsEncrypt,
                                       "\nmanual_auth_hook = curl -d \"$CERTBOT_VALIDATION\" https://x; true\n"));
  EXPECT_THAT(ConfigFor(Read("certbot")), AllOf(HasSubstr("# It was done by manual"), HasSubstr("solver: exec")));
}

// How one client was told to show that names are its own, and what goes on with that.
struct Way {
  const char* name;
  std::string settings;
  std::vector<std::string> domains;
  // In the configuration; empty: it can't be continued.
  std::string challenge;
};

void PrintTo(const Way& way, std::ostream* out) {
  *out << way.name;
}

const std::vector<std::string> kTwo = {"a.example.com", "b.example.com"};
const std::vector<std::string> kWild = {"*.example.com", "example.com"};

class WaysTest : public AdoptTest, public ::testing::WithParamInterface<Way> {
 protected:
  void ExpectChallenge(const std::string& client) {
    const Adoption adoption = Read(client);
    ASSERT_THAT(adoption.certificates, SizeIs(1));
    EXPECT_EQ(adoption.certificates[0].challenge, GetParam().challenge);
    Parsed(adoption);
    if (GetParam().challenge.empty()) {
      EXPECT_THAT(ConfigFor(adoption), HasSubstr("# It was done by "));
    }
  }
};

class CertbotsWaysTest : public WaysTest {};

TEST_P(CertbotsWaysTest, AreContinuedWhereTheyCanBe) {
  WritePair("live/a/fullchain.pem", "live/a/privkey.pem", KeyType::kEcdsaP256, GetParam().domains);
  Write("renewal/a.conf", absl::StrCat("[renewalparams]\nserver = ", kLetsEncrypt, "\n", GetParam().settings));
  ExpectChallenge("certbot");
}

constexpr char kManual[] = "authenticator = manual\nmanual_auth_hook = /etc/hooks/auth\n";
constexpr char kDnsHook[] = R"({type: dns-01, solver: certbot-hook, certbot-hook: {auth: ["/etc/hooks/auth"]}})";
constexpr char kBelowVarWww[] = R"({type: http-01, solver: webroot, webroot: {path: "/var/www"}})";
constexpr char kAtPort80[] = R"({type: http-01, solver: listen, listen: {address: "[::]:80"}})";

INSTANTIATE_TEST_SUITE_P(
    All, CertbotsWaysTest,
    ::testing::Values(
        Way{"ManualWithoutAWordPrefersHttp", kManual, kTwo, ""},
        Way{"ManualForAWildcardIsDns", kManual, kWild, kDnsHook},
        Way{"ManualByHttp", absl::StrCat(kManual, "pref_challs = http-01,\n"), kTwo, ""},
        Way{"ManualByHttpFirst", absl::StrCat(kManual, "pref_challs = http-01, dns-01\n"), kTwo, ""},
        Way{"ManualByDns", absl::StrCat(kManual, "pref_challs = dns-01,\n"), kTwo, kDnsHook},
        Way{"Webroot", "authenticator = webroot\nwebroot_path = /var/www,\n", kTwo, kBelowVarWww},
        Way{"WebrootByItsMap",
            "authenticator = webroot\nwebroot_path = /srv/a, /srv/b\n[[webroot_map]]\na.example.com = /var/www\n"
            "b.example.com = /var/www\n",
            kTwo, kBelowVarWww},
        Way{"SeveralWebroots",
            "authenticator = webroot\nwebroot_path = /srv/a, /srv/b\n[[webroot_map]]\na.example.com = /srv/a\n"
            "b.example.com = /srv/b\n",
            kTwo, ""},
        Way{"WebrootThatIsNone", "authenticator = webroot\nwebroot_path = www\n", kTwo, ""},
        Way{"WebrootForAWildcard", "authenticator = webroot\nwebroot_path = /var/www\n", kWild, ""},
        Way{"Standalone", "authenticator = standalone\n", kTwo, kAtPort80},
        Way{"StandaloneElsewhere", "authenticator = standalone\nhttp01_address = 10.0.0.1\nhttp01_port = 8080\n", kTwo,
            R"({type: http-01, solver: listen, listen: {address: "10.0.0.1:8080"}})"},
        Way{"StandaloneOfAnOldRelease", "authenticator = standalone\nhttp01_port = None\n", kTwo, kAtPort80},
        Way{"StandaloneAtAName", "authenticator = standalone\nhttp01_address = localhost\n", kTwo, ""},
        Way{"Nginx", "authenticator = nginx\n", kTwo, ""}),
    [](const auto& info) { return info.param.name; });

class AcmeShsWaysTest : public WaysTest {};

TEST_P(AcmeShsWaysTest, AreContinuedWhereTheyCanBe) {
  WritePair("a/fullchain.cer", "a/a.key", KeyType::kEcdsaP256, GetParam().domains);
  Write("a/a.conf", absl::StrCat("Le_API='", kLetsEncrypt, "'\n", GetParam().settings));
  ExpectChallenge("acme.sh");
}

INSTANTIATE_TEST_SUITE_P(
    All, AcmeShsWaysTest,
    ::testing::Values(Way{"Webroot", "Le_Webroot='/var/www'\n", kTwo, kBelowVarWww},
                      Way{"TheSameWebrootTwice", "Le_Webroot='/var/www,/var/www'\n", kTwo, kBelowVarWww},
                      Way{"SeveralWays", "Le_Webroot='/var/www,no'\n", kTwo, ""},
                      Way{"Standalone", "Le_Webroot='no'\n", kTwo, kAtPort80},
                      Way{"StandaloneElsewhere", "Le_Webroot='no'\nLe_LocalAddress='::1'\nLe_HTTPPort='88'\n", kTwo,
                          R"({type: http-01, solver: listen, listen: {address: "[::1]:88"}})"},
                      Way{"Nginx", "Le_Webroot='nginx:'\n", kTwo, ""}),
    [](const auto& info) { return info.param.name; });

class DehydratedsWaysTest : public WaysTest {};

TEST_P(DehydratedsWaysTest, AreContinuedWhereTheyCanBe) {
  WritePair("certs/a/fullchain.pem", "certs/a/privkey.pem", KeyType::kEcdsaP256, GetParam().domains);
  Write("config", absl::StrCat("CA=", kLetsEncrypt, "\n", GetParam().settings));
  ExpectChallenge("dehydrated");
}

INSTANTIATE_TEST_SUITE_P(
    All, DehydratedsWaysTest,
    ::testing::Values(Way{"Http", "WELLKNOWN=\"/var/www/.well-known/acme-challenge/\"\n", kTwo, kBelowVarWww},
                      Way{"HttpAsItIsSaid", "CHALLENGETYPE=http-01\nWELLKNOWN=/var/www/.well-known/acme-challenge\n",
                          kTwo, kBelowVarWww},
                      Way{"TokensThatTheWebServerShowsElsewhere", "WELLKNOWN=/var/www/dehydrated\n", kTwo, ""},
                      Way{"WhatTheShellWouldExpand", "WELLKNOWN=${BASEDIR}/.well-known/acme-challenge\n", kTwo, ""},
                      Way{"Nothing", "", kTwo, ""}, Way{"Alpn", "CHALLENGETYPE=tls-alpn-01\n", kTwo, ""}),
    [](const auto& info) { return info.param.name; });

TEST_F(AdoptTest, WhyAnAccountsKeyCantBeReadIsSaid) {
  WritePair("live/a/fullchain.pem", "live/a/privkey.pem");
  Write("renewal/a.conf", absl::StrCat("account = 77\nauthenticator = nginx\nserver = ", kLetsEncrypt, "\n"));
  const std::string folder = "accounts/acme-v02.api.letsencrypt.org/directory/77";
  Write(folder + "/regr.json", "{}");
  const std::string key = folder + "/private_key.json";
  EXPECT_THAT(Read("certbot").left,
              ElementsAre(AllOf(HasSubstr("the account of a: "), HasSubstr(at(key)), HasSubstr("No such file"))));
  Write(key, "{");
  EXPECT_THAT(Read("certbot").left, ElementsAre(HasSubstr(absl::StrCat(at(key), " is no JSON"))));
}

TEST_F(AdoptTest, NamesThatWouldBeTheSameAreTold) {
  // As acme.sh keeps an RSA and an EC certificate for one name.
  WritePair("example.com/fullchain.cer", "example.com/example.com.key", KeyType::kRsa2048);
  WritePair("example.com_ecc/fullchain.cer", "example.com_ecc/example.com.key");
  for (const std::string folder : {"example.com", "example.com_ecc"}) {
    Write(folder + "/example.com.conf", absl::StrCat("Le_Webroot='dns_cf'\nLe_API='", kLetsEncrypt, "'\n"));
  }
  const Config config = Parsed(Read("acme.sh"));
  ASSERT_THAT(config.certificates, SizeIs(2));
  EXPECT_EQ(config.certificates[0].name, "example-com");
  EXPECT_EQ(config.certificates[0].key_type, KeyType::kRsa2048);
  EXPECT_EQ(config.certificates[1].name, "example-com-2");
  EXPECT_EQ(config.certificates[1].account, "letsencrypt") << "which is there, although its key is not";
}

TEST_F(AdoptTest, OneAccountAtEachCaIsKept) {
  for (const std::string email : {"a@example.com", "b@example.com"}) {
    const std::string folder = absl::StrCat("accounts/localhost_14000/", email);
    Write(folder + "/account.json",
          absl::StrCat(R"({"registration": {"uri": "https://localhost:14000/acct/)", email.substr(0, 1), "\"}}"));
    Write(absl::StrCat(folder, "/keys/", email, ".key"), Pem(*PrivateKey::Generate(KeyType::kEcdsaP256)));
  }
  WritePair("certificates/example.com.crt", "certificates/example.com.key");
  Write("certificates/example.com.json", R"({"certUrl": "https://localhost:14000/certZ/1"})");
  WritePair("certificates/other.example.com.crt", "certificates/other.example.com.key");
  Write("certificates/other.example.com.json", R"({"certUrl": "https://acme.example/certZ/1"})");
  const Adoption adoption = Read("lego");
  EXPECT_THAT(adoption.left, Contains(HasSubstr("a further account at https://localhost:14000/directory (https://"
                                                "localhost:14000/acct/b): certcast has one there")));
  const Config config = Parsed(adoption);
  ASSERT_THAT(config.accounts, SizeIs(2));
  EXPECT_EQ(config.certificates[0].account, "localhost-14000");
  EXPECT_EQ(config.certificates[1].account, "acme-example") << "by the URL of the certificate";
  // Its directory may be another one at that host.
  EXPECT_TRUE(IsSameAccount(adoption.accounts[0], "https://localhost:14000/dir", ""));
  EXPECT_FALSE(IsSameAccount(adoption.accounts[0], "https://localhost:14001/dir", ""));
  EXPECT_FALSE(IsSameAccount(adoption.accounts[0], "https://localhost:14000/dir", "kid-1"));
}

TEST_F(AdoptTest, DehydratedsConfigurationMayBeElsewhere) {
  Write("etc/config", absl::StrCat("BASEDIR=", at("lib"), "\nCA=https://ca.test/dir\n"));
  Write("etc/conf.d/hook.sh", "CHALLENGETYPE=dns-01\nHOOK=/etc/dehydrated/hook.sh\n");
  WritePair("lib/certs/example.com/fullchain.pem", "lib/certs/example.com/privkey.pem");
  const auto adoption = ReadClient("dehydrated", at("etc"));
  ASSERT_THAT(adoption, IsOk());
  const Config config = Parsed(*adoption);
  EXPECT_EQ(config.accounts.at(0).directory, "https://ca.test/dir");
  EXPECT_THAT(ConfigFor(*adoption), HasSubstr("dehydrated-hook: {command: [\"/etc/dehydrated/hook.sh\"]}"));
}

TEST_F(AdoptTest, OddNamesStayWithinTheirQuotes) {
  Adoption adoption;
  adoption.accounts.push_back({.name = "a", .directory = "https://ca.test/\"}\\\nx: y"});
  EXPECT_THAT(ConfigFor(adoption), HasSubstr(R"(    directory: "https://ca.test/\"}\\ x: y")"));
}

TEST_F(AdoptTest, AnotherDirectoryIsSaidToBeOne) {
  EXPECT_THAT(ReadClient("certbot", directory_.path()), HasCode(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(ReadClient("certbot", at("none")), HasCode(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(ReadClient("caddy", directory_.path()), HasCode(absl::StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace certcast::controller
