#include "controller/schedule/time_zone.h"

#include <string>

#include "common/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace certcast::controller {
namespace {

using ::testing::HasSubstr;

TEST(FindTimeZone, KnowsTheNamesOfTheDatabase) {
  for (const std::string name : {"UTC", "Europe/Berlin", "America/Argentina/Ushuaia", "Etc/GMT+5"}) {
    const auto zone = FindTimeZone(name);
    ASSERT_TRUE(zone.ok()) << zone.status();
    EXPECT_EQ(zone->name(), name);
  }
}

TEST(FindTimeZone, SaysWhatANameLooksLike) {
  const auto zone = FindTimeZone("Europe/Berlni");
  EXPECT_EQ(zone.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(zone.status().message(),
            "found \"Europe/Berlni\", expected a time zone's IANA name such as Europe/Berlin or UTC");
  EXPECT_THAT(FailureOf(zone.status()).hint(), HasSubstr("timedatectl"));
}

// absl::LoadTimeZone takes all of these.
TEST(FindTimeZone, TakesNoNameThatMeansAnotherZoneElsewhere) {
  for (const std::string name : {"localtime", "/etc/localtime", "file:Europe/Berlin", "Fixed/UTC+01:00:00", "libc:UTC",
                                 "Europe/../Europe/Berlin", ""}) {
    EXPECT_FALSE(FindTimeZone(name).ok()) << name;
  }
}

}  // namespace
}  // namespace certcast::controller
