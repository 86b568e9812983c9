// Services that use several certificates, each of which comes and goes for itself.
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "node/engine/install.h"
#include "node/engine/simulated_node.h"
#include "tests/testing/status_matchers.h"

namespace certcast::node {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::IsOk;
using v1::Outcome;

constexpr char kShop[] = "shop";
constexpr char kWildcard[] = "wildcard";
constexpr uint64_t kByHand = 100;

// An nginx with two servers: the certificate wildcard at fullchain.pem and privkey.pem, shop at shop.pem and shop.key.
class SeveralCertificatesTest : public ::testing::Test {
 protected:
  SeveralCertificatesTest() {
    node.AddService("nginx");
    Service& nginx = node.config.services[0];
    nginx.files.push_back(
        {.path = "/etc/nginx/shop.pem", .certificate = kShop, .content = FileContent::kFullchain, .mode = 0644});
    nginx.files.push_back(
        {.path = "/etc/nginx/shop.key", .certificate = kShop, .content = FileContent::kPrivateKey, .mode = 0600});
    nginx.probes.push_back({.what = TlsProbe{"nginx.local:443", "shop.example.com"}, .certificate = kShop});
    node.processes.On({"nginx", "-t"}, [this](const ProcessRequest&) { return CanLoad(); });
    node.processes.On({"nginx", "-s", "reload"}, [this](const ProcessRequest&) { return Reload(); });
    node.prober.On(nginx.probes[0].Describe(), [this](const ProbeSpec&) { return Look(kWildcard); });
    node.prober.On(nginx.probes[1].Describe(), [this](const ProbeSpec&) { return Look(kShop); });
  }
  void SetUp() override { ASSERT_THAT(node.Start(), IsOk()); }

  // The leaf of a matching pair; kNothing, kMixed.
  std::string InFiles(const std::string& certificate) {
    if (certificate == kWildcard) return node.FilesOf("nginx");
    const auto pem = node.disk.GetFile("/etc/nginx/shop.pem");
    const auto key = node.disk.GetFile("/etc/nginx/shop.key");
    if (!pem.has_value() && !key.has_value()) return kNothing;
    if (!pem.has_value() || !key.has_value()) return kMixed;
    const auto chain = ParseChainPem(*pem);
    const auto private_key = PrivateKey::FromPem(*key);
    if (!chain.ok() || !private_key.ok() || !CheckKeyMatches(chain->front(), *private_key).ok()) return kMixed;
    return chain->front().sha256();
  }

  void PutShopByHand(uint64_t leaf) {
    node.disk.PutFile("/etc/nginx/shop.pem", IssuedFor(leaf).fullchain_pem);
    node.disk.PutFile("/etc/nginx/shop.key", IssuedFor(leaf).key_pem.ExposeSecret());
  }

  void BringBoth() {
    node.Bring(1, kWildcard);
    node.Bring(2, kShop);
  }

  absl::StatusOr<ProcessResult> CanLoad() {
    for (const std::string certificate : {kWildcard, kShop}) {
      const std::string leaf = InFiles(certificate);
      if (leaf == kNothing || leaf == kMixed) {
        return testing::FakeProcessRunner::Exits(1, absl::StrCat("cannot load the certificate ", certificate));
      }
    }
    return testing::FakeProcessRunner::Exits(0);
  }

  absl::StatusOr<ProcessResult> Reload() {
    if (node.files.has_crashed()) return absl::AbortedError("killed");
    auto can = CanLoad();
    if (can->exit_code != 0) return can;
    for (const std::string certificate : {kWildcard, kShop}) {
      if (stuck != certificate) served[certificate] = InFiles(certificate);
    }
    return can;
  }

  Observation Look(const std::string& certificate) {
    return served[certificate].empty() ? testing::FakeProber::Fails("no certificate")
                                       : testing::FakeProber::Serves(served[certificate]);
  }

