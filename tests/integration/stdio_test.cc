// `certcast-node stdio` on a host without a configuration of its own, as over SSH: the shipped program at the ends of
// two pipes. Connections break; installs do not.
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "certcast/v1/link.pb.h"
#include "common/file/descriptor.h"
#include "common/process/process.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/program.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/stdio_fixture.h"
#include "tests/testing/test_fleet.h"

namespace certcast {
namespace {

using ::testing::AnyOf;
using testing::Delimited;
using ::testing::HasSubstr;
using testing::IsOk;
using v1::Outcome;

using Connection = testing::StdioConnection;
using StdioTest = testing::StdioFixture;

// To confirm, where it is looked at before that is over.
constexpr absl::Duration kToLookMeanwhile = absl::Seconds(4);

TEST_F(StdioTest, SaysThatItWaitsForADefinitionAndTouchesNothing) {
  Connection connection;
  const v1::Report hello = connection.Receive();
  EXPECT_TRUE(hello.hello().hosted());
  EXPECT_EQ(hello.hello().node(), "");
  EXPECT_EQ(hello.hello().fleet_id(), "");
  EXPECT_NE(hello.hello().machine(), "");
  EXPECT_NE(hello.hello().version(), "");
  v1::Command undefined = Describe();
  undefined.clear_definition();
  EXPECT_EQ(connection.Ask(undefined).refusal().failure().reason(), v1::Reason::DEFINITION_REFUSED);
  connection.EndInput();
  EXPECT_EQ(connection.AwaitEnd(), 0);
  EXPECT_FALSE(std::filesystem::exists(state()));
}

TEST_F(StdioTest, InstallsAndConfirms) {
  Connection connection;
  EXPECT_EQ(connection.Ask(Install(kLong)).install_result().outcome(), Outcome::INSTALLED);
  EXPECT_EQ(connection.Ask(Confirm()).install_result().outcome(), Outcome::INSTALLED);
  connection.EndInput();
  EXPECT_EQ(connection.AwaitEnd(), 0);
  ExpectInForce(new_leaf(), "after Confirm");
}

TEST_F(StdioTest, ACommandThatIsCutIsNone) {
  const std::string install = Delimited(Install(kLong));
  std::vector<size_t> cuts;
  for (size_t cut = 0; cut < install.size(); ++cut) {
    if (cut < 8 || cut + 8 >= install.size() || cut % 400 == 0) cuts.push_back(cut);
  }
  ASSERT_GT(cuts.size(), 20u);
  for (const size_t cut : cuts) {
    Connection connection;
    ASSERT_TRUE(connection.Send(absl::string_view(install).substr(0, cut)));
    connection.EndInput();
    EXPECT_EQ(connection.AwaitEnd(), cut == 0 ? 0 : 1) << "cut after byte " << cut;
    ASSERT_FALSE(std::filesystem::exists(state())) << "cut after byte " << cut;
  }
  ExpectInForce(old_leaf(), "after all of them");
}

TEST_F(StdioTest, AConfirmThatIsCutIsNoneAndMayComeAgain) {
  const size_t size = Delimited(Confirm()).size();
  for (const size_t cut : {size_t{0}, size_t{1}, size_t{2}, size / 2, size - 1}) {
    StartAnew();
    Connection connection;
    ASSERT_EQ(connection.Ask(Install(kLong)).install_result().outcome(), Outcome::INSTALLED);
    ASSERT_TRUE(connection.Send(Delimited(Confirm()).substr(0, cut)));
    connection.Cut();
    ExpectConfirmable(absl::StrCat("Confirm cut after byte ", cut));
  }
}

// Whatever was read of the reports when the connection broke, before the command was taken up or after.
TEST_F(StdioTest, AnInstallWhoseReportsAreCutMayComeAgain) {
  size_t all = 0;
  {
    Connection whole;
    ASSERT_TRUE(whole.Send(Install(kLong)));
    whole.EndInput();
    // It closes its output, and waits on.
    all = whole.Read(1 << 20).size();
    ASSERT_GT(all, 500u);
  }
  for (size_t cut = 0; cut < all; cut += cut < 40 ? 13 : 70) {
    StartAnew();
    const v1::Command install = Install(kLong);
    Connection connection;
    ASSERT_TRUE(connection.Send(install));
    (void)connection.Read(cut);
    connection.Cut();
    const std::string when = absl::StrCat("reports cut after byte ", cut);
    {
      Connection next;
      EXPECT_EQ(next.Ask(install).install_result().outcome(), Outcome::INSTALLED) << when;
    }
    ExpectConfirmable(when);
  }
}

class StdioStep : public StdioTest, public ::testing::WithParamInterface<const char*> {};

TEST_P(StdioStep, BeganWhenTheConnectionBrokeAndIsConfirmedOverTheNext) {
  Connection connection;
  const v1::Command install = Install(kLong);
  ASSERT_TRUE(connection.Send(install));
  ASSERT_TRUE(connection.AwaitStep(GetParam()));
  connection.Cut();
  kill(connection.pid(), SIGHUP);
  // The controller asks again: it gets the result of the install that goes on.
  Connection next;
  const v1::Report report = next.Ask(install);
  EXPECT_EQ(report.install_result().outcome(), Outcome::INSTALLED) << report.ShortDebugString();
  EXPECT_EQ(next.Ask(Confirm()).install_result().outcome(), Outcome::INSTALLED);
  ExpectInForce(new_leaf(), GetParam());
}

TEST_P(StdioStep, BeganWhenItWasKilledAndIsRecoveredAtBoot) {
  Connection connection;
  ASSERT_TRUE(connection.Send(Install(kLong)));
  ASSERT_TRUE(connection.AwaitStep(GetParam()));
  connection.Kill();
  const ProcessResult recovered = Run({"recover", "--state", state()});
  EXPECT_EQ(recovered.exit_code, 0) << recovered.error;
  const std::string first = InFiles();
  // Killed some time after the step began: it may have come as far as waiting for Confirm.
  EXPECT_THAT(first, AnyOf(old_leaf(), new_leaf()));
  EXPECT_EQ(Served(), first);
  if (first == new_leaf()) {
    EXPECT_THAT(recovered.output, HasSubstr("waits for the controller until"));
    ExpectConfirmable(GetParam());
  }
}

INSTANTIATE_TEST_SUITE_P(All, StdioStep,
                         ::testing::Values("verify", "stage", "activate", "check", "reload", "probe", "confirm"),
                         [](const ::testing::TestParamInfo<const char*>& info) { return info.param; });

TEST_F(StdioTest, ASecondConnectionLooksWhileTheFirstInstalls) {
  service_.IgnoreReloads(true);  // so that the probe goes on until its time is over
  Connection first;
  ASSERT_TRUE(first.Send(Install(kLong)));
  ASSERT_TRUE(first.AwaitStep("probe"));
  Connection second;
  const v1::Report report = second.Ask(Describe());
  ASSERT_EQ(report.inventory().certificates_size(), 1) << report.ShortDebugString();
  // And a third one waits for the end of it.
  Connection third;
  const v1::Report waited = third.Ask(Install(kLong));
  EXPECT_EQ(first.Answer().install_result().outcome(), Outcome::REVERTED);
  EXPECT_EQ(waited.install_result().outcome(), Outcome::REVERTED) << waited.ShortDebugString();
  EXPECT_THAT(third.steps(), ::testing::Contains("lock"));
  ExpectInForce(old_leaf(), "after both");
}

TEST_F(StdioTest, GoesBackByItselfWhenNobodyComesInTime) {
  Connection connection;
  ASSERT_EQ(connection.Ask(Install(kToLookMeanwhile)).install_result().outcome(), Outcome::INSTALLED);
  ExpectInForce(new_leaf(), "while it waits");
  connection.Cut();
  EXPECT_EQ(connection.AwaitEnd(), 0);
  ExpectInForce(old_leaf(), "after the time is over");
}

TEST_F(StdioTest, GoesBackAfterARestartWhenNobodyComesInTime) {
  Connection connection;
  ASSERT_EQ(connection.Ask(Install(kToLookMeanwhile)).install_result().outcome(), Outcome::INSTALLED);
  connection.Kill();
  const ProcessResult recovered = Run({"recover", "--state", state(), "--wait"});
  EXPECT_EQ(recovered.exit_code, 0) << recovered.error;
  EXPECT_THAT(recovered.output, HasSubstr("waits for the controller until"));
  ExpectInForce(old_leaf(), "after recover");
}

TEST_F(StdioTest, AtBootTheFilesGoBackBeforeTheServicesAndTheRestAfterThem) {
  service_.IgnoreReloads(true);  // so that the probe goes on until its time is over
  Connection connection;
  ASSERT_TRUE(connection.Send(Install(kLong)));
  ASSERT_TRUE(connection.AwaitStep("probe"));
  connection.Kill();
  ASSERT_EQ(InFiles(), new_leaf());
  for (int again = 0; again < 2; ++again) {
    const ProcessResult files = Run({"recover", "--state", state(), "--before-services"});
    EXPECT_EQ(files.exit_code, 0) << files.error;
    EXPECT_THAT(files.output, HasSubstr("reload and proof are for `certcast-node recover`"));
    EXPECT_EQ(InFiles(), old_leaf());
  }
  service_.IgnoreReloads(false);
  const ProcessResult rest = Run({"recover", "--state", state(), "--wait"});
  EXPECT_EQ(rest.exit_code, 0) << rest.error;
  EXPECT_THAT(rest.output, HasSubstr("REVERTED INTERRUPTED"));
  ExpectInForce(old_leaf(), "after both");
  EXPECT_EQ(Run({"recover", "--state", state(), "--before-services"}).output, "nothing to recover\n");
  EXPECT_EQ(Run({"recover", "--state", state(), "--before-services", "--wait"}).exit_code, 2);
}

TEST_F(StdioTest, RecoverFailsWhereTheServiceIsNotAsItWas) {
  service_.IgnoreReloads(true);
  Connection connection;
  ASSERT_TRUE(connection.Send(Install(kLong)));
  ASSERT_TRUE(connection.AwaitStep("probe"));
  connection.Kill();
  // It has read the new files behind our back, and does not read the old ones again.
  EXPECT_TRUE(service_.Reload());
  const ProcessResult recovered = Run({"recover", "--state", state()});
  EXPECT_EQ(recovered.exit_code, 1);
  EXPECT_THAT(recovered.output, HasSubstr("FAILED REVERT_FAILED"));
  EXPECT_THAT(recovered.error, ::testing::AllOf(HasSubstr("ended as REVERT_FAILED"), HasSubstr("status --probe")));
}

TEST_F(StdioTest, StatusShowsWhatIsKept) {
  EXPECT_EQ(Run({"status", "--state", state()}).exit_code, 2);
  Connection connection;
  ASSERT_EQ(connection.Ask(Install(kLong)).install_result().outcome(), Outcome::INSTALLED);
  const ProcessResult shown = Run({"status", "--state", state() + "/", "--probe"});
  EXPECT_EQ(shown.exit_code, 0) << shown.error;
  EXPECT_THAT(shown.output, HasSubstr("old-01"));
  EXPECT_THAT(shown.output, HasSubstr("to confirm by"));
}

TEST_F(StdioTest, RecoverHasNothingToDoWhereNoControllerCame) {
  const ProcessResult recovered = Run({"recover", "--state", state()});
  EXPECT_EQ(recovered.exit_code, 0) << recovered.error;
  EXPECT_EQ(recovered.output, "nothing to recover\n");
  EXPECT_FALSE(std::filesystem::exists(state()));
  EXPECT_EQ(Run({"recover", "--state", "relative"}).exit_code, 2);
  const ProcessResult trusted = Run({"recover", "--state", state(), "--trust-clock"});
  EXPECT_EQ(trusted.exit_code, 2);
  EXPECT_THAT(trusted.error, HasSubstr(state() + " has nothing that a controller said of this host"));
}

// A client that was stopped, with the pipe full: its reader takes nothing, and is not gone either.
TEST_F(StdioTest, APeerThatTakesNothingHoldsUpNoInstall) {
  Connection connection;
  ASSERT_TRUE(connection.Ask(Describe()).has_inventory());
  // Another description of the same pipe, so that the agent's stays as it is.
  const std::string pipe = absl::StrCat("/proc/", connection.pid(), "/fd/1");
  Descriptor filler(open(pipe.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC));
  ASSERT_TRUE(filler.valid());
  for (size_t size = 4096; size > 0; size /= 2) {
    while (write(filler.get(), std::string(size, 'x').data(), size) > 0) {
    }
  }
  filler.Close();
  ASSERT_TRUE(connection.Send(Install(kLong)));
  EXPECT_THAT(testing::WaitUntil("the service has the new one", kPlenty, [&] { return Served() == new_leaf(); }),
              IsOk());
  ExpectConfirmable("over another connection");
}

TEST_F(StdioTest, AnotherFleetFindsTheHostTaken) {
  {
    Connection connection;
    ASSERT_TRUE(connection.Ask(Describe()).has_inventory());
  }
  const testing::TestFleet other("c0ffee00-6f52-4a55-9d3e-0e5a7d0f9c11");
  v1::Command command = Install(kLong);
  command.mutable_definition()->set_fleet_id(other.id());
  command.mutable_definition()->set_manifest_key_pem(other.key().ToPem());
  *command.mutable_install()->mutable_bundle() = other.Bundle(new_, "wildcard", 1, absl::Now());
  Connection connection;
  const v1::Report report = connection.Ask(command);
  EXPECT_EQ(report.refusal().failure().reason(), v1::Reason::FOREIGN_FLEET) << report.ShortDebugString();
  EXPECT_THAT(report.refusal().failure().hint(), HasSubstr("pinned-fleet"));
  ExpectInForce(old_leaf(), "after that");
}

TEST_F(StdioTest, AHostWithANodeYamlRefusesADefinition) {
  const std::string config = WriteNodeYaml();
  Connection connection({"--config", config, "stdio"});
  const v1::Report hello = connection.Receive();
  EXPECT_FALSE(hello.hello().hosted());
  EXPECT_EQ(hello.hello().node(), "web-01");
  EXPECT_EQ(connection.Ask(Describe()).refusal().failure().reason(), v1::Reason::DEFINITION_REFUSED);
  v1::Command describe = Describe();
  describe.clear_definition();
  EXPECT_EQ(connection.Ask(describe).inventory().node(), "web-01");
}

TEST_F(StdioTest, AConfigurationThatIsNamedAndMissingIsAnError) {
  const ProcessResult result = Run({"--config", PathOf("none.yaml"), "stdio"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.error, HasSubstr("none.yaml"));
  EXPECT_EQ(result.output, "");
}

}  // namespace
}  // namespace certcast
