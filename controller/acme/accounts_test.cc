// Accounts at a simulated CA: bound, changed, given up, and which of several gives a certificate.
#include <openssl/x509.h>

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "controller/acme/account.h"
#include "controller/acme/issuer_fixture.h"
#include "controller/store/records.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace certcast::controller {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using testing::FakeAcmeServer;
using testing::FakeHttpClient;
using testing::HasCode;
using testing::HasReason;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::IsOk;
using ::testing::SizeIs;

class AccountsTest : public ::testing::Test, public IssuerFixture {
 protected:
  AccountsTest() { ca.behaviour.checks_with_openssl = true; }

  AcmeAccount::Keep Keep() { return {.store = store, .sealer = sealer, .clock = clock}; }
  AcmeClient Client() { return AcmeClient(http, clock, {.directory_url = account.directory}); }
  // Registered on the way, where it is not.
  absl::StatusOr<AcmeAccount> Open() {
    AcmeClient client = Client();
    return AcmeAccount::FindOrCreate(client, account, Keep());
  }
  state::v1::Account Record() { return **AccountRecords(store).Get(AcmeAccount::KeyOf(account)); }
  // As on another controller.
  void ForgetAccounts() {
    Transaction transaction;
    const std::vector<StoredRecord> records = *store.List("accounts/");
    for (const StoredRecord& record : records) {
      transaction.writes.push_back({.key = record.key, .value = std::nullopt});
    }
    ASSERT_THAT(store.Commit(transaction), IsOk());
  }
  static std::string PublicHalf(const AcmeAccount& opened) {
    unsigned char* der = nullptr;
    const int size = i2d_PUBKEY(opened.key(), &der);
    std::string bytes(reinterpret_cast<char*>(der), static_cast<size_t>(size));
    OPENSSL_free(der);
    return bytes;
  }
};

// --- External accounts.

TEST_F(AccountsTest, AreBoundByEachMacWithKeysPaddedOrNot) {
  for (const char* algorithm : {"HS256", "HS384", "HS512"}) {
    for (const char* key : {"c2VjcmV0MQ==", "c2VjcmV0MQ", "YQ", "YWI="}) {
      ca.behaviour.external_accounts["kid"] = key[0] == 'c' ? "secret1" : key[2] == 'I' ? "ab" : "a";
      ca.ForgetEverything();
      ForgetAccounts();
      UseExternalAccount("kid", key, algorithm);
      EXPECT_THAT(Open(), IsOk()) << algorithm << " " << key;
    }
  }
}

TEST_F(AccountsTest, AnotherExternalAccountIsAnotherAccountAndTheFirstIsKept) {
  ca.behaviour.external_accounts = {{"old", "secret"}, {"new", "secret"}};
  UseExternalAccount("old", "c2VjcmV0");
  const std::string first = Open()->signer().account_url;
  UseExternalAccount("new", "c2VjcmV0");
  const std::string second = Open()->signer().account_url;
  EXPECT_NE(first, second);
  EXPECT_THAT(*AccountRecords(store).List(), SizeIs(2));
  UseExternalAccount("old", "c2VjcmV0");
  EXPECT_EQ(Open()->signer().account_url, first);
}

TEST_F(AccountsTest, OneThatIsTakenOnceIsTakenAgainAfterALostAnswer) {
  ca.behaviour.burns_external_accounts = true;
  std::vector<int> lost;
  for (int ahead = 1; ahead <= 2; ++ahead) {
    ca.behaviour.external_accounts = {{"kid", "secret"}};
    ca.ForgetEverything();
    ForgetAccounts();
    UseExternalAccount("kid", "c2VjcmV0");
    http.FailAt(http.exchanges() + ahead, FakeHttpClient::Fault::kAnswerLost, Fail(Reason::LINK_LOST, "reset"));
    const auto first = Open();
    if (!first.ok()) lost.push_back(ahead);
    EXPECT_THAT(Open(), IsOk()) << "the same key finds the account, after answer " << ahead << " was lost";
    EXPECT_EQ(ca.accounts(), 1);
  }
  // The directory is asked again at once; its answer brings the nonce for the account.
  EXPECT_THAT(lost, ElementsAre(2));
}

