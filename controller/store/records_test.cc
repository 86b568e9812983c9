#include "controller/store/records.h"

#include <thread>

#include "absl/strings/str_cat.h"
#include "common/clock/timestamp.h"
#include "common/status/status.h"
#include "controller/store/renewal_ends.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/memory_store.h"
#include "tests/testing/status_matchers.h"

namespace certcast::controller {
namespace {

using ::certcast::testing::HasCode;
using ::certcast::testing::HasReason;
using ::certcast::testing::IsOk;
using ::certcast::testing::IsOkAndHolds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

using PendingOrder = GenerationRecords::PendingOrder;

const absl::Time kNow = absl::FromUnixSeconds(1893456000);

state::v1::Generation MakeGeneration(const std::string& certificate, uint64_t number) {
  state::v1::Generation generation;
  generation.set_certificate(certificate);
  generation.set_generation(number);
  generation.set_leaf_sha256(absl::StrCat("leaf-", number));
  return generation;
}

std::vector<std::string> Keys(Store& store) {
  const std::vector<StoredRecord> records = *store.List("");
  std::vector<std::string> keys;
  keys.reserve(records.size());
  for (const StoredRecord& record : records) keys.push_back(record.key);
  return keys;
}

class RecordsTest : public ::testing::Test {
 protected:
  // An epoch that was the latest until now.
  uint64_t LostEpoch() {
    const uint64_t epoch = (*store_.TakeLease("certcast apply"))->epoch();
    EXPECT_THAT(store_.TakeLease("certcast serve"), IsOk());
    return epoch;
  }

  void PutRaw(const std::string& key, const std::string& value) {
    Transaction transaction;
    transaction.writes.push_back({key, value});
    ASSERT_THAT(store_.Commit(transaction), IsOk());
  }

