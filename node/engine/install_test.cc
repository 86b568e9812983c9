// What becomes of an install, from whatever step it fails.
#include "node/engine/install.h"

#include <algorithm>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "node/engine/simulated_node.h"
#include "tests/testing/status_matchers.h"

namespace certcast::node {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::IsOk;
using v1::Outcome;

class InstallTest : public ::testing::Test {
 protected:
  // A node that has had generation 1 for long.
  void HaveGenerationOne() {
    node.AddService("nginx");
    node.AddService("haproxy");
    ASSERT_THAT(node.Start(), IsOk());
    node.Bring(1);
    nginx_reloads = node.ReloadsOf("nginx");
    haproxy_reloads = node.ReloadsOf("haproxy");
  }

  SimulatedNode node;
  int nginx_reloads = 0;
  int haproxy_reloads = 0;
};

TEST_F(InstallTest, InstallsWhereNothingWas) {
  node.AddService("nginx");
  ASSERT_THAT(node.Start(), IsOk());
  const v1::InstallResult result = node.Install(1);
  EXPECT_EQ(result.outcome(), Outcome::INSTALLED) << result.ShortDebugString();
  EXPECT_EQ(result.certificate(), "wildcard");
  EXPECT_EQ(result.generation(), 1);
  EXPECT_EQ(result.generation_in_force(), 1);
  EXPECT_EQ(result.installed_sha256(), LeafOf(1));
  EXPECT_THAT(result.reloaded(), ElementsAre("nginx"));
  ASSERT_EQ(result.probes_size(), 1);
  EXPECT_TRUE(result.probes(0).ok());
  EXPECT_EQ(result.probes(0).served_before_sha256(), "");
  EXPECT_EQ(result.probes(0).served_sha256(), LeafOf(1));
  EXPECT_EQ(result.probes(0).address(), "nginx.local:443");
  EXPECT_EQ(result.confirm_by().seconds(), absl::ToUnixSeconds(node.clock.Now()) + 60);
  EXPECT_EQ(node.FilesOf("nginx"), LeafOf(1));
  EXPECT_EQ(node.ReloadsOf("nginx"), 1);
}

TEST_F(InstallTest, EveryStepIsTimedAndReported) {
  node.AddService("nginx");
  ASSERT_THAT(node.Start(), IsOk());
  std::vector<std::string> progress;
  const v1::Report report =
      node.engine().Handle(node.InstallCommand(1), [&](const v1::Progress& p) { progress.push_back(p.step()); });
  std::vector<std::string> steps;
  for (const auto& step : report.install_result().steps()) steps.push_back(step.name());
  EXPECT_THAT(steps, ElementsAre("verify", "stage", "activate", "check", "reload", "probe"));
  for (const std::string& step : steps) EXPECT_THAT(progress, Contains(step));
  EXPECT_EQ(progress.back(), "confirm");
}

TEST_F(InstallTest, PathsBecomeLinksThroughCurrent) {
  node.AddService("nginx");
  ASSERT_THAT(node.Start(), IsOk());
  node.Bring(1);
  const auto nginx = node.disk.OpenDirectory("/etc/nginx");
  EXPECT_THAT((*nginx)->ReadLink("privkey.pem"),
              testing::IsOkAndHolds("/var/lib/certcast-node/certificates/wildcard/current/nginx/privkey.pem"));
  const auto service = node.disk.OpenDirectory("/var/lib/certcast-node/certificates/wildcard/current/nginx");
  EXPECT_EQ((*service)->Stat("privkey.pem")->attributes.mode, 0600);
  EXPECT_EQ((*service)->Stat("fullchain.pem")->attributes.mode, 0644);
}

TEST_F(InstallTest, TheSecondOneReplacesTheFirstInOneRename) {
  HaveGenerationOne();
  const v1::InstallResult result = node.Install(2);
  EXPECT_EQ(result.outcome(), Outcome::INSTALLED);
  ASSERT_EQ(result.probes_size(), 2);
  EXPECT_EQ(result.probes(0).served_before_sha256(), LeafOf(1));
  EXPECT_EQ(result.probes(0).served_sha256(), LeafOf(2));
  EXPECT_EQ(node.FilesOf("nginx"), LeafOf(2));
  EXPECT_EQ(node.FilesOf("haproxy"), LeafOf(2));
  EXPECT_EQ(node.ReloadsOf("nginx"), nginx_reloads + 1);
  EXPECT_EQ(node.ReloadsOf("haproxy"), haproxy_reloads + 1);
}

TEST_F(InstallTest, WhatIsInForceAndServedIsUnchangedAndNotReloaded) {
  HaveGenerationOne();
  const v1::InstallResult result = node.Install(1);
  EXPECT_EQ(result.outcome(), Outcome::UNCHANGED) << result.ShortDebugString();
  EXPECT_EQ(result.generation_in_force(), 1);
  EXPECT_EQ(result.probes(0).served_sha256(), LeafOf(1));
  EXPECT_EQ(node.ReloadsOf("nginx"), nginx_reloads);
  EXPECT_THAT(node.Generations(), ElementsAre("0", "1"));
}

TEST_F(InstallTest, WhatIsInForceButNotServedIsInstalledAgain) {
  HaveGenerationOne();
  node.running["nginx"].served = "an older one";
  const v1::InstallResult result = node.Install(1);
  EXPECT_EQ(result.outcome(), Outcome::INSTALLED) << result.ShortDebugString();
  EXPECT_EQ(node.running["nginx"].served, LeafOf(1));
}

TEST_F(InstallTest, WhatWasChangedByHandIsInstalledAgain) {
  HaveGenerationOne();
  node.disk.PutFile("/etc/nginx/fullchain.pem", "by hand");
  EXPECT_EQ(node.Install(1).outcome(), Outcome::INSTALLED);
  EXPECT_EQ(node.FilesOf("nginx"), LeafOf(1));
  EXPECT_EQ(node.Confirm(1).outcome(), Outcome::INSTALLED);
  EXPECT_EQ(node.Install(1).outcome(), Outcome::UNCHANGED);
}

TEST_F(InstallTest, AnotherModeInTheConfigurationIsInstalled) {
  HaveGenerationOne();
  node.config.services[0].files[1].mode = 0640;
  ASSERT_THAT(node.Start(), IsOk());
  EXPECT_EQ(node.Install(1).outcome(), Outcome::INSTALLED);
  const auto service = node.disk.OpenDirectory("/var/lib/certcast-node/certificates/wildcard/current/nginx");
  EXPECT_EQ((*service)->Stat("privkey.pem")->attributes.mode, 0640);
}

TEST_F(InstallTest, AFailedCheckIsPutBackWithoutAnyReload) {
  HaveGenerationOne();
  node.running["haproxy"].check_error = "bind: no such file";
  const v1::InstallResult result = node.Install(2);
  EXPECT_EQ(result.outcome(), Outcome::REVERTED);
  EXPECT_EQ(result.failure().reason(), Reason::CHECK_FAILED);
  EXPECT_EQ(result.failure().step(), "check");
  EXPECT_THAT(result.failure().detail(), HasSubstr("haproxy -t"));
  EXPECT_THAT(result.failure().stderr(), HasSubstr("bind: no such file"));
  EXPECT_THAT(result.reloaded(), IsEmpty());
  EXPECT_EQ(node.ReloadsOf("nginx"), nginx_reloads);
  EXPECT_EQ(node.ReloadsOf("haproxy"), haproxy_reloads);
  EXPECT_EQ(node.FilesOf("nginx"), LeafOf(1));
  EXPECT_EQ(result.generation_in_force(), 1);
  EXPECT_EQ(result.installed_sha256(), LeafOf(1));
}

TEST_F(InstallTest, AFailedReloadIsPutBackAndOnlyWhatWasReloadedIsReloadedAgain) {
  HaveGenerationOne();
  // haproxy comes second: it refuses the new one, and takes the old one.
  node.running["haproxy"].on_reload = [&] {
    node.running["haproxy"].reload_exit_code = node.FilesOf("haproxy") == LeafOf(2) ? 3 : 0;
  };
  const v1::InstallResult result = node.Install(2);
  EXPECT_EQ(result.outcome(), Outcome::REVERTED) << result.ShortDebugString();
  EXPECT_EQ(result.failure().reason(), Reason::RELOAD_FAILED);
  EXPECT_EQ(result.failure().step(), "reload");
  EXPECT_EQ(node.ReloadsOf("nginx"), nginx_reloads + 2);
  EXPECT_EQ(node.ReloadsOf("haproxy"), haproxy_reloads + 2);
  EXPECT_EQ(node.running["nginx"].served, LeafOf(1));
  EXPECT_EQ(node.FilesOf("haproxy"), LeafOf(1));
}

TEST_F(InstallTest, AServiceThatCameAfterTheFailedReloadIsNotReloaded) {
  HaveGenerationOne();
  node.running["nginx"].on_reload = [&] {
    node.running["nginx"].reload_exit_code = node.FilesOf("nginx") == LeafOf(2) ? 3 : 0;
  };
  EXPECT_EQ(node.Install(2).outcome(), Outcome::REVERTED);
  EXPECT_EQ(node.ReloadsOf("haproxy"), haproxy_reloads);
}

TEST_F(InstallTest, RevertsWhenTheServedFingerprintIsOld) {
  HaveGenerationOne();
  node.running["nginx"].ignores_reload = true;
  const v1::InstallResult result = node.Install(2);
  EXPECT_EQ(result.outcome(), Outcome::REVERTED) << result.ShortDebugString();
  EXPECT_EQ(result.failure().reason(), Reason::PROBE_FAILED);
  EXPECT_EQ(result.failure().step(), "probe");
  EXPECT_THAT(result.failure().detail(), HasSubstr(LeafOf(1)));
  EXPECT_EQ(node.FilesOf("nginx"), LeafOf(1));
  EXPECT_EQ(node.running["haproxy"].served, LeafOf(1));
  // Seen after going back.
  EXPECT_EQ(result.probes(0).served_sha256(), LeafOf(1));
  EXPECT_TRUE(result.probes(0).ok());
}

TEST_F(InstallTest, AProbeIsTriedUntilItsTimeIsOver) {
  HaveGenerationOne();
  node.running["nginx"].ignores_reload = true;
  const absl::Duration before = node.clock.slept();
  node.Install(2);
  const absl::Duration tried = node.clock.slept() - before;
  EXPECT_GE(tried, absl::Milliseconds(9800));
  // On the way back the probes pass, with a pause between their looks.
  EXPECT_LE(tried, absl::Seconds(11));
}

TEST_F(InstallTest, AServiceThatTakesItsTimeIsWaitedFor) {
  HaveGenerationOne();
  node.prober.On(node.config.services[0].probes[0].Describe(),
                 {testing::FakeProber::Serves(LeafOf(1)), testing::FakeProber::Serves(LeafOf(1)),
                  testing::FakeProber::Fails("connection reset"), testing::FakeProber::Serves(LeafOf(2))});
  EXPECT_EQ(node.Install(2).outcome(), Outcome::INSTALLED);
}

TEST_F(InstallTest, AProbeMustPassOnSeveralConnectionsInARow) {
  HaveGenerationOne();
  node.config.services[0].probes[0].consecutive = 5;
  ASSERT_THAT(node.Start(), IsOk());
  const std::string probe = node.config.services[0].probes[0].Describe();
  const auto looks = [&] {
    const std::vector<std::string> all = node.prober.looks();
    return std::count(all.begin(), all.end(), probe);
  };
  const auto before = looks();
  const absl::Duration slept = node.clock.slept();
  ASSERT_EQ(node.Install(2).outcome(), Outcome::INSTALLED);
  // One before the switch.
  EXPECT_EQ(looks() - before, 1 + 5);
  EXPECT_GT(node.clock.slept() - slept, absl::Milliseconds(100)) << "nginx's old workers may still take connections";
}

TEST_F(InstallTest, WorkersThatServeOldAndNewByTurnsForAWhileAreWaitedFor) {
  HaveGenerationOne();
  std::vector<Observation> seen = {testing::FakeProber::Serves(LeafOf(1))};
  for (const uint64_t leaf : {2, 1, 2, 2, 1, 1}) seen.push_back(testing::FakeProber::Serves(LeafOf(leaf)));
  seen.push_back(testing::FakeProber::Serves(LeafOf(2)));
  node.prober.On(node.config.services[0].probes[0].Describe(), seen);
  EXPECT_EQ(node.Install(2).outcome(), Outcome::INSTALLED);
}

TEST_F(InstallTest, AProbeThatFlapsIsInconclusiveAndPutBack) {
  HaveGenerationOne();
  auto look = std::make_shared<int>(0);
  node.prober.On(node.config.services[0].probes[0].Describe(), [&, look](const ProbeSpec&) {
    // Two of three by turns, as long as there is a new one.
    if (node.running["nginx"].served == LeafOf(1)) return testing::FakeProber::Serves(LeafOf(1));
    return testing::FakeProber::Serves(LeafOf(++*look % 3 == 0 ? 1 : 2));
  });
  const v1::InstallResult result = node.Install(2);
  EXPECT_EQ(result.outcome(), Outcome::REVERTED) << result.ShortDebugString();
  EXPECT_EQ(result.failure().reason(), Reason::PROBE_INCONCLUSIVE);
  EXPECT_EQ(result.failure().step(), "probe");
  EXPECT_THAT(result.failure().detail(),
              AllOf(HasSubstr("it flaps: "), HasSubstr(" looks passed, but never 32 in a row; last: serves "),
                    HasSubstr(LeafOf(1))));
  EXPECT_EQ(node.running["nginx"].served, LeafOf(1));
}

TEST_F(InstallTest, AProbeThatPassesAtFirstAndThenFailsForGoodHasFailed) {
  HaveGenerationOne();
  auto look = std::make_shared<int>(0);
  node.prober.On(node.config.services[0].probes[0].Describe(), [&, look](const ProbeSpec&) {
    if (node.running["nginx"].served == LeafOf(1) || ++*look <= 2) {
      return testing::FakeProber::Serves(node.running["nginx"].served);
    }
    return testing::FakeProber::Fails("connection refused");
  });
  const v1::InstallResult result = node.Install(2);
  EXPECT_EQ(result.outcome(), Outcome::REVERTED) << result.ShortDebugString();
  EXPECT_EQ(result.failure().reason(), Reason::PROBE_FAILED);
  EXPECT_THAT(result.failure().detail(),
              AllOf(HasSubstr("it passed at first: 2 of "), HasSubstr("connection refused")));
}

TEST_F(InstallTest, ARowThatBeginsLateIsLookedAtToItsEnd) {
  HaveGenerationOne();
  const absl::Duration start = node.clock.Monotonic();
  node.prober.On(node.config.services[0].probes[0].Describe(), [&, start](const ProbeSpec&) {
    return testing::FakeProber::Serves(LeafOf(node.clock.Monotonic() - start < absl::Milliseconds(9900) ? 1 : 2));
  });
  EXPECT_EQ(node.Install(2).outcome(), Outcome::INSTALLED);
}

TEST_F(InstallTest, AChainWithoutItsIntermediateIsSeenWhereTheChainIsExpected) {
  HaveGenerationOne();
  ProbeSpec& probe = node.config.services[0].probes[0];
  std::get<TlsProbe>(probe.what).expects_chain = true;
  bool leaf_alone = true;
  node.prober.On(probe.Describe(), [&](const ProbeSpec&) {
    Observation seen = testing::FakeProber::Serves(node.running["nginx"].served);
    const bool is_new = seen.served_sha256 == LeafOf(2);
    const std::vector<Certificate> chain = *ParseChainPem(IssuedFor(is_new ? 2 : 1).fullchain_pem);
    for (const Certificate& certificate : chain) seen.chain_sha256.push_back(certificate.sha256());
    if (is_new && leaf_alone) seen.chain_sha256.resize(1);
    return seen;
  });
  ASSERT_THAT(node.Start(), IsOk());
  const v1::InstallResult result = node.Install(2);
  EXPECT_EQ(result.outcome(), Outcome::REVERTED) << result.ShortDebugString();
  EXPECT_EQ(result.failure().reason(), Reason::PROBE_FAILED);
  EXPECT_THAT(
      result.failure().detail(),
      AllOf(HasSubstr("serves the right leaf in a chain of 1, not 2: the one at place 2, "), HasSubstr("is missing")));
  leaf_alone = false;
  EXPECT_EQ(node.Install(2).outcome(), Outcome::INSTALLED);
}

// The same leaf: its fingerprint shows nothing.
TEST_F(InstallTest, AnotherChainOfTheSameLeafIsProvenByTheChain) {
  HaveGenerationOne();
  const testing::TestCa& ca = CaOfTests();
  const testing::TestCa cross_signed =
      testing::TestCa::Root("Other Root").Intermediate("Test Intermediate", {.key = &ca.key()});
  const testing::IssuedCertificate& first = IssuedFor(1);
  const testing::IssuedCertificate same_leaf = {
      .certificate = first.certificate,
      .key = *PrivateKey::FromPem(first.key_pem.ExposeSecret()),
      .fullchain_pem = first.certificate.ToPem() + cross_signed.certificate().ToPem(),
      .key_pem = first.key_pem.Clone()};
  bool reload_lies = true;
  const auto shows = [&](const testing::TestCa& issuer) {
    Observation seen = testing::FakeProber::Serves(LeafOf(1));
    seen.chain_sha256 = {LeafOf(1), issuer.certificate().sha256()};
    return seen;
  };
  node.prober.On(node.config.services[0].probes[0].Describe(), [&](const ProbeSpec&) {
    return shows(node.ReloadsOf("nginx") == nginx_reloads || reload_lies ? ca : cross_signed);
  });

  const v1::InstallResult result = node.ResultOf(node.InstallCommand(2, "wildcard", same_leaf));
  EXPECT_EQ(result.outcome(), Outcome::REVERTED) << result.ShortDebugString();
  EXPECT_EQ(result.failure().reason(), Reason::PROBE_FAILED);
  EXPECT_THAT(result.failure().detail(), HasSubstr("still in the chain of the generation before"));
  EXPECT_EQ(result.generation_in_force(), 1);

  reload_lies = false;
  nginx_reloads = node.ReloadsOf("nginx");
  const v1::InstallResult again = node.ResultOf(node.InstallCommand(2, "wildcard", same_leaf));
  EXPECT_EQ(again.outcome(), Outcome::INSTALLED) << again.ShortDebugString();
  EXPECT_EQ(again.generation_in_force(), 2);
}

// What it was given before certcast, and is given now: the chain that nodes know of it is more than it ever serves.
TEST_F(InstallTest, AServiceThatServesItsLeafAloneIsTakenOverWithTheSameLeaf) {
  node.AddService("nginx");
  node.config.services[0].files[0].content = FileContent::kCertificate;
  const testing::IssuedCertificate& issued = IssuedFor(1);
  node.PutByHand("nginx", {.certificate = issued.certificate,
                           .key = *PrivateKey::FromPem(issued.key_pem.ExposeSecret()),
                           .fullchain_pem = issued.certificate.ToPem(),
                           .key_pem = issued.key_pem.Clone()});
  node.prober.On(node.config.services[0].probes[0].Describe(), [&](const ProbeSpec&) {
    Observation seen = testing::FakeProber::Serves(LeafOf(1));
    seen.chain_sha256 = {LeafOf(1)};
    return seen;
  });
  ASSERT_THAT(node.Start(), IsOk());
  EXPECT_EQ(node.Install(1).outcome(), Outcome::INSTALLED);
}

TEST_F(InstallTest, EveryListenerIsAskedForItself) {
  HaveGenerationOne();
  ProbeSpec second = node.config.services[0].probes[0];
  std::get<TlsProbe>(second.what).address = "[::1]:443";
  node.config.services[0].probes.push_back(second);
  node.prober.On(second.Describe(), {testing::FakeProber::Serves(LeafOf(1))});
  ASSERT_THAT(node.Start(), IsOk());
  const v1::InstallResult result = node.Install(2);
  EXPECT_EQ(result.outcome(), Outcome::REVERTED) << result.ShortDebugString();
  EXPECT_THAT(result.failure().detail(), AllOf(HasSubstr("[::1]:443"), HasSubstr(LeafOf(1))));
}

TEST_F(InstallTest, AWayBackThatIsNotServedIsReportedWithBothFailures) {
  HaveGenerationOne();
  node.running["nginx"].on_reload = [&] { node.running["nginx"].is_down = true; };
  const v1::InstallResult result = node.Install(2);
  EXPECT_EQ(result.outcome(), Outcome::FAILED);
  EXPECT_EQ(result.failure().reason(), Reason::REVERT_FAILED);
  EXPECT_EQ(result.failure().step(), "probe");
  EXPECT_THAT(result.failure().detail(), HasSubstr("PROBE_FAILED"));
  EXPECT_EQ(result.cleanup_failure().reason(), Reason::PROBE_FAILED);
  EXPECT_EQ(result.cleanup_failure().step(), "revert");
  // The files are the old ones all the same.
  EXPECT_EQ(node.FilesOf("nginx"), LeafOf(1));
  EXPECT_EQ(result.generation_in_force(), 1);
}

TEST_F(InstallTest, TheSameFailureOnTheWayBackIsSaidOnce) {
  HaveGenerationOne();
  node.running["nginx"].reload_exit_code = 1;
  const v1::InstallResult result = node.Install(2);
  EXPECT_EQ(result.failure().reason(), Reason::REVERT_FAILED);
  EXPECT_EQ(result.failure().detail(),
            "RELOAD_FAILED: the reload of service nginx (nginx -s reload) exited with 1; also on the way back");
  EXPECT_THAT(result.failure().hint(), HasSubstr("is the service running?"));
}

TEST_F(InstallTest, AnExpiredOneIsNotGoneBackTo) {
  testing::CertificateSpec spec;
  spec.dns_names = {"*.example.com"};
  spec.not_after = node.clock.Now() - absl::Hours(1);
  const testing::IssuedCertificate expired = testing::TestCa::SelfSigned(spec);
  node.AddService("nginx");
  node.PutByHand("nginx", expired);
  ASSERT_THAT(node.Start(), IsOk());
  node.running["nginx"].ignores_reload = true;
  const v1::InstallResult result = node.Install(1);
  EXPECT_EQ(result.outcome(), Outcome::FAILED);
  EXPECT_EQ(result.failure().reason(), Reason::REVERT_FAILED);
  EXPECT_THAT(result.failure().detail(), HasSubstr("expired at"));
  EXPECT_EQ(result.cleanup_failure().reason(), Reason::EXPIRED);
  EXPECT_EQ(node.FilesOf("nginx"), LeafOf(1));
  EXPECT_EQ(result.generation_in_force(), 1);
  // Once the service is mended, the same generation is taken again.
  node.running["nginx"].ignores_reload = false;
  EXPECT_EQ(node.Install(1).outcome(), Outcome::INSTALLED);
}

TEST_F(InstallTest, WhatStaysForWantOfAWayBackIsUnconfirmedUntilAnInstallIs) {
  HaveGenerationOne();
  node.Install(2);
  node.disk.PutFile("/var/lib/certcast-node/certificates/wildcard/generations/1/nginx/privkey.pem", "rot");
  node.clock.Advance(absl::Seconds(61));
  EXPECT_FALSE(node.engine().RevertIfOverdue().ok());
  node.Kill();
  ASSERT_THAT(node.Start(), IsOk());
  EXPECT_EQ(node.Describe().certificates(0).generation(), 2);
  EXPECT_FALSE(node.Describe().certificates(0).confirmed());
  EXPECT_FALSE(node.Describe().certificates(0).has_confirm_by());
  // Nothing waits for a Confirm any more.
  EXPECT_EQ(node.Confirm(2).failure().reason(), Reason::STALE_COMMAND);
  EXPECT_FALSE(node.Describe().certificates(0).confirmed());
  // It is served, and installed again all the same, so that it can be confirmed.
  node.Bring(2);
  EXPECT_TRUE(node.Describe().certificates(0).confirmed());
}

TEST_F(InstallTest, AnInstallThatGoesBackToAnUnconfirmedOneLeavesItSo) {
  HaveGenerationOne();
  node.Install(2);
  node.disk.PutFile("/var/lib/certcast-node/certificates/wildcard/generations/1/nginx/privkey.pem", "rot");
  EXPECT_EQ(node.Revert(2).failure().reason(), Reason::REVERT_FAILED);
  node.running["nginx"].check_error = "broken";
  EXPECT_EQ(node.Install(3).outcome(), Outcome::REVERTED);
  EXPECT_EQ(node.Describe().certificates(0).generation(), 2);
  EXPECT_FALSE(node.Describe().certificates(0).confirmed());
}

TEST_F(InstallTest, TheSameGenerationMayBeTriedAgainAfterItWasPutBack) {
  HaveGenerationOne();
  node.running["nginx"].check_error = "broken";
  EXPECT_EQ(node.Install(2).outcome(), Outcome::REVERTED);
  node.running["nginx"].check_error = "";
  node.Bring(2);
  EXPECT_EQ(node.FilesOf("nginx"), LeafOf(2));
}

TEST_F(InstallTest, ALowerGenerationIsRefused) {
  HaveGenerationOne();
  node.Bring(3);
  const v1::InstallResult result = node.Install(2);
  EXPECT_EQ(result.outcome(), Outcome::FAILED);
  EXPECT_EQ(result.failure().reason(), Reason::DOWNGRADE);
  EXPECT_EQ(result.failure().step(), "verify");
  EXPECT_EQ(result.generation(), 2);
  EXPECT_EQ(result.generation_in_force(), 3);
  EXPECT_EQ(result.installed_sha256(), LeafOf(3));
  EXPECT_EQ(node.FilesOf("nginx"), LeafOf(3));
}

TEST_F(InstallTest, AGenerationThatFailedStillCountsAsAccepted) {
  HaveGenerationOne();
  node.running["nginx"].check_error = "broken";
  EXPECT_EQ(node.Install(5).outcome(), Outcome::REVERTED);
  node.running["nginx"].check_error = "";
  EXPECT_EQ(node.Install(4).failure().reason(), Reason::DOWNGRADE);
  EXPECT_EQ(node.Describe().certificates(0).highest_generation(), 5);
}

TEST_F(InstallTest, TheSameNumberWithOtherContentsIsRefused) {
  HaveGenerationOne();
  node.Bring(2);
  // Another certificate, signed as generation 2.
  const v1::InstallResult result = node.ResultOf(node.InstallCommand(2, "wildcard", IssuedFor(3)));
  EXPECT_EQ(result.failure().reason(), Reason::DOWNGRADE);
  EXPECT_THAT(result.failure().detail(), HasSubstr("other contents"));
  EXPECT_EQ(node.FilesOf("nginx"), LeafOf(2));
}

TEST_F(InstallTest, ACertificateThatNoServiceUsesIsRefused) {
  HaveGenerationOne();
  const v1::InstallResult result = node.Install(1, "unknown");
  EXPECT_EQ(result.outcome(), Outcome::FAILED);
  EXPECT_EQ(result.failure().reason(), Reason::NOT_DECLARED);
}

TEST_F(InstallTest, ABadBundleIsRefusedBeforeAnythingIsWritten) {
  HaveGenerationOne();
  v1::Command command = node.InstallCommand(2);
  command.mutable_install()->mutable_bundle()->mutable_signature()->at(5) ^= 1;
  const size_t before = node.files.operations().size();
  EXPECT_EQ(node.ResultOf(command).failure().reason(), Reason::SIGNATURE_INVALID);
  std::vector<std::string> operations = node.files.operations();
  operations.erase(operations.begin(), operations.begin() + before);
  // The result is remembered, in the space that is reserved for it.
  EXPECT_THAT(operations, ElementsAre(HasSubstr("OverwriteFile /var/lib/certcast-node/state.")));
  EXPECT_EQ(node.FilesOf("nginx"), LeafOf(1));
}

TEST_F(InstallTest, AWaitForConfirmOutOfBoundsIsRefused) {
  HaveGenerationOne();
  for (const int seconds : {0, 3601}) {
    v1::Command command = node.InstallCommand(2);
    command.mutable_install()->mutable_confirm_timeout()->set_seconds(seconds);
    EXPECT_EQ(node.ResultOf(command).failure().reason(), Reason::MALFORMED) << seconds;
  }
}

TEST_F(InstallTest, AMissingDirectoryIsFoundBeforeAnythingIsWritten) {
  node.AddService("nginx");
  node.config.services[0].files[0].path = "/srv/missing/fullchain.pem";
  ASSERT_THAT(node.Start(), IsOk());
  const v1::InstallResult result = node.Install(1);
  EXPECT_EQ(result.outcome(), Outcome::FAILED);
  EXPECT_EQ(result.failure().reason(), Reason::PERMISSION_DENIED);
  EXPECT_EQ(result.failure().step(), "verify");
  EXPECT_THAT(result.failure().hint(), HasSubstr("mkdir -p /srv/missing"));
  EXPECT_THAT(node.Generations(), IsEmpty());
}

TEST_F(InstallTest, AReadOnlyDirectoryIsFoundBeforeAnythingIsWritten) {
  node.AddService("nginx");
  ASSERT_THAT(node.Start(), IsOk());
  node.files.FailWhere(
      [](absl::string_view operation) { return operation.find("Link /etc/nginx") != absl::string_view::npos; }, EROFS);
  const v1::InstallResult result = node.Install(1);
  EXPECT_EQ(result.failure().reason(), Reason::PERMISSION_DENIED);
  EXPECT_EQ(result.failure().step(), "verify");
  EXPECT_THAT(result.failure().detail(), HasSubstr("/etc/nginx"));
  EXPECT_THAT(node.Generations(), IsEmpty());
}

TEST_F(InstallTest, AnUnknownOwnerIsFoundBeforeAnythingIsWritten) {
  node.AddService("nginx");
  node.config.services[0].files[0].owner = "nobody-here";
  ASSERT_THAT(node.Start(), IsOk());
  node.processes.Otherwise([](const ProcessRequest&) { return testing::FakeProcessRunner::Exits(2); });
  const v1::InstallResult result = node.Install(1);
  EXPECT_EQ(result.failure().step(), "verify");
  EXPECT_THAT(result.failure().detail(), HasSubstr("nobody-here"));
  EXPECT_THAT(node.Generations(), IsEmpty());
}

TEST_F(InstallTest, OwnerAndGroupAreThoseOfTheConfiguration) {
  node.disk.PutFile("/etc/passwd", "www-data:x:33:33::/:/bin/false\n", {.mode = 0644});
  node.disk.PutFile("/etc/group", "ssl-cert:x:112:\n", {.mode = 0644});
  node.AddService("nginx");
  node.config.services[0].files[0].owner = "www-data";
  node.config.services[0].files[0].group = "ssl-cert";
  ASSERT_THAT(node.Start(), IsOk());
  node.Bring(1);
  const auto service = node.disk.OpenDirectory("/var/lib/certcast-node/certificates/wildcard/current/nginx");
  EXPECT_EQ((*service)->Stat("fullchain.pem")->attributes, (FileAttributes{0644, 33, 112}));
}

TEST_F(InstallTest, AnotherCertificateOfTheNodeIsNotTouched) {
  node.AddService("nginx", "wildcard");
  node.AddService("mail", "imap");
  ASSERT_THAT(node.Start(), IsOk());
  node.Bring(1, "wildcard");
  EXPECT_EQ(node.FilesOf("mail"), kNothing);
  EXPECT_EQ(node.ReloadsOf("mail"), 0);
  node.Bring(2, "imap");
  EXPECT_EQ(node.FilesOf("mail"), LeafOf(2));
  EXPECT_EQ(node.FilesOf("nginx"), LeafOf(1));
  EXPECT_EQ(node.ReloadsOf("nginx"), 1);
}

TEST_F(InstallTest, OldGenerationsArePrunedAtCommit) {
  HaveGenerationOne();
  for (const uint64_t generation : {2, 3, 4}) node.Bring(generation);
  // keep: 2 beside the one in force.
  EXPECT_THAT(node.Generations(), ElementsAre("2", "3", "4"));
}

TEST_F(InstallTest, EveryContentIsWritten) {
  node.AddService("nginx");
  node.config.services[0].files.push_back({.path = "/etc/nginx/cert.pem", .content = FileContent::kCertificate});
  node.config.services[0].files.push_back({.path = "/etc/nginx/chain.pem", .content = FileContent::kChain});
  node.config.services[0].files.push_back({.path = "/etc/nginx/combined.pem", .content = FileContent::kCombined});
  node.config.services[0].files.push_back({.path = "/etc/nginx/leaf.der", .content = FileContent::kDer});
  ASSERT_THAT(node.Start(), IsOk());
  node.Bring(1);
  const std::string cert = *node.disk.GetFile("/etc/nginx/cert.pem");
  const std::string chain = *node.disk.GetFile("/etc/nginx/chain.pem");
  const std::string fullchain = *node.disk.GetFile("/etc/nginx/fullchain.pem");
  const std::string key = *node.disk.GetFile("/etc/nginx/privkey.pem");
  EXPECT_EQ(cert + chain, fullchain);
  EXPECT_EQ(*node.disk.GetFile("/etc/nginx/combined.pem"), key + fullchain);
  EXPECT_THAT(key, ::testing::StartsWith("-----BEGIN PRIVATE KEY-----\n"));
  EXPECT_EQ(*node.disk.GetFile("/etc/nginx/leaf.der"), IssuedFor(1).certificate.der());
  EXPECT_THAT(node.Describe().services(0).drift(), IsEmpty());
}

}  // namespace
}  // namespace certcast::node
