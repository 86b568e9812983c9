// What others do to a node's files: what is said of it, what the next install makes of it, and what a restart does.
#include "node/engine/drift.h"

#include <unistd.h>

#include <functional>
#include <ostream>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "node/engine/simulated_node.h"
#include "tests/testing/status_matchers.h"

namespace certcast::node {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::IsOk;
using v1::Outcome;

constexpr char kFullchain[] = "/etc/nginx/fullchain.pem";
constexpr char kCertificate[] = "/var/lib/certcast-node/certificates/wildcard";
constexpr uid_t kStranger = 4242;
constexpr uint64_t kByHand = 100;

std::string InGeneration(absl::string_view name) {
  return absl::StrCat(kCertificate, "/generations/1/", name);
}

FileAttributes Mine(mode_t mode) {
  return {.mode = mode, .owner = geteuid(), .group = getegid()};
}

void Remove(SimulatedNode& node, const std::string& directory, const std::string& name) {
  ASSERT_THAT((*node.disk.OpenDirectory(directory))->Remove(name), IsOk());
}

void SetDirectory(SimulatedNode& node, const FileAttributes& attributes) {
  // PutDirectory empties it, so what was in it is put back.
  const auto directory = node.disk.OpenDirectory("/etc/nginx");
  std::vector<std::pair<std::string, std::string>> links;
  const std::vector<std::string> names = (*directory)->List().value();
  for (const std::string& name : names) {
    const absl::StatusOr<std::string> target = (*directory)->ReadLink(name);
    if (target.ok()) links.emplace_back(name, *target);
  }
  node.disk.PutDirectory("/etc/nginx", attributes);
  for (const auto& [name, target] : links) {
    node.disk.PutLink(absl::StrCat("/etc/nginx/", name), target, geteuid());
  }
}

enum class Next {
  kRepaired,  // generation 2 is installed, and all is as it should be
  kRefused,   // before anything is written
  kStays,     // generation 2 is installed; what was found is said on
};

struct Case {
  const char* name;
  std::function<void(SimulatedNode&)> change;
  // In a line of the inventory.
  const char* said;
  Next next;
  // The start after it has put everything back.
  bool put_back = false;

