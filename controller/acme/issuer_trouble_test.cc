// A simulated CA that is away, refuses, or answers what can't be believed.
#include <vector>

#include "absl/strings/match.h"
#include "absl/time/time.h"
#include "common/x509/private_key.h"
#include "controller/acme/issuer_fixture.h"
#include "controller/store/records.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace certcast::controller {
namespace {

using ::testing::AllOf;
using testing::FakeAcmeServer;
using testing::FakeHttpClient;
using testing::HasReason;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::IsOk;
using ::testing::SizeIs;

class IssuerTroubleTest : public ::testing::Test, public IssuerFixture {
 protected:
  // Which of the exchanges so far, from 1, were finalize's.
  std::vector<int> FinalizeRequests() const {
    std::vector<int> exchanges;
    int exchange = 0;
    for (const HttpRequest& request : http.requests()) {
      ++exchange;
      if (absl::StrContains(request.url, "/finalize/")) exchanges.push_back(exchange);
    }
    return exchanges;
  }
};

TEST_F(IssuerTroubleTest, ALostFinalizeAnswerIsNoSecondFinalize) {
  // Found by counting: the finalize exchange of the straight way.
  ASSERT_THAT(Issue(), IsOk());
  ASSERT_THAT(FinalizeRequests(), SizeIs(1));
  IssuerFixture other;
  other.http.FailAt(FinalizeRequests().front(), FakeHttpClient::Fault::kAnswerLost,
                    Fail(Reason::TIMED_OUT, "no answer"));
  ASSERT_THAT(other.Issue(), IsOk());
  EXPECT_EQ(other.ca.finalized(), 1);
  EXPECT_EQ(other.ca.orders(), 1);
}

TEST_F(IssuerTroubleTest, AFinalizeThatNeverArrivedIsSentAgain) {
  ca.AnswerOnce("finalize", {.status = 502, .body = "bad gateway"});
  ASSERT_THAT(Issue(), IsOk());
  EXPECT_EQ(ca.finalized(), 1);
}

// Some CAs issue while finalize waits (RFC 8555 section 7.4 would have them answer `processing`).
TEST_F(IssuerTroubleTest, AFinalizeThatBlocksForMinutesIsWaitedFor) {
  http.AnswerLate("/finalize/", absl::Seconds(170), clock);
  ASSERT_THAT(Issue(), IsOk());
  EXPECT_EQ(ca.finalized(), 1);
  EXPECT_THAT(FinalizeRequests(), SizeIs(1));
}

TEST_F(IssuerTroubleTest, AFinalizeThatBlocksForLongerIsNotSentAgain) {
  http.AnswerLate("/finalize/", absl::Minutes(10), clock);
  ca.behaviour.processing_looks = 2;
  const absl::Time before = clock.Now();
  ASSERT_THAT(Issue(), IsOk());
  EXPECT_GE(clock.Now() - before, absl::Minutes(3));
  EXPECT_LT(clock.Now() - before, absl::Minutes(10));
  EXPECT_EQ(ca.orders(), 1);
  EXPECT_EQ(ca.finalized(), 1);
  EXPECT_THAT(FinalizeRequests(), SizeIs(1));
}

TEST_F(IssuerTroubleTest, ALongOutageAtFinalizeKeepsTheOrder) {
  ca.AnswerOnce("finalize", {.status = 503, .headers = {{"retry-after", "86400"}}});
  EXPECT_THAT(Issue(), HasReason(Reason::CA_RATE_LIMITED, HasSubstr("sending the certificate request")));
  clock.Advance(absl::Hours(24));
  ASSERT_THAT(Issue(), IsOk());
  EXPECT_EQ(ca.orders(), 1);
  EXPECT_EQ(ca.finalized(), 1);
}

TEST_F(IssuerTroubleTest, AShortOutageIsWaitedOut) {
  ca.AnswerOnce("directory", {.status = 503, .headers = {{"retry-after", "5"}}});
  ca.AnswerOnce("authz", {.status = 500});
  ca.AnswerOnce("order", {.status = 503});
  ASSERT_THAT(Issue(), IsOk());
  EXPECT_GE(clock.slept(), absl::Seconds(5));
}

TEST_F(IssuerTroubleTest, ARateLimitBindsUntilItsTime) {
  HttpResponse limited = FakeAcmeServer::ProblemAnswer(429, "rateLimited", "too many new orders recently");
  limited.headers.emplace_back("retry-after", "7200");
  ca.AnswerOnce("new-order", limited);
  const absl::Time until = clock.Now() + absl::Hours(2);
  const auto refused = Issue();
  EXPECT_THAT(refused, HasReason(Reason::CA_RATE_LIMITED, HasSubstr("rateLimited: too many new orders recently")));
  const int exchanges = http.exchanges();
  EXPECT_THAT(Issue(), HasReason(Reason::CA_RATE_LIMITED, HasSubstr("said not to ask again before")));
  EXPECT_EQ(http.exchanges(), exchanges) << "the CA must be left alone";
  clock.Advance(until - clock.Now() + absl::Seconds(1));
  ASSERT_THAT(Issue(), IsOk());
  EXPECT_FALSE(ScheduleRecords(store).Get("wildcard")->has_value()) << "a success clears it";
}

TEST_F(IssuerTroubleTest, ALongOutageIsRemembered) {
  for (int i = 0; i < 3; ++i) ca.AnswerOnce("directory", {.status = 503, .headers = {{"retry-after", "3600"}}});
  EXPECT_THAT(Issue(), HasReason(Reason::CA_RATE_LIMITED));
  EXPECT_THAT(Issue(), HasReason(Reason::CA_RATE_LIMITED, HasSubstr("said not to ask again")));
}

TEST_F(IssuerTroubleTest, OtherFailuresAreCountedAndBindNobody) {
  ca.AnswerOnce("new-order", FakeAcmeServer::ProblemAnswer(403, "rejectedIdentifier", "not for you"));
  EXPECT_THAT(Issue(), HasReason(Reason::CA_REFUSED, HasSubstr("rejectedIdentifier: not for you")));
  EXPECT_EQ((*ScheduleRecords(store).Get("wildcard"))->failures(), 1);
  ASSERT_THAT(Issue(), IsOk());
}

TEST_F(IssuerTroubleTest, ARehearsalWantsTheStandingRecordOfAWildcardToAllowWildcards) {
  certificate.challenge->dns_persist01 = true;
  const std::string name = "_validation-persist.example.com.";
  const std::string one_name = "ca.example; accounturi=https://ca.test/account/1";
  const auto rehearse = [&] { return MakeIssuer().Rehearse(certificate, /*epoch=*/0, [](absl::string_view) {}); };
  dns.Add(kDnsServer, {name, DnsType::kTxt, one_name});
  const absl::Status missing = rehearse()->presented;
  EXPECT_THAT(missing, HasReason(Reason::CHALLENGE_FAILED, HasSubstr("no TXT record at " + name + " allows it")));
  EXPECT_THAT(FailureOf(missing).hint(), HasSubstr("policy=wildcard"));
  dns.Add(kDnsServer, {name, DnsType::kTxt, one_name + "; policy=wildcard"});
  EXPECT_THAT(rehearse()->presented, IsOk());
  EXPECT_FALSE(rehearse()->made);
  EXPECT_TRUE(rehearse()->looked);
  certificate.domains = {"example.com"};
  dns.Remove(kDnsServer, {name, DnsType::kTxt, one_name + "; policy=wildcard"});
  EXPECT_THAT(rehearse()->presented, IsOk());
}

TEST_F(IssuerTroubleTest, SubproblemsAreShownByName) {
  nlohmann::json problem = {{"type", "urn:ietf:params:acme:error:rejectedIdentifier"},
                            {"detail", "some names were refused"},
                            {"subproblems",
                             {{{"type", "urn:ietf:params:acme:error:caa"},
                               {"detail", "CAA forbids it"},
                               {"identifier", {{"type", "dns"}, {"value", "example.com"}}}}}}};
  ca.AnswerOnce("new-order", {.status = 403, .body = problem.dump()});
  const auto refused = Issue();
  EXPECT_THAT(refused, HasReason(Reason::CA_REFUSED, HasSubstr("(example.com: caa: CAA forbids it)")));
  EXPECT_THAT(FailureOf(refused.status()).hint(), HasSubstr("CAA record"));
}

TEST_F(IssuerTroubleTest, AFailedChallengeShowsWhatTheCaSaw) {
  ca.behaviour.challenge_problem = {
      {"type", "urn:ietf:params:acme:error:dns"},
      {"detail", "SERVFAIL looking up TXT"},
      {"subproblems", {{{"type", "urn:ietf:params:acme:error:dns"}, {"detail", "from 192.0.2.9"}}}}};
  certificate.domains = {"example.com"};
  // The hook writes, but another zone than the CA looks at.
  ca.AnswerOnce("certificate", {});
  FakeAcmeServer blind(clock, [](const std::string&) { return std::vector<std::string>(); });
  blind.behaviour.challenge_problem = ca.behaviour.challenge_problem;
  FakeHttpClient to_blind([&](const HttpRequest& request) { return blind.Handle(request); });
  Issuer issuer(to_blind, dns, processes, clock, store, sealer);
  const auto refused = issuer.Issue(certificate, account, 0, [](absl::string_view) {});
  EXPECT_THAT(refused, HasReason(Reason::CHALLENGE_FAILED, AllOf(HasSubstr("example.com: dns: SERVFAIL looking up TXT"),
                                                                 HasSubstr("192.0.2.9"))));
  EXPECT_THAT(zone, IsEmpty()) << "cleaned up also after a failure";
  EXPECT_FALSE(HasOrderRecord()) << "the next run must order anew";
  EXPECT_THAT(issuer.Issue(certificate, account, 0, [](absl::string_view) {}), HasReason(Reason::CHALLENGE_FAILED));
  EXPECT_EQ(blind.orders(), 2);
}

TEST_F(IssuerTroubleTest, AnOrderThatTheCaFindsInvalidIsReplacedByTheNextRun) {
  ca.behaviour.refuse_finalize = {{"type", "urn:ietf:params:acme:error:caa"}, {"detail", "CAA forbids it"}};
  EXPECT_THAT(Issue(), HasReason(Reason::CA_REFUSED, HasSubstr("caa: CAA forbids it")));
  ca.behaviour.refuse_finalize.reset();
  ASSERT_THAT(Issue(), IsOk());
  EXPECT_EQ(ca.orders(), 2);
}

TEST_F(IssuerTroubleTest, ARefusedKeyTypeIsSaidAndTheNextRunHasAnotherChance) {
  ca.behaviour.key_algorithms = {"RSA"};
  const auto refused = Issue();
  EXPECT_THAT(refused, HasReason(Reason::CA_REFUSED, HasSubstr("badCSR: EC keys are not accepted")));
  EXPECT_THAT(FailureOf(refused.status()).hint(), HasSubstr("rsa-2048"));
  certificate.key_type = KeyType::kRsa2048;
  ASSERT_THAT(Issue(), IsOk());
}

TEST_F(IssuerTroubleTest, ACertificateForOtherNamesIsNotBelieved) {
  ca.behaviour.issue_for = {"example.com", "*.example.net"};
  EXPECT_THAT(Issue(), HasReason(Reason::CERTIFICATE_UNEXPECTED,
                                 AllOf(HasSubstr("*.example.com was ordered"), HasSubstr("*.example.net"))));
  EXPECT_THAT(Generations(), IsEmpty());
  EXPECT_FALSE(HasOrderRecord());
}

TEST_F(IssuerTroubleTest, ACertificateForAnotherKeyIsNotBelieved) {
  ca.behaviour.issue_for_other_key = true;
  EXPECT_THAT(Issue(), HasReason(Reason::CERTIFICATE_UNEXPECTED));
  EXPECT_THAT(Generations(), IsEmpty());
}

TEST_F(IssuerTroubleTest, ACertificateThatIsNotThereYetIsAskedForAgain) {
  ca.AnswerOnce("certificate", FakeAcmeServer::ProblemAnswer(404, "malformed", "no such certificate"));
  const absl::Status not_there = Issue().status();
  EXPECT_THAT(not_there, HasReason(Reason::CA_REFUSED, HasSubstr("no such certificate")));
  EXPECT_THAT(FailureOf(not_there).hint(), HasSubstr("certcast issue wildcard --abandon-order"));
  ASSERT_THAT(Issue(), IsOk());
  EXPECT_EQ(ca.orders(), 1);
  EXPECT_EQ(ca.finalized(), 1);
}

TEST_F(IssuerTroubleTest, ALeafWithoutItsChainIsNotBelieved) {
  ca.behaviour.without_chain = true;
  EXPECT_THAT(Issue(), HasReason(Reason::CERTIFICATE_UNEXPECTED));
}

TEST_F(IssuerTroubleTest, ACertificateThatIsNoneIsNotBelieved) {
  ca.AnswerOnce("certificate", {.status = 200, .body = "<html>maintenance</html>"});
  EXPECT_THAT(Issue(), HasReason(Reason::CERTIFICATE_UNEXPECTED));
}

TEST_F(IssuerTroubleTest, NamesThatTheCaAddsAreFine) {
  ca.behaviour.issue_for = {"*.example.com", "example.com", "www.example.com"};
  const auto generation = Issue();
  ASSERT_THAT(generation, IsOk());
  EXPECT_THAT(generation->dns_names(), SizeIs(3));
  EXPECT_THAT(generation->ordered_names(), SizeIs(2));
}

}  // namespace
}  // namespace certcast::controller