TEST_F(AccountsTest, OneThatWasBurntOrHasExpiredIsSaidWithWhatToDo) {
  ca.behaviour.external_accounts = {{"kid", "other"}};
  ca.behaviour.burns_external_accounts = true;
  UseExternalAccount("kid", "c2VjcmV0");
  EXPECT_THAT(Open(), HasReason(Reason::CA_REFUSED, HasSubstr("MAC is wrong")));
  UseExternalAccount("kid", "b3RoZXI");
  const auto burnt = Open();
  EXPECT_THAT(burnt, HasReason(Reason::CA_REFUSED, HasSubstr("unknown key id")));
  EXPECT_THAT(FailureOf(burnt.status()).hint(), HasSubstr("get another one there"));
  ca.behaviour.external_accounts = {{"late", "secret"}};
  ca.behaviour.expired_external_accounts = {"late"};
  UseExternalAccount("late", "c2VjcmV0");
  EXPECT_THAT(Open(), HasReason(Reason::CA_REFUSED, HasSubstr("has expired")));
}

// --- Another key.

TEST_F(AccountsTest, AKeyIsRolledAndTheAccountStays) {
  auto opened = Open();
  ASSERT_THAT(opened, IsOk());
  const std::string before = PublicHalf(*opened);
  AcmeClient client = Client();
  ASSERT_THAT(opened->RollKey(client, Keep()), IsOk());
  EXPECT_NE(PublicHalf(*opened), before);
  EXPECT_EQ(PublicHalf(*Open()), PublicHalf(*opened));
  EXPECT_EQ(ca.accounts(), 1);
  ASSERT_THAT(Issue(), IsOk()) << "the CA takes the new key";
}

TEST_F(AccountsTest, AKeyIsNotRolledWhereTheDirectoryHasNoKeyChange) {
  ca.behaviour.offers_key_change = false;
  auto opened = Open();
  AcmeClient client = Client();
  EXPECT_THAT(opened->RollKey(client, Keep()), HasReason(Reason::CA_REFUSED, HasSubstr("offers no change")));
  EXPECT_FALSE(Record().has_next_private_key());
}

// As Caddy 2.6 does, with a problem that says something else.
TEST_F(AccountsTest, AKeyIsNotRolledWhereKeyChangeIsNotImplemented) {
  auto opened = Open();
  ca.AnswerOnce("key-change", FakeAcmeServer::ProblemAnswer(501, "rejectedIdentifier", "is not implemented"));
  AcmeClient client = Client();
  const absl::Status refused = opened->RollKey(client, Keep());
  EXPECT_THAT(refused, HasReason(Reason::CA_REFUSED, HasSubstr("offers no change")));
  EXPECT_THAT(FailureOf(refused).hint(), HasSubstr("accounts deactivate"));
  EXPECT_FALSE(Record().has_next_private_key());
}

TEST_F(AccountsTest, ARefusedRollKeepsTheKey) {
  auto opened = Open();
  ca.AnswerOnce("key-change", FakeAcmeServer::ProblemAnswer(403, "unauthorized", "not today"));
  AcmeClient client = Client();
  EXPECT_THAT(opened->RollKey(client, Keep()), HasReason(Reason::CA_REFUSED, HasSubstr("not today")));
  EXPECT_FALSE(Record().has_next_private_key());
  EXPECT_THAT(Issue(), IsOk());
}

