// What Debian's certbot, lego and dehydrated obtained from real Pebble is gone on with by certcast, from nothing: no
// configuration, no state. The next certificate is ordered from the account that the other client made.
#include <memory>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/controller_program.h"
#include "tests/testing/other_clients.h"
#include "tests/testing/pebble.h"
#include "tests/testing/program.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temporary_directory.h"

namespace certcast::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

class AdoptTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto pebble = Pebble::Start(home(), {});
    ASSERT_THAT(pebble, IsOk());
    pebble_ = *std::move(pebble);
  }

  const std::string& home() const { return directory_.path(); }
  std::string folder() const { return home() + "/client"; }
  std::string MakeHook(const std::string& text) const {
    std::string path = home() + "/hook";
    EXPECT_THAT(WriteFile(path, absl::StrCat("#!/bin/sh\nset -eu\n", text), 0700), IsOk());
    return path;
  }
  CommandResult Adopt(const std::string& client, bool write = false) const {
    std::vector<std::string> arguments = {"adopt", client, folder()};
    if (write) arguments.emplace_back("--write");
    return certcast_.Run(arguments);
  }
  std::string Config() const { return ReadFile(certcast_.config_path()); }
  void ChangeConfig(const std::vector<std::pair<std::string, std::string>>& changes) const {
    ASSERT_THAT(WriteFile(certcast_.config_path(), absl::StrReplaceAll(Config(), changes), 0644), IsOk());
  }
  // What no other client knows: Pebble's root, and a DNS server that is nobody's.
  void NamePebble() const {
    ASSERT_NO_FATAL_FAILURE(
        ChangeConfig({{"    terms_of_service_agreed: true\n",
                       absl::StrCat("    terms_of_service_agreed: true\n    ca_file: ", pebble_->ca_file(), "\n")},
                      {"challenge: {",
                       absl::StrCat("challenge: {propagation: {resolvers: [\"", pebble_->dns_address(), "\"]}, ")}}));
  }
  int Accounts() const {
    int count = 0;
    const std::string log = pebble_->Log();
    for (size_t at = log.find("There are now "); at != std::string::npos; at = log.find("There are now ", at + 1)) {
      const size_t end = log.find('\n', at);
      if (absl::StrContains(log.substr(at, end - at), "accounts in memory")) ++count;
    }
    return count;
  }
  // From the adopted account, which stays the only one at the CA.
  void ExpectTheNextOneIsOrderedWith(const std::string& account_url, const std::string& certificate) {
    const int accounts = Accounts();
    EXPECT_EQ(accounts, 1) << pebble_->Log();
    const CommandResult due = certcast_.Json({"issue", certificate});
    EXPECT_EQ(due.exit_code, 0) << due;
    ASSERT_THAT(due.json["certificates"], SizeIs(1)) << due;
    EXPECT_FALSE(due.json["certificates"][0]["issued"]) << "it is not due: " << due;
    EXPECT_EQ(due.json["certificates"][0]["generation"], "1") << due;

    const CommandResult renewed = certcast_.Json({"issue", certificate, "--force-renewal"});
    EXPECT_EQ(renewed.exit_code, 0) << renewed << pebble_->Log();
    EXPECT_EQ(renewed.json["certificates"][0]["generation"], "2") << renewed;
    EXPECT_EQ(Accounts(), accounts);
    const CommandResult shown = certcast_.Json({"accounts"});
    EXPECT_EQ(shown.json["accounts"][0]["accountUrl"], account_url) << shown;
    EXPECT_EQ(shown.json["accounts"][0]["state"], "REGISTERED") << shown;
  }
  void ExpectNothingMore(const std::string& client) {
    const CommandResult again = Adopt(client);
    EXPECT_EQ(again.exit_code, 0) << again;
    EXPECT_EQ(again.out, "") << "all of it is in the configuration";
    EXPECT_THAT(again.err, AllOf(HasSubstr("there already, and kept"), HasSubstr("there already as generation 2"),
                                 Not(HasSubstr("not in the configuration"))));
  }

  TemporaryDirectory directory_;
  std::unique_ptr<Pebble> pebble_;
  ControllerProgram certcast_{directory_.path()};
};

TEST_F(AdoptTest, CertbotsIsPrintedAndThenWrittenAndTakenOver) {
  const std::string hook = MakeHook(absl::StrCat("exec ", pebble_->hook(),
                                                 " \"$1\" \"_acme-challenge.$CERTBOT_DOMAIN.\" "
                                                 "\"$CERTBOT_VALIDATION\"\n"));
  ASSERT_THAT(RunCertbot(*pebble_, folder(), hook), IsOk());
  const CommandResult printed = Adopt("certbot");
  EXPECT_EQ(printed.exit_code, 0) << printed;
  EXPECT_THAT(printed.out, AllOf(HasSubstr("state: state\n"), HasSubstr(pebble_->directory_url()),
                                 HasSubstr("solver: certbot-hook")));
  EXPECT_THAT(printed.err, AllOf(HasSubstr("there is no "), HasSubstr("1 certificate and 1 account of certbot"),
                                 HasSubstr("--write")));
  EXPECT_EQ(Config(), "") << "nothing is written yet";

  const CommandResult written = Adopt("certbot", /*write=*/true);
  EXPECT_EQ(written.exit_code, 0) << written;
  EXPECT_EQ(Config(), printed.out);
  EXPECT_EQ(written.out, "");
  EXPECT_THAT(written.err, AllOf(HasSubstr("wrote "), HasSubstr("made "), HasSubstr(": taken over with its key"),
                                 HasSubstr("certificate demo-test: taken over as generation 1"),
                                 HasSubstr("certcast doctor --dns demo-test"), HasSubstr("certcast apply")));
  const CommandResult refused = Adopt("certbot", /*write=*/true);
  EXPECT_EQ(refused.exit_code, 2) << refused;
  EXPECT_THAT(refused.err, HasSubstr("there is a configuration already, and it is not changed"));

  ASSERT_NO_FATAL_FAILURE(NamePebble());
  const CommandResult shown = certcast_.Json({"accounts"});
  ASSERT_THAT(shown.json["accounts"], SizeIs(1)) << shown;
  ASSERT_NO_FATAL_FAILURE(ExpectTheNextOneIsOrderedWith(shown.json["accounts"][0]["accountUrl"], "demo-test"));
  ExpectNothingMore("certbot");
}

