// Our agent conforms, over both transports.
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/conformance/conformance_fixture.h"
#include "tests/testing/controller_program.h"
#include "tests/testing/program.h"
#include "tests/testing/status_matchers.h"

namespace certcast::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST_F(ConformanceTest, OurAgentConformsOverStdio) {
  ASSERT_NO_FATAL_FAILURE(Prepare());
  const CommandResult result =
      Conformance({"run", site_, "-o", "json", "--", Absolute(kAgent), "--config", config(), "stdio"});
  ASSERT_TRUE(result.json.is_object()) << result;
  EXPECT_THAT(FailedIn(result), IsEmpty());
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_GT(result.json["passed"], 90);
}

TEST_F(ConformanceTest, OurAgentConformsOverGrpc) {
  const auto port = FreePort("127.0.0.1");
  const auto challenges = FreePort("127.0.0.1");
  ASSERT_THAT(port, IsOk());
  ASSERT_THAT(challenges, IsOk());
  const std::string address = absl::StrCat("127.0.0.1:", *port);
  ASSERT_NO_FATAL_FAILURE(
      Prepare({"--listen", address, "--challenge-listen", absl::StrCat("127.0.0.1:", *challenges)}));
  const std::string log = directory_.path() + "/agent.log";
  const auto agent =
      Program::Start({.argv = {Absolute(kAgent), "--config", config(), "run"}, .output = log, .error = log});
  ASSERT_THAT(agent, IsOk());
  ASSERT_THAT(WaitUntil("the agent listens", absl::Seconds(20), [&] { return !ReadFile(log).empty(); }), IsOk());
  const CommandResult result = Conformance({"run", site_, "-o", "json", "--grpc", address});
  ASSERT_TRUE(result.json.is_object()) << result;
  EXPECT_THAT(FailedIn(result), IsEmpty());
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_GT(result.json["passed"], 90);
}

TEST_F(ConformanceTest, OurAgentConformsOnAHostThatTellsItNothing) {
  ASSERT_NO_FATAL_FAILURE(PrepareHosted());
  const CommandResult result = Conformance({"run", site_, "-o", "json", "--", Absolute(kAgent), "stdio"});
  ASSERT_TRUE(result.json.is_object()) << result;
  EXPECT_THAT(FailedIn(result), IsEmpty());
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_GT(result.json["passed"], 96);
  EXPECT_EQ(Conformance({"run", site_, "--grpc", "127.0.0.1:1"}).exit_code, 2);
}

TEST_F(ConformanceTest, SaysWhatIsWrongWithItsOwnInput) {
  EXPECT_EQ(Conformance({}).exit_code, 2);
  EXPECT_EQ(Conformance({"run", directory_.path() + "/nowhere", "--grpc", "127.0.0.1:1"}).exit_code, 2);
  ASSERT_NO_FATAL_FAILURE(Prepare());
  EXPECT_THAT(Conformance({"run", site_}).err, HasSubstr("--grpc HOST:PORT"));
  EXPECT_EQ(Conformance({"prepare", site_}).exit_code, 2);
  EXPECT_EQ(Conformance({"sign", site_}, "no request").exit_code, 2);
  const CommandResult listed = Conformance({"list", "--only", "trouble."});
  EXPECT_EQ(listed.exit_code, 0);
  EXPECT_THAT(listed.out, HasSubstr("trouble.cut"));
}

}  // namespace
}  // namespace certcast::testing
