// What one process sees of the store when another one writes, dies or holds the lease. The other one is store_child.
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/status/status.h"
#include "controller/store/sqlite_store.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temporary_directory.h"

namespace certcast::controller {
namespace {

using ::certcast::testing::HasReason;
using ::certcast::testing::IsOk;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::SizeIs;

// A running store_child with a pipe to and from it. Ended when destroyed.
class Child {
 public:
  explicit Child(std::vector<std::string> arguments) {
    int to[2];
    int from[2];
    EXPECT_EQ(pipe2(to, O_CLOEXEC), 0);
    EXPECT_EQ(pipe2(from, O_CLOEXEC), 0);
    arguments.insert(arguments.begin(), absl::StrCat(getenv("TEST_SRCDIR"), "/certcast/controller/store/store_child"));
    std::vector<char*> argv;
    argv.reserve(arguments.size() + 1);
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    process_ = fork();
    if (process_ == 0) {
      dup2(to[0], STDIN_FILENO);
      dup2(from[1], STDOUT_FILENO);
      execv(argv[0], argv.data());
      _exit(127);
    }
    close(to[0]);
    close(from[1]);
    input_ = to[1];
    output_ = fdopen(from[0], "r");
  }
  ~Child() {
    Kill();
    Wait();
    fclose(output_);
  }

  // nullopt when it has closed its output: it has ended.
  std::optional<std::string> ReadLine() {
    char line[256];
    if (fgets(line, sizeof line, output_) == nullptr) return std::nullopt;
    return std::string(absl::StripSuffix(line, "\n"));
  }

  void CloseInput() {
    if (input_ >= 0) close(input_);
    input_ = -1;
  }
  void Kill() {
    if (process_ > 0) kill(process_, SIGKILL);
  }
  // As waitpid gives it.
  int Wait() {
    if (process_ > 0) waitpid(process_, &status_, 0);
    process_ = -1;
    CloseInput();
    return status_;
  }
  pid_t process() const { return process_; }

