// What was there before certcast: taken in without anyone noticing, and put back.
#include "node/engine/adopt.h"

#include <cerrno>
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
using v1::Outcome;

constexpr char kState[] = "/var/lib/certcast-node/certificates/wildcard";
// As issued by hand, before certcast.
constexpr uint64_t kByHand = 100;

class AdoptTest : public ::testing::Test {
 protected:
  AdoptTest() { node.AddService("nginx"); }

  FileInfo InfoOfCurrent(const std::string& file) {
    const auto directory = node.disk.OpenDirectory(std::string(kState) + "/current/nginx");
    return (*directory)->Stat(file).value();
  }

  SimulatedNode node;
};

TEST_F(AdoptTest, FilesFromTheDaysOfScpComeBackWithOwnerAndMode) {
  node.PutByHand("nginx", IssuedFor(kByHand));
  ASSERT_THAT(node.Start(), IsOk());
  node.running["nginx"].ignores_reload = true;
  const v1::InstallResult result = node.Install(1);
  EXPECT_EQ(result.outcome(), Outcome::REVERTED) << result.ShortDebugString();
  EXPECT_EQ(result.failure().reason(), Reason::PROBE_FAILED);
  EXPECT_EQ(result.generation_in_force(), 0);
  EXPECT_EQ(result.installed_sha256(), LeafOf(kByHand));
  EXPECT_EQ(node.FilesOf("nginx"), LeafOf(kByHand));
  EXPECT_EQ(InfoOfCurrent("privkey.pem").attributes, (FileAttributes{0400, 7, 8}));
  EXPECT_EQ(InfoOfCurrent("fullchain.pem").attributes, (FileAttributes{0640, 7, 8}));
  EXPECT_THAT(node.Generations(), ElementsAre("0"));
}

TEST_F(AdoptTest, AConfirmedFirstInstallGoesBackToThemOnCommand) {
  node.PutByHand("nginx", IssuedFor(kByHand));
  ASSERT_THAT(node.Start(), IsOk());
  node.Bring(1);
  const v1::InstallResult result = node.Revert(1);
  EXPECT_EQ(result.outcome(), Outcome::REVERTED) << result.ShortDebugString();
  EXPECT_EQ(result.failure().reason(), Reason::ROLLOUT_HALTED);
  EXPECT_EQ(node.FilesOf("nginx"), LeafOf(kByHand));
  EXPECT_EQ(node.running["nginx"].served, LeafOf(kByHand));
}

TEST_F(AdoptTest, WhereNothingWasTheLinksGoAgain) {
  ASSERT_THAT(node.Start(), IsOk());
  node.running["nginx"].check_error = "broken";
  EXPECT_EQ(node.Install(1).outcome(), Outcome::REVERTED);
  EXPECT_FALSE(node.disk.Exists("/etc/nginx/fullchain.pem"));
  EXPECT_FALSE(node.disk.Exists("/etc/nginx/privkey.pem"));
  EXPECT_EQ(node.ReloadsOf("nginx"), 0);
  node.running["nginx"].check_error = "";
  node.Bring(1);
  EXPECT_EQ(node.FilesOf("nginx"), LeafOf(1));
}

TEST_F(AdoptTest, WhereNothingWasAReloadIsTriedAndNothingIsExpectedOfIt) {
  ASSERT_THAT(node.Start(), IsOk());
  node.running["nginx"].ignores_reload = true;
  node.running["nginx"].on_reload = [&] {
    if (node.FilesOf("nginx") == kNothing) node.running["nginx"].reload_exit_code = 1;
  };
  const v1::InstallResult result = node.Install(1);
  EXPECT_EQ(result.outcome(), Outcome::REVERTED) << result.ShortDebugString();
  EXPECT_EQ(result.failure().reason(), Reason::PROBE_FAILED);
  EXPECT_EQ(result.cleanup_failure().reason(), Reason::RELOAD_FAILED);
  EXPECT_EQ(node.ReloadsOf("nginx"), 2);
  EXPECT_EQ(node.FilesOf("nginx"), kNothing);
}

TEST_F(AdoptTest, CopiesOfFailedAttemptsDoNotPileUp) {
  ASSERT_THAT(node.Start(), IsOk());
  node.running["nginx"].check_error = "broken";
  for (int i = 0; i < 10; ++i) EXPECT_EQ(node.Install(1).outcome(), Outcome::REVERTED);
  EXPECT_LE(node.Generations().size(), 3u);
}