// Stopped before or after the CA heard of the new key: one of the two is the account's, and neither is lost.
TEST_F(AccountsTest, ARollThatIsInterruptedAnywhereLosesNoKey) {
  for (const auto fault : {FakeHttpClient::Fault::kRequestLost, FakeHttpClient::Fault::kAnswerLost}) {
    IssuerFixture world;
    const AcmeAccount::Keep keep{.store = world.store, .sealer = world.sealer, .clock = world.clock};
    AcmeClient client(world.http, world.clock, {.directory_url = world.account.directory});
    auto opened = AcmeAccount::FindOrCreate(client, world.account, keep);
    ASSERT_THAT(opened, IsOk());
    world.http.FailAt(world.http.exchanges() + 1, fault, Fail(Reason::TIMED_OUT, "no answer"));
    const absl::Status unknown = opened->RollKey(client, keep);
    EXPECT_THAT(unknown, HasReason(Reason::TIMED_OUT));
    EXPECT_THAT(FailureOf(unknown).hint(), HasSubstr("it is not known whether the CA did"));
    ASSERT_THAT(world.Issue(), IsOk());
    EXPECT_EQ(world.ca.accounts(), 1);
    const auto record = *AccountRecords(world.store).Get(AcmeAccount::KeyOf(world.account));
    EXPECT_FALSE(record->has_next_private_key());
  }
}

TEST_F(AccountsTest, ARollWhoseResultIsNotSavedIsFoundOut) {
  auto opened = Open();
  AcmeClient client = Client();
  int commits = 0;
  store.gate = [&](int) { return ++commits == 2 ? absl::CancelledError("killed") : absl::OkStatus(); };
  EXPECT_FALSE(opened->RollKey(client, Keep()).ok());
  store.gate = nullptr;
  EXPECT_TRUE(Record().has_next_private_key());
  ASSERT_THAT(Issue(), IsOk());
  EXPECT_FALSE(Record().has_next_private_key());
}

// --- Contact and end.

TEST_F(AccountsTest, TheConfiguredContactsAreToldOnce) {
  account.contact = {"mailto:a@example.com"};
  auto opened = Open();
  AcmeClient client = Client();
  EXPECT_FALSE(*opened->UpdateContact(client, account, Keep()));
  account.contact = {"mailto:b@example.com", "mailto:c@example.com"};
  EXPECT_TRUE(*opened->UpdateContact(client, account, Keep()));
  EXPECT_THAT(ca.ContactsOf(opened->signer().account_url), ElementsAre("mailto:b@example.com", "mailto:c@example.com"));
  EXPECT_FALSE(*Open()->UpdateContact(client, account, Keep()));
}

TEST_F(AccountsTest, OneThatWasDeactivatedIsUsedNoMoreUntilItIsMadeAnew) {
  auto opened = Open();
  AcmeClient client = Client();
  const std::string url = opened->signer().account_url;
  ASSERT_THAT(opened->Deactivate(client, Keep()), IsOk());
  EXPECT_TRUE(ca.IsDeactivated(url));
  // Asked twice, as after an answer that was lost.
  EXPECT_THAT(opened->Deactivate(client, Keep()), IsOk());
  const auto refused = Issue();
  EXPECT_THAT(refused, HasReason(Reason::CA_REFUSED, HasSubstr("was deactivated on 2030-01-01")));
  EXPECT_THAT(FailureOf(refused.status()).hint(), HasSubstr("certcast accounts register ca"));
  EXPECT_FALSE(AcmeAccount::FindRegistered(client, account, Keep())->has_value());
  ASSERT_THAT(AcmeAccount::CreateAnew(client, account, Keep()), IsOk());
  ASSERT_THAT(Issue(), IsOk());
  EXPECT_NE(Record().account_url(), url);
}

TEST_F(AccountsTest, OneOfAnotherClientIsTakenOver) {
  auto opened = Open();
  const std::string url = opened->signer().account_url;
  const std::string pem(
      (*sealer.Open(absl::StrCat("account/", opened->account_key()), Record().private_key())).ExposeSecret());
  ForgetAccounts();
  EXPECT_TRUE(*AcmeAccount::Adopt(account, Keep(), *PrivateKey::FromPem(pem), url));
  EXPECT_FALSE(*AcmeAccount::Adopt(account, Keep(), *PrivateKey::Generate(KeyType::kEcdsaP256), url)) << "it is kept";
  ASSERT_THAT(Issue(), IsOk());
  EXPECT_EQ(ca.accounts(), 1);
  // Without its URL, or with what is none, the CA is asked.
  for (const std::string other : {"", "12345", "http://ca.test/account/1"}) {
    ForgetAccounts();
    EXPECT_TRUE(*AcmeAccount::Adopt(account, Keep(), *PrivateKey::FromPem(pem), other));
    EXPECT_EQ(Record().account_url(), "");
    ASSERT_THAT(Issue(), IsOk());
    EXPECT_EQ(Record().account_url(), url);
    EXPECT_EQ(ca.accounts(), 1);
  }
}

