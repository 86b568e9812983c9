// What every Store promises: the same tests for each of them.
#include "controller/store/store.h"

#include <atomic>
#include <functional>
#include <thread>

#include "absl/strings/str_cat.h"
#include "common/status/status.h"
#include "controller/store/sqlite_store.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/memory_store.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temporary_directory.h"

namespace certcast::controller {
namespace {

using ::certcast::testing::HasCode;
using ::certcast::testing::HasReason;
using ::certcast::testing::IsOk;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

Transaction Put(const std::string& key, const std::string& value) {
  Transaction transaction;
  transaction.writes.push_back({key, value});
  return transaction;
}

Transaction PutIf(const std::string& key, int64_t revision, const std::string& value) {
  Transaction transaction = Put(key, value);
  transaction.compares.push_back({key, revision});
  return transaction;
}

struct Kind {
  const char* name;
  std::unique_ptr<Store> (*make)(const std::string& directory);
};

std::unique_ptr<Store> MakeMemory(const std::string&) {
  return std::make_unique<certcast::testing::MemoryStore>();
}

std::unique_ptr<Store> MakeSqlite(const std::string& directory) {
  absl::StatusOr<std::unique_ptr<SqliteStore>> store = SqliteStore::Open(directory + "/state", {.make = true});
  EXPECT_THAT(store, IsOk());
  return store.ok() ? *std::move(store) : nullptr;
}

class StoreTest : public ::testing::TestWithParam<Kind> {
 protected:
  void SetUp() override {
    store_ = GetParam().make(directory_.path());
    ASSERT_NE(store_, nullptr);
  }

  std::vector<std::string> Keys(absl::string_view prefix) {
    const auto records = store_->List(prefix);
    EXPECT_THAT(records, IsOk());
    std::vector<std::string> keys;
    for (const StoredRecord& record : *records) keys.push_back(record.key);
    return keys;
  }

