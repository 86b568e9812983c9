// Against a simulated CA.
#include "controller/acme/issuer.h"

#include "common/x509/certificate.h"
#include "common/x509/private_key.h"
#include "controller/acme/issuer_fixture.h"
#include "controller/keyring/purposes.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace certcast::controller {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using testing::FakeAcmeServer;
using testing::FakeProcessRunner;
using testing::HasCode;
using testing::HasReason;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::IsOk;
using ::testing::SizeIs;

class IssuerTest : public ::testing::Test, public IssuerFixture {};

TEST_F(IssuerTest, ObtainsAWildcardAndItsApex) {
  const auto generation = Issue();
  ASSERT_THAT(generation, IsOk());
  EXPECT_EQ(generation->generation(), 1);
  EXPECT_EQ(generation->certificate(), "wildcard");
  EXPECT_EQ(generation->account(), "ca");
  EXPECT_EQ(generation->issuer(), "Test Intermediate");
  EXPECT_THAT(generation->dns_names(), ElementsAre("*.example.com", "example.com"));
  EXPECT_THAT(generation->ordered_names(), ElementsAre("*.example.com", "example.com"));
  EXPECT_EQ(generation->key_type(), "ecdsa-p256");
  // Both values were there when the CA looked, and are gone now.
  EXPECT_THAT(ca.seen().at("_acme-challenge.example.com."), SizeIs(2));
  EXPECT_THAT(zone, IsEmpty());
  EXPECT_THAT(Generations(), SizeIs(1));
  EXPECT_FALSE(HasOrderRecord());
  EXPECT_EQ(ca.finalized(), 1);
}

TEST_F(IssuerTest, WhatIsSavedIsAMatchingPair) {
  const auto generation = Issue();
  ASSERT_THAT(generation, IsOk());
  const auto chain = ParseChainPem(generation->fullchain_pem());
  ASSERT_THAT(chain, IsOk());
  EXPECT_THAT(*chain, SizeIs(2));
  EXPECT_EQ(chain->front().sha256(), generation->leaf_sha256());
  const auto pem = sealer.Open(GenerationKeyPurpose("wildcard", 1), generation->private_key());
  ASSERT_THAT(pem, IsOk());
  const auto key = PrivateKey::FromPem(pem->ExposeSecret());
  ASSERT_THAT(key, IsOk());
  EXPECT_THAT(CheckKeyMatches(chain->front(), *key), IsOk());
  EXPECT_EQ(key->spki_sha256(), generation->spki_sha256());
}

TEST_F(IssuerTest, EachOrderHasANewKeyAndTheAccountStays) {
  const auto first = Issue();
  const auto second = Issue();
  ASSERT_THAT(first, IsOk());
  ASSERT_THAT(second, IsOk());
  EXPECT_EQ(second->generation(), 2);
  EXPECT_NE(first->spki_sha256(), second->spki_sha256());
  EXPECT_EQ(ca.accounts(), 1);
  EXPECT_EQ(ca.orders(), 2);
}

TEST_F(IssuerTest, MakesRsaAndP384Keys) {
  for (const KeyType type : {KeyType::kRsa2048, KeyType::kEcdsaP384}) {
    certificate.key_type = type;
    const auto generation = Issue();
    ASSERT_THAT(generation, IsOk());
    EXPECT_EQ(generation->key_type(), KeyTypeName(type));
  }
}

TEST_F(IssuerTest, KeepsTheDirectorysQueryAndTheAccountsApart) {
  ca.behaviour.directory_target = "/directory?action=renew&orderId=7";
  account.directory = ca.directory_url();
  ASSERT_THAT(Issue(), IsOk());
  EXPECT_EQ(http.requests().front().url, "https://ca.test/directory?action=renew&orderId=7");
  ca.behaviour.directory_target = "/directory?action=enroll";
  account.directory = ca.directory_url();
  ASSERT_THAT(Issue(), IsOk());
  EXPECT_EQ(ca.accounts(), 2) << "an account belongs to the whole directory URL";
}

TEST_F(IssuerTest, GetsThroughFiveAndNineBadNoncesOfTen) {
  for (const int bad : {5, 9}) {
    ca.behaviour.bad_nonces_of_ten = bad;
    ASSERT_THAT(Issue(), IsOk()) << bad;
  }
  EXPECT_EQ(ca.finalized(), 2);
}

TEST_F(IssuerTest, ACaThatRefusesEveryNonceIsGivenUp) {
  ca.behaviour.bad_nonces_of_ten = 10;
  EXPECT_THAT(Issue(), HasReason(Reason::PROTOCOL, HasSubstr("refused 100 nonces of its own in a row")));
}

TEST_F(IssuerTest, AuthorizationsThatAreValidAlreadyNeedNoRecord) {
  ca.behaviour.preauthorized = true;
  ASSERT_THAT(Issue(), IsOk());
  EXPECT_THAT(processes.requests(), IsEmpty());
}

