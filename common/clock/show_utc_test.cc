#include "common/clock/show_utc.h"

#include "absl/time/time.h"
#include "gtest/gtest.h"

namespace certcast {
namespace {

TEST(ShowUtcTest, CutsOffWhatIsFinerThanItSays) {
  const absl::Time time = absl::FromUnixSeconds(1893456059) + absl::Milliseconds(999);

  EXPECT_EQ(ShowUtc(time), "2030-01-01 00:00 UTC");
  EXPECT_EQ(ShowUtcSecond(time), "2030-01-01 00:00:59 UTC");
}

}  // namespace
}  // namespace certcast
