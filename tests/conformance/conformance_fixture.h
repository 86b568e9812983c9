// An enrolled agent for `conformance` to look at.
#ifndef CERTCAST_TESTS_CONFORMANCE_CONFORMANCE_FIXTURE_H_
#define CERTCAST_TESTS_CONFORMANCE_CONFORMANCE_FIXTURE_H_

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "tests/testing/controller_program.h"
#include "tests/testing/program.h"
#include "tests/testing/temporary_directory.h"

namespace certcast::testing {

class ConformanceTest : public ::testing::Test {
 protected:
  static constexpr char kAgent[] = "node/certcast-node";

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
  // A place for one that is told the rest.
  void PrepareHosted() { ASSERT_EQ(Conformance({"prepare", site_, "--hosted"}).exit_code, 0); }
  CommandResult Conformance(const std::vector<std::string>& arguments, const std::string& input = "") {
    return RunCaptured(directory_.path(), "tests/conformance/conformance", arguments, input, absl::Minutes(4));
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

}  // namespace certcast::testing

#endif  // CERTCAST_TESTS_CONFORMANCE_CONFORMANCE_FIXTURE_H_
