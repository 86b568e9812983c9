#include "controller/store/rollout_requests.h"

#include "gtest/gtest.h"
#include "tests/testing/memory_store.h"
#include "tests/testing/status_matchers.h"

namespace certcast::controller {
namespace {

using certcast::testing::IsOk;
using Request = state::v1::RolloutRequest;

constexpr char kRollout[] = "wildcard-2-33m8z0";

Request RequestOf(Request::Wish wish, const std::string& user) {
  Request request;
  request.set_wish(wish);
  request.mutable_by()->set_user(user);
  return request;
}

class RolloutRequestsTest : public ::testing::Test {
 protected:
  PendingRequest Put(Request::Wish wish, const std::string& user) {
    const auto put = requests_.Put(kRollout, RequestOf(wish, user));
    EXPECT_THAT(put, IsOk());
    return put.value_or(PendingRequest());
  }
  std::optional<PendingRequest> Get() {
    const auto pending = requests_.Get(kRollout);
    EXPECT_THAT(pending, IsOk());
    return pending.value_or(std::nullopt);
  }

  certcast::testing::MemoryStore store_;
  RolloutRequests requests_{store_};
};

TEST_F(RolloutRequestsTest, AreGoneOnceRemoved) {
  EXPECT_FALSE(Get().has_value());
  const PendingRequest put = Put(Request::PAUSE, "alice");
  ASSERT_TRUE(Get().has_value());
  EXPECT_EQ(Get()->revision, put.revision);
  EXPECT_EQ(Get()->request.by().user(), "alice");
  EXPECT_THAT(requests_.Remove(kRollout, put.revision), IsOk());
  EXPECT_FALSE(Get().has_value());
  EXPECT_THAT(requests_.Remove(kRollout, put.revision), IsOk());
}

TEST_F(RolloutRequestsTest, AnAbortTakesThePlaceOfAPauseAndNotTheOtherWayRound) {
  const PendingRequest pause = Put(Request::PAUSE, "alice");
  EXPECT_EQ(Put(Request::PAUSE, "bob").request.by().user(), "alice");
  const PendingRequest abort = Put(Request::ABORT, "bob");
  EXPECT_EQ(abort.request.wish(), Request::ABORT);
  const PendingRequest after = Put(Request::PAUSE, "carol");
  EXPECT_EQ(after.request.wish(), Request::ABORT);
  EXPECT_EQ(after.revision, abort.revision);
  // Who took up the pause does not take the abort away with it.
  EXPECT_THAT(requests_.Remove(kRollout, pause.revision), IsOk());
  ASSERT_TRUE(Get().has_value());
  EXPECT_EQ(Get()->request.wish(), Request::ABORT);
}

TEST_F(RolloutRequestsTest, NeedNoLease) {
  const auto lease = store_.TakeLease("apply");
  ASSERT_THAT(lease, IsOk());
  Put(Request::PAUSE, "alice");
  EXPECT_TRUE(Get().has_value());
}

TEST_F(RolloutRequestsTest, AnIdThatCannotBeAKeyIsRefused) {
  EXPECT_EQ(requests_.Get("../x").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(requests_.Put("a b", RequestOf(Request::PAUSE, "alice")).status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace certcast::controller
