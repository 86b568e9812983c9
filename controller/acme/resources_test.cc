#include "controller/acme/resources.h"

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace certcast::controller {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using testing::HasReason;
using ::testing::HasSubstr;
using testing::IsOk;
using ::testing::SizeIs;

// RFC 8555 section 7.1.3.
constexpr char kOrder[] = R"({
  "status": "valid",
  "expires": "2016-01-20T14:09:07.99Z",
  "identifiers": [{"type": "dns", "value": "www.example.org"}, {"type": "dns", "value": "example.org"}],
  "authorizations": ["https://example.com/acme/authz/PAniVnsZcis", "https://example.com/acme/authz/r4HqLzrSrpI"],
  "finalize": "https://example.com/acme/order/TOlocE8rfgo/finalize",
  "certificate": "https://example.com/acme/cert/jWCdfHVGY2M"})";

// RFC 8555 section 7.1.4, with the error of a challenge.
constexpr char kAuthorization[] = R"({
  "status": "invalid",
  "identifier": {"type": "dns", "value": "Example.org"},
  "wildcard": true,
  "challenges": [
    {"url": "https://example.com/acme/chall/prV_B7yEyA4", "type": "http-01", "status": "pending",
     "token": "DGyRejmCefe7v4NfDGDKfA"},
    {"url": "https://example.com/acme/chall/Rg5dV14Gh1Q", "type": "dns-01", "status": "invalid",
     "token": "DGyRejmCefe7v4NfDGDKfA",
     "error": {"type": "urn:ietf:params:acme:error:dns", "detail": "no answer"}}]})";

json Without(const char* document, const char* member) {
  json body = json::parse(document);
  body.erase(member);
  return body;
}

TEST(Resources, ReadsTheRfcsOrder) {
  const auto order = ParseOrder(json::parse(kOrder));
  ASSERT_THAT(order, IsOk());
  EXPECT_EQ(order->status, AcmeOrder::Status::kValid);
  EXPECT_THAT(order->authorizations,
              ElementsAre("https://example.com/acme/authz/PAniVnsZcis", "https://example.com/acme/authz/r4HqLzrSrpI"));
  EXPECT_EQ(order->finalize, "https://example.com/acme/order/TOlocE8rfgo/finalize");
  EXPECT_EQ(order->certificate, "https://example.com/acme/cert/jWCdfHVGY2M");
}

TEST(Resources, AnOrderWithoutWhatIsNeededIsNamed) {
  for (const char* member : {"status", "finalize", "certificate"}) {
    EXPECT_THAT(ParseOrder(Without(kOrder, member)), HasReason(Reason::PROTOCOL, HasSubstr(member)));
  }
  json body = json::parse(kOrder);
  body["status"] = "almost";
  EXPECT_THAT(ParseOrder(body), HasReason(Reason::PROTOCOL));
}

TEST(Resources, ZeroAuthorizationsAreFine) {
  EXPECT_THAT(ParseOrder(Without(kOrder, "authorizations")), IsOk());
}

TEST(Resources, ReadsAnAuthorization) {
  const auto authorization = ParseAuthorization(json::parse(kAuthorization));
  ASSERT_THAT(authorization, IsOk());
  EXPECT_EQ(authorization->Name(), "*.example.org");
  EXPECT_FALSE(authorization->valid());
  EXPECT_THAT(authorization->challenges, SizeIs(2));
  EXPECT_EQ(authorization->Find("dns-01")->token, "DGyRejmCefe7v4NfDGDKfA");
  EXPECT_EQ(authorization->Find("tls-alpn-01"), nullptr);
  EXPECT_EQ(authorization->Complaint(), "*.example.org: dns: no answer");
}

TEST(Resources, AnAuthorizationThatIsGoneSaysSo) {
  json body = Without(kAuthorization, "challenges");
  body["status"] = "expired";
  EXPECT_EQ(ParseAuthorization(body)->Complaint(), "*.example.org: its authorization is expired");
}

TEST(Resources, ATokenThatCouldBeAnOptionOrAPathIsRefused) {
  for (const char* token : {"../../etc", "a b", "a;b", "tok\nen", "tok.en"}) {
    json body = json::parse(kAuthorization);
    body["challenges"][1]["token"] = token;
    EXPECT_THAT(ParseAuthorization(body), HasReason(Reason::PROTOCOL, HasSubstr("token"))) << token;
  }
}

TEST(Resources, TooManyOfAnythingAreRefused) {
  json order = json::parse(kOrder);
  order["authorizations"] = std::vector<std::string>(101, "https://example.com/z");
  EXPECT_THAT(ParseOrder(order), HasReason(Reason::PROTOCOL));
  json authorization = json::parse(kAuthorization);
  authorization["challenges"] = std::vector<json>(33, authorization["challenges"][0]);
  EXPECT_THAT(ParseAuthorization(authorization), HasReason(Reason::PROTOCOL));
}

// Each member in turn has each other type: an error or a default, never an exception.
TEST(Resources, AnyMemberMayBeOfAnyType) {
  const json others[] = {nullptr, true, 7, -1.5, "text", json::array({1}), {{"a", 1}}, json::array(), json::object()};
  for (const json& other : others) {
    static_cast<void>(ParseOrder(other));
    static_cast<void>(ParseAuthorization(other));
    for (const char* member : {"status", "authorizations", "finalize", "certificate", "error"}) {
      json body = json::parse(kOrder);
      body[member] = other;
      static_cast<void>(ParseOrder(body));
    }
    for (const char* member : {"status", "identifier", "wildcard", "challenges"}) {
      json body = json::parse(kAuthorization);
      body[member] = other;
      static_cast<void>(ParseAuthorization(body));
    }
    for (const char* member : {"type", "url", "status", "token", "error"}) {
      json body = json::parse(kAuthorization);
      body["challenges"][0][member] = other;
      const auto authorization = ParseAuthorization(body);
      if (!authorization.ok()) continue;
      EXPECT_FALSE(authorization->Complaint().empty());
    }
  }
}

}  // namespace
}  // namespace certcast::controller
