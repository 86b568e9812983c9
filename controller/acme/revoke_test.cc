// Against a simulated CA, which checks signatures with code of its own.
#include "controller/acme/revoke.h"

#include <string>

#include "absl/strings/match.h"
#include "common/status/status.h"
#include "common/x509/certificate.h"
#include "common/x509/private_key.h"
#include "controller/acme/issuer_fixture.h"
#include "controller/acme/revocation_reason.h"
#include "controller/keyring/purposes.h"
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
using Verdict = RevocationAnswer::Verdict;

class RevokeTest : public ::testing::Test, public IssuerFixture {
 protected:
  void SetUp() override {
    ca.behaviour.checks_with_openssl = true;
    const auto generation = Issue();
    ASSERT_THAT(generation, IsOk());
    leaf_ = ParseChainPem(generation->fullchain_pem())->front().der();
    const Secret pem = *sealer.Open(GenerationKeyPurpose("wildcard", 1), generation->private_key());
    key_.emplace(*PrivateKey::FromPem(pem.ExposeSecret()));
    before_ = http.exchanges();
  }

  RevocationRequest Request(int reason) {
    RevocationRequest request;
    request.certificate_der = leaf_;
    request.reason = reason;
    request.certificate_key = &*key_;
    request.before_sending = [this] {
      sent_before_saving_ |= http.exchanges() > before_ + 1;
      ++saved_;
      return save_;
    };
    return request;
  }
  absl::StatusOr<RevocationAnswer> Revoke(const RevocationRequest& request) {
    return RevokeAtCa(http, account, {.store = store, .sealer = sealer, .clock = clock}, request);
  }
  absl::StatusOr<RevocationAnswer> Revoke(int reason) { return Revoke(Request(reason)); }
  Verdict VerdictOf(const absl::StatusOr<RevocationAnswer>& answer) {
    EXPECT_THAT(answer, IsOk());
    return answer.ok() ? answer->verdict : Verdict::kUnknown;
  }

  std::string leaf_;
  std::optional<PrivateKey> key_;
  int before_ = 0;
  int saved_ = 0;
  bool sent_before_saving_ = false;
  absl::Status save_;
};

TEST_F(RevokeTest, ByTheAccountAndSavedBeforeItIsSent) {
  EXPECT_EQ(VerdictOf(Revoke(4)), Verdict::kRevoked);
  ASSERT_THAT(ca.revocations(), SizeIs(1));
  EXPECT_EQ(ca.revocations()[0].reason, 4);
  EXPECT_EQ(ca.revocations()[0].certificate_der, leaf_);
  EXPECT_FALSE(ca.revocations()[0].by_certificate_key);
  EXPECT_EQ(saved_, 1);
  // The directory alone was read before.
  EXPECT_FALSE(sent_before_saving_);
}

TEST_F(RevokeTest, WithoutAReasonNoneIsSent) {
  EXPECT_EQ(VerdictOf(Revoke(0)), Verdict::kRevoked);
  EXPECT_EQ(ca.RevokedFor(leaf_), 0);
}

TEST_F(RevokeTest, ACompromisedKeySignsItself) {
  EXPECT_EQ(VerdictOf(Revoke(kKeyCompromise)), Verdict::kRevoked);
  ASSERT_THAT(ca.revocations(), SizeIs(1));
  EXPECT_TRUE(ca.revocations()[0].by_certificate_key);
}

TEST_F(RevokeTest, WhereOneSignerIsRefusedTheOtherIsTried) {
  ca.behaviour.certificate_key_may_revoke = false;
  EXPECT_EQ(VerdictOf(Revoke(kKeyCompromise)), Verdict::kRevoked);
  EXPECT_FALSE(ca.revocations().at(0).by_certificate_key);
  EXPECT_EQ(saved_, 1);
}

TEST_F(RevokeTest, AnAccountThatMayNotGivesWayToTheCertificatesKey) {
  ca.behaviour.account_may_revoke = false;
  EXPECT_EQ(VerdictOf(Revoke(4)), Verdict::kRevoked);
  EXPECT_TRUE(ca.revocations().at(0).by_certificate_key);
}

