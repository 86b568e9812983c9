#include "controller/acme/http01_look.h"

#include <map>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/fake_prober.h"
#include "tests/testing/status_matchers.h"

namespace certcast::controller {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using testing::FakeProber;
using testing::HasReason;
using ::testing::HasSubstr;
using testing::IsOk;
using ::testing::SizeIs;

constexpr absl::string_view kPath = "/.well-known/acme-challenge/token";

Observation SendsTo(const std::string& location) {
  Observation seen = FakeProber::Fails("was answered with status 301, not 200");
  seen.location = location;
  return seen;
}

class Http01LookTest : public ::testing::Test {
 protected:
  Http01LookTest() {
    challenge_.set_domain("example.com");
    challenge_.set_token("token");
    challenge_.set_key_authorization("token." + std::string(43, 'T'));
    prober_.Otherwise([this](const ProbeSpec& spec) { return Answer(std::get<HttpProbe>(spec.what)); });
  }

  // What is asked at this URL answers so; everything else: 404.
  void On(const std::string& url, Observation seen) { answers_[url] = std::move(seen); }
  void Shows(const std::string& url) { On(url, {.served_sha256 = "", .ok = true}); }
  // The server sends the CA's first request there.
  void Redirects(const std::string& location) {
    On(absl::StrCat("http://", server_.ToString(), kPath), SendsTo(location));
  }

  absl::Status Look() {
    asked_.clear();
    return LookForToken(prober_, clock_, server_, challenge_);
  }

  testing::FakeClock clock_;
  FakeProber prober_;
  HostPort server_ = {.host = "10.0.0.1", .port = 80};
  state::v1::PresentedChallenge challenge_;
  // URL, and the Host header where it is another.
  std::vector<std::string> asked_;

 private:
  Observation Answer(const HttpProbe& probe) {
    asked_.push_back(probe.host.empty() ? probe.url : absl::StrCat(probe.url, " ", probe.host));
    EXPECT_TRUE(CheckBody(probe.body, challenge_.key_authorization() + "\n").ok());
    EXPECT_FALSE(CheckBody(probe.body, challenge_.key_authorization() + "T").ok());
    const auto answer = answers_.find(probe.url);
    return answer != answers_.end() ? answer->second : FakeProber::Fails("was answered with status 404, not 200");
  }