  certcast::testing::MemoryStore store_;
  GenerationRecords generations_{store_};
  OrderRecords orders_{store_};
  AccountRecords accounts_{store_};
  NodeRecords nodes_{store_};
  ScheduleRecords schedules_{store_};
};

TEST_F(RecordsTest, LivesUnderTheDocumentedKeys) {
  ASSERT_THAT(generations_.Append(MakeGeneration("wildcard", 1), PendingOrder::kKeep, 0), IsOk());
  state::v1::Order order;
  order.set_certificate("wildcard");
  ASSERT_THAT(orders_.Put(order, 0), IsOk());
  ASSERT_THAT(nodes_.Update({"web-01"}, 0, [](state::v1::Node&) {}), IsOk());
  ASSERT_THAT(schedules_.Put("wildcard", state::v1::Schedule(), 0), IsOk());
  EXPECT_THAT(Keys(store_), ElementsAre("certificates/wildcard/generations/1", "certificates/wildcard/order",
                                        "nodes/web-01", "schedule/wildcard"));
}

TEST_F(RecordsTest, TheFirstGenerationIsNumberOne) {
  EXPECT_THAT(generations_.NextNumber("wildcard"), IsOkAndHolds(1u));
  EXPECT_EQ(*generations_.Wanted("wildcard"), std::nullopt);
  EXPECT_THAT(*generations_.List("wildcard"), IsEmpty());
}

TEST_F(RecordsTest, TheLatestGenerationIsTheWantedOneAlsoFromTenOn) {
  for (uint64_t number = 1; number <= 12; ++number) {
    EXPECT_THAT(generations_.NextNumber("wildcard"), IsOkAndHolds(number));
    ASSERT_THAT(generations_.Append(MakeGeneration("wildcard", number), PendingOrder::kKeep, 0), IsOk());
  }
  EXPECT_EQ((*generations_.Wanted("wildcard"))->generation(), 12u);
  EXPECT_EQ((*generations_.Get("wildcard", 3))->leaf_sha256(), "leaf-3");
  EXPECT_EQ(*generations_.Get("wildcard", 13), std::nullopt);
  const auto all = *generations_.List("wildcard");
  for (size_t i = 0; i < all.size(); ++i) EXPECT_EQ(all[i].generation(), i + 1);
  EXPECT_EQ(all.size(), 12u);
}

TEST_F(RecordsTest, CertificatesDoNotMixWhenOneNameBeginsAnother) {
  ASSERT_THAT(generations_.Append(MakeGeneration("web", 1), PendingOrder::kKeep, 0), IsOk());
  ASSERT_THAT(generations_.Append(MakeGeneration("web-ev", 1), PendingOrder::kKeep, 0), IsOk());
  EXPECT_EQ(generations_.List("web")->size(), 1u);
  EXPECT_THAT(generations_.NextNumber("web"), IsOkAndHolds(2u));
}

TEST_F(RecordsTest, ANumberIsGivenOnce) {
  ASSERT_THAT(generations_.Append(MakeGeneration("wildcard", 1), PendingOrder::kKeep, 0), IsOk());
  EXPECT_THAT(generations_.Append(MakeGeneration("wildcard", 1), PendingOrder::kKeep, 0),
              HasCode(absl::StatusCode::kAborted));
  EXPECT_THAT(generations_.Append(MakeGeneration("wildcard", 3), PendingOrder::kKeep, 0),
              HasCode(absl::StatusCode::kAborted));
}

TEST_F(RecordsTest, OfTwoThatAppendAtOnceOneWins) {
  constexpr int kThreads = 8;
  std::vector<absl::Status> results(kThreads);
  std::vector<std::thread> threads;
  threads.reserve(kThreads);
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back(
        [&, i] { results[i] = generations_.Append(MakeGeneration("wildcard", 1), PendingOrder::kKeep, 0); });
  }
  for (std::thread& thread : threads) thread.join();
  int won = 0;
  for (const absl::Status& result : results) {
    won += result.ok();
    EXPECT_TRUE(result.ok() || absl::IsAborted(result)) << result;
  }
  EXPECT_EQ(won, 1);
}

TEST_F(RecordsTest, AGenerationCanEndItsOrderInTheSameTransaction) {
  state::v1::Order order;
  order.set_certificate("wildcard");
  ASSERT_THAT(orders_.Put(order, 0), IsOk());
  ASSERT_THAT(generations_.Append(MakeGeneration("wildcard", 1), PendingOrder::kKeep, 0), IsOk());
  EXPECT_TRUE(orders_.Get("wildcard")->has_value());
  const int commits = store_.commits();
  ASSERT_THAT(generations_.Append(MakeGeneration("wildcard", 2), PendingOrder::kRemove, 0), IsOk());
  EXPECT_EQ(store_.commits(), commits + 1);
  EXPECT_FALSE(orders_.Get("wildcard")->has_value());
}

TEST_F(RecordsTest, RevocationIsMarkedOnceAndKeepsItsDate) {
  ASSERT_THAT(generations_.Append(MakeGeneration("wildcard", 1), PendingOrder::kKeep, 0), IsOk());
  ASSERT_THAT(generations_.MarkRevoked("wildcard", 1, kNow, 0), IsOk());
  ASSERT_THAT(generations_.MarkRevoked("wildcard", 1, kNow + absl::Hours(1), 0), IsOk());
  const auto generation = **generations_.Get("wildcard", 1);
  EXPECT_EQ(FromTimestamp(generation.revoked_at()), kNow);
  EXPECT_EQ(generation.leaf_sha256(), "leaf-1");
  EXPECT_THAT(generations_.MarkRevoked("wildcard", 2, kNow, 0), HasCode(absl::StatusCode::kNotFound));
}

TEST_F(RecordsTest, AnOrderIsPutReadAndDeleted) {
  EXPECT_EQ(*orders_.Get("wildcard"), std::nullopt);
  state::v1::Order order;
  order.set_certificate("wildcard");
  order.set_order_url("https://acme.example/order/1");
  ASSERT_THAT(orders_.Put(order, 0), IsOk());
  EXPECT_EQ((*orders_.Get("wildcard"))->order_url(), "https://acme.example/order/1");
  ASSERT_THAT(orders_.Delete("wildcard", 0), IsOk());
  ASSERT_THAT(orders_.Delete("wildcard", 0), IsOk());
  EXPECT_EQ(*orders_.Get("wildcard"), std::nullopt);
}

TEST_F(RecordsTest, AnAccountBelongsToDirectoryAndExternalAccount) {
  // printf 'https://acme.example/directory?action=renew\nkid-1' | sha256sum
  const std::string key = AccountRecords::Key("https://acme.example/directory?action=renew", "kid-1");
  EXPECT_EQ(key, "3bf67f1fa27f8832f44751309268bf70d8966eb7acb3efa058c15031a467683f");
  EXPECT_NE(key, AccountRecords::Key("https://acme.example/directory?action=renew", "kid-2"));
  EXPECT_NE(key, AccountRecords::Key("https://acme.example/directory?action=new", "kid-1"));

  state::v1::Account account;
  account.set_directory_url("https://acme.example/directory?action=renew");
  account.set_external_account_key_id("kid-1");
  account.set_account_url("https://acme.example/account/1");
  ASSERT_THAT(accounts_.Put(account, 0), IsOk());
  EXPECT_THAT(Keys(store_), ElementsAre("accounts/" + key));
  EXPECT_EQ((*accounts_.Get(key))->account_url(), "https://acme.example/account/1");
  EXPECT_EQ(*accounts_.Get(AccountRecords::Key("https://other.example", "")), std::nullopt);
}

TEST_F(RecordsTest, NodesAreUpdatedTogetherAndKeepWhatWasThere) {
  ASSERT_THAT(nodes_.Update({"web-02", "web-01"}, 0,
                            [](state::v1::Node& node) { node.set_identity_sha256("id-" + node.name()); }),
              IsOk());
  EXPECT_EQ(store_.commits(), 1);
  ASSERT_THAT(nodes_.Update({"web-01"}, 0, [](state::v1::Node& node) { node.mutable_last_seen()->set_seconds(5); }),
              IsOk());
  const auto node = **nodes_.Get("web-01");
  EXPECT_EQ(node.name(), "web-01");
  EXPECT_EQ(node.identity_sha256(), "id-web-01");
  EXPECT_EQ(node.last_seen().seconds(), 5);
  const auto all = *nodes_.List();
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].name(), "web-01");
  EXPECT_EQ(all[1].name(), "web-02");
  ASSERT_THAT(nodes_.Delete("web-01", 0), IsOk());
  EXPECT_EQ(*nodes_.Get("web-01"), std::nullopt);
}

