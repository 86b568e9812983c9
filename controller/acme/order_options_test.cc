// What an order can be told, and what CAs make of it. Against a simulated CA.

#include <cstdio>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "common/clock/timestamp.h"
#include "common/x509/certificate.h"
#include "controller/acme/issuer_fixture.h"
#include "controller/keyring/purposes.h"
#include "controller/store/records.h"
#include "controller/store/replacement_records.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace certcast::controller {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using testing::FakeAcmeServer;
using testing::FakeHttpClient;
using testing::HasReason;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::IsOk;
using ::testing::SizeIs;

constexpr absl::Duration kDay = absl::Hours(24);

class OrderOptionsTest : public ::testing::Test, public IssuerFixture {
 protected:
  void OfferRenewalInfo() { ca.behaviour.renewal_window = {clock.Now() + 50 * kDay, clock.Now() + 52 * kDay}; }
  std::string IssuerAtTop(const state::v1::Generation& generation) {
    return ParseChainPem(generation.fullchain_pem())->back().issuer_name();
  }
  std::string Leaf(const state::v1::Generation& generation) { return generation.leaf_sha256(); }
};

TEST_F(OrderOptionsTest, EverySignatureHoldsForTheOpensslProgramToo) {
  ca.behaviour.checks_with_openssl = true;
  ASSERT_THAT(Issue(), IsOk());
}

// --- replaces

TEST_F(OrderOptionsTest, ARenewalNamesWhatItReplaces) {
  OfferRenewalInfo();
  ASSERT_THAT(Issue(), IsOk());
  ASSERT_THAT(Issue(), IsOk());
  ASSERT_THAT(ca.replaced(), SizeIs(2));
  EXPECT_EQ(ca.replaced()[0], "");
  // Which the CA was asked about when it was new.
  EXPECT_EQ(ca.replaced()[1], ca.renewal_ids()[0]);
}

TEST_F(OrderOptionsTest, ACaWithoutRenewalInfoIsToldNothing) {
  ASSERT_THAT(Issue(), IsOk());
  ASSERT_THAT(Issue(), IsOk());
  EXPECT_THAT(ca.replaced(), ElementsAre("", ""));
  EXPECT_THAT(ca.renewal_ids(), IsEmpty());
}

TEST_F(OrderOptionsTest, ARefusalOfReplacesIsNoRefusalOfTheOrder) {
  OfferRenewalInfo();
  ASSERT_THAT(Issue(), IsOk());
  for (const auto& refusal : std::vector<FakeAcmeServer::Refusal>{{409, "alreadyReplaced", "replaced by order 7"},
                                                                  {409, "conflict", "replaced by order 7"},
                                                                  {409, "serverInternal", "hm"},
                                                                  {403, "unauthorized", "another account's"},
                                                                  {400, "malformed", "unknown field: replaces"}}) {
    ca.behaviour.refuse_replaces = refusal;
    ASSERT_THAT(Issue(), IsOk()) << refusal.type;
    EXPECT_EQ(ca.replaced().back(), "");
    EXPECT_TRUE(
        ProgressMentions("without naming the certificate that is replaced, since the CA answered " + refusal.type));
  }
}

TEST_F(OrderOptionsTest, AnotherRefusalOfTheOrderIsOne) {
  OfferRenewalInfo();
  ASSERT_THAT(Issue(), IsOk());
  ca.behaviour.refuse_replaces = {403, "rejectedIdentifier", "not for you"};
  EXPECT_THAT(Issue(), HasReason(Reason::CA_REFUSED, HasSubstr("rejectedIdentifier")));
}

TEST_F(OrderOptionsTest, WhatAnotherAccountOrderedIsNotNamed) {
  OfferRenewalInfo();
  ASSERT_THAT(Issue(), IsOk());
  account.name = "ca-2";
  ASSERT_THAT(Issue(), IsOk());
  EXPECT_EQ(ca.replaced().back(), "");
}

// --- What the CA says of what it has just issued.

