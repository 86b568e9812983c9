#include "controller/acme/dns01_rfc2136.h"

#include <sys/stat.h>

#include <fstream>
#include <string>
#include <vector>

#include "common/status/status.h"
#include "controller/acme/delegated_name.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/fake_dns_client.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temporary_directory.h"

namespace certcast::controller {
namespace {

using ::testing::ElementsAre;
using testing::HasReason;
using ::testing::HasSubstr;
using testing::IsOk;
using testing::IsOkAndHolds;
using ::testing::Not;

constexpr char kServer[] = "192.0.2.53:53";
constexpr char kOther[] = "192.0.2.54:53";

state::v1::PresentedChallenge Challenge(const std::string& fqdn, const std::string& value) {
  state::v1::PresentedChallenge challenge;
  challenge.set_fqdn(fqdn);
  challenge.set_value(value);
  return challenge;
}

class Rfc2136Test : public ::testing::Test {
 protected:
  Rfc2136Test() {
    config_.server = kServer;
    dns_.Add(kServer, {.owner = "example.com.", .type = DnsType::kSoa, .data = "ns.example.com."});
  }
  std::vector<std::string> Txt(const std::string& name) {
    const auto reply = dns_.Ask(kServer, {.name = name}, absl::Seconds(1));
    EXPECT_THAT(reply, IsOk());
    if (!reply.ok()) return {};
    std::vector<std::string> values;
    for (const DnsRecord& record : reply->answers) values.push_back(record.data);
    return values;
  }

