// Who writes TXT records, each held to the contract of the client that it stands in for.
#include <sys/stat.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "controller/acme/dns01_acme_sh.h"
#include "controller/acme/dns01_hooks.h"
#include "controller/acme/dns01_http.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/fake_http_client.h"
#include "tests/testing/fake_process_runner.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temporary_directory.h"

namespace certcast::controller {
namespace {

using nlohmann::json;
using state::v1::PresentedChallenge;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using testing::FakeHttpClient;
using testing::FakeProcessRunner;
using testing::HasReason;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::IsOk;
using ::testing::Not;
using ::testing::Pair;
using ::testing::SizeIs;
using testing::TemporaryDirectory;

PresentedChallenge Challenge(const std::string& domain = "example.com", const std::string& value = "VALUE") {
  PresentedChallenge challenge;
  challenge.set_domain(domain);
  challenge.set_fqdn("_acme-challenge." + domain + ".");
  challenge.set_value(value);
  challenge.set_token("TOKEN");
  challenge.set_key_authorization("TOKEN.THUMB");
  return challenge;
}

std::string WriteSecret(const TemporaryDirectory& directory, const std::string& name, const std::string& text) {
  std::string path = directory.path() + "/" + name;
  std::ofstream(path) << text;
  chmod(path.c_str(), 0600);
  return path;
}

std::string ReadAll(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

// --- certbot.

TEST(CertbotHook, GetsItsEnvironmentAndWhatTheFirstHookPrinted) {
  FakeProcessRunner processes;
  processes.On({"/auth", "--zone"}, FakeProcessRunner::Exits(0, "", "record-17\n"));
  processes.On({"/cleanup"}, FakeProcessRunner::Exits(0));
  CertbotHookWriter writer(processes, {.auth = {"/auth", "--zone"}, .cleanup = {"/cleanup"}});
  const std::vector<PresentedChallenge> all = {Challenge(), Challenge("example.com", "OTHER"),
                                               Challenge("example.org")};
  writer.Announce(all);
  for (const PresentedChallenge& challenge : all) ASSERT_THAT(writer.Present(challenge), IsOk());
  ASSERT_THAT(writer.CleanUp(all[0]), IsOk());
  const auto requests = processes.requests();
  ASSERT_THAT(requests, SizeIs(4));
  EXPECT_THAT(requests[0].environment,
              ElementsAre(Pair("CERTBOT_DOMAIN", "example.com"), Pair("CERTBOT_VALIDATION", "VALUE"),
                          Pair("CERTBOT_REMAINING_CHALLENGES", "2"),
                          Pair("CERTBOT_ALL_DOMAINS", "example.com,example.com,example.org")));
  EXPECT_THAT(requests[2].environment, Contains(Pair("CERTBOT_REMAINING_CHALLENGES", "0")));
  EXPECT_THAT(requests[3].environment, AllOf(Contains(Pair("CERTBOT_AUTH_OUTPUT", "record-17")),
                                             Contains(Pair("CERTBOT_REMAINING_CHALLENGES", "2"))));
}

TEST(CertbotHook, OfAnEarlierRunKnowsNoOutput) {
  FakeProcessRunner processes;
  processes.On({"/cleanup"}, FakeProcessRunner::Exits(0));
  CertbotHookWriter writer(processes, {.auth = {"/auth"}, .cleanup = {"/cleanup"}});
  ASSERT_THAT(writer.CleanUp(Challenge()), IsOk());
  EXPECT_THAT(processes.requests().front().environment,
              AllOf(Contains(Pair("CERTBOT_AUTH_OUTPUT", "")), Contains(Pair("CERTBOT_ALL_DOMAINS", "example.com"))));
}

TEST(CertbotHook, WithoutACleanUpCleansNothing) {
  FakeProcessRunner processes;
  CertbotHookWriter writer(processes, {.auth = {"/auth"}});
  EXPECT_THAT(writer.CleanUp(Challenge()), IsOk());
  EXPECT_THAT(processes.requests(), IsEmpty());
}

TEST(CertbotHook, ThatHangsSaysWhereItsTimeIs) {
  FakeProcessRunner processes;
  processes.On({"/auth"}, FakeProcessRunner::Hangs());
  CertbotHookWriter writer(processes, {.auth = {"/auth"}});
  const absl::Status status = writer.Present(Challenge());
  EXPECT_THAT(status,
              HasReason(Reason::CHALLENGE_FAILED, HasSubstr("certbot hook `/auth` for _acme-challenge.example.com.")));
  EXPECT_THAT(FailureOf(status).hint(), HasSubstr("challenge.certbot-hook.timeout"));
}

// --- dehydrated.

TEST(DehydratedHook, IsCalledAsDehydratedCallsIt) {
  FakeProcessRunner processes;
  processes.Otherwise([](const ProcessRequest&) { return FakeProcessRunner::Exits(0); });
  DehydratedHookWriter writer(processes, {.command = {"/hook.sh"}});
  ASSERT_THAT(writer.Present(Challenge()), IsOk());
  ASSERT_THAT(writer.CleanUp(Challenge()), IsOk());
  EXPECT_THAT(processes.requests()[0].argv,
              ElementsAre("/hook.sh", "deploy_challenge", "example.com", "TOKEN", "VALUE"));
  EXPECT_THAT(processes.requests()[1].argv,
              ElementsAre("/hook.sh", "clean_challenge", "example.com", "TOKEN", "VALUE"));
}

TEST(DehydratedHook, ThatFailsIsNamedWithWhatItSaid) {
  FakeProcessRunner processes;
  processes.Otherwise([](const ProcessRequest&) { return FakeProcessRunner::Exits(3, "no\nno such zone\n"); });
  DehydratedHookWriter writer(processes, {.command = {"/hook.sh"}});
  EXPECT_THAT(
      writer.Present(Challenge()),
      HasReason(Reason::CHALLENGE_FAILED, AllOf(HasSubstr("exited with 3: no such zone"), HasSubstr("/hook.sh"))));
}

// --- httpreq.

class Service {
 public:
  FakeHttpClient& http() { return http_; }
  int status = 200;

 private:
  FakeHttpClient http_{[this](const HttpRequest&) { return HttpResponse{.status = status, .body = "no such zone\n"}; }};
};

TEST(HttpReq, PostsNameAndValue) {
  Service service;
  HttpReqWriter writer(service.http(), {.endpoint = "https://dns.example.com/api", .ca_file = "/ca.pem"});
  ASSERT_THAT(writer.Present(Challenge()), IsOk());
  service.status = 204;
  ASSERT_THAT(writer.CleanUp(Challenge()), IsOk());
  const auto requests = service.http().requests();
  EXPECT_EQ(requests[0].method, "POST");
  EXPECT_EQ(requests[0].url, "https://dns.example.com/api/present");
  EXPECT_EQ(requests[0].ca_file, "/ca.pem");
  EXPECT_EQ(json::parse(requests[0].body), (json{{"fqdn", "_acme-challenge.example.com."}, {"value", "VALUE"}}));
  EXPECT_THAT(requests[0].headers, ElementsAre(Pair("Content-Type", "application/json")));
  EXPECT_EQ(requests[1].url, "https://dns.example.com/api/cleanup");
}

TEST(HttpReq, RawLeavesTheValueToTheService) {
  Service service;
  HttpReqWriter writer(service.http(), {.endpoint = "https://dns.example.com", .raw = true});
  ASSERT_THAT(writer.Present(Challenge()), IsOk());
  EXPECT_EQ(json::parse(service.http().requests()[0].body),
            (json{{"domain", "example.com"}, {"token", "TOKEN"}, {"keyAuth", "TOKEN.THUMB"}}));
}

TEST(HttpReq, LogsIn) {
  const TemporaryDirectory directory;
  Service service;
  HttpReqWriter writer(service.http(),
                       {.endpoint = "https://dns.example.com",
                        .username = "Aladdin",
                        .password = {SecretReference::Kind::kFile, WriteSecret(directory, "p", "open sesame\n")}});
  ASSERT_THAT(writer.Present(Challenge()), IsOk());
  // RFC 7617 section 2.
  EXPECT_THAT(service.http().requests()[0].headers,
              Contains(Pair("Authorization", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==")));
}

TEST(HttpReq, TellsWhatTheServiceAnswered) {
  Service service;
  service.status = 500;
  HttpReqWriter writer(service.http(), {.endpoint = "https://dns.example.com"});
  EXPECT_THAT(
      writer.Present(Challenge()),
      HasReason(Reason::CHALLENGE_FAILED, HasSubstr("POST https://dns.example.com/present for "
                                                    "_acme-challenge.example.com. was answered 500: no such zone")));
}

TEST(HttpReq, AnExchangeThatIsLostFailsTheChallenge) {
  Service service;
  service.http().FailAt(1, FakeHttpClient::Fault::kAnswerLost, Fail(Reason::LINK_LOST, "the line is cut"));
  HttpReqWriter writer(service.http(), {.endpoint = "https://dns.example.com"});
  EXPECT_THAT(writer.Present(Challenge()), HasReason(Reason::CHALLENGE_FAILED, HasSubstr("the line is cut")));
  EXPECT_EQ(service.http().exchanges(), 1);
}

// --- acme-dns.

constexpr char kAccounts[] = R"({"example.com": {"username": "u-1", "password": "p-1", "subdomain": "s-1",
  "fulldomain": "s-1.auth.example.net"}, "half.example": {"username": "u-2"}, "wrong.example": []})";

class AcmeDns : public ::testing::Test {
 protected:
  AcmeDnsService Config(const std::string& accounts = kAccounts) {
    return {.endpoint = "https://auth.example.net",
            .accounts = {SecretReference::Kind::kFile, WriteSecret(directory_, "accounts.json", accounts)}};
  }

  TemporaryDirectory directory_;
  Service service_;
};

TEST_F(AcmeDns, UpdatesItsRegistration) {
  AcmeDnsWriter writer(service_.http(), Config());
  ASSERT_THAT(writer.Present(Challenge()), IsOk());
  ASSERT_THAT(writer.CleanUp(Challenge()), IsOk());
  const auto requests = service_.http().requests();
  ASSERT_THAT(requests, SizeIs(1));
  EXPECT_EQ(requests[0].url, "https://auth.example.net/update");
  EXPECT_EQ(json::parse(requests[0].body), (json{{"subdomain", "s-1"}, {"txt", "VALUE"}}));
  EXPECT_THAT(requests[0].headers, AllOf(Contains(Pair("X-Api-User", "u-1")), Contains(Pair("X-Api-Key", "p-1"))));
}

TEST_F(AcmeDns, SaysWhatIsMissing) {
  AcmeDnsWriter writer(service_.http(), Config());
  const absl::Status unknown = writer.Present(Challenge("example.org"));
  EXPECT_THAT(unknown, HasReason(Reason::CHALLENGE_FAILED, HasSubstr("have no example.org")));
  EXPECT_THAT(FailureOf(unknown).hint(), HasSubstr("make _acme-challenge.example.org a CNAME"));
  for (const std::string domain : {"half.example", "wrong.example"}) {
    EXPECT_THAT(writer.Present(Challenge(domain)),
                HasReason(Reason::CHALLENGE_FAILED, HasSubstr("lacks one of username, password and subdomain")));
  }
  for (const std::string text : {"[]", "{", "null"}) {
    AcmeDnsWriter broken(service_.http(), Config(text));
    EXPECT_THAT(broken.Present(Challenge()), HasReason(Reason::CHALLENGE_FAILED, HasSubstr("are not a JSON object")));
  }
  EXPECT_EQ(service_.http().exchanges(), 0);
}

// --- acme.sh: one of its shape, and an API that notes what it is given.

constexpr char kAcmeSh[] = R"(
_initpath() {
  [ -n "$LE_CONFIG_HOME" ] || return 1
  ACCOUNT_CONF_PATH="$LE_CONFIG_HOME/account.conf"
}
_saveaccountconf_mutable() { echo "SAVED_$1='$2'" >> "$ACCOUNT_CONF_PATH"; }
main() { [ -z "$1" ] && echo "Usage: acme.sh <command>" && return; exit 99; }
main "$@"
)";

constexpr char kApi[] = R"(
dns_note_add() {
  [ "$2" = REFUSED ] && echo "the provider said no" >&2 && return 1
  [ "$2" = ASKS ] && { read -r answer; [ -z "$answer" ] || return 2; }
  _saveaccountconf_mutable NOTE_Token "$NOTE_Token"
  printf '%s\n' "add $1 $2 $NOTE_Token $DOMAIN_CONF" >> "$NOTE_File"
  env >> "$NOTE_File.env"
  tr '\0' ' ' < /proc/$$/cmdline >> "$NOTE_File.argv"
}
dns_note_rm() { echo "rm $1 $2" >> "$NOTE_File"; }
)";

class AcmeSh : public ::testing::Test {
 protected:
  void SetUp() override {
    mkdir((home() + "/dnsapi").c_str(), 0700);
    std::ofstream(home() + "/acme.sh") << kAcmeSh;
    std::ofstream(home() + "/dnsapi/dns_note.sh") << kApi;
    config_.script = home() + "/acme.sh";
    config_.api = "dns_note";
    config_.apis = home() + "/dnsapi";
    config_.home = home();
    config_.variables = {
        {"NOTE_Token", {SecretReference::Kind::kFile, WriteSecret(directory_, "t", "s3 'cr$et\"\\n=x\n")}},
        {"NOTE_File", {SecretReference::Kind::kFile, WriteSecret(directory_, "f", home() + "/notes")}}};
  }