TEST_F(AccountsTest, AKeyThatNoCaTakesIsNotTakenOver) {
  EXPECT_THAT(AcmeAccount::Adopt(account, Keep(), *PrivateKey::Generate(KeyType::kEd25519), ""),
              HasCode(absl::StatusCode::kInvalidArgument));
}

// --- Several accounts.

class FallbackTest : public AccountsTest {
 protected:
  FallbackTest() {
    // As many orders as these are would take long.
    ca.behaviour.checks_with_openssl = false;
    certificate.account = "ca";
    certificate.further_accounts = {"second"};
    second.name = "second";
    second.directory = "https://ca.test/directory?of=second";
    second.terms_of_service_agreed = true;
  }
  absl::StatusOr<state::v1::Generation> IssueFromAny() {
    Issuer issuer(both, dns, processes, clock, store, sealer, limits);
    return issuer.IssueFromAny(certificate, {&account, &second}, 0,
                               [this](absl::string_view line) { progress.emplace_back(line); });
  }

  // The account's directory becomes another while the CA is at work on its order.
  void ChangeDirectoryHalfWay() {
    ca.behaviour.processing_looks = 1000;
    EXPECT_THAT(IssueFromAny(), HasReason(Reason::ORDER_PENDING));
    ca.behaviour.directory_target = "/directory?action=renew";
    account.directory = ca.directory_url();
  }

  AccountConfig second;
  FakeAcmeServer other{clock, [this](const std::string& fqdn) { return hook.Txt(fqdn); }};
  FakeHttpClient both{[this](const HttpRequest& request) {
    const bool for_other = request.url == second.directory || absl::StartsWith(request.url, "https://other.test");
    return for_other ? other.Handle(request) : ca.Handle(request);
  }};

  void SetUp() override {
    other.set_origin("https://other.test");
    second.directory = other.directory_url();
  }
};

TEST_F(FallbackTest, TheFirstGivesItWhereItCan) {
  const auto generation = IssueFromAny();
  ASSERT_THAT(generation, IsOk());
  EXPECT_EQ(generation->account(), "ca");
  EXPECT_EQ(other.accounts(), 0);
}

TEST_F(FallbackTest, TheSecondGivesItWhereTheFirstRefuses) {
  ca.AnswerOnce("new-order", FakeAcmeServer::ProblemAnswer(403, "rejectedIdentifier", "not for you"));
  const auto generation = IssueFromAny();
  ASSERT_THAT(generation, IsOk());
  EXPECT_EQ(generation->account(), "second");
  EXPECT_TRUE(ProgressMentions("the account `ca` did not give it"));
  EXPECT_FALSE(HasOrderRecord());
  EXPECT_THAT(zone, IsEmpty());
}

TEST_F(FallbackTest, ARateLimitOfTheFirstBindsTheFirstAlone) {
  HttpResponse limited = FakeAcmeServer::ProblemAnswer(429, "rateLimited", "too many");
  limited.headers.emplace_back("retry-after", "86400");
  ca.AnswerOnce("new-order", limited);
  ASSERT_THAT(IssueFromAny(), IsOk());
  const int orders = ca.orders();
  const auto again = IssueFromAny();
  ASSERT_THAT(again, IsOk());
  EXPECT_EQ(again->account(), "second");
  EXPECT_EQ(ca.orders(), orders);
  clock.Advance(absl::Hours(25));
  EXPECT_EQ(IssueFromAny()->account(), "ca");
}

