// A host over SSH that has its time wrong, or has lost what its agent keeps: what it is told to do about it, done word
// by word with the shipped program.
#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "certcast/v1/link.pb.h"
#include "common/process/process.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/program.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/stdio_fixture.h"

namespace certcast {
namespace {

using ::testing::HasSubstr;
using testing::IsOk;
using ::testing::Not;
using v1::Outcome;

using Connection = testing::StdioConnection;

constexpr absl::Duration kTenYears = absl::Hours(24 * 3652);

class StdioTroubleTest : public testing::StdioFixture {
 protected:
  // As `certcast apply` does.
  void Apply() {
    Connection connection;
    const v1::Report report = connection.Ask(Install(kLong));
    ASSERT_EQ(report.install_result().outcome(), Outcome::INSTALLED) << report.ShortDebugString();
    ASSERT_EQ(connection.Ask(Confirm()).install_result().outcome(), Outcome::INSTALLED);
  }

  void Damage(const std::string& record) const {
    for (const char* slot : {".0", ".1"}) {
      EXPECT_THAT(testing::WriteFile(absl::StrCat(state(), "/", record, slot), "damaged"), IsOk());
    }
  }

  // What is between `begin` and `end` in a hint, from `begin` on.
  static std::string CommandIn(const std::string& hint, const std::string& begin, const std::string& end) {
    const size_t from = hint.find(begin);
    EXPECT_NE(from, std::string::npos) << hint;
    return from == std::string::npos ? "" : hint.substr(from, hint.find(end, from) - from);
  }

  static void Do(const std::string& command) {
    ProcessRequest request;
    request.argv = absl::StrSplit(command, ' ');
    request.timeout = kPlenty;
    const auto done = ProcessRunner::Real().Run(request);
    ASSERT_THAT(done, IsOk());
    EXPECT_EQ(done->exit_code, 0) << command << ": " << done->error;
  }

  // The failure that every command gets, and `status` shows.
  v1::Failure FailureFor(const std::string& record) {
    Connection connection;
    v1::Failure failure = connection.Ask(Describe()).refusal().failure();
    EXPECT_EQ(failure.reason(), v1::Reason::STORAGE_FAILED);
    EXPECT_THAT(failure.detail(), HasSubstr(absl::StrCat(state(), "/", record, ".0")));
    const ProcessResult status = Run({"status", "--state", state()});
    EXPECT_EQ(status.exit_code, 1);
    EXPECT_THAT(status.error, HasSubstr(failure.hint()));
    return failure;
  }

  void ExpectHealthy() {
    ExpectInForce(new_leaf(), "in the end");
    const ProcessResult status = Run({"status", "--state", state(), "--probe"});
    EXPECT_EQ(status.exit_code, 0) << status.output << status.error;
    EXPECT_THAT(status.output, HasSubstr("confirmed"));
    Connection connection;
    const v1::Report report = connection.Ask(Describe());
    ASSERT_EQ(report.inventory().services_size(), 1) << report.ShortDebugString();
    EXPECT_THAT(report.inventory().services(0).drift(), ::testing::IsEmpty());
  }
};

TEST_F(StdioTroubleTest, AClockTenYearsOffIsToldAndServicesGoOn) {
  for (const absl::Duration off : {kTenYears, -kTenYears}) {
    // As such a clock sees a bundle that is signed now.
    v1::Command command = Install(kLong);
    *command.mutable_install()->mutable_bundle() = fleet_.Bundle(new_, "wildcard", 1, absl::Now() - off);
    Connection connection;
    const v1::Failure refused = connection.Ask(command).refusal().failure();
    EXPECT_EQ(refused.reason(), v1::Reason::CLOCK_SUSPICIOUS) << refused.ShortDebugString();
    EXPECT_THAT(refused.hint(), HasSubstr("set the clock"));
    ExpectInForce(old_leaf(), "by a clock that is off");
  }
  Apply();
  // What the way out for a clock that is behind names is there.
  const ProcessResult trusted = Run({"recover", "--state", state(), "--trust-clock"});
  EXPECT_EQ(trusted.exit_code, 0) << trusted.error;
  EXPECT_THAT(trusted.output, HasSubstr("the clock is taken for right"));
  ExpectHealthy();
}

TEST_F(StdioTroubleTest, ALostRecordIsPutRightByWhatItsHintSays) {
  for (const std::string record : {"journal", "state"}) {
    SCOPED_TRACE(record);
    StartAnew();
    Apply();
    Damage(record);
    const v1::Failure failure = FailureFor(record);
    ExpectInForce(new_leaf(), "without it");
    Do(CommandIn(failure.hint(), "rm -f ", record == "journal" ? " (never" : ": what"));
    EXPECT_THAT(failure.hint(), HasSubstr("then run certcast apply"));
    EXPECT_THAT(failure.hint(), Not(HasSubstr("start the agent")));
    if (record == "journal") {
      // It was idle, so nothing is to be installed.
      Connection connection;
      EXPECT_EQ(connection.Ask(Install(kLong)).install_result().outcome(), Outcome::UNCHANGED);
    } else {
      Apply();
    }
    ExpectHealthy();
  }
}

TEST_F(StdioTroubleTest, AStateIsPutBackFromABackup) {
  Apply();
  const std::string backup = PathOf("backup");
  std::filesystem::create_directory(backup);
  for (const char* slot : {"state.0", "state.1"}) std::filesystem::copy(PathOf(absl::StrCat("state/", slot)), backup);
  Damage("state");
  EXPECT_THAT(FailureFor("state").hint(), HasSubstr("Put both files back from a backup"));
  for (const char* slot : {"state.0", "state.1"}) {
    std::filesystem::copy(absl::StrCat(backup, "/", slot), state(), std::filesystem::copy_options::overwrite_existing);
  }
  ExpectHealthy();
}

TEST_F(StdioTroubleTest, AnInstallWhoseJournalIsLostIsDoneAnew) {
  Connection connection;
  service_.IgnoreReloads(true);  // so that the probe goes on until its time is over
  ASSERT_TRUE(connection.Send(Install(kLong)));
  ASSERT_TRUE(connection.AwaitStep("probe"));
  connection.Kill();
  service_.IgnoreReloads(false);
  Damage("journal");
  Do(CommandIn(FailureFor("journal").hint(), "rm -f ", " (never"));
  EXPECT_EQ(Served(), old_leaf());
  Apply();
  ExpectHealthy();
}

TEST_F(StdioTroubleTest, ANodeWithANodeYamlIsToldToStartItsAgent) {
  const std::string config = WriteNodeYaml();
  ASSERT_EQ(Run({"--config", config, "recover"}).exit_code, 0);
  for (const std::string record : {"journal", "state"}) {
    Damage(record);
    const ProcessResult refused = Run({"--config", config, "recover"});
    EXPECT_EQ(refused.exit_code, 1);
    EXPECT_THAT(refused.error, HasSubstr("start the agent, then run certcast apply"));
    Do(CommandIn(refused.error, "rm -f ", record == "journal" ? " (never" : ": what"));
    EXPECT_EQ(Run({"--config", config, "recover"}).output, "nothing to recover\n");
  }
}

}  // namespace
}  // namespace certcast
