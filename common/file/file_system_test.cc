// What every FileSystem promises, shown on the real one and on the one in memory.
#include "common/file/file_system.h"

#include <sys/stat.h>
#include <unistd.h>

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/file/atomic.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/memory_file_system.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temporary_directory.h"

namespace certcast {
namespace {

using ::certcast::testing::HasCode;
using ::certcast::testing::HasReason;
using ::certcast::testing::IsOk;
using ::certcast::testing::IsOkAndHolds;
using ::certcast::testing::MemoryFileSystem;
using ::certcast::testing::TemporaryDirectory;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

FileAttributes Mine(mode_t mode) {
  return {.mode = mode, .owner = geteuid(), .group = getegid()};
}

// A file system and an empty directory in it.
struct Fixture {
  FileSystem* files;
  std::string root;
  std::shared_ptr<void> keeps_alive;
};

Fixture OnDisk() {
  auto directory = std::make_shared<TemporaryDirectory>();
  return {&FileSystem::Real(), directory->path(), directory};
}

Fixture InMemory() {
  auto files = std::make_shared<MemoryFileSystem>();
  files->PutDirectory("/work", Mine(0700));
  return {files.get(), "/work", files};
}

struct Kind {
  const char* name;
  Fixture (*make)();
};

class FileSystemTest : public ::testing::TestWithParam<Kind> {
 protected:
  void SetUp() override {
    fixture_ = GetParam().make();
    absl::StatusOr<std::unique_ptr<Directory>> opened = fixture_.files->OpenDirectory(fixture_.root);
    ASSERT_THAT(opened, IsOk());
    root_ = *std::move(opened);
  }

  FileSystem& files() { return *fixture_.files; }
  const std::string& path() const { return fixture_.root; }
  Directory& root() { return *root_; }

