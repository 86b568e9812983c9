#include "node/frontend/workers.h"

#include <algorithm>
#include <atomic>
#include <latch>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace certcast::node {
namespace {

using ::testing::ElementsAre;

TEST(WorkersTest, RunsInTheOrderGiven) {
  std::vector<int> order;
  {
    Workers workers(1);
    for (int i = 0; i < 3; ++i) workers.Run([&order, i] { order.push_back(i); });
  }
  EXPECT_THAT(order, ElementsAre(0, 1, 2));
}

// Each piece of work waits for the others: with fewer threads this would never end.
TEST(WorkersTest, RunsAsManyAtOnceAsItMay) {
  constexpr int kThreads = 4;
  std::latch at_work(kThreads);
  std::atomic<int> done{0};
  {
    Workers workers(kThreads);
    for (int i = 0; i < kThreads; ++i) {
      workers.Run([&] {
        at_work.arrive_and_wait();
        ++done;
      });
    }
  }
  EXPECT_EQ(done, kThreads);
}

TEST(WorkersTest, RunsNoMoreAtOnceThanItMay) {
  absl::Mutex mutex;
  int at_work = 0;
  int most = 0;
  std::latch both_at_work(2);
  {
    Workers workers(2);
    for (int i = 0; i < 20; ++i) {
      workers.Run([&, i] {
        {
          absl::MutexLock lock(&mutex);
          most = std::max(most, ++at_work);
        }
        if (i < 2) both_at_work.arrive_and_wait();
        absl::MutexLock lock(&mutex);
        --at_work;
      });
    }
  }
  EXPECT_EQ(most, 2);
}

TEST(WorkersTest, FinishesWhatItWasGivenBeforeItEnds) {
  absl::Notification begun;
  absl::Notification go_on;
  bool second = false;
  {
    Workers workers(1);
    workers.Run([&] {
      begun.Notify();
      go_on.WaitForNotification();
    });
    workers.Run([&] { second = true; });
    begun.WaitForNotification();
    go_on.Notify();
  }
  EXPECT_TRUE(second);
}

}  // namespace
}  // namespace certcast::node
