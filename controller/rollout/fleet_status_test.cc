#include "controller/rollout/fleet_status.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/clock/timestamp.h"
#include "common/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/fake_link.h"

namespace certcast::controller {
namespace {

using certcast::testing::CommandKind;
using certcast::testing::FakeClock;
using certcast::testing::FakeNode;
using certcast::testing::FakeTransport;
using certcast::testing::Fault;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using Row = v1::StatusResponse::Node;

const std::string kNew(64, 'b');
const std::string kOld(64, 'a');

class AskFleetTest : public ::testing::Test {
 protected:
  AskFleetTest() {
    config_.name = "web-01";
    wanted_ = {.name = "wildcard", .generation = 2, .leaf_sha256 = kNew, .nodes = {&config_}};
  }

  FleetStatus Ask() { return AskFleet({wanted_}, transport_, clock_, options_); }
  Row AskOne() {
    const FleetStatus status = Ask();
    EXPECT_THAT(status.rows, SizeIs(1));
    return status.rows.front();
  }
  FakeNode& node() { return transport_.Node("web-01"); }

  FakeClock clock_;
  FakeTransport transport_{clock_};
  NodeConfig config_;
  WantedCertificate wanted_;
  FleetStatusOptions options_;
};

TEST_F(AskFleetTest, ConvergedIsInForceConfirmedIntactAndServed) {
  node().Preinstall("wildcard", 2, kNew);
  const FleetStatus status = Ask();
  EXPECT_EQ(status.converged, 1);
  const Row& row = status.rows[0];
  EXPECT_EQ(row.state(), Row::CONVERGED);
  EXPECT_EQ(row.generation(), 2u);
  EXPECT_EQ(row.installed_sha256(), kNew);
  EXPECT_EQ(row.served_sha256(), kNew);
  EXPECT_EQ(FromTimestamp(row.last_seen()), clock_.Now());
  EXPECT_TRUE(row.has_since());
  EXPECT_EQ(row.detail(), "");
  EXPECT_THAT(row.services(), SizeIs(1));
  ASSERT_THAT(status.seen, SizeIs(1));
  EXPECT_EQ(status.seen[0].name, "web-01");
  EXPECT_EQ(status.seen[0].inventory.node(), "web-01");
}

TEST_F(AskFleetTest, PendingHasAnOlderOne) {
  node().Preinstall("wildcard", 1, kOld);
  const FleetStatus status = Ask();
  EXPECT_EQ(status.converged, 0);
  EXPECT_EQ(status.rows[0].state(), Row::PENDING);
  EXPECT_EQ(status.rows[0].generation(), 1u);
  EXPECT_EQ(status.rows[0].served_sha256(), kOld);
}

TEST_F(AskFleetTest, PendingIsEverybodyBeforeTheFirstGeneration) {
  node().Preinstall("wildcard", 0, "");
  wanted_.generation = 0;
  wanted_.leaf_sha256.clear();
  EXPECT_EQ(AskOne().state(), Row::PENDING);
}

TEST_F(AskFleetTest, DriftedServesAnotherCertificate) {
  node().Preinstall("wildcard", 2, kNew);
  node().SetServed("wildcard", kOld);
  const Row row = AskOne();
  EXPECT_EQ(row.state(), Row::DRIFTED);
  EXPECT_EQ(row.served_sha256(), kOld);
  EXPECT_EQ(row.installed_sha256(), kNew);
  EXPECT_EQ(row.detail(), absl::StrCat("service-wildcard: tls 127.0.0.1:443 serves ", kOld));
}

TEST_F(AskFleetTest, AServiceOfTwoCertificatesIsJudgedByTheProbesOfEach) {
  node().SetOneService();
  node().Preinstall("wildcard", 2, kNew);
  node().Preinstall("shop", 1, kOld);
  EXPECT_EQ(AskOne().state(), Row::CONVERGED) << AskOne().detail();
  EXPECT_EQ(AskOne().served_sha256(), kNew);
  node().SetServed("shop", kNew);
  EXPECT_EQ(AskOne().state(), Row::CONVERGED) << AskOne().detail();
  node().SetServed("wildcard", kOld);
  EXPECT_EQ(AskOne().state(), Row::DRIFTED);
}

TEST_F(AskFleetTest, DriftedHasFilesThatWereTouched) {
  node().Preinstall("wildcard", 2, kNew);
  node().SetDrift("wildcard", {"/etc/nginx/tls/privkey.pem: mode 0644, was installed with 0600"});
  const Row row = AskOne();
  EXPECT_EQ(row.state(), Row::DRIFTED);
  EXPECT_THAT(row.detail(), HasSubstr("privkey.pem: mode 0644"));
}

TEST_F(AskFleetTest, DriftedHasAGenerationThatThisControllerHasNotMade) {
  node().Preinstall("wildcard", 7, kOld);
  EXPECT_EQ(AskOne().state(), Row::DRIFTED);
}

TEST_F(AskFleetTest, DriftedHasTheNumberWithAnotherLeaf) {
  node().Preinstall("wildcard", 2, kOld);
  EXPECT_EQ(AskOne().state(), Row::DRIFTED);
}

TEST_F(AskFleetTest, FailedHasTheReasonOfTheLastRollout) {
  node().Preinstall("wildcard", 1, kOld);
  state::v1::Rollout rollout;
  rollout.set_generation(2);
  v1::Rollout::Node& result = *rollout.add_nodes()->mutable_result();
  result.set_name("web-01");
  result.set_outcome(v1::Outcome::REVERTED);
  result.set_reason(Reason::CHECK_FAILED);
  result.set_detail("nginx -t: line 3");
  wanted_.latest_rollout = &rollout;
  EXPECT_EQ(AskOne().state(), Row::FAILED);
  EXPECT_EQ(AskOne().reason(), Reason::CHECK_FAILED);
  EXPECT_EQ(AskOne().detail(), "nginx -t: line 3");

  // Put back because others failed is no failure of its own.
  result.set_reason(Reason::ROLLOUT_HALTED);
  EXPECT_EQ(AskOne().state(), Row::PENDING);
  // Nor is a probe that flapped, which is said all the same.
  result.set_reason(Reason::PROBE_INCONCLUSIVE);
  EXPECT_EQ(AskOne().state(), Row::PENDING);
  EXPECT_EQ(AskOne().reason(), Reason::PROBE_INCONCLUSIVE);
  // Nor is what an older generation met.
  result.set_reason(Reason::CHECK_FAILED);
  rollout.set_generation(1);
  EXPECT_EQ(AskOne().state(), Row::PENDING);
}

TEST_F(AskFleetTest, FailedHasNoServiceForTheCertificate) {
  node().Preinstall("other", 2, kNew);
  const Row row = AskOne();
  EXPECT_EQ(row.state(), Row::FAILED);
  EXPECT_EQ(row.reason(), Reason::NOT_DECLARED);
}

TEST_F(AskFleetTest, FailedRefusesToAnswer) {
  node().Inject(CommandKind::kProbe, Fault::Refused(Reason::STALE_EPOCH, "epoch 1 is below 2"));
  const Row row = AskOne();
  EXPECT_EQ(row.state(), Row::FAILED);
  EXPECT_EQ(row.reason(), Reason::STALE_EPOCH);
}

TEST_F(AskFleetTest, UnreachableSaysWhyAndWhenItWasLastSeen) {
  node().SetReachable(Fail(Reason::NO_ROUTE, "10.0.0.1:7444: connection refused", "is the agent running?"));
  const absl::Time before = clock_.Now() - absl::Hours(3);
  options_.last_seen["web-01"] = before;
  const FleetStatus status = Ask();
  const Row& row = status.rows[0];
  EXPECT_EQ(row.state(), Row::UNREACHABLE);
  EXPECT_EQ(row.reason(), Reason::NO_ROUTE);
  EXPECT_EQ(row.detail(), "10.0.0.1:7444: connection refused (is the agent running?)");
  EXPECT_EQ(FromTimestamp(row.last_seen()), before);
  EXPECT_THAT(status.seen, SizeIs(0));
}

TEST_F(AskFleetTest, UnreachableAnswersTooLate) {
  node().Preinstall("wildcard", 2, kNew);
  node().Inject(CommandKind::kProbe, Fault::TimedOut());
  EXPECT_EQ(AskOne().state(), Row::UNREACHABLE);
}

TEST_F(AskFleetTest, AsksANodeOnceForAllItsCertificates) {
  node().Preinstall("wildcard", 2, kNew);
  node().Preinstall("mail", 5, kOld);
  const WantedCertificate mail = {.name = "mail", .generation = 6, .leaf_sha256 = kNew, .nodes = {&config_}};
  const FleetStatus status = AskFleet({wanted_, mail}, transport_, clock_, options_);
  ASSERT_THAT(status.rows, SizeIs(2));
  EXPECT_EQ(status.rows[0].state(), Row::CONVERGED);
  EXPECT_EQ(status.rows[1].certificate(), "mail");
  EXPECT_EQ(status.rows[1].state(), Row::PENDING);
  EXPECT_EQ(status.converged, 1);
  EXPECT_EQ(transport_.opened(), 1);
  EXPECT_THAT(status.seen, SizeIs(1));
}

TEST_F(AskFleetTest, PendingWaitsForItsConfirm) {
  node().Preinstall("wildcard", 1, kOld);
  v1::Manifest manifest;
  manifest.set_certificate("wildcard");
  manifest.set_generation(2);
  manifest.set_leaf_sha256(kNew);
  v1::Command command;
  command.set_id("install");
  command.mutable_install()->mutable_bundle()->set_manifest(manifest.SerializeAsString());
  command.mutable_install()->mutable_confirm_timeout()->set_seconds(60);
  ASSERT_TRUE((*transport_.Open(config_, absl::Seconds(1)))->Call(command, absl::Seconds(1), nullptr).ok());
  const Row row = AskOne();
  EXPECT_EQ(row.state(), Row::PENDING);
  EXPECT_EQ(row.reason(), Reason::NOT_CONFIRMED);
}

TEST_F(AskFleetTest, AsksAThousandNodesInTheOrderGiven) {
  std::vector<NodeConfig> configs(1000);
  wanted_.nodes.clear();
  for (int i = 0; i < 1000; ++i) {
    configs[i].name = absl::StrCat("node-", i);
    transport_.Node(configs[i].name).Preinstall("wildcard", 2, i % 2 == 0 ? kNew : kOld);
    wanted_.nodes.push_back(&configs[i]);
  }
  const FleetStatus status = Ask();
  ASSERT_THAT(status.rows, SizeIs(1000));
  EXPECT_EQ(status.converged, 500);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(status.rows[i].name(), configs[i].name);
}

}  // namespace
}  // namespace certcast::controller
