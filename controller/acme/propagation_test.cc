#include "controller/acme/propagation.h"

#include "controller/acme/zone_servers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/fake_dns_client.h"
#include "tests/testing/status_matchers.h"

namespace certcast::controller {
namespace {

using ::testing::AllOf;
using testing::FakeClock;
using testing::FakeDnsClient;
using testing::HasReason;
using ::testing::HasSubstr;
using testing::IsOk;
using ::testing::Not;

constexpr char kResolver[] = "192.0.2.1:53";
constexpr char kName[] = "_acme-challenge.www.example.com.";
constexpr char kFirst[] = "192.0.2.11:53";
constexpr char kSecond[] = "192.0.2.12:53";

// example.com with two name servers, of which the second has an IPv6 address as well.
class PropagationTest : public ::testing::Test {
 protected:
  PropagationTest() {
    dns_.Add(kResolver, {"example.com.", DnsType::kSoa, "ns1.example.com."});
    dns_.Add(kResolver, {"example.com.", DnsType::kNs, "ns1.example.com."});
    dns_.Add(kResolver, {"example.com.", DnsType::kNs, "ns2.example.com."});
    dns_.Add(kResolver, {"ns1.example.com.", DnsType::kA, "192.0.2.11"});
    dns_.Add(kResolver, {"ns2.example.com.", DnsType::kA, "192.0.2.12"});
    for (const char* server : {kFirst, kSecond}) dns_.Add(server, {"example.com.", DnsType::kSoa, "ns1.example.com."});
  }

  static DnsRecord Txt(const std::string& value, const std::string& owner = kName) {
    return {owner, DnsType::kTxt, value};
  }

  absl::Status Wait(std::vector<std::string> values = {"value"}) {
    return WaitForTxt(dns_, clock_, config_, {{kName, std::move(values)}},
                      [this](absl::string_view line) { progress_.emplace_back(line); });
  }