 private:
  Fixture fixture_;
  std::unique_ptr<Directory> root_;
};

INSTANTIATE_TEST_SUITE_P(All, FileSystemTest, ::testing::Values(Kind{"OnDisk", OnDisk}, Kind{"InMemory", InMemory}),
                         [](const auto& info) { return info.param.name; });

TEST_P(FileSystemTest, ReadsASecretAsItReadsAFile) {
  ASSERT_THAT(root().CreateFile("key", "0123456789", Mine(0600)), IsOk());
  ASSERT_THAT(root().CreateFile("empty", "", Mine(0600)), IsOk());
  ASSERT_THAT(root().MakeLink("link", "key"), IsOk());
  EXPECT_EQ(root().ReadSecret("key", 10)->ExposeSecret(), "0123456789");
  EXPECT_EQ(root().ReadSecret("key", 1000)->ExposeSecret(), "0123456789");
  EXPECT_EQ(root().ReadSecret("empty", 0)->ExposeSecret(), "");
  EXPECT_THAT(root().ReadSecret("key", 9), HasReason(Reason::MALFORMED, HasSubstr(path() + "/key")));
  EXPECT_THAT(root().ReadSecret("link", 10), HasReason(Reason::PERMISSION_DENIED));
  EXPECT_THAT(root().ReadSecret("none", 10), HasCode(absl::StatusCode::kNotFound));
}

TEST_P(FileSystemTest, ReadsBackWhatWasCreated) {
  const std::string bytes("a\0b\n", 4);
  ASSERT_THAT(root().CreateFile("x", bytes, Mine(0600)), IsOk());
  EXPECT_THAT(root().ReadFile("x", 4), IsOkAndHolds(bytes));
}

TEST_P(FileSystemTest, ReadsBackAFileLargerThanAnyBuffer) {
  const std::string bytes(300'000, 'x');
  ASSERT_THAT(root().CreateFile("x", bytes, Mine(0600)), IsOk());
  EXPECT_THAT(root().ReadFile("x", bytes.size()), IsOkAndHolds(bytes));
}

TEST_P(FileSystemTest, CreatesWithExactlyTheAttributesWhateverTheUmask) {
  for (const mode_t umask_now : {0000, 0027, 0077}) {
    const mode_t before = umask(umask_now);
    const std::string file = absl::StrCat("file-", umask_now);
    const std::string directory = absl::StrCat("directory-", umask_now);
    const absl::Status created = root().CreateFile(file, "x", Mine(0664));
    const absl::Status made = root().MakeDirectory(directory, Mine(0751));
    umask(before);
    ASSERT_THAT(created, IsOk());
    ASSERT_THAT(made, IsOk());
    EXPECT_EQ(root().Stat(file)->attributes, Mine(0664));
    EXPECT_EQ(root().Stat(directory)->attributes, Mine(0751));
  }
}

TEST_P(FileSystemTest, GivesFilesToOtherUsers) {
  ASSERT_EQ(geteuid(), 0u) << "only root can";
  const FileAttributes other = {.mode = 0640, .owner = 12345, .group = 54321};
  ASSERT_THAT(root().CreateFile("x", "bytes", other), IsOk());
  EXPECT_EQ(root().Stat("x")->attributes, other);
  ASSERT_THAT(root().MakeDirectory("d", other), IsOk());
  EXPECT_EQ(root().Stat("d")->attributes, other);
}

TEST_P(FileSystemTest, CreatesNothingWhereSomethingIs) {
  ASSERT_THAT(root().CreateFile("x", "old", Mine(0600)), IsOk());
  ASSERT_THAT(root().MakeLink("dangling", "nowhere"), IsOk());
  for (const absl::string_view name : {"x", "dangling"}) {
    EXPECT_THAT(root().CreateFile(name, "new", Mine(0600)), HasCode(absl::StatusCode::kAlreadyExists));
    EXPECT_THAT(root().MakeDirectory(name, Mine(0700)), HasCode(absl::StatusCode::kAlreadyExists));
    EXPECT_THAT(root().MakeLink(name, "new"), HasCode(absl::StatusCode::kAlreadyExists));
  }
  EXPECT_THAT(root().ReadFile("x", 10), IsOkAndHolds("old"));
  EXPECT_THAT(root().List(), IsOkAndHolds(ElementsAre("dangling", "x")));
}

TEST_P(FileSystemTest, RefusesNamesThatAreNotOneComponent) {
  for (const absl::string_view name : {"", ".", "..", "a/b", "/etc", "a/"}) {
    const auto refused = HasCode(absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(root().CreateFile(name, "", Mine(0600)), refused) << name;
    EXPECT_THAT(root().ReadFile(name, 10), refused) << name;
    EXPECT_THAT(root().OpenDirectory(name), refused) << name;
    EXPECT_THAT(root().MakeDirectory(name, Mine(0700)), refused) << name;
    EXPECT_THAT(root().MakeLink(name, "x"), refused) << name;
    EXPECT_THAT(root().Stat(name), refused) << name;
    EXPECT_THAT(root().Rename("x", name), refused) << name;
    EXPECT_THAT(root().Rename(name, "x"), refused) << name;
    EXPECT_THAT(root().Remove(name), refused) << name;
    EXPECT_THAT(root().RemoveDirectory(name), refused) << name;
  }
  EXPECT_THAT(CheckFileName(std::string("a\0b", 3)), HasCode(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(CheckFileName(std::string(256, 'a')), HasCode(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(CheckFileName(std::string(255, 'a')), IsOk());
}

TEST_P(FileSystemTest, SaysThatSomethingIsAbsent) {
  const auto absent = HasCode(absl::StatusCode::kNotFound);
  EXPECT_THAT(root().ReadFile("x", 10), absent);
  EXPECT_THAT(root().OverwriteFile("x", "y"), absent);
  EXPECT_THAT(root().OpenDirectory("x"), absent);
  EXPECT_THAT(root().ReadLink("x"), absent);
  EXPECT_THAT(root().Stat("x"), absent);
  EXPECT_THAT(root().Rename("x", "y"), absent);
  EXPECT_THAT(root().Remove("x"), absent);
  EXPECT_THAT(root().RemoveDirectory("x"), absent);
  EXPECT_THAT(files().OpenDirectory(path() + "/x"), absent);
}

TEST_P(FileSystemTest, NamesTheWholePathInErrors) {
  EXPECT_THAT(root().ReadFile("missing", 10), HasReason(Reason::STORAGE_FAILED, HasSubstr(path() + "/missing")));
}

TEST_P(FileSystemTest, ReadsNoMoreThanTheLimit) {
  ASSERT_THAT(root().CreateFile("x", "12345", Mine(0600)), IsOk());
  EXPECT_THAT(root().ReadFile("x", 4), HasReason(Reason::MALFORMED, HasSubstr(path() + "/x")));
  EXPECT_THAT(root().ReadFile("x", 5), IsOkAndHolds("12345"));
}

TEST_P(FileSystemTest, ReadsTheStartOfAFile) {
  ASSERT_THAT(root().CreateFile("x", "12345", Mine(0600)), IsOk());
  EXPECT_THAT(root().ReadStart("x", 3, 5), IsOkAndHolds("123"));
  EXPECT_THAT(root().ReadStart("x", 0, 5), IsOkAndHolds(""));
  EXPECT_THAT(root().ReadStart("x", 9, 5), IsOkAndHolds("12345"));
  EXPECT_THAT(root().ReadStart("x", 3, 4), HasReason(Reason::MALFORMED, HasSubstr(path() + "/x")));
  EXPECT_THAT(root().ReadStart("y", 3, 5), HasCode(absl::StatusCode::kNotFound));
}

TEST_P(FileSystemTest, OverwritesInPlace) {
  ASSERT_THAT(root().CreateFile("x", "abcdef", Mine(0640)), IsOk());
  EXPECT_THAT(root().OverwriteFile("x", "XY"), IsOk());
  EXPECT_THAT(root().ReadFile("x", 10), IsOkAndHolds("XYcdef"));
  EXPECT_THAT(root().OverwriteFile("x", "1234567"), HasReason(Reason::STORAGE_FAILED));
  EXPECT_THAT(root().ReadFile("x", 10), IsOkAndHolds("XYcdef"));
  EXPECT_EQ(root().Stat("x")->attributes, Mine(0640));
}

TEST_P(FileSystemTest, NeverFollowsALinkByName) {
  ASSERT_THAT(root().MakeDirectory("d", Mine(0700)), IsOk());
  ASSERT_THAT(root().CreateFile("x", "secret", Mine(0600)), IsOk());
  ASSERT_THAT(root().MakeLink("to-x", "x"), IsOk());
  ASSERT_THAT(root().MakeLink("to-d", "d"), IsOk());
  EXPECT_THAT(root().ReadFile("to-x", 10), HasReason(Reason::PERMISSION_DENIED, HasSubstr("symbolic link")));
  EXPECT_THAT(root().OverwriteFile("to-x", "y"), HasReason(Reason::PERMISSION_DENIED, HasSubstr("symbolic link")));
  EXPECT_THAT(root().OpenDirectory("to-d"), HasReason(Reason::PERMISSION_DENIED, HasSubstr("symbolic link")));
  EXPECT_EQ(root().Stat("to-x")->kind, FileInfo::Kind::kLink);
  EXPECT_THAT(root().ReadFile("x", 10), IsOkAndHolds("secret"));
}

TEST_P(FileSystemTest, ReadsOnlyRegularFiles) {
  ASSERT_THAT(root().MakeDirectory("d", Mine(0700)), IsOk());
  EXPECT_THAT(root().ReadFile("d", 10), HasReason(Reason::STORAGE_FAILED, HasSubstr("not a regular file")));
  ASSERT_THAT(root().CreateFile("x", "", Mine(0600)), IsOk());
  EXPECT_THAT(root().OpenDirectory("x"), HasReason(Reason::STORAGE_FAILED));
  EXPECT_THAT(root().ReadLink("x"), HasReason(Reason::STORAGE_FAILED));
}

TEST_P(FileSystemTest, KeepsLinks) {
  ASSERT_THAT(root().MakeLink("l", "../a/b"), IsOk());
  EXPECT_THAT(root().ReadLink("l"), IsOkAndHolds("../a/b"));
}

TEST_P(FileSystemTest, RenameReplaces) {
  ASSERT_THAT(root().CreateFile("new", "new", Mine(0600)), IsOk());
  ASSERT_THAT(root().CreateFile("old", "old", Mine(0600)), IsOk());
  ASSERT_THAT(root().Rename("new", "old"), IsOk());
  EXPECT_THAT(root().ReadFile("old", 10), IsOkAndHolds("new"));
  EXPECT_THAT(root().List(), IsOkAndHolds(ElementsAre("old")));
}

TEST_P(FileSystemTest, RenameReplacesOnlyItsOwnKind) {
  ASSERT_THAT(root().CreateFile("file", "", Mine(0600)), IsOk());
  ASSERT_THAT(root().MakeDirectory("empty", Mine(0700)), IsOk());
  ASSERT_THAT(root().MakeDirectory("full", Mine(0700)), IsOk());
  ASSERT_THAT((*root().OpenDirectory("full"))->CreateFile("x", "", Mine(0600)), IsOk());
  EXPECT_FALSE(root().Rename("file", "empty").ok());
  EXPECT_FALSE(root().Rename("empty", "file").ok());
  EXPECT_FALSE(root().Rename("empty", "full").ok());
  EXPECT_THAT(root().Rename("full", "empty"), IsOk());
  EXPECT_THAT(root().List(), IsOkAndHolds(ElementsAre("empty", "file")));
}

TEST_P(FileSystemTest, RemovesFilesLinksAndEmptyDirectories) {
  ASSERT_THAT(root().CreateFile("x", "", Mine(0600)), IsOk());
  ASSERT_THAT(root().MakeLink("l", "x"), IsOk());
  ASSERT_THAT(root().MakeDirectory("d", Mine(0700)), IsOk());
  ASSERT_THAT((*root().OpenDirectory("d"))->CreateFile("x", "", Mine(0600)), IsOk());
  EXPECT_FALSE(root().Remove("d").ok());
  EXPECT_FALSE(root().RemoveDirectory("d").ok());
  EXPECT_FALSE(root().RemoveDirectory("x").ok());
  EXPECT_FALSE(root().RemoveDirectory("l").ok());
  EXPECT_THAT((*root().OpenDirectory("d"))->Remove("x"), IsOk());
  EXPECT_THAT(root().RemoveDirectory("d"), IsOk());
  EXPECT_THAT(root().Remove("l"), IsOk());
  EXPECT_THAT(root().List(), IsOkAndHolds(ElementsAre("x")));
}

TEST_P(FileSystemTest, ADirectoryThatIsGoneTakesNothing) {
  ASSERT_THAT(root().MakeDirectory("d", Mine(0700)), IsOk());
  const auto open = *root().OpenDirectory("d");
  ASSERT_THAT(root().RemoveDirectory("d"), IsOk());
  EXPECT_THAT(open->CreateFile("x", "", Mine(0600)), HasCode(absl::StatusCode::kNotFound));
  EXPECT_THAT(open->List(), IsOkAndHolds(IsEmpty()));
}

TEST_P(FileSystemTest, ListsSorted) {
  for (const absl::string_view name : {"c", "a", ".b"}) ASSERT_THAT(root().CreateFile(name, "", Mine(0600)), IsOk());
  EXPECT_THAT(root().List(), IsOkAndHolds(ElementsAre(".b", "a", "c")));
}

TEST_P(FileSystemTest, KnowsItself) {
  EXPECT_EQ(root().path(), path());
  EXPECT_EQ(root().StatSelf()->kind, FileInfo::Kind::kDirectory);
  EXPECT_EQ(root().StatSelf()->attributes, Mine(0700));
  EXPECT_GT(*root().FreeBytes(), 0u);
  EXPECT_THAT(root().Sync(), IsOk());
}

TEST_P(FileSystemTest, OpensOnlyAbsolutePaths) {
  EXPECT_THAT(files().OpenDirectory("relative"), HasCode(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(files().OpenDirectory(""), HasCode(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(files().OpenDirectory("/"), IsOk());
  EXPECT_THAT(files().OpenDirectory(absl::StrCat("/", path(), "/./")), IsOk());
}

TEST_P(FileSystemTest, AFileOnTheWayIsNotADirectory) {
  ASSERT_THAT(root().CreateFile("x", "", Mine(0600)), IsOk());
  EXPECT_THAT(files().OpenDirectory(path() + "/x/y"), HasReason(Reason::STORAGE_FAILED));
}

TEST_P(FileSystemTest, FollowsItsOwnUsersLinksOnTheWay) {
  ASSERT_THAT(root().MakeDirectory("a", Mine(0700)), IsOk());
  const auto a = *root().OpenDirectory("a");
  ASSERT_THAT(a->MakeDirectory("b", Mine(0700)), IsOk());
  ASSERT_THAT((*a->OpenDirectory("b"))->CreateFile("x", "found", Mine(0600)), IsOk());
  ASSERT_THAT(root().MakeLink("relative", "a/../a/b"), IsOk());
  ASSERT_THAT(root().MakeLink("absolute", path() + "/a"), IsOk());
  ASSERT_THAT(a->MakeLink("up", "../relative"), IsOk());
  for (const absl::string_view way : {"/relative", "/absolute/b", "/a/up", "/absolute/up", "/a/b/../up"}) {
    const auto directory = files().OpenDirectory(path() + std::string(way));
    ASSERT_THAT(directory, IsOk()) << way;
    EXPECT_THAT((*directory)->ReadFile("x", 10), IsOkAndHolds("found")) << way;
  }
}

TEST_P(FileSystemTest, EndsACircleOfLinks) {
  ASSERT_THAT(root().MakeLink("a", "b"), IsOk());
  ASSERT_THAT(root().MakeLink("b", "a"), IsOk());
  EXPECT_THAT(files().OpenDirectory(path() + "/a"), HasReason(Reason::STORAGE_FAILED));
}

TEST_P(FileSystemTest, ReadWholeFileFollowsTheLastLinkToo) {
  ASSERT_THAT(root().MakeDirectory("archive", Mine(0700)), IsOk());
  ASSERT_THAT((*root().OpenDirectory("archive"))->CreateFile("chain1.pem", "pem", Mine(0600)), IsOk());
  ASSERT_THAT(root().MakeDirectory("live", Mine(0700)), IsOk());
  ASSERT_THAT((*root().OpenDirectory("live"))->MakeLink("chain.pem", "../archive/chain1.pem"), IsOk());
  EXPECT_THAT(ReadWholeFile(files(), path() + "/live/chain.pem", 10), IsOkAndHolds("pem"));
  ASSERT_THAT(root().MakeLink("circle", "circle"), IsOk());
  EXPECT_THAT(ReadWholeFile(files(), path() + "/circle", 10), HasReason(Reason::STORAGE_FAILED, HasSubstr("circle")));
  EXPECT_THAT(ReadWholeFile(files(), path() + "/absent", 10), HasCode(absl::StatusCode::kNotFound));
}

// The real one's, for what a test can't do through FileSystem.
class RealFileSystemTest : public ::testing::Test {
 protected:
  Fixture fixture_ = OnDisk();
  std::unique_ptr<Directory> root_ = *fixture_.files->OpenDirectory(fixture_.root);
};

TEST_F(RealFileSystemTest, RefusesAnotherUsersLinkOnTheWay) {
  ASSERT_EQ(geteuid(), 0u) << "only root can plant one";
  ASSERT_EQ(symlink("/etc", (fixture_.root + "/planted").c_str()), 0);
  ASSERT_EQ(lchown((fixture_.root + "/planted").c_str(), 12345, 12345), 0);
  EXPECT_THAT(fixture_.files->OpenDirectory(fixture_.root + "/planted"),
              HasReason(Reason::PERMISSION_DENIED, HasSubstr("user 12345")));
  EXPECT_THAT(ReadWholeFile(*fixture_.files, fixture_.root + "/planted/passwd", 1 << 20),
              HasReason(Reason::PERMISSION_DENIED));
}

TEST_F(RealFileSystemTest, RefusesALinkInAnotherUsersDirectory) {
  ASSERT_EQ(geteuid(), 0u) << "only root can give one away";
  const std::string theirs = fixture_.root + "/theirs";
  ASSERT_EQ(mkdir(theirs.c_str(), 0777), 0);
  ASSERT_EQ(symlink("/etc", (theirs + "/link").c_str()), 0);
  ASSERT_EQ(symlink("/etc/passwd", (theirs + "/file").c_str()), 0);
  ASSERT_EQ(chown(theirs.c_str(), 12345, 12345), 0);
  EXPECT_THAT(fixture_.files->OpenDirectory(theirs + "/link"),
              HasReason(Reason::PERMISSION_DENIED, HasSubstr("user 12345")));
  EXPECT_THAT(ReadWholeFile(*fixture_.files, theirs + "/file", 1 << 20), HasReason(Reason::PERMISSION_DENIED));
}

TEST_F(RealFileSystemTest, DoesNotWaitForTheOtherEndOfAPipe) {
  ASSERT_EQ(mkfifo((fixture_.root + "/pipe").c_str(), 0600), 0);
  EXPECT_THAT(root_->ReadFile("pipe", 10), HasReason(Reason::STORAGE_FAILED, HasSubstr("not a regular file")));
  EXPECT_THAT(root_->OverwriteFile("pipe", ""), HasReason(Reason::STORAGE_FAILED));
}

TEST_F(RealFileSystemTest, LeavesNoDescriptorOpen) {
  const auto count = [] { return FileSystem::Real().OpenDirectory("/proc/self/fd").value()->List()->size(); };
  ASSERT_THAT(root_->MakeDirectory("d", Mine(0700)), IsOk());
  const size_t before = count();
  ASSERT_THAT(root_->CreateFile("x", "", Mine(0600)), IsOk());
  ASSERT_THAT(root_->ReadFile("x", 1), IsOk());
  ASSERT_FALSE(root_->ReadFile("d", 1).ok());
  ASSERT_THAT(root_->OpenDirectory("d"), IsOk());
  ASSERT_THAT(root_->List(), IsOk());
  ASSERT_FALSE(fixture_.files->OpenDirectory(fixture_.root + "/x").ok());
  EXPECT_EQ(count(), before);
}

TEST_F(RealFileSystemTest, SaysWhyAnOrdinaryUserMayNot) {
  // Root may: be somebody else for as long as that takes.
  constexpr uid_t kNobody = 65534;
  const bool root = geteuid() == 0;
  if (root) {
    ASSERT_EQ(chown(fixture_.root.c_str(), kNobody, kNobody), 0);
    ASSERT_EQ(seteuid(kNobody), 0);
  }
  const absl::Status refused = root_->CreateFile("x", "", {.mode = 0600, .owner = 0, .group = 0});
  if (root) {
    ASSERT_EQ(seteuid(0), 0);
  }
  EXPECT_THAT(refused, HasReason(Reason::PERMISSION_DENIED));
  EXPECT_THAT(FailureOf(refused).hint(), HasSubstr("only root"));
}

}  // namespace
}  // namespace certcast