  friend std::ostream& operator<<(std::ostream& out, const Case& one) { return out << one.name; }
};

std::vector<Case> LinksAndDirectories() {
  return {
      {"LinkReplacedByAFile", [](SimulatedNode& node) { node.PutByHand("nginx", IssuedFor(kByHand)); },
       "/etc/nginx/fullchain.pem: is a file of its own now", Next::kRepaired},
      {"LinkLedElsewhere",
       [](SimulatedNode& node) {
         node.disk.PutFile("/root/other.pem", IssuedFor(kByHand).fullchain_pem, Mine(0600));
         node.disk.PutLink(kFullchain, "/root/other.pem", geteuid());
       },
       "/etc/nginx/fullchain.pem: links to /root/other.pem now", Next::kRepaired},
      {"LinkLedToNothing", [](SimulatedNode& node) { node.disk.PutLink(kFullchain, "/gone.pem", geteuid()); },
       "/etc/nginx/fullchain.pem: links to /gone.pem now", Next::kRepaired},
      {"LinkRemoved", [](SimulatedNode& node) { Remove(node, "/etc/nginx", "fullchain.pem"); },
       "/etc/nginx/fullchain.pem: is gone", Next::kRepaired, true},
      {"DirectoryMadeAnew", [](SimulatedNode& node) { node.disk.PutDirectory("/etc/nginx", Mine(0755)); },
       "/etc/nginx/privkey.pem: is gone", Next::kRepaired, true},
      {"DirectoryRemoved",
       [](SimulatedNode& node) {
         Remove(node, "/etc/nginx", "fullchain.pem");
         Remove(node, "/etc/nginx", "privkey.pem");
         ASSERT_THAT((*node.disk.OpenDirectory("/etc"))->RemoveDirectory("nginx"), IsOk());
       },
       "/etc/nginx/fullchain.pem: is gone", Next::kRefused},
      {"LinkReplacedByADirectory",
       [](SimulatedNode& node) { node.disk.PutDirectory("/etc/nginx/fullchain.pem", Mine(0755)); },
       "/etc/nginx/fullchain.pem is neither a file nor a link", Next::kRefused},
      {"LinkOfAnotherUser",
       [](SimulatedNode& node) { node.disk.PutLink(kFullchain, "/home/mallory/x.pem", kStranger); },
       "/etc/nginx/fullchain.pem: links to /home/mallory/x.pem now", Next::kRefused},
      {"DirectoryIsALinkOfAnotherUser",
       [](SimulatedNode& node) { node.disk.PutLink("/etc/nginx", "/home/mallory", kStranger); },
       "\"nginx\" is another user's link", Next::kRefused},
      {"DirectoryIsALinkOfRoot",
       [](SimulatedNode& node) {
         node.disk.PutDirectory("/srv/nginx", Mine(0755));
         node.disk.PutLink("/etc/nginx", "/srv/nginx", 0);
       },
       "/etc/nginx/fullchain.pem: is gone", Next::kRepaired, true},
  };
}

std::vector<Case> Strangers() {
  return {
      {"EverybodyMayWriteThere", [](SimulatedNode& node) { SetDirectory(node, Mine(0777)); },
       "/etc/nginx may be written to by every user", Next::kStays},
      {"AGroupMayWriteThere",
       [](SimulatedNode& node) { SetDirectory(node, {.mode = 0775, .owner = geteuid(), .group = kStranger}); },
       "/etc/nginx may be written to by group 4242", Next::kStays},
      {"AnotherUsersDirectory",
       [](SimulatedNode& node) { SetDirectory(node, {.mode = 0755, .owner = kStranger, .group = kStranger}); },
       "/etc/nginx belongs to user 4242", Next::kStays},
      {"EverybodyMayWriteThereAndTheLinkIsGone",
       [](SimulatedNode& node) { node.disk.PutDirectory("/etc/nginx", Mine(0777)); },
       "/etc/nginx may be written to by every user", Next::kRefused},
      {"AGroupMayWriteThereAndTheLinkIsGone",
       [](SimulatedNode& node) {
         node.disk.PutDirectory("/etc/nginx", {.mode = 0775, .owner = geteuid(), .group = kStranger});
       },
       "/etc/nginx may be written to by group 4242", Next::kRefused},
      {"AnotherUsersDirectoryAndTheLinkIsGone",
       [](SimulatedNode& node) {
         node.disk.PutDirectory("/etc/nginx", {.mode = 0755, .owner = kStranger, .group = kStranger});
       },
       "/etc/nginx belongs to user 4242", Next::kRefused},
  };
}

std::vector<Case> Contents() {
  return {
      {"OtherMode",
       [](SimulatedNode& node) {
         const std::string path = InGeneration("nginx/privkey.pem");
         node.disk.PutFile(path, *node.disk.GetFile(path), Mine(0644));
       },
       "/etc/nginx/privkey.pem: mode 0644, not 0600", Next::kRepaired},
      {"OtherOwner",
       [](SimulatedNode& node) {
         const std::string path = InGeneration("nginx/privkey.pem");
         node.disk.PutFile(path, *node.disk.GetFile(path), {.mode = 0600, .owner = kStranger, .group = getegid()});
       },
       "/etc/nginx/privkey.pem: owner 4242, not 0", Next::kRepaired},
      {"OtherContents",
       [](SimulatedNode& node) { node.disk.PutFile(InGeneration("nginx/privkey.pem"), "by hand", Mine(0600)); },
       "/etc/nginx/privkey.pem: has other contents", Next::kRepaired},
      {"FileOfTheGenerationRemoved", [](SimulatedNode& node) { Remove(node, InGeneration("nginx"), "privkey.pem"); },
       "/etc/nginx/privkey.pem: links to nothing", Next::kRepaired},
      {"RecordOfTheGenerationRemoved", [](SimulatedNode& node) { Remove(node, InGeneration(""), ".record"); },
       "/generations/1/.record", Next::kRepaired},
      {"RecordOfTheGenerationOverwritten",
       [](SimulatedNode& node) { node.disk.PutFile(InGeneration(".record"), "garbage", Mine(0600)); },
       "/generations/1/.record can't be read", Next::kRefused},
      {"CurrentRemoved", [](SimulatedNode& node) { Remove(node, kCertificate, "current"); },
       "current: leads to nothing, not 1", Next::kRepaired, true},
      {"CurrentLedToAnotherGeneration",
       [](SimulatedNode& node) {
         node.disk.PutLink(absl::StrCat(kCertificate, "/current"), "generations/0", geteuid());
       },
       "current: leads to 0, not 1", Next::kRepaired},
      {"CurrentLedElsewhere",
       [](SimulatedNode& node) { node.disk.PutLink(absl::StrCat(kCertificate, "/current"), "/root", geteuid()); },
       "current leads to /root, which is no generation", Next::kRefused},
  };
}

class DriftTest : public ::testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    node.AddService("nginx");
    ASSERT_THAT(node.Start(), IsOk());
    node.Bring(1);
    GetParam().change(node);
  }

  std::vector<std::string> Drift() {
    const v1::Inventory inventory = node.Describe();
    return {inventory.services(0).drift().begin(), inventory.services(0).drift().end()};
  }

  SimulatedNode node;
};

