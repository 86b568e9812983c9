// Over real UDP, against a server of the test's own.
#include "controller/acme/ldns_dns_client.h"

#include "controller/acme/propagation.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/fake_dns_server.h"
#include "tests/testing/status_matchers.h"

namespace certcast::controller {
namespace {

using ::testing::ElementsAre;
using testing::FakeClock;
using testing::FakeDnsServer;
using testing::HasReason;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::IsOk;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

constexpr char kName[] = "_acme-challenge.example.com.";

class LdnsClientTest : public ::testing::Test {
 protected:
  absl::StatusOr<DnsReply> Ask(const std::string& name, DnsType type, bool recursion = true) {
    return client_->Ask(server_.address(), {.name = name, .type = type, .recursion = recursion}, absl::Seconds(5));
  }

  FakeDnsServer server_;
  const std::unique_ptr<DnsClient> client_ = MakeLdnsClient();
};

TEST_F(LdnsClientTest, ReadsSeveralTxtRecords) {
  server_.Add("_acme-challenge.example.com. 60 IN TXT \"one\"");
  server_.Add("_acme-challenge.example.com. 60 IN TXT \"two\"");
  const auto reply = Ask(kName, DnsType::kTxt);
  ASSERT_THAT(reply, IsOk());
  EXPECT_TRUE(reply->ok());
  EXPECT_TRUE(reply->authoritative);
  EXPECT_THAT(reply->answers,
              UnorderedElementsAre(DnsRecord{kName, DnsType::kTxt, "one"}, DnsRecord{kName, DnsType::kTxt, "two"}));
}

TEST_F(LdnsClientTest, JoinsTheStringsOfOneTxtRecord) {
  server_.Add("_acme-challenge.example.com. 60 IN TXT \"one\" \"two\"");
  EXPECT_EQ(Ask(kName, DnsType::kTxt)->answers.front().data, "onetwo");
}

TEST_F(LdnsClientTest, ReadsTheTypesThatZonesAreFoundBy) {
  server_.Add("Example.COM. 60 IN SOA NS1.example.com. root.example.com. 1 2 3 4 5");
  server_.Add("example.com. 60 IN NS NS1.example.com.");
  server_.Add("ns1.example.com. 60 IN A 192.0.2.1");
  server_.Add("ns1.example.com. 60 IN AAAA 2001:db8::1");
  server_.Add("alias.example.com. 60 IN CNAME Target.example.net.");
  EXPECT_THAT(Ask("example.com.", DnsType::kSoa)->answers,
              ElementsAre(DnsRecord{"example.com.", DnsType::kSoa, "ns1.example.com."}));
  EXPECT_THAT(Ask("example.com.", DnsType::kNs)->answers,
              ElementsAre(DnsRecord{"example.com.", DnsType::kNs, "ns1.example.com."}));
  EXPECT_EQ(Ask("ns1.example.com.", DnsType::kA)->answers.front().data, "192.0.2.1");
  EXPECT_EQ(Ask("ns1.example.com.", DnsType::kAaaa)->answers.front().data, "2001:db8::1");
  EXPECT_THAT(Ask("alias.example.com.", DnsType::kTxt)->answers,
              ElementsAre(DnsRecord{"alias.example.com.", DnsType::kCname, "target.example.net."}));
}

TEST_F(LdnsClientTest, SetsTheRecursionBitAsAsked) {
  ASSERT_THAT(Ask(kName, DnsType::kTxt, true), IsOk());
  EXPECT_TRUE(server_.recursion_desired());
  ASSERT_THAT(Ask(kName, DnsType::kTxt, false), IsOk());
  EXPECT_FALSE(server_.recursion_desired());
}

TEST_F(LdnsClientTest, TellsAResolverFromTheZonesOwnServer) {
  EXPECT_TRUE(Ask(kName, DnsType::kTxt)->authoritative);
  EXPECT_FALSE(Ask(kName, DnsType::kTxt)->recursion_available);
  server_.set_recursive(true);
  EXPECT_FALSE(Ask(kName, DnsType::kTxt)->authoritative);
  EXPECT_TRUE(Ask(kName, DnsType::kTxt)->recursion_available);
}

TEST_F(LdnsClientTest, AnyRcodeIsAnAnswer) {
  EXPECT_EQ(Ask(kName, DnsType::kTxt)->RcodeName(), "NXDOMAIN");
  server_.set_rcode(2);
  const auto reply = Ask(kName, DnsType::kTxt);
  ASSERT_THAT(reply, IsOk());
  EXPECT_EQ(reply->RcodeName(), "SERVFAIL");
  EXPECT_THAT(reply->answers, IsEmpty());
}

TEST_F(LdnsClientTest, ASilentServerTimesOut) {
  server_.set_silent(true);
  EXPECT_THAT(client_->Ask(server_.address(), {.name = kName}, absl::Milliseconds(100)),
              HasReason(Reason::TIMED_OUT, HasSubstr(server_.address())));
}

TEST_F(LdnsClientTest, RefusesAnAnswerToAnotherQuestion) {
  server_.set_wrong_id(true);
  EXPECT_THAT(client_->Ask(server_.address(), {.name = kName}, absl::Milliseconds(200)), Not(IsOk()));
}

TEST_F(LdnsClientTest, SaysWhatIsNoServerAndWhatIsNoName) {
  for (const char* server : {"127.0.0.1", "127.0.0.1:", "", "no-such-host.invalid:53"}) {
    EXPECT_THAT(client_->Ask(server, {.name = kName}, absl::Seconds(1)), Not(IsOk())) << server;
  }
  EXPECT_THAT(Ask("a..b", DnsType::kTxt), Not(IsOk()));
}

TEST_F(LdnsClientTest, PropagationIsSeenThroughIt) {
  server_.Add("_acme-challenge.example.com. 60 IN TXT \"apex\"");
  FakeClock clock;
  const ChallengeConfig::Propagation config{.resolvers = {server_.address()}, .timeout = absl::Seconds(5)};
  const auto add_the_other = [this](absl::string_view line) {
    EXPECT_THAT(std::string(line), HasSubstr("answered only apex"));
    server_.Add("_acme-challenge.example.com. 60 IN TXT \"wildcard\"");
  };
  EXPECT_THAT(WaitForTxt(*client_, clock, config, {{kName, {"apex", "wildcard"}}}, add_the_other), IsOk());
  EXPECT_EQ(server_.questions(), 2);
}

}  // namespace
}  // namespace certcast::controller