  const std::string& home() const { return directory_.path(); }

  TemporaryDirectory directory_;
  AcmeShApi config_;
};

TEST_F(AcmeSh, CallsItsApi) {
  AcmeShWriter writer(ProcessRunner::Real(), config_);
  ASSERT_THAT(writer.Present(Challenge()), IsOk());
  ASSERT_THAT(writer.CleanUp(Challenge()), IsOk());
  EXPECT_EQ(ReadAll(home() + "/notes"), "add _acme-challenge.example.com VALUE s3 'cr$et\"\\n=x " + home() +
                                            "/certcast/example.com.conf\nrm _acme-challenge.example.com VALUE\n");
  EXPECT_THAT(ReadAll(home() + "/account.conf"), HasSubstr("SAVED_NOTE_Token="));
}

TEST_F(AcmeSh, KeepsWhatItIsToldOutOfArgumentsAndEnvironment) {
  AcmeShWriter writer(ProcessRunner::Real(), config_);
  ASSERT_THAT(writer.Present(Challenge()), IsOk());
  EXPECT_THAT(ReadAll(home() + "/notes.env"), AllOf(HasSubstr("LE_CONFIG_HOME="), Not(HasSubstr("s3 'cr"))));
  EXPECT_THAT(ReadAll(home() + "/notes.argv"), AllOf(HasSubstr("dns_note_add"), Not(HasSubstr("s3 'cr"))));
}

TEST_F(AcmeSh, AnApiThatAsksGetsNoAnswer) {
  AcmeShWriter writer(ProcessRunner::Real(), config_);
  EXPECT_THAT(writer.Present(Challenge("example.com", "ASKS")), IsOk());
}

TEST_F(AcmeSh, TellsWhatTheProviderSaid) {
  AcmeShWriter writer(ProcessRunner::Real(), config_);
  EXPECT_THAT(
      writer.Present(Challenge("example.com", "REFUSED")),
      HasReason(Reason::CHALLENGE_FAILED, AllOf(HasSubstr("dns_note_add of"), HasSubstr("the provider said no"))));
}

TEST_F(AcmeSh, SaysWhatIsNotThere) {
  config_.api = "dns_other";
  AcmeShWriter no_api(ProcessRunner::Real(), config_);
  EXPECT_THAT(no_api.Present(Challenge()), HasReason(Reason::CHALLENGE_FAILED, HasSubstr("dns_other.sh")));
  config_.script = "/no/such/acme.sh";
  AcmeShWriter no_script(ProcessRunner::Real(), config_);
  EXPECT_THAT(no_script.Present(Challenge()), HasReason(Reason::CHALLENGE_FAILED, HasSubstr("/no/such/acme.sh")));
}

TEST_F(AcmeSh, AVariableOfSeveralLinesIsRefusedBeforeAnythingRuns) {
  config_.variables[0].second.name = WriteSecret(directory_, "t", "one\nPATH=/evil");
  AcmeShWriter writer(ProcessRunner::Real(), config_);
  EXPECT_THAT(writer.Present(Challenge()),
              HasReason(Reason::CHALLENGE_FAILED, AllOf(HasSubstr("variables.NOTE_Token"), Not(HasSubstr("evil")))));
  EXPECT_EQ(ReadAll(home() + "/notes"), "");
}

}  // namespace
}  // namespace certcast::controller
