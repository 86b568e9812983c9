// Nodes that share a label's value are kept apart in whatever order nodes end: the executor's threads go on one at a
// time, and a seed says which.
#include <algorithm>
#include <atomic>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/status/status.h"
#include "controller/rollout/executor.h"
#include "controller/rollout/record.h"
#include "controller/rollout/rollout_world.h"
#include "controller/rollout/threads.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace certcast::controller {
namespace {

using certcast::testing::Fault;
using certcast::testing::LinkEvent;
using state::v1::Rollout;

// Of the threads of all Runs one goes on at a time, until it waits or yields.
class OneAtATime : public Threads {
 public:
  explicit OneAtATime(uint64_t seed) : random_(seed) { Threads::Replace(this); }
  ~OneAtATime() override { Threads::Replace(nullptr); }

  void Run(size_t count, const std::function<void()>& body) override {
    const bool outermost = Enter();
    std::atomic<size_t> running = std::max<size_t>(count, 1) - 1;
    std::vector<std::thread> others;
    for (size_t i = 1; i < count; ++i) {
      const int id = Add();
      others.emplace_back([&, id] {
        me_ = id;
        AwaitTurn();
        body();
        --running;
        Leave();
      });
    }
    Yield();
    body();
    while (running > 0) Yield();
    for (std::thread& other : others) other.join();
    if (outermost) Leave();
  }
  void Wait(absl::CondVar&, absl::Mutex& mutex) ABSL_NO_THREAD_SAFETY_ANALYSIS override {
    mutex.Unlock();
    Yield();
    mutex.Lock();
  }
  void SignalAll(absl::CondVar&) override {}

  void Yield() {
    absl::MutexLock lock(&mutex_);
    PassOn();
    AwaitMyTurn();
  }

 private:
  bool Enter() {
    absl::MutexLock lock(&mutex_);
    if (!live_.empty()) return false;
    me_ = turn_ = next_++;
    live_.push_back(me_);
    return true;
  }
  int Add() {
    absl::MutexLock lock(&mutex_);
    live_.push_back(next_);
    return next_++;
  }
  void Leave() {
    absl::MutexLock lock(&mutex_);
    std::erase(live_, me_);
    if (!live_.empty()) PassOn();
  }
  void AwaitTurn() {
    absl::MutexLock lock(&mutex_);
    AwaitMyTurn();
  }
  void PassOn() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { turn_ = live_[random_() % live_.size()]; }
  // Other threads look at the condition too, when they unlock: it must not read their me_.
  void AwaitMyTurn() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    const auto is_mine = [this, me = me_]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return turn_ == me; };
    mutex_.Await(absl::Condition(&is_mine));
  }

  static thread_local int me_;
  absl::Mutex mutex_;
  std::mt19937_64 random_ ABSL_GUARDED_BY(mutex_);
  std::vector<int> live_ ABSL_GUARDED_BY(mutex_);
  int turn_ ABSL_GUARDED_BY(mutex_) = 0;
  int next_ ABSL_GUARDED_BY(mutex_) = 1;
};

thread_local int OneAtATime::me_ = 0;

// A fleet, a policy and mishaps.
class Case {
 public:
  explicit Case(uint64_t seed) : random_(seed), threads_(seed) {
    world_ = std::make_unique<RolloutWorld>(5 + Below(25), 1 + Below(6));
    RolloutPolicy& policy = world_->policy();
    policy.parallel = 1 + Below(12);
    policy.spread_label = "rack";
    policy.spread_in_flight = 1 + Below(3);
    policy.max_failures = Below(2) == 0 ? 100 : Below(3);
    policy.waves = {{.count = 1 + Below(4)}, {.percent = 40}, {.percent = 100}};
    policy.confirm_timeout = absl::Hours(1);
    for (FleetMember& member : world_->fleet()) {
      if (Below(6) == 0) {
        member.labels.clear();
        world_->configs()[member.name].labels.clear();
      }
      if (Below(10) == 0) world_->node(member.name).SetReachable(Fail(Reason::NO_ROUTE, "nobody there"));
      if (Below(10) == 0) {
        world_->node(member.name).Inject(kInstall, Fault::Result(v1::Outcome::REVERTED, Reason::CHECK_FAILED));
      }
    }
    closes_after_ = Below(2) == 0 ? Below(10) : 1'000'000;
    world_->inputs().may_begin = [this](absl::Time now) {
      return installs_ < closes_after_ ? now : absl::InfiniteFuture();
    };
    world_->OnCommand([this](const std::string&, const v1::Command& command) {
      if (command.has_install()) ++installs_;
      threads_.Yield();
    });
  }

