// Several processes on one node. The services are simulated, the engine is the real one.
#include "node/hosted/on_demand_engine.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "node/hosted/hosted_node.h"
#include "tests/testing/status_matchers.h"

namespace certcast::node {
namespace {

using ::testing::ElementsAre;
using testing::HasReason;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::IsOk;
using v1::Outcome;

class OnDemand : public ::testing::Test {
 protected:
  std::unique_ptr<OnDemandEngine> Process() {
    return std::make_unique<OnDemandEngine>(MakeEngineSource(node_.config), node_.SharedEnvironment());
  }
  // What was told meanwhile.
  OnProgress Note() {
    return [this](const v1::Progress& progress) { told_.push_back(progress.step() + ": " + progress.detail()); };
  }

  HostedNode node_;
  std::vector<std::string> told_;
};

TEST_F(OnDemand, AnotherProcessConfirmsWhatOneInstalled) {
  const auto first = Process();
  EXPECT_EQ(OutcomeOf(first->Handle(node_.InstallCommand(1), nullptr)), Outcome::INSTALLED);
  EXPECT_TRUE(first->ConfirmBy().has_value());
  EXPECT_FALSE(node_.locker.held());

  const auto second = Process();
  EXPECT_EQ(OutcomeOf(second->Handle(node_.ConfirmCommand(1), Note())), Outcome::INSTALLED);
  EXPECT_FALSE(second->ConfirmBy().has_value());
  EXPECT_THAT(told_, ElementsAre(HasSubstr("recover: the install of wildcard"), "commit: "));

  // The first one looks when the time is over, and finds nothing to do.
  node_.clock.Advance(absl::Minutes(2));
  EXPECT_THAT(first->RevertIfOverdue(), IsOk());
  EXPECT_FALSE(first->ConfirmBy().has_value());
  EXPECT_EQ(node_.FilesOf("nginx"), LeafOf(1));
}

TEST_F(OnDemand, GoesBackWhenNobodyConfirms) {
  const auto first = Process();
  EXPECT_EQ(OutcomeOf(first->Handle(node_.InstallCommand(1), nullptr)), Outcome::INSTALLED);
  EXPECT_THAT(first->RevertIfOverdue(), IsOk());
  EXPECT_EQ(node_.FilesOf("nginx"), LeafOf(1)) << "there is time left";
  node_.clock.Advance(absl::Minutes(2));
  EXPECT_THAT(first->RevertIfOverdue(), IsOk());
  EXPECT_EQ(node_.FilesOf("nginx"), kNothing);
  EXPECT_FALSE(first->ConfirmBy().has_value());
}

TEST_F(OnDemand, WhoeverCameLastGoesBackToo) {
  EXPECT_EQ(OutcomeOf(Process()->Handle(node_.InstallCommand(1), nullptr)), Outcome::INSTALLED);  // and was killed
  const auto second = Process();
  EXPECT_TRUE(second->Handle(node_.DescribeCommand(), nullptr).has_inventory());
  EXPECT_TRUE(second->ConfirmBy().has_value());
  node_.clock.Advance(absl::Minutes(2));
  EXPECT_THAT(second->RevertIfOverdue(), IsOk());
  EXPECT_EQ(node_.FilesOf("nginx"), kNothing);
}

TEST_F(OnDemand, LeavesWhatIsOverdueToAProcessAtWork) {
  const auto first = Process();
  EXPECT_EQ(OutcomeOf(first->Handle(node_.InstallCommand(1), nullptr)), Outcome::INSTALLED);
  node_.clock.Advance(absl::Minutes(2));
  node_.locker.BeBusyFor(1000);
  EXPECT_THAT(first->RevertIfOverdue(), IsOk());
  EXPECT_FALSE(first->ConfirmBy().has_value());
  EXPECT_EQ(node_.FilesOf("nginx"), LeafOf(1));
}

TEST_F(OnDemand, TriesAgainWhatTheDiskDidNotLet) {
  const auto first = Process();
  EXPECT_EQ(OutcomeOf(first->Handle(node_.InstallCommand(1), nullptr)), Outcome::INSTALLED);
  node_.clock.Advance(absl::Minutes(2));
  node_.files.FailWhere([](absl::string_view) { return true; }, EIO);
  EXPECT_THAT(first->RevertIfOverdue(), HasReason(Reason::STORAGE_FAILED));
  EXPECT_TRUE(first->ConfirmBy().has_value());
  node_.files.Heal();
  EXPECT_THAT(first->RevertIfOverdue(), IsOk());
  EXPECT_EQ(node_.FilesOf("nginx"), kNothing);
}

TEST_F(OnDemand, AChangeWaitsForAProcessAtWorkAndSaysSo) {
  node_.locker.BeBusyFor(20);
  EXPECT_EQ(OutcomeOf(Process()->Handle(node_.InstallCommand(1), Note())), Outcome::INSTALLED);
  ASSERT_FALSE(told_.empty());
  EXPECT_EQ(told_[0], "lock: waiting for the install that is under way");
  EXPECT_GE(node_.clock.slept(), absl::Seconds(1));
}

TEST_F(OnDemand, AChangeDoesNotWaitForEver) {
  node_.locker.BeBusyFor(1'000'000);
  EXPECT_EQ(RefusalOf(Process()->Handle(node_.InstallCommand(1), Note())), Reason::BUSY);
  EXPECT_THAT(told_, ElementsAre(HasSubstr("waiting")));
  EXPECT_GE(node_.clock.slept(), OnDemandEngine::kPatience);
  EXPECT_LE(node_.clock.slept(), OnDemandEngine::kPatience + absl::Seconds(1));
  EXPECT_EQ(node_.FilesOf("nginx"), kNothing);
}

TEST_F(OnDemand, LookingWaitsForNobody) {
  EXPECT_EQ(OutcomeOf(Process()->Handle(node_.InstallCommand(1), nullptr)), Outcome::INSTALLED);
  node_.locker.BeBusyFor(1'000'000);
  const absl::Duration slept = node_.clock.slept();
  const v1::Report report = Process()->Handle(node_.DescribeCommand(), Note());
  ASSERT_EQ(report.inventory().certificates_size(), 1) << report.ShortDebugString();
  EXPECT_EQ(report.inventory().certificates(0).generation(), 1u);
  EXPECT_EQ(node_.clock.slept(), slept);
  EXPECT_THAT(told_, IsEmpty());
}

TEST_F(OnDemand, TheSameCommandOverANewConnectionHasTheSameResult) {
  const v1::Command install = node_.InstallCommand(1);
  const v1::Report first = Process()->Handle(install, nullptr);
  const v1::Report second = Process()->Handle(install, nullptr);
  EXPECT_EQ(second.install_result().ShortDebugString(), first.install_result().ShortDebugString());
  EXPECT_EQ(node_.ReloadsOf("nginx"), 1);
}

TEST_F(OnDemand, ACommandFirstEndsWhatACrashLeft) {
  node_.running["nginx"].on_reload = [this] { node_.files.CrashAt(node_.files.count() + 1); };
  (void)Process()->Handle(node_.InstallCommand(1), nullptr);
  ASSERT_TRUE(node_.files.has_crashed());
  node_.Kill();
  node_.running["nginx"].on_reload = nullptr;
  EXPECT_EQ(OutcomeOf(Process()->Handle(node_.InstallCommand(2), Note())), Outcome::INSTALLED);
  ASSERT_FALSE(told_.empty());
  EXPECT_THAT(told_[0], HasSubstr("REVERTED INTERRUPTED"));
  EXPECT_EQ(node_.FilesOf("nginx"), LeafOf(2));
}

TEST_F(OnDemand, RecoversWithoutACommandAsWell) {
  const auto engine = Process();
  auto recovered = engine->Recover();
  ASSERT_THAT(recovered, IsOk());
  EXPECT_EQ(recovered->line, "");
  node_.locker.BeBusyFor(1'000'000);
  EXPECT_THAT(engine->Recover(), HasReason(Reason::BUSY));
  const absl::Duration at_once = node_.clock.slept();
  EXPECT_THAT(engine->Recover(OnDemandEngine::kPatience), HasReason(Reason::BUSY));
  EXPECT_GE(node_.clock.slept() - at_once, OnDemandEngine::kPatience);
}

// Killed between vfork and execve, of `nginx -t` for one.
TEST_F(OnDemand, WhoWasKilledAMomentAgoIsNotAtWork) {
  node_.locker.BeBusyFor(2);
  EXPECT_THAT(Process()->Recover(), IsOk());
}

TEST_F(OnDemand, ANodeWithAConfigurationRefusesADefinition) {
  const v1::NodeDefinition definition = node_.DefinitionWith({"nginx"});
  const auto engine = Process();
  EXPECT_EQ(RefusalOf(engine->Handle(With(node_.InstallCommand(1), definition), nullptr)), Reason::DEFINITION_REFUSED);
  EXPECT_EQ(RefusalOf(engine->Handle(With(node_.DescribeCommand(), definition), nullptr)), Reason::DEFINITION_REFUSED);
  EXPECT_EQ(node_.FilesOf("nginx"), kNothing);
}

TEST_F(OnDemand, AStateThatCantBeReadIsSaid) {
  node_.files.FailWhere([](absl::string_view) { return true; }, EACCES);
  const auto engine = Process();
  EXPECT_EQ(RefusalOf(engine->Handle(node_.InstallCommand(1), nullptr)), Reason::PERMISSION_DENIED);
  EXPECT_EQ(RefusalOf(engine->Handle(node_.DescribeCommand(), nullptr)), Reason::PERMISSION_DENIED);
}

TEST_F(OnDemand, TestsAService) {
  EXPECT_EQ(OutcomeOf(Process()->Handle(node_.InstallCommand(1), nullptr)), Outcome::INSTALLED);
  EXPECT_THAT(Process()->TestService("nginx"), IsOk());
  EXPECT_TRUE(absl::IsNotFound(Process()->TestService("apache").status()));
}

}  // namespace
}  // namespace certcast::node