 private:
  pid_t process_ = -1;
  int input_ = -1;
  FILE* output_ = nullptr;
  int status_ = 0;
};

bool WasKilled(int status) {
  return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}
bool Succeeded(int status) {
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

class SqliteStoreProcessTest : public ::testing::Test {
 protected:
  // The number that all ten keys agree on; 0 when there are none. Fails when they don't agree.
  int Agreed(const std::string& state) {
    const auto store = SqliteStore::Open(state, {.make = true});
    EXPECT_THAT(store, IsOk());
    if (!store.ok()) return -1;
    const auto records = (*store)->List("pair/");
    EXPECT_THAT(records, IsOk());
    if (!records.ok() || records->empty()) return 0;
    EXPECT_THAT(*records, SizeIs(10));
    int agreed = -1;
    for (const StoredRecord& record : *records) {
      int number = 0;
      EXPECT_TRUE(absl::SimpleAtoi(std::string(record.value.substr(0, record.value.find(':'))), &number));
      if (agreed < 0) agreed = number;
      EXPECT_EQ(number, agreed) << record.key;
      EXPECT_EQ(record.revision, records->front().revision);
    }
    // It can go on.
    Transaction transaction;
    transaction.writes.push_back({"after", "1"});
    EXPECT_THAT((*store)->Commit(transaction), IsOk());
    return agreed;
  }

  certcast::testing::TemporaryDirectory directory_;
  const std::string state_ = directory_.path() + "/state";
};

// Making the database, and three commits to it, stopped before (or halfway through) each thing that SQLite does to a
// file.
TEST_F(SqliteStoreProcessTest, ACrashAnywhereLeavesWholeTransactionsAndAllThatWereCommitted) {
  constexpr int kTransactions = 3;
  int n = 1;
  for (;; ++n) {
    SCOPED_TRACE(absl::StrCat("operation ", n));
    const std::string state = absl::StrCat(directory_.path(), "/", n);
    Child child({"transactions", state, absl::StrCat(n), absl::StrCat(kTransactions)});
    int committed = 0;
    while (const auto line = child.ReadLine()) {
      int number = 0;
      if (absl::SimpleAtoi(*line, &number)) committed = number;
    }
    const int status = child.Wait();
    const int agreed = Agreed(state);
    EXPECT_GE(agreed, committed) << "what was committed is lost";
    EXPECT_LE(agreed, committed + 1);
    if (Succeeded(status)) {
      EXPECT_EQ(agreed, kTransactions);
      break;
    }
    ASSERT_TRUE(WasKilled(status)) << status;
    std::filesystem::remove_all(state);
  }
  EXPECT_GT(n, 5 * kTransactions) << "too few operations were seen for this to show anything";
}

TEST_F(SqliteStoreProcessTest, KillingAWriterAtAnyMomentLosesNothingThatWasCommitted) {
  for (int round = 0; round < 8; ++round) {
    SCOPED_TRACE(round);
    const std::string state = absl::StrCat(directory_.path(), "/", round);
    Child child({"transactions", state, "0", "100000"});
    std::optional<std::string> line;
    for (int i = 0; i <= round * 5; ++i) line = child.ReadLine();
    ASSERT_TRUE(line.has_value());
    child.Kill();
    // What it still had written before it died.
    while (const auto later = child.ReadLine()) line = later;
    EXPECT_TRUE(WasKilled(child.Wait()));
    int committed = 0;
    ASSERT_TRUE(absl::SimpleAtoi(*line, &committed));
    const int agreed = Agreed(state);
    EXPECT_GE(agreed, committed);
    EXPECT_LE(agreed, committed + 1);
  }
}

TEST_F(SqliteStoreProcessTest, TwoProcessesLoseNoUpdate) {
  constexpr int kEach = 200;
  // Three at once: two children, and the making of the database by all of them.
  Child first({"increment", state_, "counter", absl::StrCat(kEach)});
  Child second({"increment", state_, "counter", absl::StrCat(kEach)});
  EXPECT_TRUE(Succeeded(first.Wait()));
  EXPECT_TRUE(Succeeded(second.Wait()));
  const auto store = SqliteStore::Open(state_);
  ASSERT_THAT(store, IsOk());
  EXPECT_EQ((*store)->Get("counter")->value, absl::StrCat(2 * kEach));
}

TEST_F(SqliteStoreProcessTest, TwoProcessesMakeTheDatabaseAtOnce) {
  for (int round = 0; round < 25; ++round) {
    SCOPED_TRACE(round);
    const std::string state = absl::StrCat(directory_.path(), "/", round);
    Child first({"increment", state, "counter", "1"});
    Child second({"increment", state, "counter", "1"});
    EXPECT_TRUE(Succeeded(first.Wait()));
    EXPECT_TRUE(Succeeded(second.Wait()));
    const auto store = SqliteStore::Open(state);
    ASSERT_THAT(store, IsOk());
    EXPECT_EQ((*store)->Get("counter")->value, "2");
  }
}

TEST_F(SqliteStoreProcessTest, ASecondProcessIsToldWhoHoldsTheLease) {
  Child child({"hold", state_});
  ASSERT_TRUE(child.ReadLine().has_value());
  const auto store = SqliteStore::Open(state_);
  ASSERT_THAT(store, IsOk());
  const auto lease = (*store)->TakeLease("certcast issue");
  EXPECT_THAT(lease, HasReason(Reason::BUSY, AllOf(HasSubstr("certcast apply"), HasSubstr(" since 20"),
                                                   HasSubstr(absl::StrCat("process ", child.process())))));
  EXPECT_THAT(FailureOf(lease.status()).hint(), HasSubstr(state_ + "/lock"));
  child.CloseInput();
  EXPECT_TRUE(Succeeded(child.Wait()));
  EXPECT_THAT((*store)->TakeLease("certcast issue"), IsOk());
}

TEST_F(SqliteStoreProcessTest, AProcessThatDiedHoldsNothing) {
  Child child({"hold", state_});
  uint64_t epoch = 0;
  ASSERT_TRUE(absl::SimpleAtoi(child.ReadLine().value_or(""), &epoch));
  child.Kill();
  EXPECT_TRUE(WasKilled(child.Wait()));
  const auto store = SqliteStore::Open(state_);
  ASSERT_THAT(store, IsOk());
  const auto lease = (*store)->TakeLease("certcast issue");
  ASSERT_THAT(lease, IsOk());
  EXPECT_GT((*lease)->epoch(), epoch);
}

}  // namespace
}  // namespace certcast::controller