TEST_F(AdoptTest, AConfirmedFirstInstallGoesBackToNothingOnCommand) {
  ASSERT_THAT(node.Start(), IsOk());
  node.Bring(1);
  EXPECT_EQ(node.Revert(1).outcome(), Outcome::REVERTED);
  EXPECT_FALSE(node.disk.Exists("/etc/nginx/fullchain.pem"));
  node.Bring(1);
  EXPECT_EQ(node.FilesOf("nginx"), LeafOf(1));
}

TEST_F(AdoptTest, AServiceAddedLaterIsTakenIn) {
  ASSERT_THAT(node.Start(), IsOk());
  node.Bring(1);
  node.AddService("haproxy");
  node.PutByHand("haproxy", IssuedFor(kByHand));
  ASSERT_THAT(node.Start(), IsOk());
  node.running["haproxy"].check_error = "broken";
  EXPECT_EQ(node.Install(2).outcome(), Outcome::REVERTED);
  EXPECT_EQ(node.FilesOf("nginx"), LeafOf(1));
  EXPECT_EQ(node.FilesOf("haproxy"), LeafOf(kByHand));
  EXPECT_THAT(node.Generations(), ElementsAre("0", "1", "1.1"));
  node.running["haproxy"].check_error = "";
  node.Bring(2);
  EXPECT_EQ(node.FilesOf("haproxy"), LeafOf(2));
}

TEST_F(AdoptTest, EachServiceGoesBackToItsOwn) {
  node.AddService("haproxy");
  node.PutByHand("nginx", IssuedFor(kByHand));
  node.PutByHand("haproxy", IssuedFor(kByHand + 1));
  ASSERT_THAT(node.Start(), IsOk());
  node.running["haproxy"].ignores_reload = true;
  const v1::InstallResult result = node.Install(1);
  EXPECT_EQ(result.outcome(), Outcome::REVERTED) << result.ShortDebugString();
  EXPECT_EQ(node.running["nginx"].served, LeafOf(kByHand));
  EXPECT_EQ(node.running["haproxy"].served, LeafOf(kByHand + 1));
}

TEST_F(AdoptTest, AnExpiredServiceIsNoReasonToKeepAnotherFromItsOwn) {
  testing::CertificateSpec spec;
  spec.dns_names = {"*.example.com"};
  spec.not_after = node.clock.Now() - absl::Hours(1);
  const testing::IssuedCertificate expired = testing::TestCa::SelfSigned(spec);
  node.AddService("haproxy");
  node.PutByHand("nginx", IssuedFor(kByHand));
  node.PutByHand("haproxy", expired);
  ASSERT_THAT(node.Start(), IsOk());
  node.running["nginx"].ignores_reload = true;
  const v1::InstallResult result = node.Install(1);
  EXPECT_EQ(result.outcome(), Outcome::REVERTED) << result.ShortDebugString();
  EXPECT_EQ(node.running["nginx"].served, LeafOf(kByHand));
  EXPECT_EQ(node.FilesOf("haproxy"), expired.certificate.sha256());
}

TEST_F(AdoptTest, ALinkReplacedByAnAdministratorComesBack) {
  ASSERT_THAT(node.Start(), IsOk());
  node.Bring(1);
  node.PutByHand("nginx", IssuedFor(kByHand));
  node.running["nginx"].check_error = "broken";
  EXPECT_EQ(node.Install(2).outcome(), Outcome::REVERTED);
  EXPECT_EQ(node.FilesOf("nginx"), LeafOf(kByHand));
}

TEST_F(AdoptTest, LinksOfAnotherToolAreReadThrough) {
  node.disk.PutFile("/etc/letsencrypt/archive/x/fullchain1.pem", IssuedFor(kByHand).fullchain_pem);
  node.disk.PutFile("/etc/letsencrypt/archive/x/privkey1.pem", IssuedFor(kByHand).key_pem.ExposeSecret());
  node.disk.PutLink("/etc/letsencrypt/live/x/fullchain.pem", "../../archive/x/fullchain1.pem", geteuid());
  node.disk.PutLink("/etc/letsencrypt/live/x/privkey.pem", "../../archive/x/privkey1.pem", geteuid());
  node.disk.PutLink("/etc/nginx/fullchain.pem", "/etc/letsencrypt/live/x/fullchain.pem", geteuid());
  node.disk.PutLink("/etc/nginx/privkey.pem", "/etc/letsencrypt/live/x/privkey.pem", geteuid());
  ASSERT_THAT(node.Start(), IsOk());
  node.running["nginx"].check_error = "broken";
  EXPECT_EQ(node.Install(1).outcome(), Outcome::REVERTED);
  EXPECT_EQ(node.FilesOf("nginx"), LeafOf(kByHand));
}

