// Caddy's ACME server (smallstep's) as a second real CA beside Pebble: what it does otherwise. The real program, in a
// network of this test's own, since Caddy validates by port 80 and the machine's resolver alone. Runs as root.
#include "tests/testing/caddy.h"

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/substitute.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/challenge_dns.h"
#include "tests/testing/controller_program.h"
#include "tests/testing/private_network.h"
#include "tests/testing/program.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temporary_directory.h"

namespace certcast::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::StartsWith;

constexpr char kDnsAddress[] = "127.0.0.1:53";
constexpr char kByHttp[] = "{type: http-01, solver: listen, listen: {address: \"127.0.0.1:80\"}}";

class CaddyTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    network_ = new TemporaryDirectory();
    ASSERT_THAT(EnterPrivateNetwork(network_->path()), IsOk());
  }
  void SetUp() override {
    auto dns = ChallengeDns::Start(home(), 53);
    ASSERT_THAT(dns, IsOk());
    dns_ = *std::move(dns);
    auto caddy = Caddy::Start(home());
    ASSERT_THAT(caddy, IsOk());
    caddy_ = *std::move(caddy);
    WriteConfig();
    const CommandResult made = program_->Run({"init"});
    ASSERT_EQ(made.exit_code, 0) << made;
  }

  std::string ByDns(const std::string& hook, bool skip = false) const {
    return absl::Substitute(
        "{type: dns-01, solver: exec, exec: {command: [$0]}, propagation: {resolvers: [\"$1\"], skip: $2}}", hook,
        kDnsAddress, skip ? "true" : "false");
  }
  // `certificate`: members of `www` beside its name and account.
  void WriteConfig(const std::string& certificate = absl::StrCat("domains: [www.example.com], challenge: ", kByHttp),
                   const std::string& contact = "ops@example.com") {
    ASSERT_THAT(
        WriteFile(program_->config_path(),
                  absl::Substitute("state: state\nmaster_key: {file: master.key}\naccounts:\n"
                                   "  - {name: caddy, directory: \"$0\", ca_file: $1, contact: [\"mailto:$2\"],\n"
                                   "     terms_of_service_agreed: true}\n"
                                   "certificates:\n  - {name: www, account: caddy, $3}\n",
                                   caddy_->directory_url(), caddy_->ca_file(), contact, certificate)),
        IsOk());
  }

  CommandResult Issue(bool forced = false) {
    std::vector<std::string> arguments = {"issue", "www"};
    if (forced) arguments.emplace_back("--force-renewal");
    return program_->Json(std::move(arguments));
  }
  // Of `certificates`.
  nlohmann::json Certificate() {
    const CommandResult shown = program_->Json({"certificates", "www"});
    EXPECT_EQ(shown.exit_code, 0) << shown;
    return shown.json["certificates"][0];
  }
  std::string AccountUrl() {
    const CommandResult shown = program_->Json({"accounts", "caddy"});
    EXPECT_EQ(shown.exit_code, 0) << shown;
    return shown.json["accounts"][0]["accountUrl"];
  }
  absl::Time TimeOf(const nlohmann::json& object, const char* member) {
    absl::Time time;
    std::string error;
    EXPECT_TRUE(absl::ParseTime(absl::RFC3339_full, object[member].get<std::string>(), &time, &error)) << object;
    return time;
  }
  const std::string& home() const { return directory_.path(); }

  static TemporaryDirectory* network_;
  TemporaryDirectory directory_;
  std::unique_ptr<ChallengeDns> dns_;
  std::unique_ptr<Caddy> caddy_;
  std::unique_ptr<ControllerProgram> program_ = std::make_unique<ControllerProgram>(home());
};

TemporaryDirectory* CaddyTest::network_ = nullptr;

TEST_F(CaddyTest, ACertificateOfTwelveHoursIsObtainedAndRenewedAtHalfOfThem) {
  const CommandResult issued = Issue();
  ASSERT_EQ(issued.exit_code, 0) << issued << caddy_->Log();
  const nlohmann::json certificate = Certificate();
  const nlohmann::json& generation = certificate["generations"][0];
  const absl::Duration lifetime = TimeOf(generation, "notAfter") - TimeOf(generation, "notBefore");
  EXPECT_GT(lifetime, absl::Hours(11));
  EXPECT_LT(lifetime, absl::Hours(13));
  EXPECT_EQ(TimeOf(certificate, "renewAt"), TimeOf(generation, "notBefore") + lifetime / 2);
  EXPECT_THAT(std::string(certificate["renewReason"]), HasSubstr("1/2 of its lifetime"));
}