  std::map<std::string, Observation> answers_;
};

TEST_F(Http01LookTest, ItsOwnDomainStaysOnThatVeryServer) {
  Redirects(absl::StrCat("https://Example.com", kPath));
  Shows(absl::StrCat("https://10.0.0.1:443", kPath));
  ASSERT_THAT(Look(), IsOk());
  EXPECT_THAT(asked_, ElementsAre(absl::StrCat("http://10.0.0.1:80", kPath, " example.com"),
                                  absl::StrCat("https://10.0.0.1:443", kPath, " Example.com")));
}

TEST_F(Http01LookTest, AnotherDomainIsLookedAtWhereItLeads) {
  Redirects(absl::StrCat("https://www.example.com", kPath));
  Shows(absl::StrCat("https://www.example.com", kPath));
  ASSERT_THAT(Look(), IsOk());
  EXPECT_THAT(asked_.back(), absl::StrCat("https://www.example.com", kPath));
}

TEST_F(Http01LookTest, LocationsAreResolvedAsRfc3986Says) {
  for (const auto& [location, asked] : std::vector<std::pair<std::string, std::string>>{
           {"/other", "http://10.0.0.1:80/other"},
           {"other?a=b#c", "http://10.0.0.1:80/.well-known/acme-challenge/other?a=b"},
           {"../up", "http://10.0.0.1:80/.well-known/up"},
           {"?a", absl::StrCat("http://10.0.0.1:80", kPath, "?a")},
           {"//example.com/x", "http://10.0.0.1:80/x"},
           {"HTTPS://example.com", "https://10.0.0.1:443/"},
           {"https://example.com/a b", "https://10.0.0.1:443/a%20b"},
           {"https://www.test:80/x", "https://www.test:80/x"},
           {"https://[2001:db8::1]/x", "https://[2001:db8::1]/x"},
       }) {
    Redirects(location);
    Shows(asked);
    EXPECT_THAT(Look(), IsOk()) << location;
    EXPECT_THAT(asked_, SizeIs(2)) << location;
  }
}

TEST_F(Http01LookTest, WhereTheServerIsAskedTakesThePlaceOfPort80) {
  server_ = {.host = "2001:db8::1", .port = 8080};
  for (const absl::string_view location : {"http://example.com/x", "http://example.com:8080/x"}) {
    Redirects(std::string(location));
    Shows("http://[2001:db8::1]:8080/x");
    EXPECT_THAT(Look(), IsOk()) << location;
  }
  Redirects("http://www.example.com:8080/x");
  EXPECT_THAT(Look(), HasReason(Reason::CHALLENGE_FAILED, HasSubstr("ports 80 and 443 only")));
}

TEST_F(Http01LookTest, TheWholeWayIsNamed) {
  Redirects(absl::StrCat("https://example.com", kPath));
  On(absl::StrCat("https://10.0.0.1:443", kPath), SendsTo("https://www.example.com/welcome"));
  EXPECT_THAT(Look(), HasReason(Reason::CHALLENGE_FAILED,
                                "10.0.0.1:80 for example.com -> https://example.com/... -> "
                                "https://www.example.com/welcome: was answered with status 404, not 200"));
}

TEST_F(Http01LookTest, WhatCasDoNotFollowIsNotAskedFor) {
  for (const auto& [location, why] : std::vector<std::pair<std::string, std::string>>{
           {"ftp://example.com/x", " -> ftp://example.com/x: CAs follow to http and https only"},
           {"mailto:x@example.com", "sends to \"mailto:x@example.com\", which can't be followed"},
           {"http://example.com:8080/", " -> http://example.com:8080/: CAs follow to ports 80 and 443 only"},
           {"https://u:p@example.com/", "it has a user name or password"},
           {"https://[::1/", "sends to \"https://[::1/\", which can't be followed"},
           {"https://example.com/\x1b[31m\r", R"(sends to "https://example.com/\x1b[31m\r", which can't)"},
           {std::string("/\0x", 3), "it has a NUL in it"},
           {"/" + std::string(2048, 'x'), "it is longer than 2048 bytes"},
       }) {
    Redirects(location);
    EXPECT_THAT(Look(), HasReason(Reason::CHALLENGE_FAILED, HasSubstr(why))) << location;
    EXPECT_THAT(asked_, SizeIs(1)) << location;
  }
}

TEST_F(Http01LookTest, ACircleIsNotGoneRound) {
  Redirects(absl::StrCat("https://example.com", kPath));
  On(absl::StrCat("https://10.0.0.1:443", kPath), SendsTo(absl::StrCat("http://example.com", kPath)));
  EXPECT_THAT(Look(),
              HasReason(Reason::CHALLENGE_FAILED,
                        HasSubstr("-> https://example.com/... -> http://example.com/...: it sends in a circle")));
  EXPECT_THAT(asked_, SizeIs(2));
}

TEST_F(Http01LookTest, AReferenceToTheSameDocumentIsACircle) {
  Redirects("#top");
  EXPECT_THAT(Look(), HasReason(Reason::CHALLENGE_FAILED, HasSubstr("in a circle")));
}

TEST_F(Http01LookTest, TenRedirectsAreFollowedAndNoMore) {
  const std::string longer(500, 'x');
  Redirects("/1" + longer);
  for (int i = 1; i < 10; ++i)
    On(absl::StrCat("http://10.0.0.1:80/", i, longer), SendsTo(absl::StrCat("/", i + 1, longer)));
  Shows(absl::StrCat("http://10.0.0.1:80/10", longer));
  EXPECT_THAT(Look(), IsOk());
  EXPECT_THAT(asked_, SizeIs(11));
  On(absl::StrCat("http://10.0.0.1:80/10", longer), SendsTo("/11"));
  EXPECT_THAT(Look(), HasReason(Reason::CHALLENGE_FAILED, AllOf(HasSubstr(" -> http://example.com/10x"),
                                                                HasSubstr("...: it sends on more than 10 times"))));
  EXPECT_THAT(asked_, SizeIs(11));
}

// Five servers that take three seconds each.
TEST_F(Http01LookTest, AllOfItTakesTenSecondsAtMost) {
  class Slow final : public Prober {
   public:
    explicit Slow(testing::FakeClock& clock) : clock_(clock) {}
    Observation Look(const ProbeSpec&, absl::Duration timeout) override {
      timeouts.push_back(timeout);
      if (timeout <= absl::ZeroDuration()) return FakeProber::Fails("timed out");
      clock_.Advance(absl::Seconds(3));
      return SendsTo(absl::StrCat("/", timeouts.size()));
    }
    std::vector<absl::Duration> timeouts;

   private:
    testing::FakeClock& clock_;
  } slow(clock_);
  EXPECT_THAT(LookForToken(slow, clock_, server_, challenge_),
              HasReason(Reason::CHALLENGE_FAILED, HasSubstr("/4: timed out")));
  EXPECT_THAT(slow.timeouts,
              ElementsAre(absl::Seconds(5), absl::Seconds(5), absl::Seconds(4), absl::Seconds(1), absl::Seconds(-2)));
}

}  // namespace
}  // namespace certcast::controller
