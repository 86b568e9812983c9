// PKCS#12 and CA files on a node: the others are seen in every test of an install.
#include "node/engine/content.h"

#include <cstdlib>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "node/engine/simulated_node.h"
#include "tests/testing/status_matchers.h"

namespace certcast::node {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::IsOk;
using ::testing::Not;
using v1::Outcome;

constexpr char kPkcs12[] = "/etc/nginx/wildcard.p12";
constexpr char kCa[] = "/etc/nginx/ca.pem";
constexpr char kPassword[] = "correct horse";
constexpr char kVariable[] = "CERTCAST_TEST_P12_PASSWORD";

class ContentTest : public ::testing::Test {
 protected:
  ContentTest() {
    setenv(kVariable, kPassword, 1);
    node.AddService("nginx");
    node.config.services[0].files.push_back(
        {.path = kPkcs12,
         .content = FileContent::kPkcs12,
         .mode = 0600,
         .pkcs12 = {.password = {SecretReference::Kind::kEnvironment, kVariable}, .alias = "wildcard"}});
    node.config.services[0].files.push_back({.path = kCa, .content = FileContent::kCa, .mode = 0644});
  }
  ~ContentTest() override { unsetenv(kVariable); }

  Pkcs12Format& format() { return node.config.services[0].files[2].pkcs12; }
  // As the service opens it.
  absl::StatusOr<Pkcs12Contents> Opened() {
    return OpenPkcs12(node.disk.GetFile(kPkcs12).value_or(""), Secret(kPassword));
  }
  // The same generation once more, by a node whose configuration may have changed.
  v1::InstallResult InstallAgain() {
    node.Kill();
    EXPECT_THAT(node.Start(), IsOk());
    return node.Install(1);
  }