TEST_F(CaddyTest, TheSecondRunDoesNothingAndAForcedOneTakesTheSameAccount) {
  ASSERT_EQ(Issue().exit_code, 0) << caddy_->Log();
  const std::string account = AccountUrl();
  EXPECT_THAT(account, StartsWith("https://localhost:"));
  const std::string log = caddy_->Log();
  const CommandResult again = Issue();
  EXPECT_EQ(again.exit_code, 0) << again;
  EXPECT_EQ(again.json["certificates"][0]["issued"], false) << again;
  EXPECT_EQ(caddy_->Log(), log) << "the CA was asked";
  const CommandResult forced = Issue(/*forced=*/true);
  EXPECT_EQ(forced.exit_code, 0) << forced;
  EXPECT_EQ(forced.json["certificates"][0]["generation"], "2") << forced;
  EXPECT_EQ(AccountUrl(), account);
}

TEST_F(CaddyTest, WhatIsDueIsRenewed) {
  ASSERT_EQ(Issue().exit_code, 0) << caddy_->Log();
  // All of its life is before its end.
  WriteConfig(absl::StrCat("domains: [www.example.com], renewal: {before_expiry: 12h}, challenge: ", kByHttp));
  const CommandResult renewed = Issue();
  EXPECT_EQ(renewed.exit_code, 0) << renewed;
  EXPECT_EQ(renewed.json["certificates"][0]["generation"], "2") << renewed;
}

TEST_F(CaddyTest, AWildcardAndItsApexByDns) {
  WriteConfig(absl::StrCat("domains: [\"*.example.com\", example.com], challenge: ", ByDns(dns_->hook())));
  const CommandResult issued = Issue();
  ASSERT_EQ(issued.exit_code, 0) << issued << caddy_->Log();
  EXPECT_THAT(Certificate()["generations"][0]["dnsNames"],
              ::testing::UnorderedElementsAre("*.example.com", "example.com"));
}

TEST_F(CaddyTest, SeveralNamesAndEachKindOfKey) {
  for (const char* key_type : {"ecdsa-p384", "rsa-2048", "rsa-3072"}) {
    WriteConfig(absl::StrCat("domains: [a.example.com, b.example.com, c.example.com], key_type: ", key_type,
                             ", challenge: ", kByHttp));
    const CommandResult issued = Issue(/*forced=*/true);
    EXPECT_EQ(issued.exit_code, 0) << key_type << issued << caddy_->Log();
  }
  EXPECT_THAT(Certificate()["generations"], SizeIs(3));
}

// It leaves a challenge that is not met pending, and does not look again by itself.
TEST_F(CaddyTest, ARecordThatComesLateIsLookedAtAgain) {
  const std::string hook = home() + "/late-hook";
  ASSERT_THAT(WriteFile(hook,
                        absl::Substitute("#!/bin/sh\n"
                                         "[ $$1 = present ] || exec $0 \"$$@\"\n"
                                         "setsid sh -c 'for i in $$(seq 100); do\n"
                                         "  grep -qs \"look again\" $1/*.err && exec $0 \"$$@\"\n"
                                         "  sleep 0.1\n"
                                         "done' sh \"$$@\" >/dev/null 2>&1 </dev/null &\n",
                                         dns_->hook(), program_->captured()),
                        0700),
              IsOk());
  WriteConfig(absl::StrCat("domains: [www.example.com], challenge: ", ByDns(hook, /*skip=*/true)));
  const CommandResult issued = Issue();
  EXPECT_EQ(issued.exit_code, 0) << issued << caddy_->Log();
  EXPECT_THAT(issued.err, HasSubstr("asking the CA to look again: www.example.com: dns: "));
}

TEST_F(CaddyTest, ARecordThatNeverComesIsSaidInTheWordsOfTheCa) {
  WriteConfig(absl::StrCat("domains: [www.example.com], challenge: ", ByDns("/bin/true", /*skip=*/true)));
  const CommandResult refused = Issue();
  EXPECT_EQ(refused.exit_code, 1) << refused;
  EXPECT_THAT(refused.err,
              AllOf(HasSubstr("the CA looked 8 times: www.example.com: dns: "), HasSubstr("compare what the CA saw")));
  // The same order can still become something.
  const std::string order = Certificate()["orderUrl"];
  EXPECT_THAT(order, HasSubstr("/acme/local/order/"));
  WriteConfig(absl::StrCat("domains: [www.example.com], challenge: ", ByDns(dns_->hook())));
  const CommandResult issued = Issue(/*forced=*/true);
  EXPECT_EQ(issued.exit_code, 0) << issued << caddy_->Log();
  EXPECT_THAT(issued.err, HasSubstr("going on with the order " + order));
}

