// Files of `install: copy`, through the engine. What interrupts them is in recover_test.cc.
#include "node/engine/copies.h"

#include <cerrno>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "node/engine/simulated_node.h"
#include "tests/testing/status_matchers.h"

namespace certcast::node {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::IsOk;
using ::testing::SizeIs;
using v1::Outcome;

constexpr char kChain[] = "/etc/nginx/fullchain.pem";
constexpr char kKey[] = "/etc/nginx/privkey.pem";
constexpr uint64_t kByHand = 100;

class CopiesTest : public ::testing::Test {
 protected:
  CopiesTest() {
    node.AddService("nginx");
    node.DeclareFiles(FileInstall::kCopy);
  }

  void HaveGenerationOne() {
    ASSERT_THAT(node.Start(), IsOk());
    node.Bring(1);
  }

  void Redeclare(FileInstall install) {
    node.DeclareFiles(install);
    node.Kill();
    ASSERT_THAT(node.Start(), IsOk());
  }

  absl::StatusOr<FileInfo> StatOf(const std::string& name) {
    const auto directory = node.disk.OpenDirectory("/etc/nginx");
    if (!directory.ok()) return directory.status();
    return (*directory)->Stat(name);
  }

  std::vector<FileInfo::Kind> Kinds() {
    return {StatOf("fullchain.pem").value().kind, StatOf("privkey.pem").value().kind};
  }

  std::vector<std::string> Drift() {
    const v1::Inventory inventory = node.Describe();
    return {inventory.services(0).drift().begin(), inventory.services(0).drift().end()};
  }

  void FailEvery(const std::string& operation, int error) {
    node.files.FailWhere([operation](absl::string_view name) { return absl::StrContains(name, operation); }, error);
  }