TEST_F(OrderOptionsTest, TheFirstWindowIsKeptWithTheGeneration) {
  OfferRenewalInfo();
  ca.behaviour.renewal_explanation = "https://ca.test/why";
  ca.behaviour.renewal_retry_after = "7200";
  const auto generation = Issue();
  ASSERT_THAT(generation, IsOk());
  const auto info = *RenewalInfoRecords(store).Get("wildcard");
  ASSERT_TRUE(info.has_value());
  EXPECT_EQ(info->leaf_sha256(), generation->leaf_sha256());
  EXPECT_GE(FromTimestamp(info->selected_at()), ca.behaviour.renewal_window->first);
  EXPECT_LT(FromTimestamp(info->selected_at()), ca.behaviour.renewal_window->second);
  EXPECT_EQ(info->explanation_url(), "https://ca.test/why");
  EXPECT_LE(FromTimestamp(info->next_check()), clock.Now() + absl::Hours(2));
}

TEST_F(OrderOptionsTest, WhatShouldHaveBeenRenewedAlreadyIsNotBelieved) {
  ca.behaviour.renewal_window = {clock.Now() - 2 * kDay, clock.Now() - kDay};
  ca.behaviour.renewal_explanation = "https://ca.test/incident";
  EXPECT_THAT(Issue(), HasReason(Reason::CERTIFICATE_UNEXPECTED, AllOf(HasSubstr("should have been renewed by"),
                                                                       HasSubstr("https://ca.test/incident"))));
  EXPECT_THAT(Generations(), IsEmpty());
  EXPECT_FALSE(HasOrderRecord());
  // The way out, where the CA is wrong.
  certificate.renewal.ari = false;
  EXPECT_THAT(Issue(), IsOk());
}

TEST_F(OrderOptionsTest, RenewalInformationThatCantBeHadIsNoObstacle) {
  OfferRenewalInfo();
  for (int i = 0; i < 3; ++i) ca.AnswerOnce("renewal-info", {.status = 500});
  ASSERT_THAT(Issue(), IsOk());
  ca.AnswerOnce("renewal-info", {.status = 200, .body = "<html>"});
  ASSERT_THAT(Issue(), IsOk());
  EXPECT_THAT((*RenewalInfoRecords(store).Get("wildcard"))->last_error(), HasSubstr("suggestedWindow"));
}

// --- Profiles.

TEST_F(OrderOptionsTest, AProfileIsOrderedAndKept) {
  ca.behaviour.profiles = {{"tlsserver", "for servers"}};
  certificate.profile = "tlsserver";
  const auto generation = Issue();
  ASSERT_THAT(generation, IsOk());
  EXPECT_EQ(generation->profile(), "tlsserver");
}

TEST_F(OrderOptionsTest, AProfileRefusedInAnyWordsIsPointedAt) {
  ca.behaviour.profiles = {{"tlsserver", "for servers"}};
  certificate.profile = "tlsserver";
  for (const char* type : {"unauthorized", "invalidProfile", "malformed"}) {
    ca.behaviour.refuse_profile = {403, type, "no"};
    const auto refused = Issue();
    EXPECT_THAT(refused, HasReason(Reason::CA_REFUSED));
    EXPECT_THAT(FailureOf(refused.status()).hint(), HasSubstr("may this account have the profile `tlsserver`")) << type;
  }
}

TEST_F(OrderOptionsTest, AnOpenOrderForAnotherProfileIsNotGoneOnWith) {
  ca.behaviour.processing_looks = 1000;
  EXPECT_THAT(Issue(), HasReason(Reason::ORDER_PENDING));
  ca.behaviour.processing_looks = 0;
  ca.behaviour.profiles = {{"tlsserver", "for servers"}};
  certificate.profile = "tlsserver";
  const auto generation = Issue();
  ASSERT_THAT(generation, IsOk());
  EXPECT_EQ(generation->profile(), "tlsserver");
  EXPECT_EQ(ca.orders(), 2);
}

// --- Keys.