TEST_F(AdoptTest, DehydratedsIsTakenOver) {
  const std::string hook = MakeHook(absl::StrCat(
      "case \"$1\" in deploy_challenge) verb=present ;; clean_challenge) verb=cleanup ;; *) exit 0 ;; esac\nexec ",
      pebble_->hook(), " $verb \"_acme-challenge.$2.\" \"$4\"\n"));
  ASSERT_THAT(RunDehydrated(*pebble_, folder(), hook), IsOk());
  const CommandResult written = Adopt("dehydrated", /*write=*/true);
  EXPECT_EQ(written.exit_code, 0) << written;
  EXPECT_THAT(Config(), AllOf(HasSubstr(pebble_->directory_url()), HasSubstr("solver: dehydrated-hook")));
  ASSERT_NO_FATAL_FAILURE(NamePebble());
  const CommandResult shown = certcast_.Json({"accounts"});
  ASSERT_THAT(shown.json["accounts"], SizeIs(1)) << shown;
  ASSERT_NO_FATAL_FAILURE(ExpectTheNextOneIsOrderedWith(shown.json["accounts"][0]["accountUrl"], "demo"));
  ExpectNothingMore("dehydrated");
}

// It keeps neither its provider nor the whole URL: the operator fills them in, and runs it again.
TEST_F(AdoptTest, LegosIsTakenOverOnceItsDirectoryIsNamed) {
  ASSERT_THAT(RunLego(*pebble_, folder(), pebble_->hook()), IsOk());
  const CommandResult written = Adopt("lego", /*write=*/true);
  EXPECT_EQ(written.exit_code, 0) << written;
  EXPECT_THAT(written.err, HasSubstr("compare accounts[].directory with its --server"));
  EXPECT_THAT(Config(), HasSubstr("# It was done by a provider that it does not keep the name of"));
  ASSERT_NO_FATAL_FAILURE(NamePebble());
  ASSERT_NO_FATAL_FAILURE(ChangeConfig({{"/directory\"", "/dir\""}, {"/etc/certcast/dns-hook", pebble_->hook()}}));
  ASSERT_THAT(Config(), HasSubstr(pebble_->directory_url()));
  const CommandResult again = Adopt("lego");
  EXPECT_EQ(again.exit_code, 0) << again;
  EXPECT_THAT(again.err, AllOf(HasSubstr(": taken over with its key"), HasSubstr("there already as generation 1")));
  const CommandResult shown = certcast_.Json({"accounts"});
  ASSERT_NO_FATAL_FAILURE(ExpectTheNextOneIsOrderedWith(shown.json["accounts"][0]["accountUrl"], "demo-test"));
  ExpectNothingMore("lego");
}

TEST_F(AdoptTest, WithAConfigurationOnlyWhatItLacksIsPrinted) {
  ASSERT_THAT(RunLego(*pebble_, folder(), pebble_->hook()), IsOk());
  ASSERT_THAT(WriteFile(certcast_.config_path(), "state: state\nmaster_key: {file: master.key}\n", 0644), IsOk());
  EXPECT_EQ(certcast_.Run({"init"}).exit_code, 0);
  const CommandResult printed = Adopt("lego");
  EXPECT_EQ(printed.exit_code, 0) << printed;
  EXPECT_THAT(printed.out, AllOf(HasSubstr("accounts:\n"), HasSubstr("certificates:\n"), Not(HasSubstr("state:"))));
  EXPECT_THAT(printed.err, HasSubstr("1 certificate and 1 account are not in the configuration, and not taken over"));

  ASSERT_THAT(WriteFile(certcast_.config_path(),
                        absl::StrCat(Config(), absl::StrReplaceAll(printed.out, {{"127-0-0-1-", "our-ca-"}})), 0644),
              IsOk());
  ASSERT_NO_FATAL_FAILURE(ChangeConfig({{"name: demo-test", "name: under-another-name"}}));
  const CommandResult renamed = Adopt("lego");
  EXPECT_EQ(renamed.exit_code, 0) << renamed;
  EXPECT_THAT(renamed.err, HasSubstr("account our-ca-"));
  EXPECT_THAT(renamed.out, AllOf(HasSubstr("account: our-ca-"), Not(HasSubstr("accounts:"))))
      << "as the configuration calls it";
  ASSERT_NO_FATAL_FAILURE(ChangeConfig({{"name: under-another-name", "name: demo-test"}}));
  const CommandResult taken = Adopt("lego");
  EXPECT_EQ(taken.exit_code, 0) << taken;
  EXPECT_EQ(taken.out, "");
  EXPECT_THAT(taken.err, AllOf(HasSubstr("there already, and kept"), HasSubstr("taken over as generation 1")));
}

}  // namespace
}  // namespace certcast::testing