  testing::TemporaryDirectory directory_;
  testing::FakeDnsClient dns_;
  Rfc2136Server config_;
};

TEST_F(Rfc2136Test, AddsAndRemovesByValue) {
  Rfc2136Writer writer(dns_, config_);
  const std::string name = "_acme-challenge.example.com.";
  ASSERT_THAT(writer.Present(Challenge(name, "a")), IsOk());
  ASSERT_THAT(writer.Present(Challenge(name, "b")), IsOk());
  EXPECT_THAT(Txt(name), ElementsAre("a", "b"));
  ASSERT_THAT(writer.CleanUp(Challenge(name, "a")), IsOk());
  EXPECT_THAT(Txt(name), ElementsAre("b"));
  EXPECT_THAT(writer.CleanUp(Challenge(name, "never written")), IsOk());
}

TEST_F(Rfc2136Test, WhatWasNotAnsweredIsSentAgain) {
  Rfc2136Writer writer(dns_, config_);
  const absl::Status silence = Fail(Reason::TIMED_OUT, "no answer");
  dns_.FailUpdates({silence, silence});
  EXPECT_THAT(writer.Present(Challenge("_acme-challenge.example.com.", "a")), IsOk());
  dns_.FailUpdates({silence, silence, silence});
  EXPECT_THAT(
      writer.Present(Challenge("_acme-challenge.example.com.", "a")),
      HasReason(Reason::CHALLENGE_FAILED, HasSubstr("_acme-challenge.example.com. on 192.0.2.53:53: no answer")));
  dns_.FailUpdates({Fail(Reason::PROTOCOL, "REFUSED")});
  EXPECT_THAT(writer.CleanUp(Challenge("_acme-challenge.example.com.", "a")),
              HasReason(Reason::CHALLENGE_FAILED, HasSubstr("REFUSED")));
}

TEST_F(Rfc2136Test, SignsWithTheKeyInTheFile) {
  const std::string path = directory_.path() + "/key";
  std::ofstream(path) << "c2VjcmV0\n";
  chmod(path.c_str(), 0600);
  config_.tsig = {.name = "k.", .secret = {SecretReference::Kind::kFile, path}};
  Rfc2136Writer writer(dns_, config_);
  ASSERT_THAT(writer.Present(Challenge("_acme-challenge.example.com.", "a")), IsOk());
  EXPECT_THAT(dns_.update_keys(), ElementsAre("k. hmac-sha256 c2VjcmV0"));
}

TEST_F(Rfc2136Test, ANameInNoZoneOfTheServers) {
  Rfc2136Writer writer(dns_, config_);
  EXPECT_THAT(writer.Present(Challenge("_acme-challenge.example.org.", "a")),
              HasReason(Reason::CHALLENGE_FAILED, HasSubstr("holds no zone")));
  config_.zone = "example.org.";
  Rfc2136Writer told(dns_, config_);
  EXPECT_THAT(told.Present(Challenge("_acme-challenge.example.org.", "a")), IsOk());
}

DnsRecord Cname(const std::string& from, const std::string& to) {
  return {.owner = from, .type = DnsType::kCname, .data = to};
}

TEST(FollowCnames, LeadsToTheEnd) {
  testing::FakeDnsClient dns;
  dns.Add(kServer, Cname("a.example.", "b.example."));
  dns.Add(kServer, Cname("b.example.", "c.example."));
  EXPECT_THAT(FollowCnames(dns, {kServer}, "A.example."), IsOkAndHolds("c.example."));
  EXPECT_THAT(FollowCnames(dns, {kServer}, "z.example."), IsOkAndHolds("z.example."));
}

TEST(FollowCnames, AsksTheNextServerWhereOneIsSilentOrDoesNotKnow) {
  testing::FakeDnsClient dns;
  dns.Add(kOther, Cname("a.example.", "b.example."));
  dns.Delegate(kServer, "example.", "ns.example.");
  EXPECT_THAT(FollowCnames(dns, {"192.0.2.99:53", kServer, kOther}, "a.example."), IsOkAndHolds("b.example."));
}

TEST(FollowCnames, ACircleIsAnError) {
  testing::FakeDnsClient dns;
  dns.Add(kServer, Cname("a.example.", "b.example."));
  dns.Add(kServer, Cname("b.example.", "a.example."));
  EXPECT_THAT(FollowCnames(dns, {kServer}, "a.example."), HasReason(Reason::CHALLENGE_FAILED, HasSubstr("CNAMEs")));
}

// A resolver of the system's would remember that the name was not there.
TEST(FollowCnames, NoResolverIsAskedForTheName) {
  testing::FakeDnsClient dns;
  dns.Add("192.0.2.1:53", {.owner = "example.", .type = DnsType::kSoa, .data = "ns.example."});
  dns.Add("192.0.2.1:53", {.owner = "example.", .type = DnsType::kNs, .data = "ns.example."});
  dns.Add("192.0.2.1:53", {.owner = "ns.example.", .type = DnsType::kA, .data = "192.0.2.53"});
  dns.Add(kServer, Cname("_acme-challenge.example.", "target.example."));
  dns.Add(kServer, {.owner = "target.example.", .type = DnsType::kA, .data = "192.0.2.7"});
  EXPECT_THAT(FollowCnames(dns, {}, "_acme-challenge.example."), IsOkAndHolds("target.example."));
  for (const auto& asked : dns.asked()) {
    if (asked.server != "192.0.2.1:53") continue;
    EXPECT_THAT(asked.question.name, Not(HasSubstr("_acme-challenge")));
  }
}

// Public resolvers under `propagation`, as most have them: the answer to a question that comes before the record is
// kept, and the check would see it instead of the record.
TEST(FollowCnames, AConfiguredResolverIsAskedForZonesAlone) {
  testing::FakeDnsClient dns;
  const std::string resolver = "192.0.2.8:53";
  dns.MakeRecursive(resolver);
  dns.Add(resolver, {.owner = "example.", .type = DnsType::kSoa, .data = "ns.example."});
  dns.Add(resolver, {.owner = "example.", .type = DnsType::kNs, .data = "ns.example."});
  dns.Add(resolver, {.owner = "ns.example.", .type = DnsType::kA, .data = "192.0.2.53"});
  dns.Add(kServer, Cname("_acme-challenge.example.", "target.example."));
  EXPECT_THAT(FollowCnames(dns, {resolver}, "_acme-challenge.example.", {resolver}), IsOkAndHolds("target.example."));
  EXPECT_THAT(FollowCnames(dns, {resolver}, "_acme-challenge.www.example.", {resolver}),
              IsOkAndHolds("_acme-challenge.www.example."));
  for (const auto& asked : dns.asked()) {
    const bool remembers = asked.server == resolver && asked.question.recursion;
    EXPECT_FALSE(remembers && asked.question.name == "_acme-challenge.example.");
    EXPECT_FALSE(remembers && asked.question.name == "_acme-challenge.www.example.");
    EXPECT_FALSE(remembers && asked.question.name == "target.example.");
    // The system's may see another DNS.
    EXPECT_NE(asked.server, "192.0.2.1:53");
  }
}

TEST(FollowCnames, WhereTheZonesServersAreOutOfReachTheResolverIsBetterThanNothing) {
  testing::FakeDnsClient dns;
  const std::string resolver = "192.0.2.8:53";
  dns.MakeRecursive(resolver);
  dns.Add(resolver, Cname("_acme-challenge.example.", "target.example."));
  EXPECT_THAT(FollowCnames(dns, {resolver}, "_acme-challenge.example.", {resolver}), IsOkAndHolds("target.example."));
}

}  // namespace
}  // namespace certcast::controller