  absl::StatusOr<Rollout> Run() { return world_->Run(); }
  absl::StatusOr<Rollout> GoOn() {
    closes_after_ = 1'000'000;
    return world_->Resume();
  }
  size_t Events() { return world_->transport().events().size(); }

  // From the event of that index on: how many of a rack were at work together, at most. A node is at work from its
  // first command to the end of its last; the way back is not bound by the label.
  int MostOfARack(size_t from) {
    const std::vector<LinkEvent> events = world_->transport().events();
    std::map<std::string, size_t> last;
    for (size_t i = from; i < events.size(); ++i) {
      if (IsForwards(events[i])) last[events[i].node] = i;
    }
    std::map<std::string, int> at_work;
    std::map<std::string, bool> begun;
    int most = 0;
    for (size_t i = from; i < events.size(); ++i) {
      if (!IsForwards(events[i])) continue;
      const auto& labels = world_->configs()[events[i].node].labels;
      const auto rack = labels.find("rack");
      if (rack == labels.end()) continue;
      if (!begun[events[i].node]) {
        begun[events[i].node] = true;
        most = std::max(most, ++at_work[rack->second]);
      }
      if (last[events[i].node] == i) --at_work[rack->second];
    }
    return most;
  }
  int MostAtWork() const {
    int most = 0;
    for (const auto& progress : world_->progress()) most = std::max(most, progress.in_flight());
    return most;
  }
  const RolloutPolicy& policy() { return world_->policy(); }
  int Installs(const std::string& node) { return world_->node(node).seen(kInstall); }

 private:
  static bool IsForwards(const LinkEvent& event) { return !absl::StrContains(event.command_id, ".halted"); }
  int Below(int bound) { return static_cast<int>(random_() % static_cast<uint64_t>(bound)); }

  std::mt19937_64 random_;
  OneAtATime threads_;
  std::unique_ptr<RolloutWorld> world_;
  std::atomic<int> installs_ = 0;
  std::atomic<int> closes_after_ = 0;
};

TEST(Spread, HoldsInWhateverOrderNodesEnd) {
  int waited = 0;
  int reached = 0;
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    Case test(seed);
    auto ended = test.Run();
    ASSERT_TRUE(ended.ok()) << ended.status();
    EXPECT_LE(test.MostOfARack(0), test.policy().spread_in_flight);
    reached += test.MostOfARack(0) == test.policy().spread_in_flight;
    if (ended->state() == v1::Rollout::WAITING_FOR_WINDOW) {
      ++waited;
      const size_t before = test.Events();
      ended = test.GoOn();
      ASSERT_TRUE(ended.ok()) << ended.status();
      EXPECT_LE(test.MostOfARack(before), test.policy().spread_in_flight);
    }
    EXPECT_LE(test.MostAtWork(), test.policy().parallel);
    EXPECT_TRUE(IsFinished(*ended)) << v1::Rollout::State_Name(ended->state());
    for (const Rollout::Node& node : ended->nodes()) {
      EXPECT_LE(test.Installs(node.result().name()), 1) << node.result().name();
    }
  }
  // The bound was met, and windows closed, in enough of them to say something.
  EXPECT_GT(waited, 3);
  EXPECT_GT(reached, 5);
}

TEST(Spread, TheSameSeedIsTheSameRun) {
  std::vector<std::string> runs[2];
  for (std::vector<std::string>& run : runs) {
    Case test(7);
    const auto ended = test.Run();
    ASSERT_TRUE(ended.ok()) << ended.status();
    for (const Rollout::Node& node : ended->nodes()) {
      run.push_back(absl::StrCat(node.result().name(), " ", v1::Outcome::Code_Name(node.result().outcome())));
    }
    run.push_back(absl::StrCat(test.Events()));
  }
  EXPECT_EQ(runs[0], runs[1]);
}

}  // namespace
}  // namespace certcast::controller