TEST_F(RecordsTest, AnUpdateOfANodeIsRepeatedWhenAnotherCameBetween) {
  int runs = 0;
  ASSERT_THAT(nodes_.Update({"web-01"}, 0,
                            [&](state::v1::Node& node) {
                              if (++runs == 1) {
                                state::v1::Node theirs;
                                theirs.set_name("web-01");
                                theirs.set_identity_sha256("theirs");
                                PutRaw("nodes/web-01", theirs.SerializeAsString());
                              }
                              node.mutable_last_seen()->set_seconds(5);
                            }),
              IsOk());
  EXPECT_EQ(runs, 2);
  const auto node = **nodes_.Get("web-01");
  EXPECT_EQ(node.identity_sha256(), "theirs");
  EXPECT_EQ(node.last_seen().seconds(), 5);
}

TEST_F(RecordsTest, AnUpdateThatOthersAlwaysPreventGivesUp) {
  int runs = 0;
  EXPECT_THAT(nodes_.Update({"web-01"}, 0,
                            [&](state::v1::Node&) { PutRaw("nodes/web-01", absl::StrCat("\x0a\x01", ++runs % 10)); }),
              HasCode(absl::StatusCode::kAborted));
  EXPECT_GT(runs, 1);
}

TEST_F(RecordsTest, ScheduleIsPutReadAndDeleted) {
  EXPECT_EQ(*schedules_.Get("wildcard"), std::nullopt);
  state::v1::Schedule schedule;
  schedule.set_failures(3);
  ASSERT_THAT(schedules_.Put("wildcard", schedule, 0), IsOk());
  EXPECT_EQ((*schedules_.Get("wildcard"))->failures(), 3);
  ASSERT_THAT(schedules_.Delete("wildcard", 0), IsOk());
  EXPECT_EQ(*schedules_.Get("wildcard"), std::nullopt);
}

