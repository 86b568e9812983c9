#include "controller/rollout/rollout_progress.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/fake_clock.h"

namespace certcast::controller {
namespace {

using Progress = v1::ApplyEvent::Progress;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class RolloutProgressTest : public ::testing::Test {
 protected:
  RolloutProgressTest() {
    rollout_.set_certificate("wildcard");
    rollout_.set_id("wildcard-1");
    rollout_.add_waves();
  }

  certcast::testing::FakeClock clock_;
  state::v1::Rollout rollout_;
  std::vector<Progress> told_;
  const std::function<void(const Progress&)> listener_ = [this](const Progress& progress) {
    told_.push_back(progress);
  };
};

TEST_F(RolloutProgressTest, NamesTheThreeThatHaveBeenAtWorkLongest) {
  RolloutProgress progress(rollout_, listener_, clock_);
  progress.Begin(Progress::WAVE, 1, 10, 0, 0);
  for (const char* name : {"d", "c", "b", "a"}) {
    progress.NodeBegins(name);
    clock_.Advance(absl::Seconds(1));
  }
  progress.NodeEnds("c", true);
  const Progress& last = told_.back();
  EXPECT_EQ(last.done(), 1);
  EXPECT_EQ(last.in_flight(), 3);
  EXPECT_THAT(last.slowest(), ElementsAre("d", "b", "a"));
  EXPECT_THAT(last.slowest_ms(), ElementsAre(4000, 2000, 1000));
}

TEST_F(RolloutProgressTest, NamesTheFirstTwentyThatFailByNameAndCountsAll) {
  RolloutProgress progress(rollout_, listener_, clock_);
  progress.Begin(Progress::WAVE, 1, 100, 0, 0);
  for (int i = 99; i >= 10; --i) {
    progress.NodeBegins(absl::StrCat("web-", i));
    progress.NodeEnds(absl::StrCat("web-", i), false);
  }
  EXPECT_EQ(told_.back().failed(), 90);
  ASSERT_EQ(told_.back().failing_size(), 20);
  EXPECT_EQ(told_.back().failing(0), "web-10");
  EXPECT_EQ(told_.back().failing(19), "web-29");

  progress.Begin(Progress::WAVE, 2, 100, 0, 0);
  EXPECT_EQ(told_.back().failing_size(), 0) << "those were of the wave before";
}

TEST_F(RolloutProgressTest, TellsOfTwentyNodesAndThenThatThereAreMore) {
  RolloutProgress progress(rollout_, listener_, clock_);
  v1::Rollout::Node failed;
  failed.set_outcome(v1::Outcome::REVERTED);
  failed.set_reason(v1::Reason::PROBE_FAILED);
  failed.set_step("probe");
  failed.set_detail("the old one is served");
  failed.set_hint("look at it");
  for (int i = 0; i < 1000; ++i) {
    failed.set_name(absl::StrCat("web-", i));
    progress.NoteNode(failed);
  }
  ASSERT_EQ(told_.size(), 21u);
  EXPECT_EQ(told_[19].text(), "web-19: REVERTED PROBE_FAILED at probe: the old one is served (look at it)");
  EXPECT_THAT(told_[20].text(), HasSubstr("more nodes fail"));
  progress.Note("halted");
  EXPECT_EQ(told_.back().text(), "halted");
}

}  // namespace
}  // namespace certcast::controller
