#include "controller/rollout/ledger.h"

#include <string>
#include <thread>
#include <vector>

#include "absl/synchronization/notification.h"
#include "common/status/status.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace certcast::controller {
namespace {

using certcast::testing::HasReason;
using state::v1::Rollout;

Rollout RolloutOf(int nodes) {
  Rollout rollout;
  rollout.set_id("wildcard-2-33m8z0");
  rollout.set_state(v1::Rollout::RUNNING);
  for (int i = 0; i < nodes; ++i) rollout.add_nodes()->mutable_result()->set_name(std::string(1, 'a' + i));
  return rollout;
}

Rollout::Node Done(const Ledger& ledger, size_t index, v1::Outcome::Code outcome) {
  Rollout::Node node = ledger.node(index);
  node.set_step(Rollout::Node::DONE);
  node.mutable_result()->set_outcome(outcome);
  return node;
}

// Keeps what it was given; its first Save takes until it is released.
class SlowLog : public RolloutLog {
 public:
  absl::Status Save(const Rollout* head, const std::map<size_t, Rollout::Node>& nodes) override {
    batches.push_back(nodes.size());
    heads += head != nullptr;
    if (batches.size() == 1) {
      began.Notify();
      release.WaitForNotification();
    }
    return status;
  }
  std::vector<size_t> batches;
  int heads = 0;
  absl::Notification began;
  absl::Notification release;
  absl::Status status;
};

TEST(Ledger, SharesCommitsBetweenNodesThatWait) {
  constexpr int kNodes = 20;
  SlowLog log;
  Ledger ledger(RolloutOf(kNodes), log);
  std::vector<std::thread> threads;
  const auto save = [&](size_t index) {
    Rollout::Node node = ledger.node(index);
    node.set_step(Rollout::Node::INSTALLING);
    EXPECT_TRUE(ledger.SaveNode(index, node).ok());
  };
  threads.emplace_back(save, 0);
  log.began.WaitForNotification();
  for (size_t i = 1; i < kNodes; ++i) threads.emplace_back(save, i);
  // All others have said what they want.
  const auto waiting = [](const Rollout::Node& node) { return node.step() == Rollout::Node::INSTALLING; };
  while (ledger.Select(waiting).size() < kNodes) std::this_thread::yield();
  log.release.Notify();
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(log.batches, (std::vector<size_t>{1, kNodes - 1}));
}

TEST(Ledger, LetsAnOutcomeGoWithTheNextSave) {
  SlowLog log;
  log.release.Notify();
  Ledger ledger(RolloutOf(2), log);
  EXPECT_TRUE(ledger.FinishNode(0, Done(ledger, 0, v1::Outcome::INSTALLED)).ok());
  EXPECT_TRUE(log.batches.empty());
  Rollout::Node next = ledger.node(1);
  next.set_step(Rollout::Node::INSTALLING);
  EXPECT_TRUE(ledger.SaveNode(1, next).ok());
  EXPECT_EQ(log.batches, (std::vector<size_t>{2}));
  EXPECT_TRUE(ledger.Flush().ok());
  EXPECT_EQ(log.batches.size(), 1u);
}

TEST(Ledger, SavesAHaltTogetherWithTheFailureThatCausedIt) {
  SlowLog log;
  log.release.Notify();
  Ledger ledger(RolloutOf(2), log);
  EXPECT_TRUE(ledger.FinishNode(0, Done(ledger, 0, v1::Outcome::FAILED)).ok());
  EXPECT_EQ(ledger.state(), v1::Rollout::HALTED);
  EXPECT_EQ(log.batches, (std::vector<size_t>{1}));
  EXPECT_EQ(log.heads, 1);
}

// It was being connected to when another node failed.
TEST(Ledger, LetsNoNodeBeginOnceItIsHalted) {
  SlowLog log;
  log.release.Notify();
  Ledger ledger(RolloutOf(3), log);
  Rollout::Node next = ledger.node(1);
  next.set_step(Rollout::Node::INSTALLING);
  const auto begins = ledger.BeginNode(1, next);
  ASSERT_TRUE(begins.ok()) << begins.status();
  EXPECT_TRUE(*begins);
  EXPECT_TRUE(ledger.FinishNode(0, Done(ledger, 0, v1::Outcome::FAILED)).ok());
  const size_t saves = log.batches.size();
  const auto late = ledger.BeginNode(2, next);
  ASSERT_TRUE(late.ok()) << late.status();
  EXPECT_FALSE(*late);
  EXPECT_EQ(ledger.node(2).step(), Rollout::Node::PENDING);
  EXPECT_EQ(log.batches.size(), saves);
}

TEST(Ledger, SaysNothingIsSavedAfterAnErrorOfTheLog) {
  SlowLog log;
  log.release.Notify();
  log.status = Fail(Reason::NO_SPACE, "disk full");
  Ledger ledger(RolloutOf(2), log);
  EXPECT_THAT(ledger.SaveNode(0, ledger.node(0)), HasReason(Reason::NO_SPACE));
  log.status = absl::OkStatus();
  EXPECT_THAT(ledger.SaveNode(1, ledger.node(1)), HasReason(Reason::NO_SPACE));
  EXPECT_THAT(ledger.FinishNode(1, Done(ledger, 1, v1::Outcome::INSTALLED)), HasReason(Reason::NO_SPACE));
  EXPECT_THAT(ledger.Flush(), HasReason(Reason::NO_SPACE));
  EXPECT_EQ(log.batches.size(), 1u);
}

TEST(Ledger, CountsHowNodesStand) {
  SlowLog log;
  log.release.Notify();
  Rollout rollout = RolloutOf(5);
  rollout.mutable_policy()->set_max_failures(10);
  Ledger ledger(rollout, log);
  Rollout::Node lost = Done(ledger, 3, v1::Outcome::UNREACHABLE);
  lost.set_changed(true);
  EXPECT_TRUE(ledger.FinishNode(0, Done(ledger, 0, v1::Outcome::UNCHANGED)).ok());
  EXPECT_TRUE(ledger.FinishNode(1, Done(ledger, 1, v1::Outcome::REVERTED)).ok());
  EXPECT_TRUE(ledger.FinishNode(2, Done(ledger, 2, v1::Outcome::UNREACHABLE)).ok());
  EXPECT_TRUE(ledger.FinishNode(3, lost).ok());
  const v1::Rollout::Counts tally = ledger.tally();
  EXPECT_EQ(tally.good(), 1);
  EXPECT_EQ(tally.failed(), 2);
  EXPECT_EQ(tally.missing(), 1);
  EXPECT_EQ(tally.open(), 1);
}

}  // namespace
}  // namespace certcast::controller
