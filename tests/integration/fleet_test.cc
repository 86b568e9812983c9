// The main job with everything real: Pebble, nginx, agents and the controller program. What holds when all is well, and
// what is left when one node is not.
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "tests/testing/fleet_fixture.h"
#include "tests/testing/status_matchers.h"

namespace certcast::testing {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::SizeIs;

// The names that scripts rely on.
void ExpectNames(const json& object, const std::vector<std::string>& names) {
  for (const std::string& name : names) EXPECT_TRUE(object.contains(name)) << name << " in " << object;
}

TEST_F(FleetTest, EveryNodeServesWhatWasIssued) {
  ASSERT_NO_FATAL_FAILURE(StartFleet({.nodes = 3}));
  const CommandResult applied = Apply();

  ASSERT_EQ(applied.exit_code, 0) << applied;
  EXPECT_TRUE(IssuedIn(applied));
  EXPECT_THAT(LeafIn(applied), SizeIs(64));
  EXPECT_EQ(StateIn(applied), "COMPLETED");
  ExpectAllServe(LeafIn(applied));
  for (FleetNode& node : fleet().nodes()) {
    EXPECT_EQ(OutcomeIn(applied, node.name()), "INSTALLED");
    EXPECT_EQ(NodeIn(applied, node.name()).at("servedSha256"), LeafIn(applied));
    EXPECT_EQ(node.Reloads(), 1) << node.name();
  }
  EXPECT_THAT(applied.err, AllOf(HasSubstr("wave 1/2: 1/1"), HasSubstr("wave 2/2: 2/2")));
}

TEST_F(FleetTest, JsonHasTheNamesThatAreFixed) {
  ASSERT_NO_FATAL_FAILURE(StartFleet({.nodes = 2}));
  json applied = Apply().json;
  ExpectNames(applied, {"certificates", "rollouts"});
  ExpectNames(applied["certificates"][0], {"name", "generation", "leafSha256", "notAfter", "issued"});
  ExpectNames(applied["rollouts"][0], {"id", "certificate", "generation", "state", "waves", "nodes"});
  ExpectNames(applied["rollouts"][0]["waves"][0], {"index", "size"});
  ExpectNames(applied["rollouts"][0]["nodes"][0],
              {"name", "wave", "outcome", "reason", "detail", "servedSha256", "durationMs"});

  json certificates = fleet().controller().Json({"certificates"}).json;
  ExpectNames(certificates["certificates"][0],
              {"name", "generation", "leafSha256", "notAfter", "renewAt", "renewReason", "generations"});
  ExpectNames(certificates["certificates"][0]["generations"][0],
              {"generation", "leafSha256", "notBefore", "notAfter", "state"});

  const CommandResult answer = fleet().controller().Json({"status"});
  EXPECT_EQ(answer.exit_code, 0) << answer;
  json status = answer.json;
  ExpectNames(status, {"certificates", "nodes", "converged", "total"});
  ExpectNames(status["certificates"][0], {"name", "generation", "leafSha256", "notAfter", "renewAt"});
  ExpectNames(status["nodes"][0],
              {"name", "certificate", "state", "generation", "installedSha256", "servedSha256", "lastSeen"});
  EXPECT_EQ(status["converged"], 2);
  EXPECT_EQ(status["total"], 2);
  EXPECT_EQ(status["nodes"][0]["state"], "CONVERGED");

  json verified = fleet().controller().Json({"verify"}).json;
  ExpectNames(verified["endpoints"][0],
              {"node", "address", "serverName", "expectedSha256", "servedSha256", "ok", "detail"});
}

TEST_F(FleetTest, ASecondRunDoesNothing) {
  ASSERT_NO_FATAL_FAILURE(StartFleet({.nodes = 3}));
  const std::string leaf = ApplyFirst();
  const std::vector<pid_t> workers = fleet().Workers();

  const CommandResult again = Apply();

  EXPECT_EQ(again.exit_code, 0) << again;
  EXPECT_FALSE(IssuedIn(again));
  EXPECT_THAT(again.json.at("rollouts"), SizeIs(0));
  EXPECT_EQ(fleet().Workers(), workers);
  EXPECT_EQ(fleet().Orders(), 1);
  ExpectAllServe(leaf);
}

TEST_F(FleetTest, AFailedCheckIsNotReloadedAndTheOthersGoBack) {
  ASSERT_NO_FATAL_FAILURE(StartFleet({.nodes = 3}));
  const std::string first = ApplyFirst();
  FleetNode& broken = LastToRenew();
  ASSERT_THAT(broken.nginx().BreakConfiguration(), IsOk());
  const pid_t worker = broken.nginx().Worker();
  const int reloads = broken.Reloads();

  const CommandResult halted = Renew();

  EXPECT_EQ(halted.exit_code, 4) << halted;
  EXPECT_EQ(OutcomeIn(halted, broken.name()), "REVERTED CHECK_FAILED");
  const json report = NodeIn(halted, broken.name());
  EXPECT_EQ(report.at("step"), "check");
  EXPECT_THAT(report.at("stderr").get<std::string>(), HasSubstr("unknown directive \"nonsense\""));
  EXPECT_EQ(broken.nginx().Worker(), worker);
  EXPECT_EQ(broken.Reloads(), reloads);
  EXPECT_EQ(OutcomeIn(halted, NodesOfWave(halted, 1).at(0)), "REVERTED ROLLOUT_HALTED");
  ExpectAllServe(first);

  ASSERT_THAT(broken.nginx().MendConfiguration(), IsOk());
  const CommandResult mended = Apply();
  EXPECT_EQ(mended.exit_code, 0) << mended;
  EXPECT_FALSE(IssuedIn(mended));
  EXPECT_EQ(GenerationIn(mended), GenerationIn(halted));
  EXPECT_EQ(LeafIn(mended), LeafIn(halted));
  EXPECT_EQ(fleet().Orders(), 2);
  ExpectAllServe(LeafIn(halted));
}

TEST_F(FleetTest, AReloadThatSaysYesAndServesTheOldOneIsPutBack) {
  ASSERT_NO_FATAL_FAILURE(StartFleet({.nodes = 3, .probe_timeout = absl::Seconds(4)}));
  const std::string first = ApplyFirst();
  FleetNode& frozen = LastToRenew();
  frozen.nginx().FreezeMaster();

  const CommandResult halted = Renew();

  EXPECT_EQ(halted.exit_code, 4) << halted;
  EXPECT_EQ(StateIn(halted), "REVERTED");
  EXPECT_EQ(OutcomeIn(halted, frozen.name()), "REVERTED PROBE_FAILED");
  EXPECT_THAT(NodeIn(halted, frozen.name()).at("detail").get<std::string>(), HasSubstr(first));
  EXPECT_EQ(OutcomeIn(halted, NodesOfWave(halted, 1).at(0)), "REVERTED ROLLOUT_HALTED");
  ExpectAllServe(first);
  frozen.nginx().ThawMaster();
  ExpectAllServe(first);
  EXPECT_EQ(fleet().controller().Json({"verify"}).exit_code, 3) << "the new generation stays the wanted one";
}

TEST_F(FleetTest, WithinTheFailureBudgetTheOthersGoOn) {
  ASSERT_NO_FATAL_FAILURE(StartFleet({.nodes = 4, .rollout = R"({waves: ["1", "100%"], max_failures: 1})"}));
  const std::string first = ApplyFirst();
  FleetNode& broken = LastToRenew();
  ASSERT_THAT(broken.nginx().BreakConfiguration(), IsOk());

  const CommandResult applied = Renew();

  EXPECT_EQ(applied.exit_code, 3) << applied;
  EXPECT_EQ(StateIn(applied), "INCOMPLETE");
  for (FleetNode& node : fleet().nodes()) {
    const bool is_broken = &node == &broken;
    EXPECT_EQ(OutcomeIn(applied, node.name()), is_broken ? "REVERTED CHECK_FAILED" : "INSTALLED");
    EXPECT_EQ(node.nginx().Served(), is_broken ? first : LeafIn(applied)) << node.name();
  }
  json status = fleet().controller().Json({"status"}).json;
  EXPECT_EQ(status["converged"], 3);
  EXPECT_EQ(status["total"], 4);
}

TEST_F(FleetTest, AnUnreachableNodeIsNamedAndCatchesUp) {
  ASSERT_NO_FATAL_FAILURE(StartFleet({.nodes = 3}));
  const std::string first = ApplyFirst();
  FleetNode& gone = LastToRenew();
  gone.StopAgent();

  const CommandResult applied = Renew();

  EXPECT_EQ(applied.exit_code, 3) << applied;
  EXPECT_EQ(StateIn(applied), "INCOMPLETE");
  EXPECT_EQ(OutcomeIn(applied, gone.name()), "UNREACHABLE NO_ROUTE");
  EXPECT_THAT(NodeIn(applied, gone.name()).at("detail").get<std::string>(), HasSubstr(gone.agent_address()));
  EXPECT_EQ(gone.nginx().Served(), first);
  const std::vector<pid_t> workers = fleet().Workers();

  ASSERT_THAT(gone.StartAgent(), IsOk());
  const CommandResult caught_up = Apply();

  EXPECT_EQ(caught_up.exit_code, 0) << caught_up;
  EXPECT_FALSE(IssuedIn(caught_up));
  EXPECT_EQ(OutcomeIn(caught_up, gone.name()), "INSTALLED");
  ExpectAllServe(LeafIn(applied));
  for (size_t i = 0; i < fleet().nodes().size(); ++i) {
    FleetNode& node = fleet().nodes()[i];
    EXPECT_EQ(node.nginx().Worker() == workers[i], &node != &gone) << node.name();
  }
}

}  // namespace
}  // namespace certcast::testing
