#include "controller/api/find_rollout.h"

#include <string>
#include <vector>

#include "common/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace certcast::controller {
namespace {

using certcast::testing::HasCode;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

state::v1::Rollout Head(const std::string& certificate, const std::string& id, v1::Rollout::State state) {
  state::v1::Rollout head;
  head.set_id(id);
  head.set_certificate(certificate);
  head.set_state(state);
  const bool finished = state == v1::Rollout::COMPLETED || state == v1::Rollout::REVERTED;
  if (finished) head.mutable_finished_at()->set_seconds(1);
  return head;
}

class FindRolloutTest : public ::testing::Test {
 protected:
  FindRolloutTest() { config_.certificates.push_back({.name = "new"}); }

  // The id, or the error.
  std::string Find(const std::string& text, RolloutDefault meant = RolloutDefault::kLatest) {
    const auto found = FindRollout(heads_, config_, text, meant);
    if (found.ok()) return found->id();
    EXPECT_THAT(found.status(), HasCode(absl::StatusCode::kInvalidArgument));
    return std::string(found.status().message());
  }

  Config config_;
  std::vector<state::v1::Rollout> heads_ = {
      Head("shop", "shop-1-5d", v1::Rollout::COMPLETED),
      Head("wildcard", "wildcard-2-5c", v1::Rollout::PAUSED),
      Head("wildcard", "wildcard-2-5b", v1::Rollout::REVERTED),
      Head("wildcard", "wildcard-1-5a", v1::Rollout::COMPLETED),
  };
};

TEST_F(FindRolloutTest, IsTheLatestWhereNoneIsNamed) {
  EXPECT_EQ(Find(""), "shop-1-5d");
  EXPECT_EQ(Find("wildcard"), "wildcard-2-5c");
}

TEST_F(FindRolloutTest, IsTheUnfinishedOneWhereThatIsMeant) {
  EXPECT_EQ(Find("", RolloutDefault::kUnfinished), "wildcard-2-5c");
  EXPECT_EQ(Find("shop", RolloutDefault::kUnfinished), "shop-1-5d");
  heads_.push_back(Head("mail", "mail-1-59", v1::Rollout::RUNNING));
  EXPECT_THAT(Find("", RolloutDefault::kUnfinished),
              AllOf(HasSubstr("wildcard-2-5c (PAUSED)"), HasSubstr("mail-1-59 (RUNNING)")));
  EXPECT_EQ(Find("mail", RolloutDefault::kUnfinished), "mail-1-59");
}

TEST_F(FindRolloutTest, TakesTheBeginningOfAnIdThatOnlyOneHas) {
  EXPECT_EQ(Find("wildcard-1"), "wildcard-1-5a");
  EXPECT_EQ(Find("sh"), "shop-1-5d");
  EXPECT_EQ(Find("wildcard-2-5b"), "wildcard-2-5b");
}

TEST_F(FindRolloutTest, NamesTheCandidatesOfABeginningThatSeveralHave) {
  EXPECT_THAT(Find("wildcard-2"), AllOf(HasSubstr("wildcard-2-5c (PAUSED)"), HasSubstr("wildcard-2-5b (REVERTED)"),
                                        Not(HasSubstr("wildcard-1-5a"))));
}

TEST_F(FindRolloutTest, AnIdThatIsAlsoTheBeginningOfAnotherIsItself) {
  heads_.push_back(Head("wildcard", "wildcard-2-5b1", v1::Rollout::COMPLETED));
  EXPECT_EQ(Find("wildcard-2-5b"), "wildcard-2-5b");
}

TEST_F(FindRolloutTest, SaysWhatThereIsWhereNothingFits) {
  const auto found = FindRollout(heads_, config_, "wildcard-2-6x", RolloutDefault::kLatest);
  EXPECT_THAT(found.status(), HasCode(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(FailureOf(found.status()).hint(), AllOf(HasSubstr("wildcard-2-5c"), Not(HasSubstr("shop"))));
  EXPECT_THAT(Find("x"), HasSubstr("there is no rollout x"));
  EXPECT_THAT(Find("new"), HasSubstr("there was no rollout of new yet"));
  heads_.clear();
  EXPECT_THAT(Find(""), HasSubstr("there was no rollout yet"));
}

TEST_F(FindRolloutTest, ListsAllThatMatch) {
  const auto all = MatchRollouts(heads_, config_, "");
  ASSERT_TRUE(all.ok());
  EXPECT_THAT(*all, SizeIs(4));
  const auto some = MatchRollouts(heads_, config_, "wildcard-2");
  ASSERT_TRUE(some.ok());
  EXPECT_THAT(*some, SizeIs(2));
}

}  // namespace
}  // namespace certcast::controller