TEST_F(CaddyTest, ARestartOfTheCaIsNotNoticed) {
  ASSERT_EQ(Issue().exit_code, 0) << caddy_->Log();
  const std::string account = AccountUrl();
  ASSERT_THAT(caddy_->Restart(), IsOk());
  const CommandResult forced = Issue(/*forced=*/true);
  EXPECT_EQ(forced.exit_code, 0) << forced << caddy_->Log();
  EXPECT_EQ(AccountUrl(), account);
}

TEST_F(CaddyTest, WhatIsRevokedIsReplacedAtOnce) {
  ASSERT_EQ(Issue().exit_code, 0) << caddy_->Log();
  const CommandResult revoked = program_->Run({"revoke", "www", "--reason", "keyCompromise"});
  EXPECT_EQ(revoked.exit_code, 0) << revoked << caddy_->Log();
  EXPECT_EQ(Certificate()["generations"][0]["revocationReason"], "keyCompromise");
  const CommandResult again = program_->Run({"revoke", "www", "--generation", "1", "--reason", "1"});
  EXPECT_EQ(again.exit_code, 0) << again;
  EXPECT_THAT(again.out, HasSubstr("had been revoked already"));
  const CommandResult issued = Issue();
  EXPECT_EQ(issued.exit_code, 0) << issued;
  EXPECT_EQ(issued.json["certificates"][0]["generation"], "2") << issued;
}

TEST_F(CaddyTest, WhatItDidNotIssueIsNotRevoked) {
  ASSERT_EQ(Issue().exit_code, 0) << caddy_->Log();
  const CommandResult refused =
      program_->Run({"revoke", "www", "--certificate", caddy_->ca_file(), "--reason", "superseded"});
  EXPECT_EQ(refused.exit_code, 1) << refused;
  EXPECT_THAT(refused.err, AllOf(HasSubstr("revoking a certificate: the CA answered malformed"),
                                 HasSubstr("hint: is it this CA's certificate?")));
}

TEST_F(CaddyTest, AnAccountIsChangedAndEnded) {
  ASSERT_EQ(Issue().exit_code, 0) << caddy_->Log();
  const std::string account = AccountUrl();
  WriteConfig(absl::StrCat("domains: [www.example.com], challenge: ", kByHttp), "other@example.com");
  const CommandResult updated = program_->Run({"accounts", "update", "caddy"});
  EXPECT_EQ(updated.exit_code, 0) << updated << caddy_->Log();
  EXPECT_THAT(caddy_->Log(), HasSubstr("mailto:other@example.com"));

  const CommandResult deactivated = program_->Run({"accounts", "deactivate", "caddy"});
  EXPECT_EQ(deactivated.exit_code, 0) << deactivated << caddy_->Log();
  const CommandResult refused = Issue(/*forced=*/true);
  EXPECT_EQ(refused.exit_code, 1) << refused;
  EXPECT_THAT(refused.err, AllOf(HasSubstr("was deactivated on"), HasSubstr("certcast accounts register caddy")));

  const CommandResult registered = program_->Run({"accounts", "register", "caddy"});
  EXPECT_EQ(registered.exit_code, 0) << registered << caddy_->Log();
  EXPECT_NE(AccountUrl(), account);
  const CommandResult issued = Issue(/*forced=*/true);
  EXPECT_EQ(issued.exit_code, 0) << issued << caddy_->Log();
}

// keyChange is in its directory and answered with 501 and a problem about names.
TEST_F(CaddyTest, AKeyThatCantBeRolledStaysInUse) {
  ASSERT_EQ(Issue().exit_code, 0) << caddy_->Log();
  const CommandResult refused = program_->Run({"accounts", "roll-key", "caddy"});
  EXPECT_EQ(refused.exit_code, 1) << refused;
  EXPECT_THAT(refused.err, AllOf(HasSubstr("offers no change of an account's key"), HasSubstr("accounts deactivate"),
                                 Not(HasSubstr("certificates[].domains"))));
  const CommandResult issued = Issue(/*forced=*/true);
  EXPECT_EQ(issued.exit_code, 0) << issued << caddy_->Log();
}

TEST_F(CaddyTest, AProfileIsRefusedBeforeAnOrderIsMade) {
  WriteConfig(absl::StrCat("domains: [www.example.com], profile: tlsserver, challenge: ", kByHttp));
  const CommandResult refused = Issue();
  EXPECT_NE(refused.exit_code, 0) << refused;
  EXPECT_THAT(refused.err, AllOf(HasSubstr("the CA has no profile `tlsserver`"), HasSubstr("it offers none")));
}

}  // namespace
}  // namespace certcast::testing
