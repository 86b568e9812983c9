// Hooks are called as the clients call them for which they were written: one hook, called by Debian's lego, certbot or
// dehydrated and by certcast, for the same names at the same CA, sees the same.
#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/clock/clock.h"
#include "common/process/process.h"
#include "controller/acme/curl_http_client.h"
#include "controller/acme/issuer.h"
#include "controller/acme/ldns_dns_client.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "re2/re2.h"
#include "tests/testing/fake_sealer.h"
#include "tests/testing/memory_store.h"
#include "tests/testing/other_clients.h"
#include "tests/testing/pebble.h"
#include "tests/testing/program.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temporary_directory.h"

namespace certcast::controller {
namespace {

using ::testing::ElementsAreArray;
using testing::IsOk;
using testing::Pebble;
using ::testing::SizeIs;

// Notes each call.
constexpr char kNote[] = R"(#!/bin/sh
set -eu
printf '%s\n' "$*" >>"$(dirname "$0")/notes"
)";

class HookCallers : public ::testing::Test {
 protected:
  void SetUp() override {
    auto pebble = Pebble::Start(home(), {});
    ASSERT_THAT(pebble, IsOk());
    pebble_ = *std::move(pebble);
  }

  const std::string& home() const { return directory_.path(); }
  // A script in a folder of its own, where its notes go.
  std::string MakeHook(const std::string& text) {
    std::string path = home() + "/hook";
    EXPECT_THAT(testing::WriteFile(path, text, 0700), IsOk());
    return path;
  }
  // What was noted since the last call, without what is different each time; sorted.
  std::vector<std::string> TakeNotes() {
    std::string text = testing::ReadFile(home() + "/notes");
    EXPECT_THAT(testing::WriteFile(home() + "/notes", ""), IsOk());
    // Key authorizations first: they begin with a token.
    RE2::GlobalReplace(&text, "[A-Za-z0-9_-]{43}\\.[A-Za-z0-9_-]{43}", "AUTHORIZATION");
    RE2::GlobalReplace(&text, "[A-Za-z0-9_-]{43}", "VALUE");
    std::vector<std::string> lines = absl::StrSplit(text, '\n', absl::SkipEmpty());
    std::sort(lines.begin(), lines.end());
    return lines;
  }

  void RunCertcast(decltype(ChallengeConfig::writer) writer) {
    AccountConfig account;
    account.name = "pebble";
    account.directory = pebble_->directory_url();
    account.ca_file = pebble_->ca_file();
    account.terms_of_service_agreed = true;
    CertificateConfig certificate;
    certificate.name = "w";
    certificate.account = "pebble";
    certificate.domains = {"demo.test", "*.demo.test"};
    certificate.challenge.emplace();
    certificate.challenge->writer = std::move(writer);
    certificate.challenge->propagation = {.resolvers = {pebble_->dns_address()}, .timeout = absl::Seconds(20)};
    Issuer issuer(*http_, *dns_, ProcessRunner::Real(), Clock::Real(), store_, sealer_);
    ASSERT_THAT(issuer.Issue(certificate, account, /*epoch=*/0, [](absl::string_view) {}), IsOk()) << pebble_->Log();
  }
  testing::TemporaryDirectory directory_;
  std::unique_ptr<Pebble> pebble_;
  const std::unique_ptr<HttpClient> http_ = MakeCurlHttpClient("certcast/test");
  const std::unique_ptr<DnsClient> dns_ = MakeLdnsClient();
  testing::MemoryStore store_;
  testing::FakeSealer sealer_;
};

TEST_F(HookCallers, LegoExec) {
  const std::string hook = MakeHook(absl::StrCat(kNote, "exec ", pebble_->hook(), " \"$@\"\n"));
  ASSERT_THAT(testing::RunLego(*pebble_, home() + "/lego", hook), IsOk());
  const std::vector<std::string> legos = TakeNotes();
  EXPECT_THAT(legos, SizeIs(4));
  ASSERT_NO_FATAL_FAILURE(RunCertcast(ExecHook{.command = {hook}}));
  EXPECT_THAT(TakeNotes(), ElementsAreArray(legos));
}

// $4 is the key authorization, whose digest is the record's value.
TEST_F(HookCallers, LegoExecRaw) {
  const std::string hook = MakeHook(absl::StrCat(
      kNote,
      "[ \"$2\" = -- ]\n"
      "value=$(printf %s \"$5\" | openssl dgst -sha256 -binary | openssl base64 | tr '+/' '-_' | tr -d '=')\n"
      "exec ",
      pebble_->hook(), " \"$1\" \"_acme-challenge.$3.\" \"$value\"\n"));
  ASSERT_THAT(testing::RunLego(*pebble_, home() + "/lego", hook, "RAW"), IsOk());
  const std::vector<std::string> legos = TakeNotes();
  EXPECT_THAT(legos, SizeIs(4));
  ASSERT_NO_FATAL_FAILURE(RunCertcast(ExecHook{.command = {hook}, .raw = true}));
  EXPECT_THAT(TakeNotes(), ElementsAreArray(legos));
}

TEST_F(HookCallers, Certbot) {
  // The variables by name; what one hook prints the other one gets.
  const std::string hook = MakeHook(
      absl::StrCat("#!/bin/sh\nset -eu\n"
                   "printf '%s ' \"$1\" $(env | grep ^CERTBOT_ | sort) >>\"$(dirname \"$0\")/notes\"\n"
                   "echo >>\"$(dirname \"$0\")/notes\"\n",
                   pebble_->hook(), " \"$1\" \"_acme-challenge.$CERTBOT_DOMAIN.\" \"$CERTBOT_VALIDATION\" >/dev/null\n",
                   "[ \"$1\" = cleanup ] || echo \"made for $CERTBOT_DOMAIN\"\n"));
  ASSERT_THAT(testing::RunCertbot(*pebble_, home() + "/certbot", hook), IsOk());
  const std::vector<std::string> certbots = TakeNotes();
  EXPECT_THAT(certbots, SizeIs(4));
  ASSERT_NO_FATAL_FAILURE(RunCertcast(CertbotHook{.auth = {hook, "present"}, .cleanup = {hook, "cleanup"}}));
  EXPECT_THAT(TakeNotes(), ElementsAreArray(certbots));
}

TEST_F(HookCallers, Dehydrated) {
  const std::string hook = MakeHook(absl::StrCat(
      "#!/bin/sh\nset -eu\n"
      "case \"$1\" in deploy_challenge) verb=present ;; clean_challenge) verb=cleanup ;; *) exit 0 ;; esac\n"
      "printf '%s\\n' \"$*\" >>\"$(dirname \"$0\")/notes\"\n"
      "exec ",
      pebble_->hook(), " $verb \"_acme-challenge.$2.\" \"$4\"\n"));
  ASSERT_THAT(testing::RunDehydrated(*pebble_, home() + "/dehydrated", hook), IsOk());
  const std::vector<std::string> dehydrateds = TakeNotes();
  EXPECT_THAT(dehydrateds, SizeIs(4));
  ASSERT_NO_FATAL_FAILURE(RunCertcast(DehydratedHook{.command = {hook}}));
  EXPECT_THAT(TakeNotes(), ElementsAreArray(dehydrateds));
}

}  // namespace
}  // namespace certcast::controller