TEST_F(OrderOptionsTest, AKeyIsUsedAgainWhereThatIsWanted) {
  certificate.reuse_key = true;
  const auto first = Issue();
  const auto second = Issue();
  ASSERT_THAT(second, IsOk());
  EXPECT_EQ(first->spki_sha256(), second->spki_sha256());
  EXPECT_NE(first->leaf_sha256(), second->leaf_sha256());
  EXPECT_EQ(ca.finalized(), 2);
  certificate.key_type = KeyType::kEcdsaP384;
  EXPECT_NE(Issue()->spki_sha256(), second->spki_sha256());
}

// By `certcast adopt`: what its key is, only the key says.
TEST_F(OrderOptionsTest, TheKeyOfAnotherClientIsUsedAgainToo) {
  certificate.reuse_key = true;
  const auto first = Issue();
  ASSERT_THAT(first, IsOk());
  const Secret pem = *sealer.Open(GenerationKeyPurpose("wildcard", 1), first->private_key());
  state::v1::Generation adopted = *first;
  adopted.set_generation(2);
  adopted.clear_key_type();
  adopted.clear_order_url();
  *adopted.mutable_private_key() = *sealer.Seal(GenerationKeyPurpose("wildcard", 2), pem);
  ASSERT_THAT(GenerationRecords(store).Append(adopted, GenerationRecords::PendingOrder::kKeep, 0), IsOk());
  EXPECT_EQ(Issue()->spki_sha256(), first->spki_sha256());
  for (const KeyType other : {KeyType::kEcdsaP384, KeyType::kRsa2048}) {
    certificate.key_type = other;
    EXPECT_NE(Issue()->spki_sha256(), first->spki_sha256());
  }
  EXPECT_EQ(Issue()->spki_sha256(), Generations()[4].spki_sha256()) << "RSA keys as well";
}

TEST_F(OrderOptionsTest, AKeyThatIsOutIsNotUsedAgain) {
  certificate.reuse_key = true;
  const auto first = Issue();
  ASSERT_THAT(first, IsOk());
  GenerationRecords records(store);
  ASSERT_THAT(records.BeginRevocation("wildcard", 1, /*reason=*/4, clock.Now(), 0), IsOk());
  EXPECT_EQ(Issue()->spki_sha256(), first->spki_sha256()) << "superseded says nothing of the key";
  ASSERT_THAT(records.BeginRevocation("wildcard", 1, /*reason=*/1, clock.Now(), 0), IsOk());
  const auto third = Issue();
  EXPECT_NE(third->spki_sha256(), first->spki_sha256());
  state::v1::Replacement replacement;
  replacement.set_certificate("wildcard");
  replacement.add_compromised_spki_sha256(third->spki_sha256());
  ASSERT_THAT(ReplacementRecords(store).Put(replacement, 0), IsOk());
  EXPECT_NE(Issue()->spki_sha256(), third->spki_sha256());
}

// --- Chains.

TEST_F(OrderOptionsTest, TheCasOwnChoiceIsTakenWithoutAPreference) {
  ca.behaviour.offers_alternate = true;
  const auto generation = Issue();
  ASSERT_THAT(generation, IsOk());
  EXPECT_EQ(IssuerAtTop(*generation), "Test Root");
}

TEST_F(OrderOptionsTest, AChainIsChosenByIssuer) {
  ca.behaviour.offers_alternate = true;
  certificate.chain.issuer = "Other Root";
  const auto generation = Issue();
  ASSERT_THAT(generation, IsOk());
  EXPECT_EQ(IssuerAtTop(*generation), "Other Root");
}

TEST_F(OrderOptionsTest, AChainIsChosenByRoot) {
  ca.behaviour.offers_alternate = true;
  const std::string path = ::testing::TempDir() + "/roots.pem";
  std::FILE* file = std::fopen(path.c_str(), "w");
  ASSERT_NE(file, nullptr);
  std::fputs((ca.root().root_pem() + ca.other_root().root_pem()).c_str(), file);
  std::fclose(file);
  certificate.ca_file = path;
  certificate.chain.root_sha256 = ca.other_root().certificate().sha256();
  const auto generation = Issue();
  ASSERT_THAT(generation, IsOk());
  EXPECT_EQ(IssuerAtTop(*generation), "Other Root");
}