  SimulatedNode node;
};

TEST_F(CopiesTest, AreRegularFilesWithTheDeclaredOwnerGroupAndMode) {
  node.config.services[0].files[1].owner = "21";
  node.config.services[0].files[1].group = "22";
  node.config.services[0].files[1].mode = 0440;
  HaveGenerationOne();
  EXPECT_EQ(node.FilesOf("nginx"), LeafOf(1));
  EXPECT_THAT(Kinds(), ElementsAre(FileInfo::Kind::kFile, FileInfo::Kind::kFile));
  EXPECT_EQ(StatOf("privkey.pem")->attributes, (FileAttributes{.mode = 0440, .owner = 21, .group = 22}));
  EXPECT_THAT(Drift(), IsEmpty());
  EXPECT_EQ(node.Install(1).outcome(), Outcome::UNCHANGED);
}

TEST_F(CopiesTest, TheWayBackLiesBesideThemUntilConfirm) {
  HaveGenerationOne();
  ASSERT_EQ(node.Install(2).outcome(), Outcome::INSTALLED);
  EXPECT_EQ(node.FilesOf("nginx"), LeafOf(2));
  EXPECT_THAT(node.Temporaries(), SizeIs(2));
  ASSERT_EQ(node.Confirm(2).outcome(), Outcome::INSTALLED);
  EXPECT_THAT(node.Temporaries(), IsEmpty());
}

TEST_F(CopiesTest, FilesFromBeforeComeBackWithTheirOwnerAndMode) {
  node.PutByHand("nginx", IssuedFor(kByHand));
  ASSERT_THAT(node.Start(), IsOk());
  ASSERT_EQ(node.Install(1).outcome(), Outcome::INSTALLED);
  ASSERT_EQ(node.Revert(1).outcome(), Outcome::REVERTED);
  EXPECT_EQ(node.FilesOf("nginx"), LeafOf(kByHand));
  EXPECT_EQ(StatOf("privkey.pem")->attributes, (FileAttributes{.mode = 0400, .owner = 7, .group = 8}));
  EXPECT_EQ(node.running["nginx"].served, LeafOf(kByHand));
  EXPECT_THAT(node.Temporaries(), IsEmpty());
}

TEST_F(CopiesTest, GoingBackWhereNothingWasRemovesThem) {
  node.running["nginx"].ignores_reload = true;
  ASSERT_THAT(node.Start(), IsOk());
  EXPECT_EQ(node.Install(1).outcome(), Outcome::REVERTED);
  EXPECT_EQ(node.FilesOf("nginx"), kNothing);
  EXPECT_THAT(Drift(), IsEmpty());
  EXPECT_THAT(node.Temporaries(), IsEmpty());
}

TEST_F(CopiesTest, ARevertOfTheFirstConfirmedGenerationRemovesThem) {
  HaveGenerationOne();
  EXPECT_EQ(node.Revert(1).outcome(), Outcome::REVERTED);
  EXPECT_EQ(node.FilesOf("nginx"), kNothing);
}

TEST_F(CopiesTest, AFileOfSomebodyElseIsNotRemoved) {
  ASSERT_THAT(node.Start(), IsOk());
  ASSERT_EQ(node.Install(1).outcome(), Outcome::INSTALLED);
  node.disk.PutFile(kChain, "theirs");
  ASSERT_EQ(node.Revert(1).outcome(), Outcome::REVERTED);
  EXPECT_EQ(node.disk.GetFile(kChain), "theirs");
  EXPECT_FALSE(node.disk.GetFile(kKey).has_value());
}

TEST_F(CopiesTest, AFullDiskIsFoundBeforeAnyOfThemIsReplaced) {
  HaveGenerationOne();
  const int reloads = node.ReloadsOf("nginx");
  FailEvery("CreateFile /etc/nginx", ENOSPC);
  const v1::InstallResult result = node.Install(2);
  EXPECT_EQ(result.outcome(), Outcome::FAILED);
  EXPECT_EQ(result.failure().reason(), Reason::NO_SPACE);
  EXPECT_EQ(result.failure().step(), "activate");
  EXPECT_EQ(node.FilesOf("nginx"), LeafOf(1));
  EXPECT_EQ(node.ReloadsOf("nginx"), reloads);
  EXPECT_THAT(node.Temporaries(), IsEmpty());
}

TEST_F(CopiesTest, TheWayBackNeedsNoSpace) {
  HaveGenerationOne();
  node.running["nginx"].ignores_reload = true;
  node.running["nginx"].on_reload = [&] { FailEvery("CreateFile", ENOSPC); };
  const v1::InstallResult result = node.Install(2);
  EXPECT_EQ(result.outcome(), Outcome::REVERTED) << result.ShortDebugString();
  EXPECT_EQ(node.FilesOf("nginx"), LeafOf(1));
}

TEST_F(CopiesTest, AfterARestartTheWayBackIsWrittenAnew) {
  HaveGenerationOne();
  ASSERT_EQ(node.Install(2).outcome(), Outcome::INSTALLED);
  node.Kill();
  node.clock.Advance(absl::Minutes(2));
  ASSERT_THAT(node.Start(), IsOk());
  EXPECT_EQ(node.FilesOf("nginx"), LeafOf(1));
  EXPECT_EQ(node.running["nginx"].served, LeafOf(1));
}

TEST_F(CopiesTest, WhatTheWayBackBringsIsWhatWasInstalledWhateverIsDeclaredSince) {
  HaveGenerationOne();
  ASSERT_EQ(node.Install(2).outcome(), Outcome::INSTALLED);
  node.clock.Advance(absl::Minutes(2));
  Redeclare(FileInstall::kLink);
  EXPECT_EQ(node.FilesOf("nginx"), LeafOf(1));
  EXPECT_THAT(Kinds(), ElementsAre(FileInfo::Kind::kFile, FileInfo::Kind::kFile));
}

TEST_F(CopiesTest, WithNothingGoodToGoBackToAHalfDoneSwitchIsFinished) {
  HaveGenerationOne();
  bool is_over = false;
  node.files.FailWhere(
      [&](absl::string_view operation) {
        is_over = is_over || absl::EndsWith(operation, " to privkey.pem");
        return is_over;
      },
      EIO);
  const v1::Command command = node.InstallCommand(2);
  node.Handle(command);
  ASSERT_EQ(node.FilesOf("nginx"), kMixed);
  node.Kill();
  node.clock.Advance(absl::Hours(24 * 365 * 40));
  ASSERT_THAT(node.Start(), IsOk());
  EXPECT_EQ(node.ResultOf(command).failure().reason(), Reason::REVERT_FAILED);
  EXPECT_EQ(node.FilesOf("nginx"), LeafOf(2));
}

TEST_F(CopiesTest, ADirectoryThatTakesNoFilesIsFoundBeforeAnythingIsWritten) {
  HaveGenerationOne();
  FailEvery("Link /etc/nginx", EROFS);
  const v1::InstallResult result = node.Install(2);
  EXPECT_EQ(result.failure().reason(), Reason::PERMISSION_DENIED);
  EXPECT_EQ(result.failure().step(), "verify");
  EXPECT_THAT(result.failure().detail(), HasSubstr("/etc/nginx/fullchain.pem can't be put in place"));
}

TEST_F(CopiesTest, OtherContentsAreDriftAndInstalledAgain) {
  HaveGenerationOne();
  node.disk.PutFile(kChain, "by hand", {.mode = 0644});
  EXPECT_THAT(Drift(), ElementsAre(HasSubstr("fullchain.pem: has other contents than were installed")));
  EXPECT_EQ(node.Install(1).outcome(), Outcome::INSTALLED);
  EXPECT_EQ(node.FilesOf("nginx"), LeafOf(1));
  EXPECT_THAT(Drift(), IsEmpty());
}

TEST_F(CopiesTest, AnotherModeIsDriftAndInstalledAgain) {
  HaveGenerationOne();
  node.disk.PutFile(kKey, *node.disk.GetFile(kKey), {.mode = 0644});
  EXPECT_THAT(Drift(), ElementsAre(HasSubstr("privkey.pem: mode 0644, not 0600")));
  EXPECT_EQ(node.Install(1).outcome(), Outcome::INSTALLED);
  EXPECT_EQ(StatOf("privkey.pem")->attributes.mode, 0600u);
}

// Copies are placed one after the other: the machine ends between them, and the service finds no set when it boots.
TEST_F(CopiesTest, AServiceThatBootsWithHalfOfThemIsPutRight) {
  HaveGenerationOne();
  int placed = 0;
  node.files.FailWhere(
      [&placed](absl::string_view operation) {
        const bool places =
            absl::StartsWith(operation, "Rename /etc/nginx/") &&
            (absl::EndsWith(operation, " to fullchain.pem") || absl::EndsWith(operation, " to privkey.pem"));
        if (places) ++placed;
        return placed > 1;
      },
      EIO);
  const v1::Command command = node.InstallCommand(2);
  node.Handle(command);
  ASSERT_GT(placed, 1);
  node.LosePowerKeeping(~uint64_t{0});
  ASSERT_EQ(node.FilesOf("nginx"), kMixed);
  ASSERT_EQ(node.running["nginx"].served, "");
  ASSERT_THAT(node.Start(), IsOk());
  EXPECT_EQ(node.FilesOf("nginx"), LeafOf(1));
  EXPECT_EQ(node.running["nginx"].served, LeafOf(1));
  EXPECT_EQ(node.ResultOf(command).outcome(), Outcome::REVERTED);
  EXPECT_THAT(node.Temporaries(), IsEmpty());
  EXPECT_THAT(Drift(), IsEmpty());
}

TEST_F(CopiesTest, ALinkInPlaceOfOneIsDriftAndBecomesACopyAgain) {
  HaveGenerationOne();
  node.disk.PutFile("/srv/elsewhere.pem", *node.disk.GetFile(kKey), {.mode = 0600});
  const auto nginx = node.disk.OpenDirectory("/etc/nginx");
  ASSERT_THAT((*nginx)->Remove("privkey.pem"), IsOk());
  node.disk.PutLink(kKey, "/srv/elsewhere.pem", /*owner=*/0);
  EXPECT_THAT(Drift(), ElementsAre(HasSubstr("is a link to /srv/elsewhere.pem, not a copy (install: copy)")));
  EXPECT_EQ(node.Install(1).outcome(), Outcome::INSTALLED);
  EXPECT_THAT(Kinds(), ElementsAre(FileInfo::Kind::kFile, FileInfo::Kind::kFile));
  EXPECT_TRUE(node.disk.GetFile("/srv/elsewhere.pem").has_value());
}

TEST_F(CopiesTest, LinksThatAreDeclaredCopiesBecomeSoWithTheNextInstall) {
  node.DeclareFiles(FileInstall::kLink);
  HaveGenerationOne();
  Redeclare(FileInstall::kCopy);
  EXPECT_THAT(Drift(), SizeIs(2));
  EXPECT_EQ(node.Install(1).outcome(), Outcome::INSTALLED);
  EXPECT_THAT(Kinds(), ElementsAre(FileInfo::Kind::kFile, FileInfo::Kind::kFile));
  EXPECT_EQ(node.Confirm(1).outcome(), Outcome::INSTALLED);
  EXPECT_THAT(Drift(), IsEmpty());
}

TEST_F(CopiesTest, CopiesThatAreDeclaredLinksBecomeSoWithTheNextInstall) {
  HaveGenerationOne();
  Redeclare(FileInstall::kLink);
  EXPECT_THAT(Drift(), SizeIs(2));
  EXPECT_EQ(node.Install(1).outcome(), Outcome::INSTALLED);
  EXPECT_THAT(Kinds(), ElementsAre(FileInfo::Kind::kLink, FileInfo::Kind::kLink));
  EXPECT_EQ(node.Confirm(1).outcome(), Outcome::INSTALLED);
  EXPECT_THAT(Drift(), IsEmpty());
}

TEST_F(CopiesTest, ARenamedServiceIsCheckedReloadedAndProbedOnTheWayBack) {
  HaveGenerationOne();
  node.Bring(2);
  node.config.services[0].name = "web";
  ASSERT_THAT(node.Start(), IsOk());
  const int checks = node.ChecksOf("nginx");
  const int reloads = node.ReloadsOf("nginx");
  const v1::InstallResult result = node.Revert(2);
  EXPECT_EQ(result.outcome(), Outcome::REVERTED) << result.ShortDebugString();
  EXPECT_EQ(node.ChecksOf("nginx"), checks + 1);
  EXPECT_EQ(node.ReloadsOf("nginx"), reloads + 1);
  ASSERT_EQ(result.probes_size(), 1);
  EXPECT_EQ(result.probes(0).served_sha256(), LeafOf(1));
  EXPECT_EQ(node.FilesOf("nginx"), LeafOf(1));
}

TEST_F(CopiesTest, ARenamedServiceWhoseCheckFailsIsNotTakenBack) {
  HaveGenerationOne();
  node.Bring(2);
  node.config.services[0].name = "web";
  node.running["nginx"].check_error = "broken";
  ASSERT_THAT(node.Start(), IsOk());
  const v1::InstallResult result = node.Revert(2);
  EXPECT_EQ(result.failure().reason(), Reason::REVERT_FAILED) << result.ShortDebugString();
  EXPECT_EQ(node.FilesOf("nginx"), LeafOf(2));
}

TEST_F(CopiesTest, OfAServiceThatIsNotDeclaredAnyMoreTheyAreLeftAlone) {
  node.AddService("haproxy");
  node.DeclareFiles(FileInstall::kCopy);
  HaveGenerationOne();
  node.config.services.pop_back();
  node.running["nginx"].ignores_reload = true;
  node.Kill();
  ASSERT_THAT(node.Start(), IsOk());
  node.disk.PutFile("/etc/haproxy/fullchain.pem", "theirs now");
  EXPECT_EQ(node.Install(2).outcome(), Outcome::REVERTED);
  EXPECT_EQ(node.disk.GetFile("/etc/haproxy/fullchain.pem"), "theirs now");
}

}  // namespace
}  // namespace certcast::node
