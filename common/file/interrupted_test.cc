// The machine's file system where signals interrupt its system calls, and where they do only a part of what is asked.
// This program has its own versions of them, which stand before libc's, and do so before they make the call.
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdarg>
#include <map>
#include <memory>
#include <string>

#include "common/file/atomic.h"
#include "common/file/file_system.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temporary_directory.h"

namespace {

// What the calls below do: each is interrupted this often before it is made.
int interruptions = 0;
// And read and pwrite take at most so many bytes at once.
size_t at_most = SIZE_MAX;
int left = 0;
std::map<std::string, int>* interrupted = nullptr;

bool IsInterrupted(const char* call) {
  if (interrupted == nullptr) return false;
  if (left == 0) {
    left = interruptions;
    return false;
  }
  --left;
  ++(*interrupted)[call];
  errno = EINTR;
  return true;
}

}  // namespace

extern "C" {

int openat(int directory, const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  if (IsInterrupted("openat")) return -1;
  return static_cast<int>(syscall(SYS_openat, directory, path, flags, mode));
}

ssize_t pwrite(int fd, const void* bytes, size_t size, off_t offset) {
  if (IsInterrupted("pwrite")) return -1;
  return syscall(SYS_pwrite64, fd, bytes, std::min(size, at_most), offset);
}

ssize_t read(int fd, void* bytes, size_t size) {
  if (IsInterrupted("read")) return -1;
  return syscall(SYS_read, fd, bytes, std::min(size, at_most));
}

int fsync(int fd) {
  if (IsInterrupted("fsync")) return -1;
  return static_cast<int>(syscall(SYS_fsync, fd));
}

int fdatasync(int fd) {
  if (IsInterrupted("fdatasync")) return -1;
  return static_cast<int>(syscall(SYS_fdatasync, fd));
}

int fchmod(int fd, mode_t mode) noexcept {
  if (IsInterrupted("fchmod")) return -1;
  return static_cast<int>(syscall(SYS_fchmod, fd, mode));
}

int mkdirat(int directory, const char* path, mode_t mode) noexcept {
  if (IsInterrupted("mkdirat")) return -1;
  return static_cast<int>(syscall(SYS_mkdirat, directory, path, mode));
}

int renameat(int old_directory, const char* old_path, int new_directory, const char* new_path) noexcept {
  if (IsInterrupted("renameat")) return -1;
  return static_cast<int>(syscall(SYS_renameat, old_directory, old_path, new_directory, new_path));
}

int symlinkat(const char* target, int directory, const char* path) noexcept {
  if (IsInterrupted("symlinkat")) return -1;
  return static_cast<int>(syscall(SYS_symlinkat, target, directory, path));
}

int unlinkat(int directory, const char* path, int flags) noexcept {
  if (IsInterrupted("unlinkat")) return -1;
  return static_cast<int>(syscall(SYS_unlinkat, directory, path, flags));
}

ssize_t readlinkat(int directory, const char* path, char* target, size_t size) noexcept {
  if (IsInterrupted("readlinkat")) return -1;
  return syscall(SYS_readlinkat, directory, path, target, size);
}

}  // extern "C"

namespace certcast {
namespace {

using ::certcast::testing::HasReason;
using ::certcast::testing::IsOk;
using ::certcast::testing::IsOkAndHolds;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::Gt;
using ::testing::HasSubstr;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

FileAttributes Mine(mode_t mode) {
  return {.mode = mode, .owner = geteuid(), .group = getegid()};
}

class InterruptedTest : public ::testing::Test {
 protected:
  ~InterruptedTest() override {
    interrupted = nullptr;
    at_most = SIZE_MAX;
  }

  void Interrupt(int times) {
    interruptions = times;
    left = times;
    interrupted = &calls_;
  }