TEST_F(FallbackTest, WhatBothSaidIsInTheError) {
  ca.AnswerOnce("new-order", FakeAcmeServer::ProblemAnswer(403, "rejectedIdentifier", "not for you"));
  other.AnswerOnce("new-order", FakeAcmeServer::ProblemAnswer(403, "caa", "CAA forbids it"));
  EXPECT_THAT(
      IssueFromAny(),
      HasReason(Reason::CA_REFUSED, AllOf(HasSubstr("account `ca`: ordering a certificate"), HasSubstr("not for you"),
                                          HasSubstr("account `second`"), HasSubstr("CAA forbids it"))));
  const auto schedule = *ScheduleRecords(store).Get("wildcard");
  EXPECT_EQ(schedule->failures(), 1);
  EXPECT_EQ(schedule->further_accounts().at("second").failures(), 1);
}

TEST_F(FallbackTest, WhileTheFirstIsAtWorkTheSecondIsNotAsked) {
  ca.behaviour.processing_looks = 1000;
  EXPECT_THAT(IssueFromAny(), HasReason(Reason::ORDER_PENDING));
  EXPECT_EQ(other.accounts(), 0);
}

TEST_F(FallbackTest, AFinalizeThatMayHaveArrivedKeepsTheSecondOut) {
  ca.AnswerOnce("finalize", {.status = 503, .headers = {{"retry-after", "86400"}}});
  EXPECT_THAT(IssueFromAny(), HasReason(Reason::CA_RATE_LIMITED));
  EXPECT_EQ(other.accounts(), 0);
}

TEST_F(FallbackTest, AnOrderThatTheSecondIsAtWorkOnIsGoneOnWithFirst) {
  ca.AnswerOnce("new-order", FakeAcmeServer::ProblemAnswer(403, "rejectedIdentifier", "not for you"));
  other.behaviour.processing_looks = 1000;
  EXPECT_THAT(IssueFromAny(), HasReason(Reason::CA_REFUSED, HasSubstr("still processing")));
  other.behaviour.processing_looks = 0;
  absl::StatusOr<state::v1::Generation> generation = IssueFromAny();
  for (int i = 0; i < 100 && !generation.ok(); ++i) generation = IssueFromAny();
  ASSERT_THAT(generation, IsOk());
  EXPECT_EQ(generation->account(), "second");
  EXPECT_EQ(ca.orders(), 0);
  EXPECT_EQ(other.orders(), 1);
}

// A contract that changes while the CA vets: it may issue for the key that is kept with the order.
TEST_F(FallbackTest, AnOrderOfTheAccountAsItWasIsGoneOnWithAndNotMadeAgain) {
  ChangeDirectoryHalfWay();
  EXPECT_THAT(IssueFromAny(), HasReason(Reason::ORDER_PENDING));
  ca.behaviour.processing_looks = 0;
  absl::StatusOr<state::v1::Generation> generation = IssueFromAny();
  for (int i = 0; i < 100 && !generation.ok(); ++i) generation = IssueFromAny();
  ASSERT_THAT(generation, IsOk());
  EXPECT_EQ(ca.orders(), 1);
  EXPECT_EQ(ca.finalized(), 1);
  EXPECT_EQ(ca.accounts(), 1);
  EXPECT_EQ(other.accounts(), 0);
  // The next one is the new account's.
  ASSERT_THAT(IssueFromAny(), IsOk());
  EXPECT_EQ(ca.accounts(), 2);
}

TEST_F(FallbackTest, AnAccountAsItWasOrdersNothing) {
  ChangeDirectoryHalfWay();
  ca.behaviour.processing_looks = 0;
  ca.AnswerOnce("order", {.status = 404});
  ASSERT_THAT(IssueFromAny(), IsOk());
  EXPECT_TRUE(ProgressMentions("which the configuration had before, has no order any more"));
  EXPECT_EQ(ca.orders(), 2);
  EXPECT_EQ(ca.accounts(), 2);
}

}  // namespace
}  // namespace certcast::controller