TEST_P(DriftTest, IsSaid) {
  EXPECT_THAT(Drift(), Contains(HasSubstr(GetParam().said)));
  // And nothing is done about it but by a start or an install.
  const int begin = node.files.count();
  Drift();
  const std::vector<std::string> operations = node.files.operations();
  EXPECT_THAT(std::vector<std::string>(operations.begin() + begin, operations.end()),
              ::testing::Each(::testing::ResultOf(testing::ChangesDisk, false)));
}

TEST_P(DriftTest, IsRefusedOrRepairedByTheNextInstall) {
  const int begin = node.files.count();
  const std::vector<std::string> generations = node.Generations();
  const v1::InstallResult result = node.Install(2);
  if (GetParam().next == Next::kRefused) {
    EXPECT_EQ(result.outcome(), Outcome::FAILED) << result.ShortDebugString();
    EXPECT_THAT(result.failure().reason(), ::testing::AnyOf(Reason::PERMISSION_DENIED, Reason::STORAGE_FAILED));
    EXPECT_EQ(result.failure().step(), "verify");
    EXPECT_NE(result.failure().hint(), "") << result.failure().detail();
    EXPECT_EQ(node.Generations(), generations);
    const std::vector<std::string> operations = node.files.operations();
    for (size_t i = begin; i < operations.size(); ++i) {
      if (!testing::ChangesDisk(operations[i])) continue;
      EXPECT_THAT(operations[i], ::testing::AnyOf(HasSubstr("OverwriteFile /var/lib/certcast-node/state."),
                                                  HasSubstr(".certcast-0000000000000000")));
    }
    EXPECT_EQ(node.running["nginx"].served, LeafOf(1));
    return;
  }
  EXPECT_EQ(result.outcome(), Outcome::INSTALLED) << result.ShortDebugString();
  EXPECT_EQ(node.Confirm(2).outcome(), Outcome::INSTALLED);
  EXPECT_EQ(node.FilesOf("nginx"), LeafOf(2));
  if (GetParam().next == Next::kStays) {
    EXPECT_THAT(Drift(), ElementsAre(HasSubstr(GetParam().said)));
  } else {
    EXPECT_THAT(Drift(), IsEmpty());
  }
}

TEST_P(DriftTest, IsPutBackByAStartWhereNothingElseIsThere) {
  const int reloads = node.ReloadsOf("nginx");
  node.Kill();
  ASSERT_THAT(node.Start(), IsOk());
  EXPECT_EQ(node.ReloadsOf("nginx"), reloads);
  if (GetParam().put_back) {
    EXPECT_THAT(node.engine().Recovered().line, HasSubstr("put back /"));
    EXPECT_THAT(Drift(), IsEmpty());
    EXPECT_EQ(node.FilesOf("nginx"), LeafOf(1));
    EXPECT_EQ(node.Install(1).outcome(), Outcome::UNCHANGED);
  } else {
    EXPECT_THAT(node.engine().Recovered().line, ::testing::Not(HasSubstr("put back /")));
    EXPECT_THAT(Drift(), Contains(HasSubstr(GetParam().said)));
  }
}

constexpr auto kNameOf = [](const auto& info) { return info.param.name; };
INSTANTIATE_TEST_SUITE_P(LinksAndDirectories, DriftTest, ::testing::ValuesIn(LinksAndDirectories()), kNameOf);
INSTANTIATE_TEST_SUITE_P(Strangers, DriftTest, ::testing::ValuesIn(Strangers()), kNameOf);
INSTANTIATE_TEST_SUITE_P(Contents, DriftTest, ::testing::ValuesIn(Contents()), kNameOf);

// Paths below the state that are named as a key and are open to others than their owner.
std::vector<std::string> OpenKeys(SimulatedNode& node) {
  std::vector<std::string> open;
  for (const std::string& generation : node.Generations()) {
    const std::string service = absl::StrCat(kCertificate, "/generations/", generation, "/nginx");
    const auto directory = node.disk.OpenDirectory(service);
    if (!directory.ok()) continue;
    const auto key = (*directory)->Stat("privkey.pem");
    if (key.ok() && key->attributes.mode != 0600) open.push_back(service);
  }
  return open;
}

TEST(OpenedKeyTest, IsClosedByTheMendAndStaysOpenNowhere) {
  for (const bool mend_fails : {false, true}) {
    SimulatedNode node;
    node.AddService("nginx");
    ASSERT_THAT(node.Start(), IsOk());
    node.Bring(1);
    const std::string path = InGeneration("nginx/privkey.pem");
    node.disk.PutFile(path, *node.disk.GetFile(path), Mine(0644));
    ASSERT_THAT(OpenKeys(node), ::testing::SizeIs(1));
    node.running["nginx"].check_error = mend_fails ? "no" : "";
    const v1::InstallResult result = node.Install(1);
    EXPECT_EQ(result.outcome(), mend_fails ? Outcome::REVERTED : Outcome::INSTALLED) << result.ShortDebugString();
    EXPECT_EQ(node.Confirm(1).outcome(), Outcome::INSTALLED);
    EXPECT_THAT(OpenKeys(node), IsEmpty()) << mend_fails;
    EXPECT_THAT(node.Describe().services(0).drift(), IsEmpty());
    EXPECT_EQ(node.FilesOf("nginx"), LeafOf(1));
  }
}