TEST_F(OrderOptionsTest, APreferenceThatCantBeMetIsSaidAndNoObstacle) {
  ca.behaviour.offers_alternate = true;
  certificate.chain.issuer = "Third Root";
  const auto generation = Issue();
  ASSERT_THAT(generation, IsOk());
  EXPECT_EQ(IssuerAtTop(*generation), "Test Root");
  EXPECT_TRUE(ProgressMentions("the CA offers no chain of issuer Third Root"));
  EXPECT_TRUE(ProgressMentions("it offers: Test Root, Other Root"));
}

TEST_F(OrderOptionsTest, AWrongIntermediateIsNotBelieved) {
  ca.behaviour.wrong_intermediate = true;
  EXPECT_THAT(Issue(), HasReason(Reason::CERTIFICATE_UNEXPECTED));
  EXPECT_THAT(Generations(), IsEmpty());
}

TEST_F(OrderOptionsTest, WhereTheCasOwnChoiceIsBrokenAnotherOneIsTaken) {
  ca.behaviour.offers_alternate = true;
  ca.behaviour.own_choice_is_broken = true;
  const auto generation = Issue();
  ASSERT_THAT(generation, IsOk());
  EXPECT_EQ(IssuerAtTop(*generation), "Other Root");
  EXPECT_TRUE(ProgressMentions("another chain than the CA's own choice is used"));
}

// It may be the one that holds: another order would not be for the better.
TEST_F(OrderOptionsTest, WhereTheOtherChainCantBeFetchedForNowTheOrderIsGoneOnWith) {
  ca.behaviour.offers_alternate = true;
  ca.behaviour.own_choice_is_broken = true;
  http.LoseAll("/certificate/other-", Fail(Reason::LINK_LOST, "reset"));
  EXPECT_THAT(Issue(), HasReason(Reason::LINK_LOST, AllOf(HasSubstr("another chain"), HasSubstr("reset"),
                                                          HasSubstr("the CA's new certificate"))));
  http.LoseAll("", absl::OkStatus());
  const auto generation = Issue();
  ASSERT_THAT(generation, IsOk());
  EXPECT_EQ(IssuerAtTop(*generation), "Other Root");
  EXPECT_EQ(ca.orders(), 1);
}

TEST_F(OrderOptionsTest, AnotherChainOfTheSameLeafIsTheNextGeneration) {
  const auto first = Issue();
  ASSERT_THAT(first, IsOk());
  Issuer issuer(http, dns, processes, clock, store, sealer);
  const auto look = [&] {
    const auto latest = *GenerationRecords(store).Wanted("wildcard");
    return issuer.RenewChain(certificate, account, *latest, 0, [](absl::string_view) {});
  };
  ASSERT_THAT(look(), IsOk());
  EXPECT_FALSE(look()->has_value()) << "nothing changed";
  // The CA prefers another one, and still offers the first: it stays.
  ca.behaviour.offers_alternate = true;
  ca.behaviour.prefers_alternate = true;
  EXPECT_FALSE(look()->has_value());
  // It does no more.
  ca.behaviour.offers_alternate = false;
  const auto second = look();
  ASSERT_THAT(second, IsOk());
  ASSERT_TRUE(second->has_value());
  EXPECT_EQ((*second)->generation(), 2);
  EXPECT_EQ((*second)->leaf_sha256(), first->leaf_sha256());
  EXPECT_EQ((*second)->spki_sha256(), first->spki_sha256());
  EXPECT_EQ(IssuerAtTop(**second), "Other Root");
  // The operator chooses the first again.
  ca.behaviour.offers_alternate = true;
  certificate.chain.issuer = "Test Root";
  const auto third = look();
  ASSERT_TRUE(third.ok() && third->has_value());
  EXPECT_EQ(IssuerAtTop(**third), "Test Root");
  // What is broken comes to nothing.
  ca.behaviour.wrong_intermediate = true;
  EXPECT_THAT(look(), HasReason(Reason::CERTIFICATE_UNEXPECTED));
  EXPECT_THAT(Generations(), SizeIs(3));
}

}  // namespace
}  // namespace certcast::controller
