// What is particular to the store in SQLite: its files, and what it refuses.
#include "controller/store/sqlite_store.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "common/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/memory_file_system.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temporary_directory.h"

namespace certcast::controller {
namespace {

using ::certcast::testing::HasCode;
using ::certcast::testing::HasReason;
using ::certcast::testing::IsOk;
using ::testing::AllOf;
using ::testing::HasSubstr;

Transaction Put(const std::string& key, const std::string& value) {
  Transaction transaction;
  transaction.writes.push_back({key, value});
  return transaction;
}

mode_t ModeOf(const std::string& path) {
  struct stat info = {};
  EXPECT_EQ(stat(path.c_str(), &info), 0) << path;
  return info.st_mode & 07777;
}

class SqliteStoreTest : public ::testing::Test {
 protected:
  absl::StatusOr<std::unique_ptr<SqliteStore>> Make() { return SqliteStore::Open(state_, {.make = true}); }
  absl::StatusOr<std::unique_ptr<SqliteStore>> Open() { return SqliteStore::Open(state_); }

  // As another program would, while nobody else has it open.
  void RunSql(const std::string& sql) {
    sqlite3* database = nullptr;
    ASSERT_EQ(sqlite3_open(file_.c_str(), &database), SQLITE_OK);
    char* error = nullptr;
    EXPECT_EQ(sqlite3_exec(database, sql.c_str(), nullptr, nullptr, &error), SQLITE_OK) << error;
    sqlite3_close(database);
  }