  SimulatedNode node;
};

TEST_F(ContentTest, APkcs12FileHoldsTheBundle) {
  ASSERT_THAT(node.Start(), IsOk());
  node.Bring(1);
  const auto contents = Opened();
  ASSERT_THAT(contents, IsOk());
  EXPECT_EQ(contents->leaf.sha256(), LeafOf(1));
  EXPECT_EQ(contents->others.size(), 1u);
  EXPECT_EQ(contents->alias, "wildcard");
  EXPECT_EQ(contents->encryption, Pkcs12Encryption::kModern);
}

TEST_F(ContentTest, TheSameBundleAgainIsInPlaceAlthoughSaltsAreRandom) {
  ASSERT_THAT(node.Start(), IsOk());
  node.Bring(1);
  const std::string before = node.disk.GetFile(kPkcs12).value();
  EXPECT_EQ(InstallAgain().outcome(), Outcome::UNCHANGED);
  EXPECT_EQ(node.disk.GetFile(kPkcs12), before);
  EXPECT_EQ(node.Describe().services(0).drift_size(), 0);
}

TEST_F(ContentTest, AnotherEncryptionIsWrittenWithTheNextInstall) {
  ASSERT_THAT(node.Start(), IsOk());
  node.Bring(1);
  format().encryption = Pkcs12Encryption::kLegacy;
  EXPECT_EQ(InstallAgain().outcome(), Outcome::INSTALLED);
  EXPECT_EQ(Opened()->encryption, Pkcs12Encryption::kLegacy);
}

TEST_F(ContentTest, AnotherAliasIsWrittenWithTheNextInstall) {
  ASSERT_THAT(node.Start(), IsOk());
  node.Bring(1);
  format().alias = "tomcat";
  EXPECT_EQ(InstallAgain().outcome(), Outcome::INSTALLED);
  EXPECT_EQ(Opened()->alias, "tomcat");
}

TEST_F(ContentTest, AnotherPasswordIsWrittenWithTheNextInstall) {
  ASSERT_THAT(node.Start(), IsOk());
  node.Bring(1);
  EXPECT_EQ(node.Describe().services(0).drift_size(), 0);
  setenv(kVariable, "battery staple", 1);
  ASSERT_EQ(node.Describe().services(0).drift_size(), 1);
  EXPECT_EQ(node.Describe().services(0).drift(0),
            "/etc/nginx/wildcard.p12: does not open with the password that node.yaml names");
  EXPECT_EQ(InstallAgain().outcome(), Outcome::INSTALLED);
  EXPECT_THAT(OpenPkcs12(*node.disk.GetFile(kPkcs12), Secret("battery staple")), IsOk());
}

TEST_F(ContentTest, AChangedPkcs12FileIsDrift) {
  ASSERT_THAT(node.Start(), IsOk());
  node.Bring(1);
  node.disk.PutFile("/var/lib/certcast-node/certificates/wildcard/generations/1/nginx/wildcard.p12", "nonsense",
                    {.mode = 0600});
  EXPECT_THAT(node.Describe().services(0).drift(),
              ElementsAre(HasSubstr("does not open"), HasSubstr("has other contents than were installed")));
  EXPECT_EQ(node.Install(1).outcome(), Outcome::INSTALLED);
  EXPECT_EQ(Opened()->leaf.sha256(), LeafOf(1));
}

TEST_F(ContentTest, AServiceWithAPkcs12FileAloneSaysWhatIsInstalled) {
  auto& files = node.config.services[0].files;
  files.erase(files.begin(), files.begin() + 2);
  node.processes.On({"nginx", "-t"}, testing::FakeProcessRunner::Exits(0));
  node.processes.On({"nginx", "-s", "reload"}, [&](const ProcessRequest&) {
    node.running["nginx"].served = Opened()->leaf.sha256();
    return testing::FakeProcessRunner::Exits(0);
  });
  ASSERT_THAT(node.Start(), IsOk());
  ASSERT_EQ(node.Install(1).outcome(), Outcome::INSTALLED);
  EXPECT_EQ(node.Describe().services(0).installed_sha256(), LeafOf(1));
}

TEST_F(ContentTest, WithoutItsPasswordNothingIsWritten) {
  ASSERT_THAT(node.Start(), IsOk());
  unsetenv(kVariable);
  const v1::InstallResult result = node.Install(1);
  EXPECT_EQ(result.outcome(), Outcome::FAILED);
  EXPECT_EQ(result.failure().step(), "verify");
  EXPECT_THAT(result.failure().detail(), HasSubstr("service nginx, /etc/nginx/wildcard.p12"));
  EXPECT_THAT(result.failure().detail(), HasSubstr(kVariable));
  EXPECT_EQ(node.FilesOf("nginx"), kNothing);
}

TEST_F(ContentTest, APasswordThatIsNoneIsNotQuoted) {
  ASSERT_THAT(node.Start(), IsOk());
  setenv(kVariable, "gr\xc3\xbc\xc3\x9f gott", 1);
  const v1::InstallResult result = node.Install(1);
  EXPECT_EQ(result.outcome(), Outcome::FAILED);
  EXPECT_THAT(result.failure().detail(), HasSubstr("printable ASCII"));
  EXPECT_THAT(result.ShortDebugString(), Not(HasSubstr("gott")));
}

TEST_F(ContentTest, ACaFileHoldsTheTopOfTheChainAlone) {
  ASSERT_THAT(node.Start(), IsOk());
  node.Bring(1);
  const auto chain = ParseChainPem(IssuedFor(1).fullchain_pem);
  EXPECT_EQ(node.disk.GetFile(kCa), chain->back().ToPem());
}

TEST_F(ContentTest, ASelfSignedLeafIsItsOwnCa) {
  ASSERT_THAT(node.Start(), IsOk());
  const testing::IssuedCertificate alone = testing::TestCa::SelfSigned({.dns_names = {"*.example.com"}});
  const v1::InstallResult result = node.ResultOf(node.InstallCommand(1, "wildcard", alone));
  EXPECT_EQ(result.outcome(), Outcome::INSTALLED) << result.ShortDebugString();
  EXPECT_EQ(node.disk.GetFile(kCa), alone.certificate.ToPem());
}

TEST_F(ContentTest, ALeafWithoutItsCaHasNothingForACaFile) {
  ASSERT_THAT(node.Start(), IsOk());
  // Signed by a root, which leaves itself out.
  const testing::IssuedCertificate alone = testing::TestCa::Root().Issue({.dns_names = {"*.example.com"}});
  const v1::InstallResult result = node.ResultOf(node.InstallCommand(1, "wildcard", alone));
  EXPECT_EQ(result.outcome(), Outcome::FAILED) << result.ShortDebugString();
  EXPECT_EQ(result.failure().reason(), Reason::CHAIN_INVALID);
  EXPECT_THAT(result.failure().detail(), HasSubstr("service nginx, /etc/nginx/ca.pem"));
  EXPECT_EQ(node.FilesOf("nginx"), kNothing);
}

}  // namespace
}  // namespace certcast::node