TEST_F(IssuerTest, SaysWhenTheCaOffersNoDns01) {
  ca.behaviour.offers_dns01 = false;
  EXPECT_THAT(Issue(), HasReason(Reason::CHALLENGE_FAILED,
                                 HasSubstr("*.example.com: the CA offers no dns-01 challenge, only http-01")));
}

TEST_F(IssuerTest, WaitsForSlowValidationAndProcessing) {
  ca.behaviour.validation_looks = 5;
  ca.behaviour.processing_looks = 5;
  ASSERT_THAT(Issue(), IsOk());
  EXPECT_GT(clock.slept(), absl::Seconds(5));
}

TEST_F(IssuerTest, WaitsAsLongAsTheCaSays) {
  ca.behaviour.processing_looks = 2;
  ca.behaviour.retry_after = "60";
  ASSERT_THAT(Issue(), IsOk());
  EXPECT_GE(clock.slept(), absl::Seconds(120));
}

TEST_F(IssuerTest, RetryAfterZeroDoesNotSpin) {
  ca.behaviour.processing_looks = 20;
  ca.behaviour.retry_after = "0";
  ASSERT_THAT(Issue(), IsOk());
  EXPECT_GT(clock.slept(), absl::Seconds(100));
}

TEST_F(IssuerTest, RetryAfterMayBeADate) {
  ca.behaviour.processing_looks = 1;
  const absl::Time at = clock.Now() + absl::Seconds(90);
  ca.behaviour.retry_after = absl::FormatTime("%a, %d %b %Y %H:%M:%S GMT", at, absl::UTCTimeZone());
  ASSERT_THAT(Issue(), IsOk());
  EXPECT_GE(clock.Now(), at);
}

TEST_F(IssuerTest, AnOrderThatIsProcessedForADayIsGoneOnWith) {
  ca.behaviour.processing_looks = 1;
  ca.behaviour.retry_after = "86400";
  const absl::Duration before = clock.slept();
  const auto pending = Issue();
  EXPECT_THAT(pending,
              HasReason(Reason::ORDER_PENDING, HasSubstr("still processing the order https://ca.test/order/")));
  EXPECT_THAT(FailureOf(pending.status()).hint(), HasSubstr("the next apply goes on with this one"));
  EXPECT_LT(clock.slept() - before, absl::Minutes(1)) << "waiting for a day in vain";
  clock.Advance(absl::Hours(24));
  ASSERT_THAT(Issue(), IsOk());
  EXPECT_EQ(ca.orders(), 1);
  EXPECT_EQ(ca.finalized(), 1);
  EXPECT_THAT(Generations(), SizeIs(1));
}

TEST_F(IssuerTest, ProcessingWithoutRetryAfterEndsAtTheLimit) {
  ca.behaviour.processing_looks = 1000;
  EXPECT_THAT(Issue(), HasReason(Reason::ORDER_PENDING));
  EXPECT_LE(clock.slept(), absl::Minutes(11));
  EXPECT_THAT(Issue(), HasReason(Reason::ORDER_PENDING));
  EXPECT_EQ(ca.orders(), 1);
}

TEST_F(IssuerTest, SlowValidationKeepsTheRecordsForTheNextRun) {
  ca.behaviour.validation_looks = 200;
  EXPECT_THAT(Issue(), HasReason(Reason::ORDER_PENDING, HasSubstr("has not looked")));
  EXPECT_THAT(zone, SizeIs(2));
  ca.behaviour.validation_looks = 0;
  while (!Issue().ok()) ASSERT_EQ(ca.orders(), 1);
  EXPECT_EQ(ca.orders(), 1);
  EXPECT_THAT(zone, IsEmpty());
}

TEST_F(IssuerTest, ExternalAccountIsBound) {
  ca.behaviour.external_accounts = {{"kid-1", "secret"}};
  UseExternalAccount("kid-1", "c2VjcmV0");
  ASSERT_THAT(Issue(), IsOk());
}