class StrangersTest : public ::testing::Test {
 protected:
  StrangersTest() { node.AddService("nginx"); }

  SimulatedNode node;
};

TEST_F(StrangersTest, TheServicesOwnUserAndGroupAreNone) {
  const FileAttributes directories[] = {{.mode = 0700, .owner = 77, .group = 4242},
                                        {.mode = 0775, .owner = 0, .group = 88},
                                        {.mode = 0775, .owner = 4242, .group = 88}};
  node.config.services[0].files[0].group = "88";
  node.config.services[0].files[1].owner = "77";
  uint64_t generation = 0;
  for (const FileAttributes& attributes : directories) {
    node.disk.PutDirectory("/etc/nginx", attributes);
    ASSERT_THAT(node.Start(), IsOk());
    node.Bring(++generation);
    EXPECT_THAT(node.Describe().services(0).drift(), IsEmpty());
    EXPECT_THAT(node.Describe().services(0).obstacles(), IsEmpty());
  }
}

TEST_F(StrangersTest, CopiesAreNotPutAmongThem) {
  node.config.services[0].files[1].install = FileInstall::kCopy;
  ASSERT_THAT(node.Start(), IsOk());
  node.Bring(1);
  const std::string key = *node.disk.GetFile("/etc/nginx/privkey.pem");
  SetDirectory(node, Mine(0777));
  node.disk.PutFile("/etc/nginx/privkey.pem", key, Mine(0600));
  EXPECT_EQ(node.Install(2).failure().reason(), Reason::PERMISSION_DENIED);
  EXPECT_EQ(node.disk.GetFile("/etc/nginx/privkey.pem"), key);
}

// Before a key is sent: what a node says of itself.
TEST_F(StrangersTest, ObstaclesAreSaidBeforeAnythingIsInstalled) {
  ASSERT_THAT(node.Start(), IsOk());
  EXPECT_THAT(node.Describe().services(0).obstacles(), IsEmpty());
  for (const int error : {EACCES, EROFS}) {
    node.files.FailWhere([](absl::string_view operation) { return absl::StartsWith(operation, "CheckWritable"); },
                         error);
    EXPECT_THAT(node.Describe().services(0).obstacles(),
                ElementsAre(HasSubstr("/etc/nginx/fullchain.pem can't be put in place"),
                            HasSubstr("/etc/nginx/privkey.pem can't be put in place")));
  }
  node.files.Heal();
  ASSERT_THAT((*node.disk.OpenDirectory("/etc"))->RemoveDirectory("nginx"), IsOk());
  EXPECT_THAT(node.Describe().services(0).obstacles(),
              Contains(HasSubstr("mkdir -p /etc/nginx, or correct the path in node.yaml")));
  node.config.hosted = true;
  ASSERT_THAT(node.Start(), IsOk());
  EXPECT_THAT(node.Describe().services(0).obstacles(), Contains(HasSubstr("correct the path in certcast.yaml")));
}

TEST_F(StrangersTest, ACopyThatIsGoneIsPutBackAsItWas) {
  node.DeclareFiles(FileInstall::kCopy);
  ASSERT_THAT(node.Start(), IsOk());
  node.Bring(1);
  node.disk.PutDirectory("/etc/nginx", Mine(0755));
  node.Kill();
  ASSERT_THAT(node.Start(), IsOk());
  EXPECT_THAT(node.engine().Recovered().line,
              HasSubstr("put back /etc/nginx/fullchain.pem, which was gone; put back /etc/nginx/privkey.pem"));
  EXPECT_THAT(node.Describe().services(0).drift(), IsEmpty());
  EXPECT_EQ(node.FilesOf("nginx"), LeafOf(1));
}

TEST_F(StrangersTest, WhatWasChangedIsNotPutBack) {
  node.DeclareFiles(FileInstall::kCopy);
  ASSERT_THAT(node.Start(), IsOk());
  node.Bring(1);
  node.disk.PutDirectory("/etc/nginx", Mine(0755));
  node.disk.PutFile(InGeneration("nginx/privkey.pem"), "by hand", Mine(0600));
  node.Kill();
  ASSERT_THAT(node.Start(), IsOk());
  EXPECT_FALSE(node.disk.Exists("/etc/nginx/privkey.pem"));
  EXPECT_THAT(node.engine().Recovered().line, HasSubstr("/etc/nginx/privkey.pem is gone and can't be put back"));
}

}  // namespace
}  // namespace certcast::node