  FakeClock clock_;
  FakeDnsClient dns_;
  ChallengeConfig::Propagation config_{.timeout = absl::Seconds(60)};
  std::vector<std::string> progress_;
};

TEST_F(PropagationTest, EveryAuthoritativeServerMustHaveIt) {
  dns_.Add(kFirst, Txt("value"));
  EXPECT_THAT(Wait(), HasReason(Reason::CHALLENGE_FAILED,
                                AllOf(HasSubstr("after 1m"), HasSubstr("ns2.example.com. (192.0.2.12:53)"),
                                      HasSubstr("answered NXDOMAIN"))));
  dns_.Add(kSecond, Txt("value"));
  EXPECT_THAT(Wait(), IsOk());
}

TEST_F(PropagationTest, WaitsForASlowSecondary) {
  dns_.Add(kFirst, Txt("value"));
  dns_.AddLater(kSecond, Txt("value"), /*after=*/3);
  EXPECT_THAT(Wait(), IsOk());
  EXPECT_GT(clock_.slept(), absl::Seconds(3));
  EXPECT_LT(clock_.slept(), absl::Seconds(60));
  EXPECT_THAT(progress_.back(), HasSubstr("ns2.example.com."));
}

TEST_F(PropagationTest, BothValuesOfApexAndWildcardMustBeThere) {
  for (const char* server : {kFirst, kSecond}) dns_.Add(server, Txt("apex"));
  EXPECT_THAT(Wait({"apex", "wildcard"}), HasReason(Reason::CHALLENGE_FAILED, HasSubstr("answered only apex")));
  for (const char* server : {kFirst, kSecond}) dns_.Add(server, Txt("wildcard"));
  EXPECT_THAT(Wait({"apex", "wildcard"}), IsOk());
}

TEST_F(PropagationTest, OldValuesBesideTheNewOnesDoNotMatter) {
  for (const char* server : {kFirst, kSecond}) {
    dns_.Add(server, Txt("from last year"));
    dns_.Add(server, Txt("value"));
  }
  EXPECT_THAT(Wait(), IsOk());
}

TEST_F(PropagationTest, AResolverIsNeverAskedForTheNameItself) {
  for (const char* server : {kFirst, kSecond}) dns_.AddLater(server, Txt("value"), 4);
  EXPECT_THAT(Wait(), IsOk());
  for (const FakeDnsClient::Asked& asked : dns_.asked()) {
    if (asked.server != kResolver) continue;
    EXPECT_NE(asked.question.name, kName);
    EXPECT_TRUE(asked.question.recursion);
  }
}

TEST_F(PropagationTest, AuthoritativeServersAreAskedWithoutRecursion) {
  for (const char* server : {kFirst, kSecond}) dns_.Add(server, Txt("value"));
  EXPECT_THAT(Wait(), IsOk());
  for (const FakeDnsClient::Asked& asked : dns_.asked()) {
    if (asked.server == kResolver) continue;
    EXPECT_FALSE(asked.question.recursion) << asked.server;
  }
}

TEST_F(PropagationTest, AnUnreachableAddressBesideAReachableOneIsLeftOut) {
  dns_.Add(kResolver, {"ns2.example.com.", DnsType::kAaaa, "2001:db8::12"});
  for (const char* server : {kFirst, kSecond}) dns_.Add(server, Txt("value"));
  EXPECT_THAT(Wait(), IsOk());
}

TEST_F(PropagationTest, AServerThatDoesNotAnswerAtAllIsNamed) {
  dns_.Add(kResolver, {"example.com.", DnsType::kNs, "ns3.example.com."});
  dns_.Add(kResolver, {"ns3.example.com.", DnsType::kA, "192.0.2.13"});
  for (const char* server : {kFirst, kSecond}) dns_.Add(server, Txt("value"));
  EXPECT_THAT(Wait(),
              HasReason(Reason::CHALLENGE_FAILED, HasSubstr("ns3.example.com. (192.0.2.13:53) did not answer")));
}

TEST_F(PropagationTest, FollowsACnameIntoAnotherZone) {
  dns_.Add(kResolver, {"acme.example.net.", DnsType::kSoa, "ns.example.net."});
  dns_.Add(kResolver, {"acme.example.net.", DnsType::kNs, "ns.example.net."});
  dns_.Add(kResolver, {"ns.example.net.", DnsType::kA, "192.0.2.21"});
  for (const char* server : {kFirst, kSecond}) dns_.Add(server, {kName, DnsType::kCname, "www.acme.example.net."});
  dns_.Add("192.0.2.21:53", Txt("value", "www.acme.example.net."));
  EXPECT_THAT(Wait(), IsOk());
}

TEST_F(PropagationTest, FollowsADelegationOfTheNameItself) {
  dns_.Add(kResolver, {"ns.acme-dns.example.", DnsType::kA, "192.0.2.31"});
  for (const char* server : {kFirst, kSecond}) dns_.Delegate(server, kName, "ns.acme-dns.example.");
  dns_.Add("192.0.2.31:53", Txt("value"));
  EXPECT_THAT(Wait(), IsOk());
}

TEST_F(PropagationTest, ALoopOfCnamesEnds) {
  for (const char* server : {kFirst, kSecond}) {
    dns_.Add(server, {kName, DnsType::kCname, "_acme-challenge.b.example.com."});
    dns_.Add(server, {"_acme-challenge.b.example.com.", DnsType::kCname, kName});
  }
  EXPECT_THAT(Wait(), HasReason(Reason::CHALLENGE_FAILED, HasSubstr("more than 8 CNAMEs and delegations")));
}

TEST_F(PropagationTest, TheNextResolverIsAskedWhenOneIsSilent) {
  dns_.set_resolvers({"192.0.2.99:53", kResolver});
  for (const char* server : {kFirst, kSecond}) dns_.Add(server, Txt("value"));
  EXPECT_THAT(Wait(), IsOk());
}

TEST_F(PropagationTest, WithoutAnyResolverTheHintNamesTheSetting) {
  dns_.set_resolvers({"192.0.2.99:53"});
  const auto found = FindAuthoritativeServers(dns_, kName);
  EXPECT_THAT(found, HasReason(Reason::CHALLENGE_FAILED));
  EXPECT_THAT(FailureOf(found.status()).hint(), HasSubstr("challenge.propagation.resolvers"));
}

// What is written is seen by the CA, but not by the servers that this machine's resolver knows.
TEST_F(PropagationTest, AnotherViewOfTheDnsIsHintedAtWhereTheZonesServersWereAsked) {
  const absl::Status unseen = Wait();
  EXPECT_THAT(FailureOf(unseen).hint(),
              AllOf(HasSubstr("split horizon"), HasSubstr("challenge.propagation.resolvers")));
  dns_.set_resolvers({"192.0.2.99:53"});
  EXPECT_THAT(FailureOf(Wait()).hint(), HasSubstr("challenge.propagation.resolvers"));
  config_.resolvers = {kFirst};
  EXPECT_THAT(FailureOf(Wait()).hint(), AllOf(HasSubstr("propagation.timeout"), Not(HasSubstr("split horizon"))));
}

TEST_F(PropagationTest, TheZoneIsTheNearestOneAbove) {
  dns_.Add(kResolver, {"www.example.com.", DnsType::kSoa, "ns.www.example.com."});
  dns_.Add(kResolver, {"www.example.com.", DnsType::kNs, "ns.www.example.com."});
  dns_.Add(kResolver, {"ns.www.example.com.", DnsType::kA, "192.0.2.41"});
  dns_.Add("192.0.2.41:53", Txt("value"));
  EXPECT_THAT(Wait(), IsOk());
}

TEST_F(PropagationTest, ConfiguredResolversAreAskedInstead) {
  config_.resolvers = {"192.0.2.51:53", "192.0.2.52:53"};
  for (const std::string& resolver : config_.resolvers) dns_.Add(resolver, Txt("value"));
  EXPECT_THAT(Wait(), IsOk());
  for (const FakeDnsClient::Asked& asked : dns_.asked()) {
    EXPECT_THAT(config_.resolvers, ::testing::Contains(asked.server));
    EXPECT_TRUE(asked.question.recursion);
  }
  dns_.Remove(config_.resolvers[1], Txt("value"));
  dns_.Add(config_.resolvers[1], Txt("another"));
  EXPECT_THAT(Wait(), HasReason(Reason::CHALLENGE_FAILED, HasSubstr("192.0.2.52:53 answered only another")));
}

}  // namespace
}  // namespace certcast::controller