TEST_F(RevokeTest, WithoutAnAccountTheCertificatesKeySignsAndNoneIsMade) {
  ca.behaviour.directory_target = "/other-directory";
  account.directory = ca.directory_url();
  EXPECT_EQ(VerdictOf(Revoke(4)), Verdict::kRevoked);
  EXPECT_TRUE(ca.revocations().at(0).by_certificate_key);
  EXPECT_EQ(ca.accounts(), 1);
}

// The CA took the other key, and its answer was lost.
TEST_F(RevokeTest, AnAccountWhoseChangeOfKeyWasInterruptedSignsWithTheOneThatTheCaTakes) {
  const AcmeAccount::Keep keep{.store = store, .sealer = sealer, .clock = clock};
  AcmeClient client(http, clock, {.directory_url = account.directory});
  auto opened = AcmeAccount::FindRegistered(client, account, keep);
  ASSERT_THAT(opened, IsOk());
  ASSERT_THAT(client.GetDirectory(), IsOk());
  http.FailAt(http.exchanges() + 1, FakeHttpClient::Fault::kAnswerLost, Fail(Reason::TIMED_OUT, "no answer"));
  ASSERT_THAT((*opened)->RollKey(client, keep), HasReason(Reason::TIMED_OUT));
  RevocationRequest request = Request(4);
  request.certificate_key = nullptr;
  EXPECT_EQ(VerdictOf(Revoke(request)), Verdict::kRevoked);
  const auto record = *AccountRecords(store).Get(AcmeAccount::KeyOf(account));
  EXPECT_FALSE(record->has_next_private_key());
}

// It can't be asked which key the account has.
TEST_F(RevokeTest, AnAccountThatIsOutOfReachIsSaidBesideTheRefusalOfTheCertificatesKey) {
  state::v1::Account record = **AccountRecords(store).Get(AcmeAccount::KeyOf(account));
  *record.mutable_next_private_key() = record.private_key();
  ASSERT_THAT(AccountRecords(store).Put(record, 0), IsOk());
  ca.behaviour.certificate_key_may_revoke = false;
  ca.AnswerOnce("new-account", FakeAcmeServer::ProblemAnswer(403, "externalAccountRequired", "bind it"));
  const auto answer = Revoke(4);
  ASSERT_EQ(VerdictOf(answer), Verdict::kRefused);
  EXPECT_THAT(answer->status,
              HasReason(Reason::CA_REFUSED, AllOf(HasSubstr("revoking a certificate"),
                                                  HasSubstr("the account can't sign: asking which key"))));
}

TEST_F(RevokeTest, WithNeitherNobodyIsAsked) {
  account.directory += "?another";
  RevocationRequest request = Request(4);
  request.certificate_key = nullptr;
  const auto answer = Revoke(request);
  ASSERT_EQ(VerdictOf(answer), Verdict::kRefused);
  EXPECT_THAT(answer->status, HasReason(Reason::CA_REFUSED, HasSubstr("is not registered")));
  EXPECT_THAT(FailureOf(answer->status).hint(), HasSubstr("--key"));
  EXPECT_EQ(http.exchanges(), before_);
  EXPECT_EQ(saved_, 0);
}

TEST_F(RevokeTest, TheKeyThatTheOperatorGaveSignsAlone) {
  ca.behaviour.certificate_key_may_revoke = false;
  RevocationRequest request = Request(4);
  request.by_certificate_key_alone = true;
  const auto answer = Revoke(request);
  ASSERT_EQ(VerdictOf(answer), Verdict::kRefused);
  EXPECT_THAT(answer->status, HasReason(Reason::CA_REFUSED, HasSubstr("unauthorized")));
  EXPECT_THAT(ca.revocations(), IsEmpty());
}

TEST_F(RevokeTest, WhatACaDoesNotKnowIsAskedBack) {
  RevocationRequest request = Request(4);
  request.certificate_key = nullptr;
  ca.AnswerOnce("revoke-cert", testing::FakeAcmeServer::ProblemAnswer(400, "malformed", "The request message was"));
  const auto answer = Revoke(request);
  ASSERT_EQ(VerdictOf(answer), Verdict::kRefused);
  EXPECT_EQ(FailureOf(answer->status).hint(), "is it this CA's certificate?");
}

