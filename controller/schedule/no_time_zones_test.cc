// A machine without tzdata; BUILD sets TZDIR.
#include <string>

#include "common/status/status.h"
#include "controller/schedule/time_zone.h"
#include "gtest/gtest.h"

namespace certcast::controller {
namespace {

TEST(FindTimeZone, TellsAMachineWithoutADatabaseFromAWrongName) {
  const auto zone = FindTimeZone("Europe/Berlin");
  EXPECT_EQ(zone.status().message(),
            "found \"Europe/Berlin\", expected a time zone, but this machine has no time zone database");
  EXPECT_EQ(FailureOf(zone.status()).hint(), "install the package tzdata");
}

TEST(FindTimeZone, KnowsUtcAllTheSame) {
  EXPECT_TRUE(FindTimeZone("UTC").ok());
}

TEST(FindTimeZone, SaysNothingOfTheDatabaseWhereTheNameCantBeOne) {
  EXPECT_NE(FailureOf(FindTimeZone("berlin").status()).hint(), "install the package tzdata");
}

}  // namespace
}  // namespace certcast::controller
