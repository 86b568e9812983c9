// Which system calls find a directory, shown by taking them away. The whole of file_system_test.cc runs without openat2
// as well: see BUILD.
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <initializer_list>
#include <string>

#include "common/file/file_system.h"
#include "gtest/gtest.h"
#include "tests/testing/refused_syscall.h"
#include "tests/testing/temporary_directory.h"

namespace certcast {
namespace {

using ::certcast::testing::RefuseSystemCall;

constexpr int kOpened = 0;
constexpr int kNotOpened = 3;

struct Refusal {
  long call;
  int error;
};

// In a child, since a refusal can't be taken back.
[[noreturn]] void OpenWithout(std::initializer_list<Refusal> refusals, const std::string& path) {
  for (const Refusal& refusal : refusals) RefuseSystemCall(refusal.call, refusal.error);
  std::_Exit(FileSystem::Real().OpenDirectory(path).ok() ? kOpened : kNotOpened);
}

class Openat2Test : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(mkdir((path() + "/d").c_str(), 0700), 0);
    ASSERT_EQ(symlink("d", (path() + "/link").c_str()), 0);
  }
  const std::string& path() const { return directory_.path(); }

 private:
  const testing::TemporaryDirectory directory_;
};

TEST_F(Openat2Test, OneCallIsEnoughWhereNoLinkIsOnTheWay) {
  EXPECT_EXIT(OpenWithout({{SYS_openat, EPERM}}, path() + "/d"), ::testing::ExitedWithCode(kOpened), "");
}

TEST_F(Openat2Test, ALinkIsFollowedStepByStepByTheRuleForLinks) {
  EXPECT_EXIT(OpenWithout({{SYS_openat, EPERM}}, path() + "/link"), ::testing::ExitedWithCode(kNotOpened), "");
  EXPECT_EXIT(OpenWithout({}, path() + "/link"), ::testing::ExitedWithCode(kOpened), "");
}

TEST_F(Openat2Test, AKernelWithoutItAndAContainerThatForbidsItAreNoObstacle) {
  for (const int error : {ENOSYS, EPERM}) {
    EXPECT_EXIT(OpenWithout({{SYS_openat2, error}}, path() + "/d"), ::testing::ExitedWithCode(kOpened), "");
    EXPECT_EXIT(OpenWithout({{SYS_openat2, error}}, path() + "/link"), ::testing::ExitedWithCode(kOpened), "");
  }
}

// So that the others show something.
TEST_F(Openat2Test, WithoutBothThereIsNoWay) {
  EXPECT_EXIT(OpenWithout({{SYS_openat2, ENOSYS}, {SYS_openat, EPERM}}, path() + "/d"),
              ::testing::ExitedWithCode(kNotOpened), "");
}

}  // namespace
}  // namespace certcast
