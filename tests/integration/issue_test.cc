// Issuance against real Pebble, which really looks the challenges up, through a real hook, HTTPS and DNS.
#include <filesystem>
#include <string>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/clock/clock.h"
#include "common/probe/probe.h"
#include "common/x509/certificate.h"
#include "controller/acme/account.h"
#include "controller/acme/acme_client.h"
#include "controller/store/records.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/local_tcp_server.h"
#include "tests/testing/pebble_fixture.h"
#include "tests/testing/program.h"
#include "tests/testing/status_matchers.h"

namespace certcast::controller {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using testing::HasCode;
using testing::HasReason;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::IsOk;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

constexpr char kKeyId[] = "kid-1";
// base64url of 32 bytes.
constexpr char kHmacKey[] = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG";

constexpr char kHere[] = "127.0.0.1";

class IssueTest : public testing::PebbleFixture {
 protected:
  void UseExternalAccount(const std::string& key) {
    const std::string path = WriteFile("eab.key", key + "\n", 0600);
    account_.external_account = {.key_id = kKeyId, .hmac_key = {SecretReference::Kind::kFile, path}};
  }

  std::string WriteFile(const std::string& name, const std::string& text, int mode) {
    std::string path = directory_.path() + "/" + name;
    EXPECT_THAT(testing::WriteFile(path, text, mode), IsOk());
    return path;
  }

  // Both names lead to this machine, where Pebble finds `solver` at a port of its own instead of 80.
  void ValidateByHttp(const HttpSolver& solver) {
    certificate_.domains = {"demo.test", "www.demo.test"};
    certificate_.challenge->http01 = solver;
    for (const std::string& name : certificate_.domains) {
      ASSERT_THAT(pebble_->SetAddresses(name, {kHere}), IsOk());
    }
  }
  std::string HttpAddress() const { return absl::StrCat(kHere, ":", pebble_->http_port()); }
  static bool Listens(const std::string& address) {
    return Prober::Real().Look({.what = TcpProbe{address}}, absl::Seconds(5)).ok;
  }