  SimulatedNode node;
  std::map<std::string, std::string> served;
  // A certificate that a reload does not change.
  std::string stuck;
};

TEST_F(SeveralCertificatesTest, TheServiceIsLeftAloneUntilTheLastOfThemIsThere) {
  const v1::InstallResult first = node.Install(1, kWildcard);
  EXPECT_EQ(first.outcome(), Outcome::INSTALLED) << first.ShortDebugString();
  EXPECT_THAT(first.reloaded(), IsEmpty());
  EXPECT_THAT(first.probes(), IsEmpty());
  EXPECT_EQ(node.ChecksOf("nginx"), 0);
  EXPECT_EQ(node.Confirm(1, kWildcard).outcome(), Outcome::INSTALLED);

  const v1::InstallResult second = node.Install(2, kShop);
  EXPECT_EQ(second.outcome(), Outcome::INSTALLED) << second.ShortDebugString();
  EXPECT_EQ(node.ChecksOf("nginx"), 1);
  EXPECT_EQ(node.ReloadsOf("nginx"), 1);
  // Both are proven.
  ASSERT_EQ(second.probes_size(), 2);
  EXPECT_EQ(second.probes(0).certificate(), kWildcard);
  EXPECT_EQ(second.probes(0).served_sha256(), LeafOf(1));
  EXPECT_EQ(second.probes(1).certificate(), kShop);
  EXPECT_EQ(second.probes(1).served_sha256(), LeafOf(2));
  EXPECT_EQ(node.Confirm(2, kShop).outcome(), Outcome::INSTALLED);
  EXPECT_EQ(node.Install(1, kWildcard).outcome(), Outcome::UNCHANGED);
  EXPECT_EQ(node.ReloadsOf("nginx"), 1);
}

TEST_F(SeveralCertificatesTest, FilesFromBeforeAreEnoughToBeginWithOne) {
  node.PutByHand("nginx", IssuedFor(kByHand));
  PutShopByHand(kByHand + 1);
  served = {{kWildcard, LeafOf(kByHand)}, {kShop, LeafOf(kByHand + 1)}};
  const v1::InstallResult result = node.Install(1, kWildcard);
  EXPECT_EQ(result.outcome(), Outcome::INSTALLED) << result.ShortDebugString();
  EXPECT_EQ(served[kWildcard], LeafOf(1));
  EXPECT_EQ(served[kShop], LeafOf(kByHand + 1));
}

TEST_F(SeveralCertificatesTest, EachIsRenewedForItselfWithOneReload) {
  BringBoth();
  const v1::InstallResult result = node.Install(3, kWildcard);
  EXPECT_EQ(result.outcome(), Outcome::INSTALLED) << result.ShortDebugString();
  EXPECT_EQ(node.ReloadsOf("nginx"), 2);
  EXPECT_EQ(served[kWildcard], LeafOf(3));
  EXPECT_EQ(served[kShop], LeafOf(2));
  EXPECT_EQ(node.Confirm(3, kWildcard).outcome(), Outcome::INSTALLED);
  node.Bring(4, kShop);
  EXPECT_EQ(node.ReloadsOf("nginx"), 3);
  EXPECT_EQ(InFiles(kWildcard), LeafOf(3));
  EXPECT_EQ(InFiles(kShop), LeafOf(4));
}

TEST_F(SeveralCertificatesTest, EachHasAnEntryInTheInventory) {
  BringBoth();
  const v1::Inventory inventory = node.Describe();
  ASSERT_EQ(inventory.services_size(), 2);
  EXPECT_EQ(inventory.services(0).certificate(), kWildcard);
  EXPECT_EQ(inventory.services(0).installed_sha256(), LeafOf(1));
  EXPECT_EQ(inventory.services(1).certificate(), kShop);
  EXPECT_EQ(inventory.services(1).installed_sha256(), LeafOf(2));
  for (const auto& service : inventory.services()) {
    EXPECT_EQ(service.name(), "nginx");
    EXPECT_THAT(service.drift(), IsEmpty());
  }
  EXPECT_EQ(inventory.certificates_size(), 2);
  // A changed file is its own certificate's drift alone.
  node.disk.PutFile("/etc/nginx/shop.pem", "by hand");
  EXPECT_THAT(node.Describe().services(0).drift(), IsEmpty());
  EXPECT_THAT(node.Describe().services(1).drift(), ElementsAre(HasSubstr("/etc/nginx/shop.pem: is a file of its own")));
}

TEST_F(SeveralCertificatesTest, TheOneThatIsNotServedGoesBackAlone) {
  BringBoth();
  stuck = kShop;
  const v1::InstallResult result = node.Install(3, kShop);
  EXPECT_EQ(result.outcome(), Outcome::REVERTED) << result.ShortDebugString();
  EXPECT_EQ(result.failure().reason(), Reason::PROBE_FAILED);
  EXPECT_THAT(result.failure().detail(), HasSubstr("for certificate shop"));
  EXPECT_EQ(InFiles(kShop), LeafOf(2));
  EXPECT_EQ(InFiles(kWildcard), LeafOf(1));
  EXPECT_EQ(served[kWildcard], LeafOf(1));
}

TEST_F(SeveralCertificatesTest, AnInstallThatHarmsTheOtherGoesBack) {
  BringBoth();
  // Somebody changed the other's file on the disk, and the server does not take it.
  PutShopByHand(kByHand);
  stuck = kShop;
  const v1::InstallResult result = node.Install(3, kWildcard);
  EXPECT_NE(result.outcome(), Outcome::INSTALLED) << result.ShortDebugString();
  EXPECT_THAT(result.failure().detail(), HasSubstr("for certificate shop"));
  EXPECT_EQ(InFiles(kWildcard), LeafOf(1));
}

TEST_F(SeveralCertificatesTest, BothChangedByHandAreMendedOneAfterTheOther) {
  BringBoth();
  node.PutByHand("nginx", IssuedFor(kByHand));
  PutShopByHand(kByHand + 1);
  EXPECT_EQ(Reload()->exit_code, 0);
  node.Bring(3, kWildcard);
  EXPECT_EQ(served[kShop], LeafOf(kByHand + 1));
  node.Bring(4, kShop);
  EXPECT_EQ(served[kWildcard], LeafOf(3));
  EXPECT_EQ(served[kShop], LeafOf(4));
}

TEST_F(SeveralCertificatesTest, OnlyTheOneThatWaitedGoesBackAfterARestart) {
  BringBoth();
  ASSERT_EQ(node.Install(3, kShop).outcome(), Outcome::INSTALLED);
  // The other has to wait for it.
  EXPECT_EQ(node.Handle(node.InstallCommand(4, kWildcard)).refusal().failure().reason(), Reason::BUSY);
  const int reloads = node.ReloadsOf("nginx");
  node.Kill();
  node.clock.Advance(absl::Minutes(5));
  ASSERT_THAT(node.Start(), IsOk());
  EXPECT_EQ(node.ReloadsOf("nginx"), reloads + 1);
  EXPECT_EQ(served[kShop], LeafOf(2));
  EXPECT_EQ(served[kWildcard], LeafOf(1));
}

TEST_F(SeveralCertificatesTest, AFileThatChangesItsCertificateIsNeverWithoutOne) {
  BringBoth();
  for (ServiceFile& file : node.config.services[0].files) file.certificate = kShop;
  node.config.services[0].certificate = kShop;
  ASSERT_THAT(node.Start(), IsOk());
  const v1::Report report = node.engine().Handle(node.InstallCommand(3, kShop), [&](const v1::Progress&) {
    EXPECT_THAT(InFiles(kWildcard), ::testing::AnyOf(LeafOf(1), LeafOf(3)));
  });
  EXPECT_EQ(report.install_result().outcome(), Outcome::INSTALLED) << report.ShortDebugString();
  EXPECT_EQ(InFiles(kWildcard), LeafOf(3));
  EXPECT_EQ(InFiles(kShop), LeafOf(3));
}

}  // namespace
}  // namespace certcast::node