TEST_F(RecordsTest, NobodyWritesUnderALostLease) {
  const uint64_t lost = LostEpoch();
  state::v1::Order order;
  order.set_certificate("wildcard");
  EXPECT_THAT(generations_.Append(MakeGeneration("wildcard", 1), PendingOrder::kKeep, lost),
              HasReason(Reason::STALE_EPOCH));
  EXPECT_THAT(orders_.Put(order, lost), HasReason(Reason::STALE_EPOCH));
  EXPECT_THAT(orders_.Delete("wildcard", lost), HasReason(Reason::STALE_EPOCH));
  EXPECT_THAT(accounts_.Put(state::v1::Account(), lost), HasReason(Reason::STALE_EPOCH));
  EXPECT_THAT(nodes_.Update({"web-01"}, lost, [](state::v1::Node&) {}), HasReason(Reason::STALE_EPOCH));
  EXPECT_THAT(nodes_.Delete("web-01", lost), HasReason(Reason::STALE_EPOCH));
  EXPECT_THAT(schedules_.Put("wildcard", state::v1::Schedule(), lost), HasReason(Reason::STALE_EPOCH));
  EXPECT_THAT(schedules_.Delete("wildcard", lost), HasReason(Reason::STALE_EPOCH));
  ASSERT_THAT(generations_.Append(MakeGeneration("wildcard", 1), PendingOrder::kKeep, 0), IsOk());
  EXPECT_THAT(generations_.MarkRevoked("wildcard", 1, kNow, lost), HasReason(Reason::STALE_EPOCH));
}

TEST_F(RecordsTest, WhatACaSuggestedForAnEarlierGenerationIsKept) {
  RenewalInfoRecords records(store_);
  const auto put = [&](const std::string& leaf, int end) {
    state::v1::RenewalInfo info;
    info.set_certificate("wildcard");
    info.set_leaf_sha256(leaf);
    if (end > 0) *info.mutable_window_end() = ToTimestamp(kNow + absl::Hours(end));
    EXPECT_THAT(records.Put(info, 0), IsOk());
  };
  EXPECT_THAT(RenewalEnds(store_, "wildcard"), IsOkAndHolds(IsEmpty()));
  put("a", 1);
  put("a", 2);
  put("b", 0);
  put("c", 3);
  EXPECT_THAT(RenewalEnds(store_, "wildcard"),
              IsOkAndHolds(ElementsAre(Pair("a", kNow + absl::Hours(2)), Pair("c", kNow + absl::Hours(3)))));
  EXPECT_THAT(RenewalEnds(store_, "wild"), IsOkAndHolds(IsEmpty()));
  EXPECT_EQ((*records.Get("wildcard"))->leaf_sha256(), "c");
}

TEST_F(RecordsTest, NamesThatWouldLeadElsewhereAreRefused) {
  for (const std::string& name :
       {std::string(), std::string("a/b"), std::string("a b"), std::string("\xc3\xa9"), std::string(201, 'a')}) {
    EXPECT_THAT(generations_.List(name), HasCode(absl::StatusCode::kInvalidArgument)) << name;
    EXPECT_THAT(orders_.Get(name), HasCode(absl::StatusCode::kInvalidArgument)) << name;
    EXPECT_THAT(nodes_.Get(name), HasCode(absl::StatusCode::kInvalidArgument)) << name;
    EXPECT_THAT(accounts_.Get(name), HasCode(absl::StatusCode::kInvalidArgument)) << name;
    EXPECT_THAT(schedules_.Get(name), HasCode(absl::StatusCode::kInvalidArgument)) << name;
  }
}

TEST_F(RecordsTest, ADamagedRecordIsNamed) {
  PutRaw("nodes/web-01", "\xff\xff\xff");
  EXPECT_THAT(nodes_.Get("web-01"), HasReason(Reason::STORAGE_FAILED, HasSubstr("nodes/web-01")));
  EXPECT_THAT(nodes_.List(), HasReason(Reason::STORAGE_FAILED, HasSubstr("nodes/web-01")));
}

}  // namespace
}  // namespace certcast::controller