TEST_F(AdoptTest, ALinkPlantedByAnotherUserIsRefused) {
  node.disk.PutFile("/home/mallory/key", "x");
  node.disk.PutLink("/etc/nginx/privkey.pem", "/home/mallory/key", 4242);
  ASSERT_THAT(node.Start(), IsOk());
  const v1::InstallResult result = node.Install(1);
  EXPECT_EQ(result.outcome(), Outcome::FAILED);
  EXPECT_EQ(result.failure().reason(), Reason::PERMISSION_DENIED);
  EXPECT_THAT(result.failure().detail(), HasSubstr("another user"));
  EXPECT_THAT(node.Generations(), ElementsAre());
}

TEST_F(AdoptTest, ADirectoryOfTheServicesOwnUserIsRenewedToo) {
  node.disk.PutDirectory("/etc/nginx", {.mode = 0700, .owner = 4242, .group = 4242});
  node.config.services[0].files[1].owner = "4242";
  node.PutByHand("nginx", IssuedFor(kByHand));
  ASSERT_THAT(node.Start(), IsOk());
  node.Bring(1);
  EXPECT_THAT(node.Describe().services(0).drift(), ElementsAre());
  EXPECT_EQ(node.Describe().services(0).installed_sha256(), LeafOf(1));
  EXPECT_EQ(node.Install(1).outcome(), Outcome::UNCHANGED);
  node.Bring(2);
  EXPECT_THAT(node.Generations(), ElementsAre("0", "1", "2"));
  node.config.services[0].files.pop_back();
  ASSERT_THAT(node.Start(), IsOk());
  node.Install(3);
  EXPECT_EQ(node.disk.GetFile("/etc/nginx/privkey.pem"), IssuedFor(2).key_pem.ExposeSecret());
}

TEST_F(AdoptTest, ARenamedServiceNeverReadsNothing) {
  ASSERT_THAT(node.Start(), IsOk());
  node.Bring(1);
  node.config.services[0].name = "web";
  ASSERT_THAT(node.Start(), IsOk());
  // Whatever is switched, its paths lead to a matching set.
  const v1::Report report = node.engine().Handle(node.InstallCommand(2), [&](const v1::Progress&) {
    EXPECT_THAT(node.FilesOf("nginx"), ::testing::AnyOf(LeafOf(1), LeafOf(2)));
  });
  EXPECT_EQ(report.install_result().outcome(), Outcome::INSTALLED) << report.ShortDebugString();
  EXPECT_EQ(node.FilesOf("nginx"), LeafOf(2));
}

TEST_F(AdoptTest, ARenamedServiceWhoseFilesCantBeLookedAtIsReloadedAndProvenOnTheWayBackToo) {
  ASSERT_THAT(node.Start(), IsOk());
  node.Bring(1);
  node.Bring(2);
  node.config.services[0].name = "web";
  node.Kill();
  ASSERT_THAT(node.Start(), IsOk());
  node.files.FailWhere([](absl::string_view operation) { return operation == "OpenDirectory /etc/nginx"; }, EIO);
  const v1::InstallResult result = node.Revert(2);
  EXPECT_EQ(result.outcome(), Outcome::REVERTED) << result.ShortDebugString();
  EXPECT_EQ(node.FilesOf("nginx"), LeafOf(1));
  EXPECT_EQ(node.running["nginx"].served, LeafOf(1));
}

