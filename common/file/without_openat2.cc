// Linked into a test program, this takes openat2 away from all of it, as a kernel before 5.6 does.
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "gtest/gtest.h"
#include "tests/testing/refused_syscall.h"

namespace certcast {
namespace {

[[maybe_unused]] const bool kRefused = [] {
  testing::RefuseSystemCall(SYS_openat2, ENOSYS);
  return true;
}();

TEST(WithoutOpenat2, TheKernelSaysThatItKnowsNoSuchCall) {
  open_how how = {};
  EXPECT_EQ(syscall(SYS_openat2, -1, "/", &how, sizeof how), -1);
  EXPECT_EQ(errno, ENOSYS);
}

}  // namespace
}  // namespace certcast