  ExecHook& exec() { return std::get<ExecHook>(certificate_.challenge->writer); }
};

TEST_F(IssueTest, WildcardAndApexWithARealHook) {
  ASSERT_NO_FATAL_FAILURE(StartPebble({}));
  certificate_.ca_file = WriteFile("root.pem", *pebble_->IssuingRoot(), 0644);
  const auto generation = Issue();
  ASSERT_THAT(generation, IsOk()) << pebble_->Log();
  EXPECT_EQ(generation->generation(), 1);
  EXPECT_THAT(generation->dns_names(), UnorderedElementsAre("*.demo.test", "demo.test"));
  EXPECT_THAT(generation->issuer(), HasSubstr("Pebble Intermediate"));
  EXPECT_THAT(TxtAt(pebble_->dns_address(), "_acme-challenge.demo.test."), IsEmpty());
  EXPECT_FALSE(OrderRecords(store_).Get("wildcard")->has_value());
}

TEST_F(IssueTest, HttpTokensAreShownByAListenerOfItsOwn) {
  ASSERT_NO_FATAL_FAILURE(StartPebble({}));
  ASSERT_NO_FATAL_FAILURE(ValidateByHttp(HttpListener{HttpAddress()}));
  const auto generation = Issue();
  ASSERT_THAT(generation, IsOk()) << pebble_->Log();
  EXPECT_THAT(generation->dns_names(), UnorderedElementsAre("demo.test", "www.demo.test"));
  EXPECT_THAT(pebble_->Log(), HasSubstr("Attempting to validate w/ HTTP: http://www.demo.test:"));
  EXPECT_FALSE(Listens(HttpAddress()));
}

TEST_F(IssueTest, HttpTokensAreShownByTheWebServerOfThisMachine) {
  ASSERT_NO_FATAL_FAILURE(StartPebble({}));
  const std::string webroot = directory_.path() + "/www";
  ASSERT_TRUE(std::filesystem::create_directory(webroot));
  const auto server = testing::Program::Start({.argv = {"python3", "-m", "http.server", "--bind", kHere, "--directory",
                                                        webroot, absl::StrCat(pebble_->http_port())}});
  ASSERT_THAT(server, IsOk());
  ASSERT_THAT(
      testing::WaitUntil("the web server listens", absl::Seconds(30), [this] { return Listens(HttpAddress()); }),
      IsOk());
  ASSERT_NO_FATAL_FAILURE(ValidateByHttp(HttpWebroot{webroot}));
  const auto generation = Issue();
  ASSERT_THAT(generation, IsOk()) << pebble_->Log();
  EXPECT_THAT(generation->dns_names(), UnorderedElementsAre("demo.test", "www.demo.test"));
  EXPECT_TRUE(std::filesystem::is_empty(webroot + "/.well-known/acme-challenge"));
}

TEST_F(IssueTest, ASecondIssueReusesTheAccountWithAnyKeyType) {
  ASSERT_NO_FATAL_FAILURE(StartPebble({.authorization_reuse_percent = 100}));
  ASSERT_THAT(Issue(), IsOk()) << pebble_->Log();
  const std::string account_key = AccountRecords::Key(account_.directory, "");
  const std::string account_url = (*AccountRecords(store_).Get(account_key))->account_url();
  for (const KeyType type : {KeyType::kRsa2048, KeyType::kEcdsaP384}) {
    certificate_.key_type = type;
    const auto generation = Issue();
    ASSERT_THAT(generation, IsOk()) << pebble_->Log();
    EXPECT_EQ(generation->key_type(), KeyTypeName(type));
  }
  EXPECT_EQ((*AccountRecords(store_).Get(account_key))->account_url(), account_url);
  EXPECT_EQ((*GenerationRecords(store_).Wanted("wildcard"))->generation(), 3);
}

TEST_F(IssueTest, AChainIsChosenByItsRootOrItsIssuer) {
  ASSERT_NO_FATAL_FAILURE(StartPebble({.alternate_roots = 2}));
  const std::string own = *pebble_->IssuingRoot(0);
  const std::string other = *pebble_->IssuingRoot(2);
  certificate_.ca_file = WriteFile("roots.pem", own + other, 0644);
  ASSERT_THAT(Issue(), IsOk()) << pebble_->Log();
  const Certificate wanted = ParseChainPem(other)->front();
  certificate_.chain.root_sha256 = wanted.sha256();
  const auto by_root = Issue();
  ASSERT_THAT(by_root, IsOk()) << pebble_->Log();
  const std::string issuer = ParseChainPem(by_root->fullchain_pem())->back().issuer_name();
  EXPECT_EQ(issuer, wanted.subject_name());
  certificate_.chain = {.issuer = issuer};
  const auto by_issuer = Issue();
  ASSERT_THAT(by_issuer, IsOk()) << pebble_->Log();
  EXPECT_EQ(ParseChainPem(by_issuer->fullchain_pem())->back().sha256(),
            ParseChainPem(by_root->fullchain_pem())->back().sha256());
}

TEST_F(IssueTest, SlowValidationIsWaitedFor) {
  ASSERT_NO_FATAL_FAILURE(StartPebble({.slow_validation = true}));
  EXPECT_THAT(Issue(), IsOk()) << pebble_->Log();
}

TEST_F(IssueTest, AnAccountsKeyIsRolledItsContactChangedAndItIsDeactivated) {
  ASSERT_NO_FATAL_FAILURE(StartPebble({}));
  ASSERT_THAT(Issue(), IsOk()) << pebble_->Log();
  const AcmeAccount::Keep keep{.store = store_, .sealer = sealer_, .clock = Clock::Real()};
  AcmeClient client(*http_, Clock::Real(), {.directory_url = account_.directory, .ca_file = account_.ca_file});
  auto opened = AcmeAccount::FindOrCreate(client, account_, keep);
  ASSERT_THAT(opened, IsOk());
  const std::string url = opened->signer().account_url;
  ASSERT_THAT(opened->RollKey(client, keep), IsOk()) << pebble_->Log();
  account_.contact = {"mailto:other@example.com"};
  EXPECT_TRUE(*opened->UpdateContact(client, account_, keep)) << pebble_->Log();
  ASSERT_THAT(Issue(), IsOk()) << "with the new key: " << pebble_->Log();
  ASSERT_THAT(opened->Deactivate(client, keep), IsOk());
  EXPECT_THAT(Issue(), HasReason(Reason::CA_REFUSED, HasSubstr("was deactivated on")));
  ASSERT_THAT(AcmeAccount::CreateAnew(client, account_, keep), IsOk());
  ASSERT_THAT(Issue(), IsOk()) << pebble_->Log();
  EXPECT_NE((*AccountRecords(store_).Get(AcmeAccount::KeyOf(account_)))->account_url(), url);
}

TEST_F(IssueTest, HalfOfTheNoncesAreBad) {
  ASSERT_NO_FATAL_FAILURE(StartPebble({.bad_nonces_percent = 50}));
  for (int i = 0; i < 3; ++i) ASSERT_THAT(Issue(), IsOk()) << pebble_->Log();
}

TEST_F(IssueTest, NineOfTenNoncesAreBad) {
  ASSERT_NO_FATAL_FAILURE(StartPebble({.bad_nonces_percent = 90}));
  ASSERT_THAT(Issue(), IsOk()) << pebble_->Log();
}

TEST_F(IssueTest, ExternalAccountRightWrongAndMissing) {
  ASSERT_NO_FATAL_FAILURE(StartPebble({.external_account_required = true, .external_accounts = {{kKeyId, kHmacKey}}}));
  const auto missing = Issue();
  EXPECT_THAT(missing, HasCode(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(std::string(missing.status().message()), HasSubstr("requires an external account"));
  UseExternalAccount("AAAA" + std::string(kHmacKey).substr(4));
  const auto wrong = Issue();
  EXPECT_THAT(wrong, HasReason(Reason::CA_REFUSED, HasSubstr("registering the account `pebble`")));
  EXPECT_THAT(FailureOf(wrong.status()).hint(), HasSubstr("external_account"));
  UseExternalAccount(kHmacKey);
  EXPECT_THAT(Issue(), IsOk()) << pebble_->Log();
}

TEST_F(IssueTest, ABlockedNameIsRefusedByName) {
  ASSERT_NO_FATAL_FAILURE(StartPebble({.blocked_domains = {"demo.test"}}));
  const auto refused = Issue();
  EXPECT_THAT(refused, HasReason(Reason::CA_REFUSED, AllOf(HasSubstr("rejectedIdentifier"), HasSubstr("demo.test"))));
  EXPECT_THAT(FailureOf(refused.status()).hint(), HasSubstr("certificates[].domains"));
}

TEST_F(IssueTest, AHookThatFails) {
  ASSERT_NO_FATAL_FAILURE(StartPebble({}));
  exec().command = {WriteFile("hook", "#!/bin/sh\necho 'login to the DNS provider refused' >&2\nexit 7\n", 0700)};
  const auto failed = Issue();
  EXPECT_THAT(failed, HasReason(Reason::CHALLENGE_FAILED,
                                AllOf(HasSubstr(directory_.path() + "/hook present"), HasSubstr("exited with 7"),
                                      HasSubstr("login to the DNS provider refused"))));
  // The same order serves the hook that works.
  exec().command = {pebble_->hook()};
  const std::string order = (*OrderRecords(store_).Get("wildcard"))->order_url();
  EXPECT_THAT(Issue(), IsOk());
  EXPECT_THAT(progress_, Contains("going on with the order " + order));
}

TEST_F(IssueTest, AHookThatHangs) {
  ASSERT_NO_FATAL_FAILURE(StartPebble({}));
  exec().command = {WriteFile("hook", "#!/bin/sh\nsleep 60\n", 0700)};
  exec().timeout = absl::Milliseconds(300);
  const auto failed = Issue();
  EXPECT_THAT(failed, HasReason(Reason::CHALLENGE_FAILED, HasSubstr("did not end within")));
  EXPECT_THAT(FailureOf(failed.status()).hint(), HasSubstr("challenge.exec.timeout"));
}

TEST_F(IssueTest, AHookThatIsMissing) {
  ASSERT_NO_FATAL_FAILURE(StartPebble({}));
  exec().command = {"/no/such/hook"};
  EXPECT_THAT(Issue(), HasReason(Reason::CHALLENGE_FAILED, HasSubstr("/no/such/hook")));
}

TEST_F(IssueTest, AHookThatWritesElsewhere) {
  ASSERT_NO_FATAL_FAILURE(StartPebble({}));
  exec().command = {WriteFile("hook", "#!/bin/sh\nexit 0\n", 0700)};
  certificate_.challenge->propagation.timeout = absl::Seconds(1);
  EXPECT_THAT(Issue(), HasReason(Reason::CHALLENGE_FAILED,
                                 AllOf(HasSubstr("_acme-challenge.demo.test."), HasSubstr(pebble_->dns_address()))));
  // Without the check it is the CA that finds out; it says so by name, and the order is given up.
  certificate_.challenge->propagation.skip = true;
  EXPECT_THAT(Issue(), HasReason(Reason::CHALLENGE_FAILED, HasSubstr("*.demo.test: unauthorized")));
  EXPECT_FALSE(OrderRecords(store_).Get("wildcard")->has_value());
}

TEST_F(IssueTest, AnUnreachableDirectory) {
  const testing::RefusingPort refusing;
  ASSERT_NO_FATAL_FAILURE(StartPebble({}));
  account_.directory = "https://" + refusing.address() + "/dir";
  const auto failed = Issue();
  EXPECT_THAT(failed, HasReason(Reason::NO_ROUTE, HasSubstr(account_.directory)));
  EXPECT_THAT(FailureOf(failed.status()).hint(), Not(IsEmpty()));
}

TEST_F(IssueTest, ADirectoryWithAnUnknownRoot) {
  ASSERT_NO_FATAL_FAILURE(StartPebble({}));
  account_.ca_file.clear();
  const auto failed = Issue();
  EXPECT_THAT(failed, HasReason(Reason::AUTH_FAILED));
  EXPECT_THAT(FailureOf(failed.status()).hint(), HasSubstr("ca_file"));
}

TEST_F(IssueTest, AUrlThatIsNoDirectory) {
  ASSERT_NO_FATAL_FAILURE(StartPebble({}));
  account_.directory += "ectory";
  EXPECT_THAT(Issue(), HasReason(Reason::CA_REFUSED, HasSubstr(account_.directory)));
}

}  // namespace
}  // namespace certcast::controller
