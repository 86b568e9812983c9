// Our agent conforms, over both transports; a node that breaks one promise is found out.
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <ostream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/controller_program.h"
#include "tests/testing/program.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temporary_directory.h"

namespace certcast::testing {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr char kConformance[] = "tests/conformance/conformance";
constexpr char kWrongNode[] = "tests/conformance/wrong_node";
constexpr char kAgent[] = "node/certcast-node";
constexpr absl::Duration kLongest = absl::Seconds(240);

class ConformanceTest : public ::testing::Test {
 protected:
  // An enrolled agent that does not run.
  void Prepare(const std::vector<std::string>& options = {}) {
    std::vector<std::string> arguments = {"prepare", site_};
    arguments.insert(arguments.end(), options.begin(), options.end());
    ASSERT_EQ(Conformance(arguments).exit_code, 0);
    const CommandResult request = Agent({"csr"});
    ASSERT_EQ(request.exit_code, 0) << request;
    const CommandResult identity = Conformance({"sign", site_}, request.out);
    ASSERT_EQ(identity.exit_code, 0) << identity;
    ASSERT_EQ(Agent({"accept"}, identity.out).exit_code, 0);
  }
  CommandResult Conformance(const std::vector<std::string>& arguments, const std::string& input = "") {
    return RunCaptured(directory_.path(), kConformance, arguments, input, kLongest);
  }
  CommandResult Agent(std::vector<std::string> arguments, const std::string& input = "") {
    arguments.insert(arguments.begin(), {"--config", config()});
    return RunCaptured(directory_.path(), kAgent, arguments, input);
  }
  std::string config() const { return site_ + "/node.yaml"; }
  static std::string Absolute(const std::string& program) { return std::filesystem::absolute(program).string(); }

  // "install.proven: the outcome is ...", one entry each.
  static std::vector<std::string> FailedIn(const CommandResult& result) {
    std::vector<std::string> failed;
    for (const auto& check : result.json["checks"]) {
      if (check["result"] != "FAILED") continue;
      failed.push_back(absl::StrCat(check["name"].get<std::string>(), ": ", check["detail"].get<std::string>()));
    }
    return failed;
  }

  const TemporaryDirectory directory_;
  const std::string site_ = directory_.path() + "/site";
};

TEST_F(ConformanceTest, OurAgentConformsOverStdio) {
  ASSERT_NO_FATAL_FAILURE(Prepare());
  const CommandResult result =
      Conformance({"run", site_, "-o", "json", "--", Absolute(kAgent), "--config", config(), "stdio"});
  ASSERT_TRUE(result.json.is_object()) << result;
  EXPECT_THAT(FailedIn(result), IsEmpty());
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_GT(result.json["passed"], 55);
}

TEST_F(ConformanceTest, OurAgentConformsOverGrpc) {
  const auto port = FreePort("127.0.0.1");
  ASSERT_THAT(port, IsOk());
  const std::string address = absl::StrCat("127.0.0.1:", *port);
  ASSERT_NO_FATAL_FAILURE(Prepare({"--listen", address}));
  const std::string log = directory_.path() + "/agent.log";
  const auto agent =
      Program::Start({.argv = {Absolute(kAgent), "--config", config(), "run"}, .output = log, .error = log});
  ASSERT_THAT(agent, IsOk());
  ASSERT_THAT(WaitUntil("the agent listens", absl::Seconds(20), [&] { return !ReadFile(log).empty(); }), IsOk());
  const CommandResult result = Conformance({"run", site_, "-o", "json", "--grpc", address});
  ASSERT_TRUE(result.json.is_object()) << result;
  EXPECT_THAT(FailedIn(result), IsEmpty());
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_GT(result.json["passed"], 55);
}

// What a wrong node does, and the check that must notice.
struct Wrong {
  const char* fault;
  const char* check;
};
std::ostream& operator<<(std::ostream& out, const Wrong& wrong) {
  return out << wrong.fault;
}

class WrongNodeTest : public ConformanceTest, public ::testing::WithParamInterface<Wrong> {};

TEST_P(WrongNodeTest, IsFoundOut) {
  ASSERT_NO_FATAL_FAILURE(Prepare());
  const auto run = [&](const std::string& fault) {
    return Conformance({"run", site_, "-o", "json", "--only", GetParam().check, "--", Absolute(kWrongNode), fault,
                        Absolute(kAgent), "--config", config(), "stdio"});
  };
  const CommandResult right = run("none");
  ASSERT_EQ(right.exit_code, 0) << right;
  const CommandResult wrong = run(GetParam().fault);
  EXPECT_EQ(wrong.exit_code, 1) << wrong;
  EXPECT_THAT(FailedIn(wrong), Contains(HasSubstr(GetParam().check)));
}

INSTANTIATE_TEST_SUITE_P(
    Faults, WrongNodeTest,
    ::testing::Values(Wrong{"hello-with-id", "link.hello"}, Wrong{"forgets-ids", "install.same-id"},
                      Wrong{"calls-it-installed", "trouble.probe"}, Wrong{"gives-no-reason", "bundle.signature"},
                      Wrong{"takes-any-epoch", "link.epoch"}, Wrong{"confirms-anything", "install.confirm-names"},
                      Wrong{"hides-drift", "install.drift"}, Wrong{"made-up-fingerprint", "install.proven"}),
    [](const auto& info) {
      std::string name;
      for (const char c : std::string(info.param.fault)) name += c == '-' ? '_' : c;
      return name;
    });

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
