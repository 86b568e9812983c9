#include "controller/acme/trace.h"

#include <sys/stat.h>

#include <nlohmann/json.hpp>
#include <string>

#include "controller/acme/account.h"
#include "controller/acme/issuer_fixture.h"
#include "controller/acme/jose.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/program.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temporary_directory.h"

namespace certcast::controller {
namespace {

using ::testing::AllOf;
using testing::FakeHttpClient;
using testing::HasCode;
using testing::HasReason;
using ::testing::HasSubstr;
using testing::IsOk;
using ::testing::Not;

const absl::Time kNow = absl::FromUnixSeconds(1893456000);

std::string Describe(const HttpRequest& request, const absl::StatusOr<HttpResponse>& response) {
  return DescribeExchange(request, response, kNow, absl::Milliseconds(12));
}

TEST(Trace, ShowsWhatIsSignedAndNoSignature) {
  const PrivateKey key = *PrivateKey::Generate(KeyType::kEcdsaP256);
  const std::string jws = *SignJws(key.get(), {{"nonce", "n-1"}, {"url", "https://ca.test/new-order"}},
                                   R"({"identifiers":[{"type":"dns","value":"a.example.com"}]})");
  const std::string text =
      Describe({.method = "POST", .url = "https://ca.test/new-order", .body = jws},
               HttpResponse{.status = 201,
                            .headers = {{"location", "https://ca.test/order/1"}, {"set-cookie", "session=hidden"}},
                            .body = R"({"status":"pending"})"});
  EXPECT_THAT(text, AllOf(HasSubstr("=== 2030-01-01T00:00:00+00:00 POST https://ca.test/new-order\n"),
                          HasSubstr("\"nonce\": \"n-1\""), HasSubstr("\"value\": \"a.example.com\""),
                          HasSubstr("--- 201 after 12ms\n    location: https://ca.test/order/1\n"),
                          HasSubstr(R"({"status":"pending"})"), Not(HasSubstr("hidden"))));
  EXPECT_THAT(text, Not(HasSubstr(nlohmann::json::parse(jws).at("signature").get<std::string>())));
}

TEST(Trace, LoginsAreLeftOut) {
  const std::string text = Describe({.method = "POST",
                                     .url = "https://user:hunter2@dns.example.com/present?x=1",
                                     .headers = {{"Authorization", "Basic aHVudGVyMg=="}, {"X-Api-Key", "hunter3"}},
                                     .body = R"({"fqdn":"a.","value":"hunter4"})"},
                                    HttpResponse{.status = 200, .body = "hunter5"});
  EXPECT_THAT(text, AllOf(HasSubstr("https://REDACTED@dns.example.com/present?x=1"), HasSubstr("(31 bytes, not shown)"),
                          HasSubstr("(7 bytes, not shown)"), Not(HasSubstr("hunter")), Not(HasSubstr("aHVudGVy"))));
}

TEST(Trace, WhatACaSendsDoesNotReachTheTerminal) {
  const std::string text =
      Describe({.url = "https://ca.test/directory"}, HttpResponse{.status = 500, .body = "\x1b[2J\n\r\x9b!"});
  EXPECT_THAT(text, Not(HasSubstr("\x1b")));
  EXPECT_THAT(
      Describe({.url = "https://ca.test/directory"}, HttpResponse{.status = 500, .body = std::string(70000, 'x')}),
      HasSubstr("(4464 bytes more)"));
}

TEST(Trace, SaysThatNoAnswerCame) {
  EXPECT_THAT(Describe({.url = "https://ca.test/directory"}, Fail(Reason::TIMED_OUT, "timed out")),
              HasSubstr("--- no answer after 12ms: timed out"));
}

// The whole of an issuance with an external account: every exchange is there, and nothing that is secret.
TEST(Trace, OfAnOrderHoldsNoSecret) {
  testing::TemporaryDirectory directory;
  IssuerFixture world;
  const std::string hmac = "c2VjcmV0LW9mLXRoZS1jb250cmFjdA";
  ASSERT_THAT(testing::WriteFile(directory.path() + "/eab", hmac), IsOk());
  world.ca.behaviour.external_account_required = true;
  world.ca.behaviour.external_accounts = {{"kid-1", "secret-of-the-contract"}};
  world.account.external_account = {
      .key_id = "kid-1", .hmac_key = {.kind = SecretReference::Kind::kFile, .name = directory.path() + "/eab"}};
  const std::string path = directory.path() + "/trace";
  auto inner = std::make_unique<FakeHttpClient>([&](const HttpRequest& request) { return world.ca.Handle(request); });
  const FakeHttpClient& seen = *inner;
  auto traced = TracingHttpClient::Open(path, std::move(inner), world.clock);
  ASSERT_THAT(traced, IsOk());
  Issuer issuer(**traced, world.dns, world.processes, world.clock, world.store, world.sealer);
  ASSERT_THAT(issuer.Issue(world.certificate, world.account, 0, [](absl::string_view) {}), IsOk());
  AcmeClient client(**traced, world.clock, {.directory_url = world.account.directory});
  const AcmeAccount::Keep keep{.store = world.store, .sealer = world.sealer, .clock = world.clock};
  auto opened = AcmeAccount::FindOrCreate(client, world.account, keep);
  ASSERT_THAT(opened->RollKey(client, keep), IsOk());

  const std::string text = testing::ReadFile(path);
  EXPECT_THAT(text,
              AllOf(HasSubstr("kid-1"), HasSubstr("oldKey"), HasSubstr("BEGIN CERTIFICATE"), HasSubstr("/finalize/"),
                    Not(HasSubstr(hmac)), Not(HasSubstr("secret-of-the-contract")), Not(HasSubstr("PRIVATE"))));
  size_t exchanges = 0;
  for (size_t at = text.find("=== "); at != std::string::npos; at = text.find("=== ", at + 1)) ++exchanges;
  EXPECT_EQ(exchanges, seen.requests().size());
  for (const HttpRequest& request : seen.requests()) {
    if (request.body.empty()) continue;
    const auto jws = nlohmann::json::parse(request.body);
    EXPECT_THAT(text, Not(HasSubstr(jws.at("signature").get<std::string>())));
    const std::string payload = jws.at("payload").get<std::string>();
    // Empty in a POST-as-GET.
    if (payload.empty()) continue;
    EXPECT_THAT(text, Not(HasSubstr(payload))) << "inner ones are decoded too";
  }
}

TEST(Trace, WhatCantBeWrittenIsNotedAndStopsNothing) {
  testing::FakeClock clock;
  const auto traced = TracingHttpClient::Open(
      "/dev/full", std::make_unique<FakeHttpClient>([](const HttpRequest&) { return HttpResponse{.status = 204}; }),
      clock);
  ASSERT_THAT(traced, IsOk());
  EXPECT_THAT((*traced)->written(), IsOk());
  for (int i = 0; i < 2; ++i) {
    const auto answer = (*traced)->Perform({.url = "https://ca.test/directory"});
    ASSERT_THAT(answer, IsOk());
    EXPECT_EQ(answer->status, 204);
    EXPECT_THAT((*traced)->written(), HasReason(Reason::NO_SPACE, HasSubstr("writing /dev/full")));
  }
}

TEST(Trace, TheFileIsForItsOwnerAlone) {
  testing::TemporaryDirectory directory;
  testing::FakeClock clock;
  const auto open = [&](const std::string& path) {
    return TracingHttpClient::Open(
        path, std::make_unique<FakeHttpClient>([](const HttpRequest&) { return HttpResponse{}; }), clock);
  };
  const std::string path = directory.path() + "/trace";
  ASSERT_THAT(open(path), IsOk());
  struct stat found = {};
  ASSERT_EQ(stat(path.c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 0777, 0600u);
  ASSERT_EQ(chmod(path.c_str(), 0644), 0);
  EXPECT_THAT(open(path), HasReason(Reason::PERMISSION_DENIED, HasSubstr("open to others")));
  EXPECT_THAT(open(directory.path() + "/no/such"), HasCode(absl::StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace certcast::controller
