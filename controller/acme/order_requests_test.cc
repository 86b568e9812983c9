// How often a CA is asked, and how it is asked again where it lags behind itself. Against a simulated CA.
#include <algorithm>
#include <string>
#include <vector>

#include "controller/acme/issuer_fixture.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace certcast::controller {
namespace {

using ::testing::ElementsAre;
using testing::FakeAcmeServer;
using testing::HasReason;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::IsOk;
using ::testing::SizeIs;

class OrderRequestsTest : public ::testing::Test, public IssuerFixture {
 protected:
  // Of each request, in order: `authz` of https://ca.test/authz/a7.
  std::vector<std::string> Resources() {
    std::vector<std::string> resources;
    for (const HttpRequest& request : http.requests()) {
      const std::string path = request.url.substr(ca.origin().size() + 1);
      resources.push_back(path.substr(0, path.find('/')));
    }
    return resources;
  }
  int Count(const std::string& resource) {
    const std::vector<std::string> resources = Resources();
    return static_cast<int>(std::count(resources.begin(), resources.end(), resource));
  }
};

TEST_F(OrderRequestsTest, ForOneNameAndANewAccountEachIsMadeOnce) {
  certificate.domains = {"example.com"};
  ca.behaviour.processing_looks = 1;
  ASSERT_THAT(Issue(), IsOk());
  // No new-nonce: the directory came with one.
  EXPECT_THAT(Resources(), ElementsAre("directory", "new-account", "new-order", "authz", "challenge", "authz",
                                       "finalize", "order", "certificate"));
}

TEST_F(OrderRequestsTest, EachNameIsAskedAfterOnceItIsLookedAt) {
  ASSERT_THAT(Issue(), IsOk());
  EXPECT_EQ(Count("challenge"), 2);
  EXPECT_EQ(Count("authz"), 4);
  EXPECT_EQ(Count("order"), 0) << "names that are authorized make it ready";
}

TEST_F(OrderRequestsTest, NoNameOfAnOrderThatIsReadyIsAskedAfter) {
  ca.behaviour.preauthorized = true;
  ASSERT_THAT(Issue(), IsOk());
  EXPECT_EQ(Count("authz"), 0);
}

TEST_F(OrderRequestsTest, AnOrderThatLagsBehindItsNamesIsWaitedFor) {
  ca.behaviour.ready_looks = 5;
  ASSERT_THAT(Issue(), IsOk());
  EXPECT_EQ(Count("finalize"), 2);
  EXPECT_EQ(ca.finalized(), 1);
  EXPECT_EQ(ca.orders(), 1);
  EXPECT_THAT(Generations(), SizeIs(1));
}

TEST_F(OrderRequestsTest, AnOrderThatLagsBehindIsRecognizedInAnyWords) {
  ca.behaviour.ready_looks = 5;
  ca.AnswerOnce("finalize", FakeAcmeServer::ProblemAnswer(400, "malformed", "not now"));
  ASSERT_THAT(Issue(), IsOk());
  EXPECT_EQ(ca.finalized(), 1);
  EXPECT_EQ(ca.orders(), 1);
}

// As smallstep's CA does, which Caddy has.
TEST_F(OrderRequestsTest, ACaThatDidNotSeeItIsAskedToLookAgain) {
  certificate.domains = {"example.com"};
  ca.behaviour.keeps_failed_challenges = true;
  int looks = 0;
  blind = [&] { return ++looks < 4; };
  ASSERT_THAT(Issue(), IsOk());
  EXPECT_EQ(Count("challenge"), 4);
  EXPECT_EQ(ca.orders(), 1);
  EXPECT_TRUE(ProgressMentions("asking the CA to look again: example.com: unauthorized: no TXT record"));
}

TEST_F(OrderRequestsTest, ACaThatNeverSeesItIsQuotedInTimeAndTheOrderIsKept) {
  certificate.domains = {"example.com"};
  ca.behaviour.keeps_failed_challenges = true;
  bool is_blind = true;
  blind = [&] { return is_blind; };
  EXPECT_THAT(Issue(), HasReason(Reason::CHALLENGE_FAILED, HasSubstr("looked 8 times: example.com: unauthorized")));
  EXPECT_LE(clock.slept(), absl::Seconds(30));
  EXPECT_THAT(zone, IsEmpty()) << "it will not look by itself";
  is_blind = false;
  ASSERT_THAT(Issue(), IsOk());
  EXPECT_EQ(ca.orders(), 1);
}

TEST_F(OrderRequestsTest, ARefusalOfTheRequestItselfIsNotRepeated) {
  ca.AnswerOnce("finalize", FakeAcmeServer::ProblemAnswer(400, "badCSR", "no"));
  EXPECT_THAT(Issue(), HasReason(Reason::CA_REFUSED, HasSubstr("badCSR")));
  EXPECT_EQ(Count("finalize"), 1);
}

TEST_F(OrderRequestsTest, AnOrderThatIsNeverReadyIsGivenUpInTime) {
  ca.behaviour.ready_looks = 100'000;
  EXPECT_THAT(Issue(), HasReason(Reason::PROTOCOL, HasSubstr("keeps the order pending")));
  EXPECT_EQ(Count("finalize"), 1);
  EXPECT_LE(clock.slept(), 4 * limits.validation);
}

}  // namespace
}  // namespace certcast::controller
