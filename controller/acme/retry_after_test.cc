#include "controller/acme/retry_after.h"

#include "gtest/gtest.h"

namespace certcast::controller {
namespace {

const absl::Time kNow = absl::FromUnixSeconds(784111777);  // Sun, 06 Nov 1994 08:49:37 GMT

TEST(RetryAfter, ReadsSeconds) {
  EXPECT_EQ(ParseRetryAfter("120", kNow), kNow + absl::Seconds(120));
  EXPECT_EQ(ParseRetryAfter(" 86400 ", kNow), kNow + absl::Hours(24));
  EXPECT_EQ(ParseRetryAfter("0", kNow), kNow);
}

TEST(RetryAfter, ReadsTheThreeHttpDates) {
  const absl::Time earlier = kNow - absl::Hours(1);
  EXPECT_EQ(ParseRetryAfter("Sun, 06 Nov 1994 08:49:37 GMT", earlier), kNow);
  EXPECT_EQ(ParseRetryAfter("Sunday, 06-Nov-94 08:49:37 GMT", earlier), kNow);
  EXPECT_EQ(ParseRetryAfter("Sun Nov  6 08:49:37 1994", earlier), kNow);
}

TEST(RetryAfter, ADatePastMeansNow) {
  EXPECT_EQ(ParseRetryAfter("Sun, 06 Nov 1994 08:49:37 GMT", kNow + absl::Hours(1)), kNow + absl::Hours(1));
}

TEST(RetryAfter, IsNeverMoreThanAYear) {
  const absl::Time latest = kNow + absl::Hours(24) * 365;
  EXPECT_EQ(ParseRetryAfter("99999999999", kNow), latest);
  EXPECT_EQ(ParseRetryAfter("99999999999999999999999999", kNow), latest);
  EXPECT_EQ(ParseRetryAfter("Sun, 06 Nov 2094 08:49:37 GMT", kNow), latest);
}

TEST(RetryAfter, IgnoresWhatItCannotRead) {
  for (const char* value : {"", "soon", "-5", "1.5", "12 minutes", "Sun, 06 Nov 1994"}) {
    EXPECT_EQ(ParseRetryAfter(value, kNow), std::nullopt) << value;
  }
}

}  // namespace
}  // namespace certcast::controller
