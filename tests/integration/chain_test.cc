// Intermediates: another chain for the same leaf is a generation and a rollout like any other, on real nodes; one that
// is missing or wrong reaches none. Pebble offers other chains by other roots; that a CA hands out what does not hold
// is simulated.
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/clock/clock.h"
#include "common/probe/probe.h"
#include "common/x509/certificate.h"
#include "gmock/gmock.h"
#include "tests/testing/acme_tls_server.h"
#include "tests/testing/fake_acme_server.h"
#include "tests/testing/fleet_fixture.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/test_ca.h"

namespace certcast::testing {
namespace {

using ::testing::AllOf;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::SizeIs;

class ChainTest : public FleetTest {
 protected:
  // As a stranger sees it, leaf first.
  static std::vector<std::string> ServedChain(const FleetNode& node) {
    // Only once the old workers are gone.
    (void)const_cast<FleetNode&>(node).nginx().Served();
    ProbeSpec spec;
    spec.what = TlsProbe{.address = node.verify_address, .server_name = "www.demo.test"};
    return Prober::Real().Look(spec, absl::Seconds(5)).chain_sha256;
  }
  std::vector<std::vector<std::string>> ServedChains() {
    std::vector<std::vector<std::string>> chains;
    for (const FleetNode& node : fleet().nodes()) chains.push_back(ServedChain(node));
    return chains;
  }
  CommandResult ApplyWith(const std::string& certificate_lines) {
    fleet().options().certificate_lines = certificate_lines;
    EXPECT_THAT(fleet().WriteConfig(), IsOk());
    return Apply();
  }
  std::string GenerationsShown() {
    const CommandResult shown = fleet().controller().Json({"certificates"});
    return absl::StrCat(shown.json["certificates"][0]["generations"].size());
  }
  std::vector<int> Reloads() {
    std::vector<int> reloads;
    for (const FleetNode& node : fleet().nodes()) reloads.push_back(node.Reloads());
    return reloads;
  }
};

class OtherRootsTest : public ChainTest {
 protected:
  void StartFleetWithRoots(int nodes) {
    FleetOptions options = {.nodes = nodes};
    options.pebble.alternate_roots = 1;
    ASSERT_NO_FATAL_FAILURE(StartFleet(std::move(options)));
    leaf_ = ApplyFirst();
    chain_ = ServedChain(fleet().nodes().front());
    ASSERT_THAT(chain_, SizeIs(2));
  }
  std::string Preferring(int root) {
    const auto pem = fleet().pebble().IssuingRoot(root);
    EXPECT_THAT(pem, IsOk());
    const auto certificates = ParseChainPem(*pem);
    EXPECT_THAT(certificates, IsOk());
    return absl::StrCat("    preferred_chain: {issuer: \"", certificates->front().subject_name(), "\"}\n");
  }

  std::string leaf_;
  std::vector<std::string> chain_;
};

TEST_F(OtherRootsTest, TheChainThatTheOperatorChoosesIsRolledOut) {
  ASSERT_NO_FATAL_FAILURE(StartFleetWithRoots(2));
  const std::vector<int> reloads = Reloads();
  const CommandResult changed = ApplyWith(Preferring(1));
  EXPECT_EQ(changed.exit_code, 0) << changed;
  EXPECT_TRUE(IssuedIn(changed));
  EXPECT_EQ(GenerationIn(changed), "2");
  EXPECT_EQ(LeafIn(changed), leaf_) << "the leaf stays";
  EXPECT_EQ(StateIn(changed), "COMPLETED");
  for (const FleetNode& node : fleet().nodes()) EXPECT_EQ(OutcomeIn(changed, node.name()), "INSTALLED");
  EXPECT_EQ(fleet().Orders(), 1) << "nothing is ordered for it";
  for (size_t i = 0; i < reloads.size(); ++i) EXPECT_EQ(fleet().nodes()[i].Reloads(), reloads[i] + 1);
  const std::vector<std::string> served = ServedChain(fleet().nodes().front());
  ASSERT_THAT(served, SizeIs(2));
  EXPECT_EQ(served[0], chain_[0]);
  EXPECT_NE(served[1], chain_[1]);
  EXPECT_THAT(ServedChains(), Each(served));

  const CommandResult again = Apply();
  EXPECT_EQ(again.exit_code, 0) << again;
  EXPECT_FALSE(IssuedIn(again));
  EXPECT_EQ(GenerationsShown(), "2");

  const CommandResult back = ApplyWith(Preferring(0));
  EXPECT_EQ(back.exit_code, 0) << back;
  EXPECT_EQ(GenerationIn(back), "3");
  EXPECT_THAT(ServedChains(), Each(chain_));
}

// The leaf alone would prove nothing: it is the same.
TEST_F(OtherRootsTest, AReloadThatDoesNothingIsNoticed) {
  ASSERT_NO_FATAL_FAILURE(StartFleetWithRoots(1));
  ASSERT_THAT(fleet().nodes().front().SetReload("true\n"), IsOk());
  const CommandResult changed = ApplyWith(Preferring(1));
  EXPECT_EQ(changed.exit_code, 4) << changed;
  EXPECT_EQ(OutcomeIn(changed, "web-1"), "REVERTED PROBE_FAILED") << changed;
  EXPECT_THAT(changed.out, HasSubstr("still in the chain of the generation before"));
  EXPECT_THAT(ServedChains(), Each(chain_));

  ASSERT_THAT(fleet().nodes().front().SetReload(kReload), IsOk());
  const CommandResult mended = Apply();
  EXPECT_EQ(mended.exit_code, 0) << mended;
  EXPECT_EQ(GenerationIn(mended), "2");
  EXPECT_NE(ServedChain(fleet().nodes().front()), chain_);
}

// A CA that does what none should.
class OddCaTest : public ChainTest {
 protected:
  void StartFleetAtOddCa() {
    // Each look finds what it wants.
    ca_.behaviour.preauthorized = true;
    ca_.behaviour.offers_alternate = true;
    server_ = std::make_unique<AcmeTlsServer>(ca_, directory_.path());
    ASSERT_NO_FATAL_FAILURE(
        StartFleet({.nodes = 1, .directory_url = ca_.directory_url(), .directory_root = server_->ca_file()}));
    leaf_ = ApplyFirst();
    chain_ = ServedChain(fleet().nodes().front());
  }
  void ExpectNothingChanged(const std::vector<int>& reloads) {
    EXPECT_EQ(Reloads(), reloads);
    EXPECT_THAT(ServedChains(), Each(chain_));
    EXPECT_EQ(GenerationsShown(), "1");
  }

