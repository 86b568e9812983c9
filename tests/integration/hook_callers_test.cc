// Hooks are called as the clients call them for which they were written: one hook, called by Debian's lego, certbot or
// dehydrated and by certcast, for the same names at the same CA, sees the same.
#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
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
    const std::string path = home() + "/hook";
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

  void RunOther(std::vector<std::string> argv, std::vector<std::pair<std::string, std::string>> environment) {
    ProcessRequest request;
    request.argv = std::move(argv);
    request.environment = std::move(environment);
    request.directory = home();
    request.timeout = absl::Seconds(100);
    const auto result = ProcessRunner::Real().Run(request);
    ASSERT_THAT(result, IsOk());
    ASSERT_TRUE(result->ok()) << result->Describe() << result->output << result->error << pebble_->Log();
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
  void RunLego(const std::string& hook, const std::string& mode) {
    RunOther({"lego", "--accept-tos", "--email", "ops@demo.test", "--server", pebble_->directory_url(), "--path",
              home() + "/lego", "--domains", "demo.test", "--domains", "*.demo.test", "--dns", "exec",
              "--dns.resolvers", pebble_->dns_address(), "--dns.disable-cp", "run"},
             {{"EXEC_PATH", hook},
              {"EXEC_MODE", mode},
              {"EXEC_SEQUENCE_INTERVAL", "1"},
              {"EXEC_POLLING_INTERVAL", "1"},
              {"LEGO_CA_CERTIFICATES", pebble_->ca_file()}});
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
  ASSERT_NO_FATAL_FAILURE(RunLego(hook, ""));
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
  ASSERT_NO_FATAL_FAILURE(RunLego(hook, "RAW"));
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
  ASSERT_NO_FATAL_FAILURE(RunOther({"certbot",
                                    "certonly",
                                    "--non-interactive",
                                    "--agree-tos",
                                    "-m",
                                    "ops@demo.test",
                                    "--manual",
                                    "--preferred-challenges",
                                    "dns",
                                    "--manual-auth-hook",
                                    hook + " present",
                                    "--manual-cleanup-hook",
                                    hook + " cleanup",
                                    "--server",
                                    pebble_->directory_url(),
                                    "-d",
                                    "demo.test",
                                    "-d",
                                    "*.demo.test",
                                    "--config-dir",
                                    home() + "/certbot",
                                    "--work-dir",
                                    home() + "/certbot",
                                    "--logs-dir",
                                    home() + "/certbot"},
                                   {{"REQUESTS_CA_BUNDLE", pebble_->ca_file()}}));
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
  ASSERT_THAT(testing::WriteFile(home() + "/dehydrated.config",
                                 absl::StrJoin({absl::StrCat("CA=", pebble_->directory_url()),
                                                absl::StrCat("CURL_OPTS=\"--cacert ", pebble_->ca_file(), "\""),
                                                absl::StrCat("BASEDIR=", home(), "/dehydrated"),
                                                absl::StrCat("WELLKNOWN=", home()), absl::StrCat("HOOK=", hook),
                                                std::string("CHALLENGETYPE=dns-01"), std::string("KEY_ALGO=prime256v1"),
                                                std::string("DEHYDRATED_USER="), std::string("DEHYDRATED_GROUP=")},
                                               "\n")),
              IsOk());
  ASSERT_NO_FATAL_FAILURE(
      RunOther({"sh", "-c",
                absl::StrCat("mkdir -p dehydrated && dehydrated --config ", home(),
                             "/dehydrated.config --register --accept-terms && dehydrated --config ", home(),
                             "/dehydrated.config --cron -d 'demo.test *.demo.test > demo'")},
               {}));
  const std::vector<std::string> dehydrateds = TakeNotes();
  EXPECT_THAT(dehydrateds, SizeIs(4));
  ASSERT_NO_FATAL_FAILURE(RunCertcast(DehydratedHook{.command = {hook}}));
  EXPECT_THAT(TakeNotes(), ElementsAreArray(dehydrateds));
}

}  // namespace
}  // namespace certcast::controller
