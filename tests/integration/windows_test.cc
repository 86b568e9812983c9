// Maintenance windows on the command line: exit codes, what is said, and what Ctrl-C leaves. Its only node can't be
// reached.
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/controller_program.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temporary_directory.h"
#include "tests/testing/test_ca.h"

namespace certcast::testing {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

std::string Date(absl::Time time) {
  return absl::FormatTime("%Y-%m-%d", time, absl::UTCTimeZone());
}

class WindowsTest : public ::testing::Test {
 protected:
  // Closed until midnight in four days.
  void SetUp() override {
    const absl::Time now = absl::Now();
    opens_ = Date(now + absl::Hours(96));
    const std::string windows = absl::StrCat("{time_zone: UTC, blackout: [{from: ", Date(now - absl::Hours(24)),
                                             ", to: ", Date(now + absl::Hours(72)), "}]}");
    EXPECT_THAT(WriteFile(home_.path() + "/certcast.yaml", absl::StrReplaceAll(R"(state: controller
master_key: {file: master.key}
certificates:
  - name: shop
    domains: [shop.demo.test]
    nodes: all
    rollout: {windows: $}
nodes:
  - {name: web-1, address: "grpc://127.0.20.250:2"}
)",
                                                                               {{"$", windows}})),
                IsOk());
    const IssuedCertificate shop = TestCa::Root().Intermediate().Issue({.dns_names = {"shop.demo.test"}});
    EXPECT_THAT(WriteFile(home_.path() + "/chain.pem", shop.fullchain_pem), IsOk());
    EXPECT_THAT(WriteFile(home_.path() + "/key.pem", shop.key_pem.ExposeSecret()), IsOk());
    ASSERT_EQ(controller_.Run({"init"}).exit_code, 0);
    const CommandResult imported = controller_.Run(
        {"import", "shop", "--fullchain", home_.path() + "/chain.pem", "--key", home_.path() + "/key.pem"});
    ASSERT_EQ(imported.exit_code, 0) << imported;
  }

  std::string State() {
    const json status = controller_.Json({"status"}).json;
    return status.at("certificates").at(0).at("rolloutState").get<std::string>();
  }

  const TemporaryDirectory home_;
  const ControllerProgram controller_{home_.path()};
  std::string opens_;
};

TEST_F(WindowsTest, OutsideOfThemApplySaysWhenTheyOpenAndExitsWith3) {
  const CommandResult plan = controller_.Run({"apply", "--dry-run"});
  EXPECT_EQ(plan.exit_code, 5) << plan;
  EXPECT_THAT(plan.out, HasSubstr(absl::StrCat(opens_, " 00:00 UTC (UTC); --now does not wait\n")));
  EXPECT_THAT(plan.out, HasSubstr("  estimated time: no history\n"));
  EXPECT_THAT(plan.out, HasSubstr("    web-1: NO_ROUTE: "));

  const CommandResult waiting = controller_.Run({"apply"});
  EXPECT_EQ(waiting.exit_code, 3) << waiting;
  EXPECT_THAT(waiting.out, HasSubstr(" WAITING_FOR_WINDOW, 0 of 1 nodes serve generation 1\n"));
  EXPECT_THAT(waiting.out, HasSubstr(absl::StrCat(opens_, " 00:00 UTC (UTC)\n")));
  EXPECT_THAT(waiting.out, HasSubstr("hint: `certcast apply` goes on in its window"));
  EXPECT_EQ(State(), "WAITING_FOR_WINDOW");

  const CommandResult again = controller_.Json({"apply", "--dry-run"});
  EXPECT_EQ(again.exit_code, 5) << again;
  const json& rollout = again.json.at("rollouts").at(0);
  EXPECT_NE(rollout.at("id"), "");
  EXPECT_EQ(rollout.at("state"), "WAITING_FOR_WINDOW");
  EXPECT_THAT(rollout.at("windowOpensAt").get<std::string>(), HasSubstr(opens_));
  EXPECT_EQ(rollout.at("nodes").at(0).at("reason"), "NO_ROUTE");
}

TEST_F(WindowsTest, NowGoesOnAndTheRecordNamesTheLogin) {
  ASSERT_EQ(controller_.Run({"apply"}).exit_code, 3);
  const CommandResult done = controller_.Json({"apply", "--now"});
  EXPECT_EQ(done.exit_code, 3) << done;
  const json& rollout = done.json.at("rollouts").at(0);
  EXPECT_EQ(rollout.at("state"), "INCOMPLETE");
  ASSERT_EQ(rollout.at("windowsOverridden").size(), 1u) << rollout;
  EXPECT_NE(rollout.at("windowsOverridden").at(0).at("user"), "");
  EXPECT_THAT(done.err, HasSubstr("its window is closed; "));
}

TEST_F(WindowsTest, WaitStaysUntilItIsInterrupted) {
  const auto running = controller_.StartJson({"apply", "--wait"});
  ASSERT_THAT(running, IsOk());
  ASSERT_THAT(
      WaitUntil("it waits", absl::Seconds(30),
                [&] { return (*running)->err().find("waits for its window, which opens") != std::string::npos; }),
      IsOk());
  (*running)->program().Signal(SIGINT);
  const CommandResult stopped = (*running)->Finish();
  EXPECT_EQ(stopped.exit_code, 1) << stopped;
  EXPECT_THAT(stopped.err, HasSubstr("the next `certcast apply` goes on where this run ended"));
  EXPECT_EQ(State(), "WAITING_FOR_WINDOW");
}

TEST_F(WindowsTest, NowAndWaitTogetherAreWrongUsage) {
  EXPECT_EQ(controller_.Run({"apply", "--now", "--wait"}).exit_code, 2);
}

}  // namespace
}  // namespace certcast::testing
