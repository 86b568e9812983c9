#include "common/clock/timestamp.h"

#include "gtest/gtest.h"

namespace certcast {
namespace {

TEST(TimestampTest, KeepsNanosecondsBeforeAndAfter1970) {
  for (int64_t nanoseconds :
       {int64_t{0}, int64_t{1}, int64_t{-1}, int64_t{1800000000123456789}, int64_t{-5000000001}}) {
    const absl::Time time = absl::FromUnixNanos(nanoseconds);
    const google::protobuf::Timestamp timestamp = ToTimestamp(time);
    EXPECT_GE(timestamp.nanos(), 0) << nanoseconds;
    EXPECT_EQ(FromTimestamp(timestamp), time) << nanoseconds;
  }
}

TEST(TimestampTest, CutsWhatTheMessageCantHold) {
  EXPECT_EQ(ToTimestamp(absl::InfiniteFuture()).seconds(), 253402300799);
  EXPECT_EQ(ToTimestamp(absl::InfinitePast()).seconds(), -62135596800);
}

}  // namespace
}  // namespace certcast
