#include "common/file/atomic.h"

#include <unistd.h>

#include <cerrno>
#include <functional>
#include <memory>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/fault_file_system.h"
#include "tests/testing/memory_file_system.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temporary_directory.h"

namespace certcast {
namespace {

using ::certcast::testing::FaultFileSystem;
using ::certcast::testing::HasCode;
using ::certcast::testing::HasReason;
using ::certcast::testing::IsOk;
using ::certcast::testing::IsOkAndHolds;
using ::certcast::testing::MemoryFileSystem;
using ::certcast::testing::TemporaryDirectory;
using ::testing::AnyOf;
using ::testing::ElementsAre;
using ::testing::Eq;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Optional;

constexpr FileAttributes kPrivate = {.mode = 0600};
constexpr FileAttributes kPublic = {.mode = 0644, .owner = 33, .group = 33};
// So many that each combination of lost and kept changes comes up; there are never more than three changes here.
constexpr uint64_t kSeeds = 16;

// "/d" with a file "f" that holds "old".
void PutOld(MemoryFileSystem& disk) {
  disk.PutFile("/d/f", "old", kPrivate);
}

using Recipe = std::function<absl::Status(Directory&)>;
using SetFault = std::function<void(FaultFileSystem&, int n)>;

// Runs `recipe` on "/d" once for each of its operations, with `set_fault` for that one, and calls `check` after each.
// Returns how many operations there were.
int ForEveryOperation(
    const Recipe& recipe, const SetFault& set_fault,
    const std::function<void(MemoryFileSystem& disk, const std::string& where, absl::Status)>& check) {
  for (int n = 1;; ++n) {
    MemoryFileSystem disk;
    PutOld(disk);
    FaultFileSystem files(disk);
    const auto directory = *files.OpenDirectory("/d");
    const int before = files.count();
    set_fault(files, before + n);
    const absl::Status result = recipe(*directory);
    if (files.count() < before + n) return n - 1;
    check(disk, files.operations()[before + n - 1], result);
  }
}

TEST(ReplaceFileTest, ReplacesContentsAndAttributes) {
  MemoryFileSystem disk;
  PutOld(disk);
  const auto directory = *disk.OpenDirectory("/d");
  ASSERT_THAT(ReplaceFile(*directory, "f", "new", kPublic), IsOk());
  EXPECT_THAT(disk.GetFile("/d/f"), Optional(Eq("new")));
  EXPECT_EQ(directory->Stat("f")->attributes, kPublic);
  EXPECT_THAT(directory->List(), IsOkAndHolds(ElementsAre("f")));
}

TEST(ReplaceFileTest, IsDurableWhenItReturns) {
  MemoryFileSystem disk;
  PutOld(disk);
  ASSERT_THAT(ReplaceFile(**disk.OpenDirectory("/d"), "f", "new", kPrivate), IsOk());
  disk.Crash();
  EXPECT_THAT(disk.GetFile("/d/f"), Optional(Eq("new")));
}

TEST(ReplaceFileTest, TakesTheSameStepsAsOnARealDisk) {
  MemoryFileSystem disk;
  PutOld(disk);
  FaultFileSystem files(disk);
  const auto directory = *files.OpenDirectory("/d");
  ASSERT_THAT(ReplaceFile(*directory, "f", "new", kPrivate), IsOk());
  const auto steps = files.operations();
  ASSERT_EQ(steps.size(), 4u);
  EXPECT_THAT(steps[1], HasSubstr("CreateFile /d/.certcast-"));
  EXPECT_THAT(steps[2], HasSubstr(" to f"));
  EXPECT_EQ(steps[3], "Sync /d");
}

TEST(ReplaceFileTest, LeavesOldOrNewWholeAfterPowerLossAtEveryOperation) {
  for (const bool in_the_middle : {false, true}) {
    for (uint64_t seed = 0; seed < kSeeds; ++seed) {
      const int operations = ForEveryOperation(
          [](Directory& d) { return ReplaceFile(d, "f", "new", kPrivate); },
          [&](FaultFileSystem& files, int n) { in_the_middle ? files.CrashInTheMiddleOf(n) : files.CrashAt(n); },
          [&](MemoryFileSystem& disk, const std::string& where, const absl::Status& result) {
            EXPECT_FALSE(result.ok()) << where;
            disk.Crash(seed);
            EXPECT_THAT(disk.GetFile("/d/f"), Optional(AnyOf("old", "new"))) << where;
            // And what was left behind goes away.
            const auto directory = *disk.OpenDirectory("/d");
            EXPECT_THAT(RemoveTemporaries(*directory), IsOk());
            EXPECT_THAT(directory->List(), IsOkAndHolds(ElementsAre("f"))) << where;
          });
      EXPECT_EQ(operations, 3);
    }
  }
}

TEST(ReplaceFileTest, KeepsTheOldFileAndNothingElseWhenAnOperationFails) {
  for (const int error : {ENOSPC, EIO, EROFS}) {
    ForEveryOperation([](Directory& d) { return ReplaceFile(d, "f", "new", kPrivate); },
                      [&](FaultFileSystem& files, int n) { files.FailAt(n, error); },
                      [&](MemoryFileSystem& disk, const std::string& where, const absl::Status& result) {
                        EXPECT_FALSE(result.ok()) << where;
                        EXPECT_THAT((*disk.OpenDirectory("/d"))->List(), IsOkAndHolds(ElementsAre("f"))) << where;
                        // Once renamed, only the fsync can have failed.
                        const std::string expected = absl::StartsWith(where, "Sync") ? "new" : "old";
                        EXPECT_THAT(disk.GetFile("/d/f"), Optional(Eq(expected))) << where;
                      });
  }
}

TEST(ReplaceFileTest, RemovesTheHalfOfAFileForWhichThereWasNoSpace) {
  MemoryFileSystem disk;
  PutOld(disk);
  disk.SetFreeBytes(2);
  EXPECT_THAT(ReplaceFile(**disk.OpenDirectory("/d"), "f", "newer", kPrivate), HasReason(Reason::NO_SPACE));
  EXPECT_THAT((*disk.OpenDirectory("/d"))->List(), IsOkAndHolds(ElementsAre("f")));
  EXPECT_THAT(disk.GetFile("/d/f"), Optional(Eq("old")));
}

TEST(ReplaceFileTest, TellsAlsoThatCleaningUpFailed) {
  MemoryFileSystem disk;
  PutOld(disk);
  FaultFileSystem files(disk);
  const auto directory = *files.OpenDirectory("/d");
  files.FailWhere([](absl::string_view operation) { return !absl::StartsWith(operation, "CreateFile"); }, EIO);
  const absl::Status result = ReplaceFile(*directory, "f", "new", kPrivate);
  EXPECT_THAT(result, HasReason(Reason::STORAGE_FAILED, HasSubstr("Rename")));
  EXPECT_THAT(result, HasReason(Reason::STORAGE_FAILED, HasSubstr("while cleaning up: Remove")));
}

TEST(ReplaceFileTest, ReplacesALinkAndNotWhatItLeadsTo) {
  MemoryFileSystem disk;
  disk.PutFile("/victim", "untouched");
  disk.PutLink("/d/f", "/victim", 12345);
  ASSERT_THAT(ReplaceFile(**disk.OpenDirectory("/d"), "f", "new", kPrivate), IsOk());
  EXPECT_THAT(disk.GetFile("/victim"), Optional(Eq("untouched")));
  EXPECT_EQ((*disk.OpenDirectory("/d"))->Stat("f")->kind, FileInfo::Kind::kFile);
}

TEST(ReplaceFileTest, WorksOnARealDisk) {
  const TemporaryDirectory temporary;
  const std::string path = temporary.path() + "/made";
  const FileAttributes mine = {.mode = 0640, .owner = geteuid(), .group = getegid()};
  FileAttributes searchable = mine;
  searchable.mode = 0750;
  const auto directory = OpenOrMakeDirectory(FileSystem::Real(), path + "/deep/down", searchable);
  ASSERT_THAT(directory, IsOk());
  EXPECT_EQ((*directory)->StatSelf()->attributes, searchable);
  for (const absl::string_view bytes : {"one", "two"}) {
    ASSERT_THAT(ReplaceFile(**directory, "f", bytes, mine), IsOk());
    EXPECT_THAT(ReadWholeFile(FileSystem::Real(), path + "/deep/down/f", 10), IsOkAndHolds(bytes));
    ASSERT_THAT(ReplaceLink(**directory, "l", bytes), IsOk());
    EXPECT_THAT((*directory)->ReadLink("l"), IsOkAndHolds(bytes));
  }
  EXPECT_THAT((*directory)->List(), IsOkAndHolds(ElementsAre("f", "l")));
  const PathParts parts = *SplitPath(path);
  const auto above = FileSystem::Real().OpenDirectory(parts.directory);
  ASSERT_THAT(RemoveTree(**above, parts.name), IsOk());
  EXPECT_THAT((*above)->Stat(parts.name), HasCode(absl::StatusCode::kNotFound));
}

TEST(ReplaceLinkTest, LeadsToOldOrNewAfterPowerLossAtEveryOperation) {
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    const int operations = ForEveryOperation(
        [](Directory& d) {
          RETURN_IF_ERROR(ReplaceLink(d, "current", "1"));
          return ReplaceLink(d, "current", "2");
        },
        [](FaultFileSystem& files, int n) { files.CrashAt(n); },
        [&](MemoryFileSystem& disk, const std::string& where, const absl::Status&) {
          disk.Crash(seed);
          const auto directory = *disk.OpenDirectory("/d");
          const auto target = directory->ReadLink("current");
          if (!absl::IsNotFound(target.status())) {
            EXPECT_THAT(target, IsOkAndHolds(AnyOf("1", "2"))) << where;
          }
          EXPECT_THAT(RemoveTemporaries(*directory), IsOk());
          EXPECT_THAT(disk.GetFile("/d/f"), Optional(Eq("old")));
        });
    EXPECT_EQ(operations, 6);
  }
}

TEST(RemoveTemporariesTest, LeavesOtherFilesAlone) {
  MemoryFileSystem disk;
  for (const absl::string_view name : {".certcast-0123456789abcdef", ".certcast-0123456789abcde", ".certcast-notes",
                                       ".certcast-0123456789ABCDEF", "certcast-0123456789abcdef"}) {
    disk.PutFile(absl::StrCat("/d/", name), "");
  }
  const auto directory = *disk.OpenDirectory("/d");
  ASSERT_THAT(RemoveTemporaries(*directory), IsOk());
  EXPECT_THAT(directory->List(), IsOkAndHolds(ElementsAre(".certcast-0123456789ABCDEF", ".certcast-0123456789abcde",
                                                          ".certcast-notes", "certcast-0123456789abcdef")));
}

TEST(RemoveTreeTest, RemovesAllAndOnlyThat) {
  MemoryFileSystem disk;
  disk.PutFile("/d/tree/a/b/c", "");
  disk.PutFile("/d/outside", "stays");
  disk.PutLink("/d/tree/a/link", "/d/outside", 0);
  const auto directory = *disk.OpenDirectory("/d");
  ASSERT_THAT(RemoveTree(*directory, "tree"), IsOk());
  EXPECT_THAT(directory->List(), IsOkAndHolds(ElementsAre("outside")));
  EXPECT_THAT(RemoveTree(*directory, "tree"), IsOk());
  EXPECT_THAT(RemoveTree(*directory, "outside"), IsOk());
  EXPECT_THAT(directory->List(), IsOkAndHolds(IsEmpty()));
}

TEST(RemoveTreeTest, EndsWhatAFailedTryBegan) {
  for (int n = 1;; ++n) {
    MemoryFileSystem disk;
    disk.PutFile("/d/tree/a/b", "");
    disk.PutFile("/d/tree/c", "");
    FaultFileSystem files(disk);
    const auto directory = *files.OpenDirectory("/d");
    const int before = files.count();
    files.FailAt(before + n, EIO);
    const absl::Status first = RemoveTree(*directory, "tree");
    if (files.count() < before + n) break;
    EXPECT_FALSE(first.ok());
    EXPECT_THAT(RemoveTree(*directory, "tree"), IsOk());
    EXPECT_FALSE(disk.Exists("/d/tree"));
  }
}

TEST(OpenOrMakeDirectoryTest, MakesParentsDurably) {
  MemoryFileSystem disk;
  const FileAttributes wanted = {.mode = 0700, .owner = 7, .group = 8};
  ASSERT_THAT(OpenOrMakeDirectory(disk, "/var/lib/certcast", wanted), IsOk());
  disk.Crash();
  const auto made = disk.OpenDirectory("/var/lib/certcast");
  ASSERT_THAT(made, IsOk());
  EXPECT_EQ((*made)->StatSelf()->attributes, wanted);
  EXPECT_EQ((*disk.OpenDirectory("/var/lib"))->StatSelf()->attributes.mode, 0755u);
}

TEST(OpenOrMakeDirectoryTest, KeepsWhatIsThere) {
  MemoryFileSystem disk;
  disk.PutDirectory("/state", {.mode = 0750});
  ASSERT_THAT(OpenOrMakeDirectory(disk, "/state", {.mode = 0700}), IsOk());
  EXPECT_EQ((*disk.OpenDirectory("/state"))->StatSelf()->attributes.mode, 0750u);
}

TEST(OpenOrMakeDirectoryTest, MakesNothingInThePlaceOfAFile) {
  MemoryFileSystem disk;
  disk.PutFile("/state", "");
  EXPECT_FALSE(OpenOrMakeDirectory(disk, "/state/certificates", {.mode = 0700}).ok());
  EXPECT_THAT(disk.GetFile("/state"), Optional(Eq("")));
}

TEST(SplitPathTest, Splits) {
  const auto split = [](absl::string_view path) {
    const auto parts = SplitPath(path);
    return parts.ok() ? absl::StrCat(parts->directory, "|", parts->name) : "refused";
  };
  EXPECT_EQ(split("/a/b/c"), "/a/b|c");
  EXPECT_EQ(split("/a"), "/|a");
  EXPECT_EQ(split("//a//b//"), "//a|b");
  for (const absl::string_view bad : {"", "a", "a/b", "/", "//", "/a/..", "/a/.", "./a"}) {
    EXPECT_EQ(split(bad), "refused") << bad;
  }
}

// The fake's own promise, on which the tests above stand.
TEST(MemoryFileSystemTest, LosesWhatWasNotSynced) {
  MemoryFileSystem disk;
  PutOld(disk);
  {
    const auto directory = *disk.OpenDirectory("/d");
    ASSERT_THAT(directory->CreateFile("kept", "1", kPrivate), IsOk());
    ASSERT_THAT(directory->Sync(), IsOk());
    ASSERT_THAT(directory->Rename("kept", "renamed"), IsOk());
    ASSERT_THAT(directory->Remove("f"), IsOk());
    ASSERT_THAT(directory->CreateFile("lost", "2", kPrivate), IsOk());
    disk.Crash();
    EXPECT_FALSE(directory->List().ok());
  }
  EXPECT_THAT((*disk.OpenDirectory("/d"))->List(), IsOkAndHolds(ElementsAre("f", "kept")));
}

TEST(MemoryFileSystemTest, NeverTearsARename) {
  bool was_old = false;
  bool was_new = false;
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    MemoryFileSystem disk;
    PutOld(disk);
    ASSERT_THAT((*disk.OpenDirectory("/d"))->Rename("f", "g"), IsOk());
    disk.Crash(seed);
    const auto names = *(*disk.OpenDirectory("/d"))->List();
    ASSERT_THAT(names, AnyOf(ElementsAre("f"), ElementsAre("g")));
    (names[0] == "f" ? was_old : was_new) = true;
  }
  EXPECT_TRUE(was_old);
  EXPECT_TRUE(was_new);
}

TEST(MemoryFileSystemTest, LosesNothingWhenOnlyTheProcessEnds) {
  MemoryFileSystem disk;
  PutOld(disk);
  ASSERT_THAT((*disk.OpenDirectory("/d"))->CreateFile("g", "", kPrivate), IsOk());
  disk.Restart();
  EXPECT_THAT((*disk.OpenDirectory("/d"))->List(), IsOkAndHolds(ElementsAre("f", "g")));
}

}  // namespace
}  // namespace certcast