TEST_F(AdoptTest, AServiceThatIsNotDeclaredAnyMoreKeepsItsFiles) {
  node.AddService("haproxy");
  ASSERT_THAT(node.Start(), IsOk());
  node.Bring(1);
  node.config.services.pop_back();
  ASSERT_THAT(node.Start(), IsOk());
  const v1::Report report = node.engine().Handle(
      node.InstallCommand(2), [&](const v1::Progress&) { EXPECT_EQ(node.FilesOf("haproxy"), LeafOf(1)); });
  EXPECT_EQ(report.install_result().outcome(), Outcome::INSTALLED) << report.ShortDebugString();
  EXPECT_EQ(node.Confirm(2).outcome(), Outcome::INSTALLED);
  node.Bring(3);
  node.Bring(4);
  EXPECT_EQ(node.FilesOf("haproxy"), LeafOf(1));
  EXPECT_EQ(node.FilesOf("nginx"), LeafOf(4));
  const auto directory = node.disk.OpenDirectory("/etc/haproxy");
  EXPECT_EQ((*directory)->Stat("privkey.pem")->kind, FileInfo::Kind::kFile);
  EXPECT_EQ((*directory)->Stat("privkey.pem")->attributes.mode, 0600u);
}

TEST_F(AdoptTest, WhatIsNotDeclaredAnyMoreAndCantBeLookedAtIsToldAndKeepsNobodyFromBeingRenewed) {
  node.AddService("other");
  ASSERT_THAT(node.Start(), IsOk());
  node.Bring(1);
  node.config.services.pop_back();
  node.Kill();
  ASSERT_THAT(node.Start(), IsOk());
  const auto is_there = [](absl::string_view operation) { return operation == "OpenDirectory /etc/other"; };

  // What passes by itself is waited for: nothing is done.
  node.files.FailWhere(is_there, EMFILE);
  const v1::InstallResult refused = node.Install(2);
  EXPECT_EQ(refused.outcome(), Outcome::FAILED) << refused.ShortDebugString();
  EXPECT_EQ(refused.failure().step(), "verify");
  EXPECT_THAT(refused.failure().detail(), HasSubstr("/etc/other"));
  EXPECT_EQ(node.FilesOf("other"), LeafOf(1));
  EXPECT_EQ(node.FilesOf("nginx"), LeafOf(1));

  node.files.FailWhere(is_there, EIO);
  const v1::InstallResult installed = node.Install(2);
  EXPECT_EQ(installed.outcome(), Outcome::INSTALLED) << installed.ShortDebugString();
  EXPECT_THAT(installed.cleanup_failure().detail(),
              HasSubstr("link at /etc/other/fullchain.pem, which no service has any more, leads nowhere now"));
  // And is not, once it is no more so.
  const v1::InstallResult reverted = node.Revert(2);
  EXPECT_EQ(reverted.outcome(), Outcome::REVERTED);
  EXPECT_FALSE(reverted.has_cleanup_failure()) << reverted.ShortDebugString();
  node.files.Heal();
  EXPECT_EQ(node.FilesOf("other"), LeafOf(1));
}

TEST_F(AdoptTest, AServiceThatChangesItsCertificateReadsOneOrTheOther) {
  node.AddService("haproxy");
  ASSERT_THAT(node.Start(), IsOk());
  node.Bring(1);
  node.config.services.back().certificate = "ev";
  ASSERT_THAT(node.Start(), IsOk());
  // The one that it leaves is renewed first.
  node.Bring(2);
  EXPECT_EQ(node.FilesOf("haproxy"), LeafOf(1));
  node.running["haproxy"].check_error = "broken";
  const v1::Command command = node.InstallCommand(1, "ev", IssuedFor(kByHand));
  EXPECT_EQ(node.ResultOf(command).outcome(), Outcome::REVERTED);
  EXPECT_EQ(node.FilesOf("haproxy"), LeafOf(1));
  node.running["haproxy"].check_error = "";
  EXPECT_EQ(node.ResultOf(node.InstallCommand(1, "ev", IssuedFor(kByHand))).outcome(), Outcome::INSTALLED);
  EXPECT_EQ(node.FilesOf("haproxy"), LeafOf(kByHand));
}

TEST_F(AdoptTest, AFileThatIsNotDeclaredAnyMoreStaysBesideARenamedService) {
  ASSERT_THAT(node.Start(), IsOk());
  node.Bring(1);
  node.config.services[0].name = "web";
  node.config.services[0].files.erase(node.config.services[0].files.begin());
  ASSERT_THAT(node.Start(), IsOk());
  const std::optional<std::string> before = node.disk.GetFile("/etc/nginx/fullchain.pem");
  node.Install(2);
  EXPECT_EQ(node.disk.GetFile("/etc/nginx/fullchain.pem"), before);
}

