#include "controller/rollout/request_watch.h"

#include "gtest/gtest.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/memory_store.h"
#include "tests/testing/status_matchers.h"

namespace certcast::controller {
namespace {

using certcast::testing::IsOk;
using Request = state::v1::RolloutRequest;

class CountingStore : public certcast::testing::MemoryStore {
 public:
  absl::StatusOr<StoredRecord> Get(absl::string_view key) override {
    ++reads;
    return MemoryStore::Get(key);
  }
  int reads = 0;
};

class RequestWatchTest : public ::testing::Test {
 protected:
  PendingRequest Put(Request::Wish wish) {
    Request request;
    request.set_wish(wish);
    const auto put = RolloutRequests(store_).Put("r", request);
    EXPECT_THAT(put, IsOk());
    return put.value_or(PendingRequest());
  }
  Request::Wish Ask() {
    const auto request = watch_.Ask();
    EXPECT_THAT(request, IsOk());
    return request.ok() && request->has_value() ? (*request)->wish() : Request::WISH_UNSPECIFIED;
  }

  CountingStore store_;
  certcast::testing::FakeClock clock_;
  RequestWatch watch_{store_, clock_, "r"};
};

TEST_F(RequestWatchTest, ReadsTheStoreAtMostFiftyTimesASecond) {
  for (int i = 0; i < 1000; ++i) {
    EXPECT_EQ(Ask(), Request::WISH_UNSPECIFIED);
    clock_.Advance(absl::Milliseconds(10));
  }
  EXPECT_EQ(store_.reads, 500);
}

TEST_F(RequestWatchTest, ForgetsTheOneThatItGaveAndNotTheNext) {
  Put(Request::PAUSE);
  EXPECT_EQ(Ask(), Request::PAUSE);
  Put(Request::ABORT);
  EXPECT_THAT(watch_.Forget(), IsOk());
  clock_.Advance(absl::Seconds(1));
  EXPECT_EQ(Ask(), Request::ABORT);
  EXPECT_THAT(watch_.Forget(), IsOk());
  clock_.Advance(absl::Seconds(1));
  EXPECT_EQ(Ask(), Request::WISH_UNSPECIFIED);
}

}  // namespace
}  // namespace certcast::controller
