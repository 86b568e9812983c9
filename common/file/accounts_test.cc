#include "common/file/accounts.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/fake_process_runner.h"
#include "tests/testing/memory_file_system.h"
#include "tests/testing/status_matchers.h"

namespace certcast {
namespace {

using ::certcast::testing::FakeProcessRunner;
using ::certcast::testing::HasCode;
using ::certcast::testing::HasReason;
using ::certcast::testing::IsOkAndHolds;
using ::certcast::testing::MemoryFileSystem;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class AccountsTest : public ::testing::Test {
 protected:
  AccountsTest() {
    files_.PutFile("/etc/passwd",
                   "root:x:0:0:root:/root:/bin/bash\n"
                   "broken\n"
                   "www-data:x:33:34:www-data:/var/www:/usr/sbin/nologin\n"
                   "negative:x:-1:1::/:\n"
                   "all-ones:x:4294967295:1::/:");
    files_.PutFile("/etc/group", "root:x:0:\nssl-cert:x:115:www-data\n");
  }

  MemoryFileSystem files_;
  FakeProcessRunner processes_;
};

TEST_F(AccountsTest, FindsUsersAndGroupsByName) {
  EXPECT_THAT(FindUser(files_, "root", processes_), IsOkAndHolds(0u));
  EXPECT_THAT(FindUser(files_, "www-data", processes_), IsOkAndHolds(33u));
  EXPECT_THAT(FindGroup(files_, "ssl-cert", processes_), IsOkAndHolds(115u));
  EXPECT_THAT(processes_.requests(), IsEmpty());
}

TEST_F(AccountsTest, TakesNumbersAsTheyAre) {
  EXPECT_THAT(FindUser(files_, "12345", processes_), IsOkAndHolds(12345u));
  EXPECT_THAT(FindGroup(files_, "0", processes_), IsOkAndHolds(0u));
}

TEST_F(AccountsTest, NeverGivesTheIdThatMeansNone) {
  for (const absl::string_view name : {"4294967295", "all-ones", "negative", "-1", "99999999999"}) {
    EXPECT_THAT(FindUser(files_, name, processes_), HasCode(absl::StatusCode::kInvalidArgument)) << name;
  }
}

TEST_F(AccountsTest, AsksGetentForWhatTheFilesDoNotHave) {
  processes_.On({"getent", "passwd", "deploy"}, FakeProcessRunner::Exits(0, "", "Deploy:*:70001:70000:::/bin/sh\n"));
  EXPECT_THAT(FindUser(files_, "deploy", processes_), IsOkAndHolds(70001u));
}

TEST_F(AccountsTest, SaysThatThereIsNoSuchAccount) {
  processes_.On({"getent", "group", "nobody-here"}, FakeProcessRunner::Exits(2));
  const auto missing = FindGroup(files_, "nobody-here", processes_);
  EXPECT_THAT(missing, HasCode(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(FailureOf(missing.status()).detail(), HasSubstr("no group \"nobody-here\""));
  EXPECT_THAT(FailureOf(missing.status()).hint(), HasSubstr("getent group"));
}

TEST_F(AccountsTest, SaysTheSameWhereThereIsNoGetent) {
  EXPECT_THAT(FindUser(files_, "nobody-here", processes_), HasCode(absl::StatusCode::kInvalidArgument));
}

TEST_F(AccountsTest, DoesNotTakeSilenceForAnAnswer) {
  processes_.On({"getent", "passwd", "deploy"}, FakeProcessRunner::Hangs());
  EXPECT_THAT(FindUser(files_, "deploy", processes_), HasReason(Reason::TIMED_OUT, HasSubstr("deploy")));
}

TEST_F(AccountsTest, HandsNoOptionToGetent) {
  for (const absl::string_view name : {"", "-s", "a:b", "a b", "a\nb", "../x"}) {
    EXPECT_THAT(FindUser(files_, name, processes_), HasCode(absl::StatusCode::kInvalidArgument)) << name;
  }
  EXPECT_THAT(processes_.requests(), IsEmpty());
}

}  // namespace
}  // namespace certcast