  certcast::testing::TemporaryDirectory directory_;
  std::unique_ptr<Store> store_;
};

TEST_P(StoreTest, GivesBackWhatWasWritten) {
  const std::string binary("a\0b\xff\n", 5);
  const auto revision = store_->Commit(Put("nodes/web-01", binary));
  ASSERT_THAT(revision, IsOk());
  const auto record = store_->Get("nodes/web-01");
  ASSERT_THAT(record, IsOk());
  EXPECT_EQ(record->key, "nodes/web-01");
  EXPECT_EQ(record->value, binary);
  EXPECT_EQ(record->revision, *revision);
}

TEST_P(StoreTest, KeepsAnEmptyValueApartFromAnAbsentOne) {
  ASSERT_THAT(store_->Commit(Put("a", "")), IsOk());
  const auto record = store_->Get("a");
  ASSERT_THAT(record, IsOk());
  EXPECT_EQ(record->value, "");
  EXPECT_THAT(store_->Get("b"), HasCode(absl::StatusCode::kNotFound));
}

TEST_P(StoreTest, RevisionsOnlyGrow) {
  int64_t last = 0;
  for (int i = 0; i < 5; ++i) {
    const auto revision = store_->Commit(Put("a", absl::StrCat(i)));
    ASSERT_THAT(revision, IsOk());
    EXPECT_GT(*revision, last);
    last = *revision;
  }
}

TEST_P(StoreTest, ListsAPrefixInTheOrderOfBytes) {
  for (const char* key : {"b/2", "b/10", "b", "ba", "c/1", "b/~", "B/1", "b/1/x", "a/9"}) {
    ASSERT_THAT(store_->Commit(Put(key, key)), IsOk());
  }
  EXPECT_THAT(Keys("b/"), ElementsAre("b/1/x", "b/10", "b/2", "b/~"));
  EXPECT_THAT(Keys("b"), ElementsAre("b", "b/1/x", "b/10", "b/2", "b/~", "ba"));
  EXPECT_THAT(Keys(""), ElementsAre("B/1", "a/9", "b", "b/1/x", "b/10", "b/2", "b/~", "ba", "c/1"));
  EXPECT_THAT(Keys("d"), IsEmpty());
}

TEST_P(StoreTest, TakesPrefixesLiterally) {
  for (const char* key : {"a%b", "axb", "a_b", "a*b"}) ASSERT_THAT(store_->Commit(Put(key, "1")), IsOk());
  EXPECT_THAT(Keys("a%"), ElementsAre("a%b"));
  EXPECT_THAT(Keys("a_"), ElementsAre("a_b"));
  EXPECT_THAT(Keys("a*"), ElementsAre("a*b"));
}

TEST_P(StoreTest, DeletesAndDoesNotMindWhatIsGone) {
  ASSERT_THAT(store_->Commit(Put("a", "1")), IsOk());
  Transaction remove;
  remove.writes.push_back({"a", std::nullopt});
  ASSERT_THAT(store_->Commit(remove), IsOk());
  EXPECT_THAT(store_->Get("a"), HasCode(absl::StatusCode::kNotFound));
  EXPECT_THAT(store_->Commit(remove), IsOk());
}

TEST_P(StoreTest, OfTwoWritesToOneKeyTheLastCounts) {
  Transaction transaction = Put("a", "1");
  transaction.writes.push_back({"a", std::nullopt});
  transaction.writes.push_back({"b", "1"});
  transaction.writes.push_back({"b", "2"});
  ASSERT_THAT(store_->Commit(transaction), IsOk());
  EXPECT_THAT(store_->Get("a"), HasCode(absl::StatusCode::kNotFound));
  EXPECT_EQ(store_->Get("b")->value, "2");
}

TEST_P(StoreTest, SwapsOnlyWhatIsStillTheSame) {
  const auto first = store_->Commit(PutIf("a", 0, "1"));
  ASSERT_THAT(first, IsOk());
  EXPECT_THAT(store_->Commit(PutIf("a", 0, "2")), HasCode(absl::StatusCode::kAborted));
  const auto second = store_->Commit(PutIf("a", *first, "3"));
  ASSERT_THAT(second, IsOk());
  EXPECT_THAT(store_->Commit(PutIf("a", *first, "4")), HasCode(absl::StatusCode::kAborted));
  EXPECT_EQ(store_->Get("a")->value, "3");
  EXPECT_EQ(store_->Get("a")->revision, *second);
}

TEST_P(StoreTest, ARecordMadeAnewIsNotTheOldOne) {
  const auto first = store_->Commit(Put("a", "1"));
  Transaction remove;
  remove.writes.push_back({"a", std::nullopt});
  ASSERT_THAT(store_->Commit(remove), IsOk());
  EXPECT_THAT(store_->Commit(PutIf("a", *first, "2")), HasCode(absl::StatusCode::kAborted));
  const auto again = store_->Commit(PutIf("a", 0, "1"));
  ASSERT_THAT(again, IsOk());
  EXPECT_GT(*again, *first);
}

TEST_P(StoreTest, AFailedCompareLeavesNothingWritten) {
  ASSERT_THAT(store_->Commit(Put("b", "old")), IsOk());
  Transaction transaction = Put("a", "new");
  transaction.writes.push_back({"b", "new"});
  transaction.compares.push_back({"a", 0});
  transaction.compares.push_back({"b", 0});
  EXPECT_THAT(store_->Commit(transaction), HasCode(absl::StatusCode::kAborted));
  EXPECT_THAT(store_->Get("a"), HasCode(absl::StatusCode::kNotFound));
  EXPECT_EQ(store_->Get("b")->value, "old");
}

TEST_P(StoreTest, RefusesKeysAndValuesBeyondTheBounds) {
  for (const std::string& key : {std::string(), std::string("a b"), std::string("a\n"), std::string("\xc3\xa9"),
                                 std::string("a\0b", 3), std::string(kMaxKeySize + 1, 'a')}) {
    EXPECT_THAT(store_->Commit(Put(key, "1")), HasCode(absl::StatusCode::kInvalidArgument)) << key;
    EXPECT_THAT(store_->Get(key), HasCode(absl::StatusCode::kInvalidArgument)) << key;
  }
  EXPECT_THAT(store_->Commit(Put("a", std::string(kMaxValueSize + 1, 'x'))),
              HasCode(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(store_->Commit(Put(std::string(kMaxKeySize, 'a'), std::string(kMaxValueSize, 'x'))), IsOk());
}

TEST_P(StoreTest, OneHolderAtATime) {
  auto first = store_->TakeLease("certcast apply");
  ASSERT_THAT(first, IsOk());
  EXPECT_THAT(store_->TakeLease("certcast serve"), HasReason(Reason::BUSY, HasSubstr("certcast apply")));
  EXPECT_THAT(store_->TakeLease("certcast serve"), HasCode(absl::StatusCode::kUnavailable));
  first->reset();
  EXPECT_THAT(store_->TakeLease("certcast serve"), IsOk());
}

TEST_P(StoreTest, EachLeaseHasAHigherEpoch) {
  uint64_t last = 0;
  for (int i = 0; i < 3; ++i) {
    const auto lease = store_->TakeLease("certcast apply");
    ASSERT_THAT(lease, IsOk());
    EXPECT_GT((*lease)->epoch(), last);
    last = (*lease)->epoch();
  }
}

TEST_P(StoreTest, WritesUnderAnOldEpochAreRefused) {
  auto lease = store_->TakeLease("certcast apply");
  ASSERT_THAT(lease, IsOk());
  Transaction old = Put("a", "old");
  old.epoch = (*lease)->epoch();
  ASSERT_THAT(store_->Commit(old), IsOk());
  lease->reset();
  ASSERT_THAT(store_->Commit(old), IsOk()) << "nobody has taken it since";

  const auto next = store_->TakeLease("certcast serve");
  ASSERT_THAT(next, IsOk());
  old.writes[0].value = "too late";
  EXPECT_THAT(store_->Commit(old),
              AllOf(HasCode(absl::StatusCode::kFailedPrecondition), HasReason(Reason::STALE_EPOCH)));
  EXPECT_EQ(store_->Get("a")->value, "old");
}

// Adds one to the counter `key` by compare-and-swap; the number of conflicts it met.
int AddOne(Store& store, const std::string& key) {
  for (int conflicts = 0;; ++conflicts) {
    const auto record = store.Get(key);
    const int value = record.ok() ? std::stoi(record->value) : 0;
    const absl::Status status =
        store.Commit(PutIf(key, record.ok() ? record->revision : 0, absl::StrCat(value + 1))).status();
    if (status.ok()) return conflicts;
    EXPECT_THAT(status, HasCode(absl::StatusCode::kAborted));
    if (!absl::IsAborted(status)) return conflicts;
  }
}

TEST_P(StoreTest, TwoThreadsLoseNoUpdate) {
  constexpr int kEach = 200;
  const auto work = [&] {
    for (int i = 0; i < kEach; ++i) AddOne(*store_, "counter");
  };
  std::thread other(work);
  work();
  other.join();
  EXPECT_EQ(store_->Get("counter")->value, absl::StrCat(2 * kEach));
}

TEST_P(StoreTest, OfManyThreadsThatMakeARecordOneWins) {
  constexpr int kThreads = 16;
  constexpr int kRounds = 20;
  for (int round = 0; round < kRounds; ++round) {
    std::atomic<int> won{0};
    std::atomic<int> lost{0};
    std::vector<std::thread> threads;
    threads.reserve(kThreads);
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([&, i] {
        // Its second write shows whether a loser left something behind.
        Transaction transaction = PutIf(absl::StrCat("record/", round), 0, absl::StrCat(i));
        transaction.writes.push_back({absl::StrCat("by/", round, "/", i), "1"});
        const absl::Status status = store_->Commit(transaction).status();
        (status.ok() ? won : lost) += 1;
        EXPECT_TRUE(status.ok() || absl::IsAborted(status)) << status;
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(won, 1);
    EXPECT_EQ(lost, kThreads - 1);
    EXPECT_THAT(Keys(absl::StrCat("by/", round, "/")),
                ElementsAre(absl::StrCat("by/", round, "/", store_->Get(absl::StrCat("record/", round))->value)));
  }
}

INSTANTIATE_TEST_SUITE_P(Stores, StoreTest, ::testing::Values(Kind{"Memory", MakeMemory}, Kind{"Sqlite", MakeSqlite}),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace certcast::controller