TEST_F(RevokeTest, WhatIsRevokedAlreadyIsDone) {
  EXPECT_EQ(VerdictOf(Revoke(4)), Verdict::kRevoked);
  EXPECT_EQ(VerdictOf(Revoke(4)), Verdict::kAlreadyRevoked);
  EXPECT_EQ(VerdictOf(Revoke(kKeyCompromise)), Verdict::kAlreadyRevoked);
  EXPECT_THAT(ca.revocations(), SizeIs(1));
}

TEST_F(RevokeTest, AReasonThatTheCaRefusesIsShownAndNotTriedWithAnotherSigner) {
  const auto answer = Revoke(6);
  ASSERT_EQ(VerdictOf(answer), Verdict::kRefused);
  EXPECT_THAT(answer->status,
              HasReason(Reason::CA_REFUSED, HasSubstr("badRevocationReason: reason 6 is not accepted")));
  EXPECT_THAT(FailureOf(answer->status).hint(), HasSubstr("superseded"));
  // Directory, nonce or not, one request.
  int posts = 0;
  for (const HttpRequest& request : http.requests()) posts += absl::StrContains(request.url, "revoke-cert");
  EXPECT_EQ(posts, 1);
}

TEST_F(RevokeTest, ACertificateOfAnotherCaIsRefusedByName) {
  const testing::IssuedCertificate other = testing::TestCa::Root().Issue({.dns_names = {"www.example.com"}});
  RevocationRequest request = Request(4);
  request.certificate_der = other.certificate.der();
  const auto answer = Revoke(request);
  ASSERT_EQ(VerdictOf(answer), Verdict::kRefused);
  EXPECT_THAT(std::string(answer->status.message()), HasSubstr("no certificate of this CA"));
}

TEST_F(RevokeTest, ALostAnswerIsAskedForAgain) {
  // Directory, then the request with the nonce at hand or a fresh one.
  for (int i = 2; i <= 3; ++i)
    http.FailAt(before_ + i, FakeHttpClient::Fault::kAnswerLost, Fail(Reason::LINK_LOST, "reset"));
  const Verdict verdict = VerdictOf(Revoke(4));
  EXPECT_TRUE(verdict == Verdict::kRevoked || verdict == Verdict::kAlreadyRevoked);
  EXPECT_THAT(ca.revocations(), SizeIs(1));
}

TEST_F(RevokeTest, WhatTheCaMayHaveDoneIsNotCalledRefused) {
  for (int i = 2; i <= 12; ++i)
    http.FailAt(before_ + i, FakeHttpClient::Fault::kAnswerLost, Fail(Reason::LINK_LOST, "reset"));
  const auto lost = Revoke(4);
  EXPECT_EQ(VerdictOf(lost), Verdict::kUnknown);
  EXPECT_THAT(lost->status, HasReason(Reason::LINK_LOST));
  for (int i = 2; i <= 12; ++i) http.FailAt(before_ + i, FakeHttpClient::Fault::kAnswerLost, absl::OkStatus());
  for (int i = 0; i < 3; ++i)
    ca.AnswerOnce("revoke-cert", FakeAcmeServer::ProblemAnswer(503, "serverInternal", "later"));
  EXPECT_EQ(VerdictOf(Revoke(4)), Verdict::kUnknown);
}

TEST_F(RevokeTest, ABadNonceIsAnsweredWithAnother) {
  ca.behaviour.bad_nonces_of_ten = 9;
  EXPECT_EQ(VerdictOf(Revoke(4)), Verdict::kRevoked);
}

TEST_F(RevokeTest, ACaWithoutRevocationIsSaidBeforeAnythingIsSaved) {
  ca.behaviour.offers_revocation = false;
  const auto answer = Revoke(4);
  ASSERT_EQ(VerdictOf(answer), Verdict::kRefused);
  EXPECT_THAT(answer->status,
              HasReason(Reason::CA_REFUSED, AllOf(HasSubstr(account.directory), HasSubstr("revokeCert"))));
  EXPECT_EQ(saved_, 0);
}

TEST_F(RevokeTest, WhatCantBeSavedIsNotSent) {
  save_ = Fail(Reason::NO_SPACE, "the disk is full");
  EXPECT_THAT(Revoke(4), HasReason(Reason::NO_SPACE));
  EXPECT_THAT(ca.revocations(), IsEmpty());
}

}  // namespace
}  // namespace certcast::controller