TEST_F(AdoptTest, AFileThatMakesANameAmbiguousMovesItsNeighbourToo) {
  ASSERT_THAT(node.Start(), IsOk());
  node.Bring(1);
  node.disk.PutDirectory("/etc/other", {.mode = 0755});
  node.config.services[0].files.push_back({.path = "/etc/other/fullchain.pem", .content = FileContent::kFullchain});
  ASSERT_THAT(node.Start(), IsOk());
  node.Bring(2);
  EXPECT_EQ(node.FilesOf("nginx"), LeafOf(2));
  EXPECT_EQ(node.disk.GetFile("/etc/other/fullchain.pem"), node.disk.GetFile("/etc/nginx/fullchain.pem"));
}

TEST_F(AdoptTest, WhatSomethingElseWritesMeanwhileIsNotOverwritten) {
  node.PutByHand("nginx", IssuedFor(kByHand));
  ASSERT_THAT(node.Start(), IsOk());
  // Between the copy and the links: another tool renews.
  bool done = false;
  node.files.FailWhere(
      [&](absl::string_view operation) {
        if (!done && operation.find("to current") != absl::string_view::npos) {
          done = true;
          node.PutByHand("nginx", IssuedFor(kByHand + 1));
        }
        return false;
      },
      EIO);
  const v1::InstallResult result = node.Install(1);
  EXPECT_TRUE(done);
  EXPECT_EQ(result.outcome(), Outcome::FAILED) << result.ShortDebugString();
  EXPECT_THAT(result.failure().detail(), HasSubstr("changed by something else"));
  EXPECT_EQ(node.FilesOf("nginx"), LeafOf(kByHand + 1));
}

constexpr char kMoved[] = "/var/lib/moved";

// Else the generations there would stay behind with their keys, and one that is lower than theirs would be taken.
TEST_F(AdoptTest, WhatAnotherStateHasInstalledIsNotTakenOver) {
  ASSERT_THAT(node.Start(), IsOk());
  node.Bring(1);
  for (const bool hosted : {false, true}) {
    node.config.state = kMoved;
    node.config.hosted = hosted;
    ASSERT_THAT(node.Start(), IsOk());
    const std::string file = hosted ? "certcast.yaml" : "node.yaml";
    EXPECT_THAT(node.Describe().services(0).obstacles(),
                ElementsAre(HasSubstr("/etc/nginx/fullchain.pem leads into /var/lib/certcast-node, "),
                            HasSubstr("let `state` in " + file + " be /var/lib/certcast-node again")));
    const v1::InstallResult result = node.Install(2);
    EXPECT_EQ(result.outcome(), Outcome::FAILED) << result.ShortDebugString();
    EXPECT_EQ(result.failure().reason(), Reason::PERMISSION_DENIED);
    EXPECT_THAT(result.failure().hint(), HasSubstr(file));
    EXPECT_EQ(node.FilesOf("nginx"), LeafOf(1));
  }
  node.config.state = "/var/lib/certcast-node";
  ASSERT_THAT(node.Start(), IsOk());
  node.Bring(2);
}

// As docs/operations.md says.
TEST_F(AdoptTest, AStateThatWasMovedIsGoneOnWithOnceItsLinksAreRemoved) {
  ASSERT_THAT(node.Start(), IsOk());
  node.Bring(1);
  node.Kill();
  ASSERT_THAT((*node.disk.OpenDirectory("/var/lib"))->Rename("certcast-node", "moved"), IsOk());
  for (const char* name : {"fullchain.pem", "privkey.pem"}) {
    ASSERT_THAT((*node.disk.OpenDirectory("/etc/nginx"))->Remove(name), IsOk());
  }
  node.config.state = kMoved;
  ASSERT_THAT(node.Start(), IsOk());
  EXPECT_EQ(node.FilesOf("nginx"), LeafOf(1));
  EXPECT_THAT(node.Describe().services(0).drift(), ::testing::IsEmpty());
  node.Bring(2);
  EXPECT_EQ(node.Revert(2).outcome(), Outcome::REVERTED);
  EXPECT_EQ(node.FilesOf("nginx"), LeafOf(1));
}

}  // namespace
}  // namespace certcast::node
