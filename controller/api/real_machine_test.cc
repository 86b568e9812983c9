#include "controller/api/real_machine.h"

#include "gtest/gtest.h"

namespace certcast::controller {
namespace {

TEST(RealMachine, HasEverythingThatTheControllerUses) {
  const RealMachine real;
  const Machine& machine = real.get();
  EXPECT_NE(machine.files, nullptr);
  EXPECT_NE(machine.processes, nullptr);
  EXPECT_NE(machine.prober, nullptr);
  EXPECT_NE(machine.clock, nullptr);
  EXPECT_NE(machine.http, nullptr);
  EXPECT_NE(machine.dns, nullptr);
  EXPECT_TRUE(machine.open_store);
  EXPECT_TRUE(machine.make_transport);
}

}  // namespace
}  // namespace certcast::controller