  testing::TemporaryDirectory temporary_;
  std::map<std::string, int> calls_;
};

TEST_F(InterruptedTest, EveryCallIsMadeAgain) {
  Interrupt(3);
  auto opened = FileSystem::Real().OpenDirectory(temporary_.path());
  ASSERT_THAT(opened, IsOk());
  Directory& directory = **opened;
  const std::string bytes(100000, 'k');
  EXPECT_THAT(directory.MakeDirectory("made", Mine(0750)), IsOk());
  EXPECT_EQ(directory.Stat("made")->attributes, Mine(0750));
  EXPECT_THAT(ReplaceFile(directory, "file", bytes, Mine(0640)), IsOk());
  EXPECT_THAT(directory.ReadFile("file", bytes.size()), IsOkAndHolds(bytes));
  EXPECT_THAT(directory.OverwriteFile("file", "over"), IsOk());
  EXPECT_THAT(ReplaceLink(directory, "link", "file"), IsOk());
  EXPECT_THAT(directory.ReadLink("link"), IsOkAndHolds(std::string("file")));
  EXPECT_THAT(FileSystem::Real().OpenDirectory(temporary_.path() + "/made/../made"), IsOk());
  EXPECT_THAT(directory.RemoveDirectory("made"), IsOk());
  EXPECT_THAT(directory.Remove("link"), IsOk());
  EXPECT_THAT(directory.List(), IsOkAndHolds(ElementsAre("file")));
  interrupted = nullptr;
  // Each of them was interrupted.
  EXPECT_THAT(calls_, UnorderedElementsAre(Pair("openat", Gt(2)), Pair("pwrite", Gt(2)), Pair("read", Gt(2)),
                                           Pair("fsync", Gt(2)), Pair("fdatasync", 3), Pair("fchmod", Gt(2)),
                                           Pair("mkdirat", 3), Pair("renameat", 6), Pair("symlinkat", 3),
                                           Pair("unlinkat", 6), Pair("readlinkat", 3)));
}

TEST_F(InterruptedTest, ShortWritesAndReadsAreCompleted) {
  auto directory = FileSystem::Real().OpenDirectory(temporary_.path());
  ASSERT_THAT(directory, IsOk());
  std::string bytes;
  for (int i = 0; i < 5000; ++i) bytes += static_cast<char>(i);
  for (const size_t size : {1, 7, 512, 4999}) {
    at_most = size;
    Interrupt(1);
    EXPECT_THAT(ReplaceFile(**directory, "file", bytes, Mine(0600)), IsOk());
    EXPECT_THAT((*directory)->ReadFile("file", bytes.size()), IsOkAndHolds(bytes));
    EXPECT_EQ((*directory)->ReadSecret("file", bytes.size())->ExposeSecret(), bytes);
    EXPECT_THAT((*directory)->OverwriteFile("file", bytes.substr(1)), IsOk());
    EXPECT_THAT((*directory)->ReadFile("file", bytes.size()), IsOkAndHolds(bytes.substr(1) + bytes.back()));
    interrupted = nullptr;
  }
}

// The kernel's own short write: it takes what is allowed, and refuses the rest.
TEST_F(InterruptedTest, AWriteThatTheKernelCutsOffFailsAndLeavesTheOldFile) {
  auto directory = FileSystem::Real().OpenDirectory(temporary_.path());
  ASSERT_THAT(directory, IsOk());
  ASSERT_THAT(ReplaceFile(**directory, "file", "old", Mine(0600)), IsOk());
  rlimit before = {};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  rlimit small = before;
  small.rlim_cur = 1000;
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  const absl::Status written = ReplaceFile(**directory, "file", std::string(5000, 'n'), Mine(0600));
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  EXPECT_THAT(written, HasReason(Reason::STORAGE_FAILED, AllOf(HasSubstr(temporary_.path()), HasSubstr("too large"))));
  EXPECT_THAT((*directory)->List(), IsOkAndHolds(ElementsAre("file")));
  EXPECT_THAT((*directory)->ReadFile("file", 10), IsOkAndHolds(std::string("old")));
}

}  // namespace
}  // namespace certcast