TEST_F(IssuerTest, AMissingExternalAccountIsSaidBeforeTheCaIsAsked) {
  ca.behaviour.external_account_required = true;
  const auto refused = Issue();
  EXPECT_THAT(refused, HasCode(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("requires an external account"));
  EXPECT_EQ(http.exchanges(), 1) << "the directory said so";
}

TEST_F(IssuerTest, AWrongExternalAccountIsRefused) {
  ca.behaviour.external_accounts = {{"kid-1", "another"}};
  UseExternalAccount("kid-1", "c2VjcmV0");
  const auto refused = Issue();
  EXPECT_THAT(refused, HasReason(Reason::CA_REFUSED, HasSubstr("unauthorized: the binding's MAC is wrong")));
  EXPECT_THAT(FailureOf(refused.status()).hint(), HasSubstr("check external_account"));
  // With the right key the account key that was saved is used.
  ca.behaviour.external_accounts = {{"kid-1", "secret"}};
  ASSERT_THAT(Issue(), IsOk());
}

TEST_F(IssuerTest, AnHmacKeyThatIsNoneIsNamedByItsPlace) {
  UseExternalAccount("kid-1", "not base64url!");
  const auto refused = Issue();
  EXPECT_THAT(refused, HasCode(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(std::string(refused.status().message()), AllOf(HasSubstr("eab-kid-1"), HasSubstr("base64url")));
}

TEST_F(IssuerTest, TermsMustBeAgreedTo) {
  ca.behaviour.terms_of_service = "https://ca.test/terms";
  account.terms_of_service_agreed = false;
  const auto refused = Issue();
  EXPECT_THAT(refused, HasCode(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("https://ca.test/terms"));
  account.terms_of_service_agreed = true;
  ASSERT_THAT(Issue(), IsOk());
}

TEST_F(IssuerTest, AProfileIsAskedForAndAWrongOneIsSaid) {
  ca.behaviour.profiles = {{"classic", ""}, {"tlsserver", ""}};
  certificate.profile = "tlsserver";
  ASSERT_THAT(Issue(), IsOk());
  certificate.profile = "tls-server";
  const auto refused = Issue();
  EXPECT_THAT(refused, HasCode(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(FailureOf(refused.status()).hint(), HasSubstr("classic, tlsserver"));
}

TEST_F(IssuerTest, ACaThatLostItsMemoryGetsTheAccountAgain) {
  ASSERT_THAT(Issue(), IsOk());
  ca.ForgetEverything();
  ASSERT_THAT(Issue(), IsOk());
  EXPECT_EQ(ca.accounts(), 1);
}

TEST_F(IssuerTest, AnOrderThatTheCaLostIsReplaced) {
  ca.behaviour.processing_looks = 1000;
  EXPECT_THAT(Issue(), HasReason(Reason::ORDER_PENDING));
  ca.ForgetEverything();
  ca.behaviour.processing_looks = 0;
  ASSERT_THAT(Issue(), IsOk());
  EXPECT_TRUE(ProgressMentions("forgetting the order"));
}

TEST_F(IssuerTest, AnOrderForOtherNamesIsNotUsed) {
  ca.behaviour.processing_looks = 1000;
  EXPECT_THAT(Issue(), HasReason(Reason::ORDER_PENDING));
  ca.behaviour.processing_looks = 0;
  certificate.domains = {"example.com"};
  const auto generation = Issue();
  ASSERT_THAT(generation, IsOk());
  EXPECT_THAT(generation->dns_names(), ElementsAre("example.com"));
}

TEST_F(IssuerTest, AKeyTypeThatChangedMeanwhileIsNotClaimed) {
  ca.behaviour.processing_looks = 1000;
  EXPECT_THAT(Issue(), HasReason(Reason::ORDER_PENDING));
  ca.behaviour.processing_looks = 0;
  certificate.key_type = KeyType::kRsa2048;
  while (ca.orders() == 1 && Generations().empty()) static_cast<void>(Issue());
  ASSERT_THAT(Generations(), SizeIs(1));
  EXPECT_EQ(Generations()[0].key_type(), "ecdsa-p256") << "renewal sees that it is another than is configured";
}

TEST_F(IssuerTest, AStaleEpochIsReportedAsIs) {
  store.gate = [](int) { return Fail(Reason::STALE_EPOCH, "another controller took over"); };
  EXPECT_THAT(Issue(), HasReason(Reason::STALE_EPOCH, "another controller took over"));
}

TEST_F(IssuerTest, AnUnreachableCaIsNoReasonToForgetAProcessingOrder) {
  ca.behaviour.processing_looks = 1000;
  EXPECT_THAT(Issue(), HasReason(Reason::ORDER_PENDING));
  for (int i = 0; i < 3; ++i) ca.AnswerOnce("order", {.status = 500});
  EXPECT_THAT(Issue(), HasReason(Reason::CA_REFUSED));
  ca.AnswerOnce("order", FakeAcmeServer::ProblemAnswer(403, "unauthorized", "for the moment"));
  EXPECT_THAT(Issue(), HasReason(Reason::CA_REFUSED));
  EXPECT_THAT(Issue(), HasReason(Reason::ORDER_PENDING));
  EXPECT_EQ(ca.orders(), 1);
}

TEST_F(IssuerTest, AHookThatFailsIsNamedWithWhatItSaid) {
  processes.Otherwise([](const ProcessRequest&) { return FakeProcessRunner::Exits(3, "usage\nno such zone\n"); });
  const auto failed = Issue();
  EXPECT_THAT(failed, HasReason(Reason::CHALLENGE_FAILED,
                                AllOf(HasSubstr("/hook present"), HasSubstr("_acme-challenge.example.com."),
                                      HasSubstr("exited with 3"), HasSubstr("no such zone"))));
  EXPECT_EQ(FailureOf(failed.status()).step(), "present");
  EXPECT_THAT(FailureOf(failed.status()).stderr(), HasSubstr("usage"));
}

TEST_F(IssuerTest, AfterAFailedHookTheSameOrderIsGoneOnWith) {
  int calls = 0;
  hook_gate = [&]() -> absl::Status {
    return ++calls == 2 ? Fail(Reason::PERMISSION_DENIED, "the hook could not be started") : absl::OkStatus();
  };
  EXPECT_THAT(Issue(), HasReason(Reason::CHALLENGE_FAILED));
  EXPECT_THAT(zone, IsEmpty()) << "the first record was removed again";
  ASSERT_THAT(Issue(), IsOk());
  EXPECT_EQ(ca.orders(), 1);
}

TEST_F(IssuerTest, RecordsThatCannotBeRemovedDoNotStopTheIssuance) {
  bool broken = true;
  hook_gate = [&]() -> absl::Status {
    const auto requests = processes.requests();
    return broken && requests.back().argv[1] == "cleanup" ? Fail(Reason::PERMISSION_DENIED, "no") : absl::OkStatus();
  };
  ASSERT_THAT(Issue(), IsOk());
  EXPECT_THAT(zone, SizeIs(2));
  EXPECT_TRUE(ProgressMentions("could not be removed"));
  broken = false;
  const auto second = Issue();
  ASSERT_THAT(second, IsOk());
  EXPECT_EQ(second->generation(), 2) << "what is left of the first order is not the order itself";
  EXPECT_EQ(ca.orders(), 2);
  EXPECT_THAT(zone, IsEmpty());
}

TEST_F(IssuerTest, ARecordThatIsNotSeenIsNotShownToTheCa) {
  certificate.challenge->propagation.resolvers = {"192.0.2.99:53"};
  const auto failed = Issue();
  EXPECT_THAT(failed, HasReason(Reason::CHALLENGE_FAILED, HasSubstr("192.0.2.99:53")));
  EXPECT_EQ(FailureOf(failed.status()).step(), "propagation");
  for (const HttpRequest& request : http.requests()) EXPECT_THAT(request.url, ::testing::Not(HasSubstr("/challenge/")));
  EXPECT_THAT(zone, IsEmpty());
}

TEST_F(IssuerTest, ThePropagationCheckCanBeSkipped) {
  certificate.challenge->propagation = {.resolvers = {"192.0.2.99:53"}, .skip = true};
  ASSERT_THAT(Issue(), IsOk());
  EXPECT_THAT(dns.asked(), IsEmpty());
}

TEST_F(IssuerTest, RawHooksGetTheKeyAuthorization) {
  certificate.domains = {"*.example.com"};
  std::get<ExecHook>(certificate.challenge->writer).raw = true;
  certificate.challenge->propagation.skip = true;
  std::vector<std::string> argv;
  processes.Otherwise([&](const ProcessRequest& request) {
    if (argv.empty()) argv = request.argv;
    return FakeProcessRunner::Exits(0);
  });
  EXPECT_FALSE(Issue().ok());
  ASSERT_THAT(argv, SizeIs(6));
  EXPECT_THAT(std::vector<std::string>(argv.begin(), argv.begin() + 4),
              ElementsAre("/hook", "present", "--", "example.com"));
  EXPECT_THAT(argv[5], HasSubstr(argv[4] + "."));
}

TEST_F(IssuerTest, ADirectoryThatIsNoneIsSaid) {
  ca.AnswerOnce("directory", {.status = 200, .body = "<html>Welcome</html>"});
  EXPECT_THAT(Issue(), HasReason(Reason::PROTOCOL, HasSubstr("https://ca.test/directory")));
}

TEST_F(IssuerTest, ACertificateWithoutChallengeIsRefusedAtOnce) {
  certificate.challenge.reset();
  EXPECT_THAT(Issue(), HasCode(absl::StatusCode::kInvalidArgument));
  EXPECT_EQ(http.exchanges(), 0);
}

TEST_F(IssuerTest, NoKeyAppearsInRequestsOrTheStore) {
  ASSERT_THAT(Issue(), IsOk());
  for (const HttpRequest& request : http.requests()) EXPECT_THAT(request.body, ::testing::Not(HasSubstr("PRIVATE")));
  for (const ProcessRequest& request : processes.requests()) {
    EXPECT_THAT(request.environment, IsEmpty());
    EXPECT_THAT(request.argv, SizeIs(4));
  }
}

}  // namespace
}  // namespace certcast::controller
