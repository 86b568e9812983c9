// What a dry run says.
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/status/status.h"
#include "controller/api/controller_fixture.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace certcast::controller {
namespace {

using testing::CommandKind;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::IsOk;

class PlanApplyTest : public ControllerTest {
 protected:
  v1::ApplyResponse DryRun(bool force = false) {
    v1::ApplyRequest request;
    request.set_dry_run(true);
    request.set_force_renewal(force);
    const auto plan = Apply(request);
    EXPECT_THAT(plan, IsOk());
    return plan.ok() ? *plan : v1::ApplyResponse();
  }

  // Of the only rollout.
  std::map<std::string, v1::Rollout::Node> NodesOf(const v1::ApplyResponse& plan) {
    EXPECT_EQ(plan.rollouts_size(), 1);
    std::map<std::string, v1::Rollout::Node> nodes;
    if (plan.rollouts_size() != 1) return nodes;
    for (const v1::Rollout::Node& node : plan.rollouts(0).nodes()) nodes[node.name()] = node;
    return nodes;
  }
};

TEST_F(PlanApplyTest, SaysWhichServicesReloadAndWhichAreRestartedOnWhichNodes) {
  Configure(3);
  for (const char* node : {"web-1", "web-2"}) transport_.Node(node).Preinstall("ev", 1, "0123");
  transport_.Node("web-2").SetDisruptive();
  ASSERT_THAT(Import(Make()), IsOk());
  ASSERT_THAT(Import(Make()), IsOk());
  auto nodes = NodesOf(DryRun());
  EXPECT_THAT(nodes["web-1"].reloads(), ElementsAre("service-ev"));
  EXPECT_THAT(nodes["web-1"].restarts(), IsEmpty());
  EXPECT_THAT(nodes["web-2"].reloads(), IsEmpty());
  EXPECT_THAT(nodes["web-2"].restarts(), ElementsAre("service-ev"));
}

TEST_F(PlanApplyTest, SaysWhatCantBeReachedAndWhy) {
  Configure(2);
  ASSERT_THAT(Import(Make()), IsOk());
  transport_.Node("web-2").SetReachable(Fail(Reason::AUTH_FAILED, "web-2: certificate has expired"));
  auto nodes = NodesOf(DryRun());
  EXPECT_EQ(nodes["web-1"].reason(), Reason::REASON_UNSPECIFIED);
  EXPECT_EQ(nodes["web-2"].reason(), Reason::AUTH_FAILED);
  EXPECT_THAT(nodes["web-2"].detail(), HasSubstr("certificate has expired"));
  EXPECT_EQ(nodes["web-2"].outcome(), v1::Outcome::OUTCOME_UNSPECIFIED);
  EXPECT_GT(nodes["web-2"].wave(), 0);
}

TEST_F(PlanApplyTest, SaysWhatIsNotAsItWasInstalled) {
  Configure(2);
  ASSERT_THAT(Import(Make()), IsOk());
  ASSERT_THAT(Apply(), IsOk());
  transport_.Node("web-2").SetDrift("ev", {"/etc/nginx/tls/privkey.pem: mode 0644, not 0600"});
  auto nodes = NodesOf(DryRun());
  EXPECT_EQ(nodes["web-1"].detail(), "");
  EXPECT_EQ(nodes["web-2"].reason(), Reason::REASON_UNSPECIFIED);
  EXPECT_THAT(nodes["web-2"].detail(), HasSubstr("privkey.pem: mode 0644, not 0600"));
}

TEST_F(PlanApplyTest, SaysWhatANodeWouldRefuseItFor) {
  Configure(1);
  transport_.Node("web-1").Preinstall("ev", 1, "0123");
  transport_.Node("web-1").SetObstacle("/etc/nginx/tls is not there");
  ASSERT_THAT(Import(Make()), IsOk());
  ASSERT_THAT(Import(Make()), IsOk());
  EXPECT_THAT(NodesOf(DryRun())["web-1"].obstacles(), ElementsAre("service-ev: /etc/nginx/tls is not there"));
}

TEST_F(PlanApplyTest, EstimatesFromWhatInstallsTook) {
  // Who waits for its Confirm sees the time that passes on others as well: they share the clock.
  rollout_ = ", parallel: 2, soak: 1m, confirm_timeout: 10m, node_timeout: 20m";
  Configure(5);
  ASSERT_THAT(Import(Make()), IsOk());
  EXPECT_EQ(DryRun().rollouts(0).estimated_from(), 0);
  EXPECT_EQ(DryRun().rollouts(0).estimated_ms(), 0);
  clock_.Advance(absl::Hours(1));
  for (int i = 1; i <= 5; ++i) {
    transport_.Node(absl::StrCat("web-", i)).SetDelay(CommandKind::kInstall, absl::Seconds(30));
  }
  const auto applied = Apply();
  ASSERT_THAT(applied, IsOk());
  ASSERT_EQ(applied->rollouts(0).state(), v1::Rollout::COMPLETED);
  ASSERT_THAT(Import(Make()), IsOk());
  const v1::ApplyResponse plan = DryRun();
  EXPECT_EQ(plan.rollouts(0).estimated_from(), 5);
  // A wave of one, a soak, a wave of four of which two are in flight: three rounds.
  EXPECT_GE(plan.rollouts(0).estimated_ms(), 60'000 + 3 * 30'000);
}

TEST_F(PlanApplyTest, ShowsARolloutThatApplyWouldGoOnWithAndNoSecondOne) {
  Configure(4);
  ASSERT_THAT(Import(Make()), IsOk());
  StopAtTheFirstInstall();
  const v1::ApplyResponse plan = DryRun();
  EXPECT_TRUE(plan.changes_pending());
  ASSERT_EQ(plan.rollouts_size(), 1);
  EXPECT_NE(plan.rollouts(0).id(), "");
  int left = 0;
  for (const v1::Rollout::Node& node : plan.rollouts(0).nodes()) {
    left += node.outcome() == v1::Outcome::OUTCOME_UNSPECIFIED;
  }
  EXPECT_EQ(left, 3);
  const auto done = Apply();
  ASSERT_THAT(done, IsOk());
  ASSERT_EQ(done->rollouts_size(), 1);
  EXPECT_EQ(done->rollouts(0).id(), plan.rollouts(0).id());
}

TEST_F(PlanApplyTest, ShowsThePlanOfTheGenerationThatTakesAPausedOnesPlace) {
  Configure(2);
  ASSERT_THAT(Import(Make()), IsOk());
  FlapOnce();
  ASSERT_EQ(Apply()->rollouts(0).state(), v1::Rollout::PAUSED);
  ASSERT_THAT(Import(Make()), IsOk());
  const v1::ApplyResponse plan = DryRun();
  ASSERT_EQ(plan.rollouts_size(), 1);
  EXPECT_EQ(plan.rollouts(0).id(), "");
  EXPECT_EQ(plan.rollouts(0).generation(), 2u);
}

TEST_F(PlanApplyTest, SaysWhenTheWindowOpens) {
  rollout_ = R"(, windows: {time_zone: Europe/Berlin, start: "06:00", end: "08:00"})";
  Configure(2);
  ASSERT_THAT(Import(Make()), IsOk());
  EXPECT_EQ(DryRun().rollouts(0).window_opens(), "Tue 2030-01-01 06:00 CET (Europe/Berlin)");
  clock_.Advance(absl::Hours(5));
  EXPECT_EQ(DryRun().rollouts(0).window_opens(), "");
  EXPECT_FALSE(DryRun().rollouts(0).has_window_opens_at());
}

TEST_F(PlanApplyTest, TellsWhatWillGoWrongLater) {
  Configure(1);
  v1::Failure failure;
  failure.set_reason(Reason::CLOCK_SUSPICIOUS);
  failure.set_detail("the clock says 1970");
  transport_.Node("web-1").SetClockFailure(failure);
  ASSERT_THAT(Import(Make()), IsOk());
  EXPECT_THAT(DryRun().warnings(), ElementsAre(HasSubstr("the clock says 1970")));
  EXPECT_THAT(NodesOf(DryRun())["web-1"].obstacles(), ElementsAre("the clock says 1970"));
}

// As Apply does.
TEST_F(PlanApplyTest, SaysThatAnImportedOneHasExpired) {
  Configure(1);
  ASSERT_THAT(Import(ca_.Issue({.dns_names = {"www.example.com"}, .not_after = clock_.Now() + absl::Hours(24)})),
              IsOk());
  ASSERT_THAT(Apply(), IsOk());
  EXPECT_FALSE(DryRun().certificates(0).has_failure());
  clock_.Advance(absl::Hours(25));
  const v1::ApplyResponse plan = DryRun();
  EXPECT_EQ(plan.certificates(0).failure().reason(), Reason::EXPIRED);
  EXPECT_THAT(plan.certificates(0).failure().hint(), HasSubstr("certcast import"));
  EXPECT_FALSE(plan.changes_pending());
}

}  // namespace
}  // namespace certcast::controller