  TemporaryDirectory directory_;
  FakeAcmeServer ca_{Clock::Real(), [](const std::string&) { return std::vector<std::string>(); }};
  std::unique_ptr<AcmeTlsServer> server_;
  std::string leaf_;
  std::vector<std::string> chain_;
};

TEST_F(OddCaTest, TheChainThatTheCaHandsOutInsteadIsRolledOut) {
  ASSERT_NO_FATAL_FAILURE(StartFleetAtOddCa());
  ca_.behaviour.offers_alternate = false;
  ca_.behaviour.prefers_alternate = true;
  // Asks the CA now instead of tomorrow; it has no such chain.
  const CommandResult changed = ApplyWith("    preferred_chain: {issuer: \"No Such Root\"}\n");
  EXPECT_EQ(changed.exit_code, 0) << changed;
  EXPECT_EQ(GenerationIn(changed), "2");
  EXPECT_EQ(LeafIn(changed), leaf_);
  EXPECT_EQ(StateIn(changed), "COMPLETED");
  const std::vector<std::string> served = ServedChain(fleet().nodes().front());
  ASSERT_THAT(served, SizeIs(2));
  EXPECT_EQ(served[0], chain_[0]);
  EXPECT_NE(served[1], chain_[1]);
}

TEST_F(OddCaTest, AMissingOrWrongIntermediateReachesNoNode) {
  ASSERT_NO_FATAL_FAILURE(StartFleetAtOddCa());
  const std::vector<int> reloads = Reloads();
  ca_.behaviour.offers_alternate = false;
  int round = 0;
  for (bool FakeAcmeServer::Behaviour::*fault :
       {&FakeAcmeServer::Behaviour::wrong_intermediate, &FakeAcmeServer::Behaviour::without_chain}) {
    ca_.behaviour.*fault = true;
    // For the leaf that is in use.
    const CommandResult looked = ApplyWith(absl::StrCat("    preferred_chain: {issuer: \"Root ", ++round, "\"}\n"));
    EXPECT_EQ(looked.exit_code, 0) << looked;
    EXPECT_FALSE(IssuedIn(looked)) << looked;
    EXPECT_THAT(looked.err, HasSubstr("the CA's chains for it could not be looked at"));
    ExpectNothingChanged(reloads);
    // For another one.
    const CommandResult renewed = Renew();
    EXPECT_EQ(renewed.exit_code, 1) << renewed;
    EXPECT_THAT(renewed.out, AllOf(HasSubstr("CERTIFICATE_UNEXPECTED"), HasSubstr("it was not installed anywhere")));
    ExpectNothingChanged(reloads);
    ca_.behaviour.*fault = false;
  }
  const CommandResult renewed = Renew();
  EXPECT_EQ(renewed.exit_code, 0) << renewed;
  EXPECT_EQ(GenerationIn(renewed), "2");
}

TEST_F(ChainTest, NorDoesOneThatIsImportedWithoutIt) {
  ASSERT_NO_FATAL_FAILURE(StartFleet({.nodes = 1, .imported = true}));
  const TestCa ca = TestCa::Root().Intermediate();
  const IssuedCertificate bought = ca.Issue({.dns_names = {"*.demo.test", "demo.test"}});
  const std::string wrong = TestCa::Root("Other Root").Intermediate().certificate().ToPem();
  const std::string key = fleet().home() + "/bought-key.pem";
  const std::string chain = fleet().home() + "/bought.pem";
  ASSERT_THAT(WriteFile(key, bought.key_pem.ExposeSecret()), IsOk());
  const std::vector<int> reloads = Reloads();
  for (const std::string& pem : {bought.certificate.ToPem(), absl::StrCat(bought.certificate.ToPem(), wrong)}) {
    ASSERT_THAT(WriteFile(chain, pem, 0644), IsOk());
    const CommandResult refused = fleet().controller().Json({"import", "wildcard", "--fullchain", chain, "--key", key});
    EXPECT_EQ(refused.exit_code, 1) << refused;
    EXPECT_EQ(Reloads(), reloads);
  }
}

}  // namespace
}  // namespace certcast::testing