  certcast::testing::TemporaryDirectory directory_;
  const std::string state_ = directory_.path() + "/state";
  const std::string file_ = state_ + "/certcast.db";
};

TEST_F(SqliteStoreTest, MakesItsFilesForItsOwnerAlone) {
  const mode_t before = umask(0);
  const auto store = Make();
  ASSERT_THAT(store, IsOk());
  ASSERT_THAT((*store)->Commit(Put("a", "1")), IsOk());
  const auto lease = (*store)->TakeLease("certcast apply");
  ASSERT_THAT(lease, IsOk());
  umask(before);
  EXPECT_EQ(ModeOf(state_), 0700u);
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(state_)) {
    EXPECT_EQ(ModeOf(entry.path()), 0600u) << entry.path();
    ++files;
  }
  EXPECT_EQ(files, 4) << "certcast.db, its -wal and -shm, and lock";
}

TEST_F(SqliteStoreTest, KeepsWhatWasCommittedAcrossProcesses) {
  int64_t revision = 0;
  uint64_t epoch = 0;
  {
    const auto store = Make();
    ASSERT_THAT(store, IsOk());
    revision = *(*store)->Commit(Put("a", "1"));
    epoch = (*(*store)->TakeLease("certcast apply"))->epoch();
  }
  const auto store = Open();
  ASSERT_THAT(store, IsOk());
  EXPECT_EQ((*store)->Get("a")->value, "1");
  EXPECT_GT(*(*store)->Commit(Put("a", "2")), revision);
  EXPECT_GT((*(*store)->TakeLease("certcast apply"))->epoch(), epoch);
}

TEST_F(SqliteStoreTest, MakingItAgainChangesNothing) {
  ASSERT_THAT((*Make())->Commit(Put("a", "1")), IsOk());
  const auto store = Make();
  ASSERT_THAT(store, IsOk());
  EXPECT_EQ((*store)->Get("a")->value, "1");
}

TEST_F(SqliteStoreTest, WithoutInitItSaysSo) {
  const auto no_directory = Open();
  EXPECT_THAT(no_directory, HasCode(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(FailureOf(no_directory.status()).detail(), HasSubstr(state_));
  EXPECT_THAT(FailureOf(no_directory.status()).hint(), HasSubstr("certcast init"));
  EXPECT_FALSE(std::filesystem::exists(state_));

  std::filesystem::create_directory(state_);
  const auto no_database = Open();
  EXPECT_THAT(no_database, HasCode(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(FailureOf(no_database.status()).hint(), HasSubstr("certcast init"));
  EXPECT_FALSE(std::filesystem::exists(file_));
}

TEST_F(SqliteStoreTest, GoesOnWhereInitWasStoppedBeforeTheSchema) {
  std::filesystem::create_directory(state_);
  std::ofstream(file_).flush();
  const auto opened = Open();
  EXPECT_THAT(opened, HasCode(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(FailureOf(opened.status()).hint(), HasSubstr("certcast init"));
  EXPECT_THAT(Make(), IsOk());
}

TEST_F(SqliteStoreTest, RefusesADatabaseOfANewerCertcastAndLeavesItAlone) {
  ASSERT_THAT((*Make())->Commit(Put("a", "1")), IsOk());
  RunSql("PRAGMA user_version = 2");
  EXPECT_THAT(Open(), HasReason(Reason::STORAGE_FAILED, AllOf(HasSubstr("newer certcast"), HasSubstr("schema 2"))));
  EXPECT_THAT(Make(), HasReason(Reason::STORAGE_FAILED, HasSubstr("newer certcast")));
  RunSql("PRAGMA user_version = 1");
  const auto store = Open();
  ASSERT_THAT(store, IsOk());
  EXPECT_EQ((*store)->Get("a")->value, "1");
}

TEST_F(SqliteStoreTest, RefusesAnotherProgramsDatabase) {
  std::filesystem::create_directory(state_);
  RunSql("CREATE TABLE songs (title TEXT)");
  EXPECT_THAT(Make(), HasReason(Reason::STORAGE_FAILED, HasSubstr("another program's")));
}

TEST_F(SqliteStoreTest, RefusesWhatIsNoDatabase) {
  std::filesystem::create_directory(state_);
  std::ofstream(file_) << std::string(10000, 'x');
  const auto store = Open();
  EXPECT_THAT(store, HasReason(Reason::STORAGE_FAILED, AllOf(HasSubstr(file_), HasSubstr("not a SQLite database"))));
  EXPECT_THAT(FailureOf(store.status()).hint(), HasSubstr("backup"));
}

TEST_F(SqliteStoreTest, RefusesADamagedDatabase) {
  {
    const auto store = Make();
    ASSERT_THAT(store, IsOk());
    for (int i = 0; i < 200; ++i) {
      ASSERT_THAT((*store)->Commit(Put(absl::StrCat("key/", i), std::string(500, 'x'))), IsOk());
    }
  }
  // The header stays; pages behind it are overwritten.
  std::fstream file(file_, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(12288);
  file << std::string(16384, '\x5a');
  file.close();
  const auto store = Open();
  EXPECT_THAT(store, HasReason(Reason::STORAGE_FAILED, AllOf(HasSubstr(file_), HasSubstr("damaged"))));
  EXPECT_THAT(FailureOf(store.status()).hint(), HasSubstr("backup"));
}

TEST_F(SqliteStoreTest, AFullDatabaseIsNoSpaceAndLosesNothing) {
  const auto store = SqliteStore::Open(state_, {.make = true, .max_bytes = 262144});
  ASSERT_THAT(store, IsOk());
  absl::Status status;
  int written = 0;
  while ((status = (*store)->Commit(Put(absl::StrCat("key/", written), std::string(10000, 'x'))).status()).ok()) {
    ASSERT_LT(++written, 1000);
  }
  EXPECT_THAT(status, HasReason(Reason::NO_SPACE, HasSubstr(file_)));
  EXPECT_GT(written, 5);
  EXPECT_EQ((*store)->List("key/")->size(), static_cast<size_t>(written));
  // Room is made, and it goes on.
  Transaction remove;
  for (int i = 0; i < written; ++i) remove.writes.push_back({absl::StrCat("key/", i), std::nullopt});
  EXPECT_THAT((*store)->Commit(remove), IsOk());
  EXPECT_THAT((*store)->Commit(Put("key/again", std::string(10000, 'x'))), IsOk());
}

TEST_F(SqliteStoreTest, RefusesADirectoryThatOthersCanWriteTo) {
  ASSERT_THAT(Make(), IsOk());
  for (const mode_t mode : {0720, 0702, 0777}) {
    ASSERT_EQ(chmod(state_.c_str(), mode), 0);
    const auto store = Open();
    EXPECT_THAT(store, HasReason(Reason::PERMISSION_DENIED, HasSubstr(state_)));
    EXPECT_THAT(FailureOf(store.status()).hint(), HasSubstr("chmod 0700"));
  }
  ASSERT_EQ(chmod(state_.c_str(), 0755), 0);
  EXPECT_THAT(Open(), IsOk());
}

TEST_F(SqliteStoreTest, RefusesADirectoryOfAnotherUser) {
  certcast::testing::MemoryFileSystem files;
  files.PutDirectory(state_, {0700, 65534, 65534});
  EXPECT_THAT(SqliteStore::Open(state_, {.make = true, .files = &files}),
              HasReason(Reason::PERMISSION_DENIED, HasSubstr("belongs to user 65534")));
}

TEST_F(SqliteStoreTest, RefusesALinkInTheDatabasesPlace) {
  std::filesystem::create_directory(state_);
  const std::string elsewhere = directory_.path() + "/elsewhere.db";
  std::ofstream(elsewhere).flush();
  std::filesystem::create_symlink(elsewhere, file_);
  EXPECT_THAT(Make(), HasReason(Reason::STORAGE_FAILED, HasSubstr("not a regular file")));
}

TEST_F(SqliteStoreTest, RefusesALinkInTheLocksPlace) {
  const auto store = Make();
  ASSERT_THAT(store, IsOk());
  const std::string elsewhere = directory_.path() + "/elsewhere";
  std::ofstream(elsewhere) << "precious";
  std::filesystem::create_symlink(elsewhere, state_ + "/lock");
  EXPECT_THAT((*store)->TakeLease("certcast apply"), HasReason(Reason::STORAGE_FAILED, HasSubstr("/lock")));
  EXPECT_EQ(std::filesystem::file_size(elsewhere), 8u);
}

TEST_F(SqliteStoreTest, FollowsAnAdministratorsLinkToTheDirectory) {
  ASSERT_THAT(Make(), IsOk());
  const std::string link = directory_.path() + "/link";
  std::filesystem::create_directory_symlink(state_, link);
  EXPECT_THAT(SqliteStore::Open(link), IsOk());
}

TEST_F(SqliteStoreTest, TheHolderIsNamedOnOneLine) {
  certcast::testing::FakeClock clock;
  const auto store = SqliteStore::Open(state_, {.make = true, .clock = &clock});
  ASSERT_THAT(store, IsOk());
  const auto lease = (*store)->TakeLease("certcast apply\nwildcard");
  ASSERT_THAT(lease, IsOk());
  EXPECT_THAT((*store)->TakeLease("certcast issue"),
              HasReason(Reason::BUSY, HasSubstr(absl::StrCat("in use by certcast apply\\nwildcard (process ", getpid(),
                                                             ") since 2030-01-01T00:00:00+00:00"))));
}

TEST_F(SqliteStoreTest, AProgramThatIsRunDoesNotInheritTheLease) {
  const auto store = Make();
  ASSERT_THAT(store, IsOk());
  const auto lease = (*store)->TakeLease("certcast apply");
  ASSERT_THAT(lease, IsOk());
  int checked = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code gone;
    const std::string target = std::filesystem::read_symlink(entry.path(), gone);
    if (gone || target.find(state_) != 0) continue;
    EXPECT_NE(fcntl(std::stoi(entry.path().filename()), F_GETFD) & FD_CLOEXEC, 0) << target;
    ++checked;
  }
  EXPECT_GE(checked, 2) << "the lock and the database at least";
}

}  // namespace
}  // namespace certcast::controller
