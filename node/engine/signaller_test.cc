// With a real process, which is a shell that writes down the signals it gets.
#include "node/engine/signaller.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/program.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temporary_directory.h"

namespace certcast::node {
namespace {

using testing::HasReason;
using ::testing::HasSubstr;
using testing::IsOk;
using testing::Program;

class SignallerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto started =
        Program::Start({.argv = {"/bin/sh", "-c",
                                 absl::StrCat("trap 'echo HUP >>", log, "' HUP; trap 'echo USR2 >>", log,
                                              "' USR2; echo ready >", log, "; while :; do sleep 0.05; done")}});
    ASSERT_THAT(started, IsOk());
    server = *std::move(started);
    ASSERT_THAT(testing::WaitUntil("the server is ready", absl::Seconds(10),
                                   [&] { return testing::ReadFile(log) == "ready\n"; }),
                IsOk());
    WritePid(absl::StrCat(server->pid(), "\n"));
  }

  void WritePid(const std::string& text, int mode = 0644) {
    ASSERT_THAT(testing::WriteFile(pid_file, text, mode), IsOk());
  }
  absl::Status Signal(int signal) { return Signaller::Real().Signal(pid_file, signal); }
  std::string RefusalOf(const std::string& text) {
    WritePid(text);
    const absl::Status refused = Signal(SIGHUP);
    EXPECT_THAT(refused, HasReason(Reason::RELOAD_FAILED));
    return std::string(refused.message());
  }

  const testing::TemporaryDirectory directory;
  const std::string log = directory.path() + "/log";
  const std::string pid_file = directory.path() + "/server.pid";
  std::unique_ptr<Program> server;
};

TEST_F(SignallerTest, TheProcessGetsTheSignal) {
  ASSERT_THAT(Signal(SIGHUP), IsOk());
  EXPECT_THAT(testing::WaitUntil("SIGHUP is there", absl::Seconds(10),
                                 [&] { return testing::ReadFile(log) == "ready\nHUP\n"; }),
              IsOk());
  ASSERT_THAT(Signal(SIGUSR2), IsOk());
  EXPECT_THAT(testing::WaitUntil("SIGUSR2 is there", absl::Seconds(10),
                                 [&] { return testing::ReadFile(log) == "ready\nHUP\nUSR2\n"; }),
              IsOk());
  EXPECT_TRUE(server->Running());
}

TEST_F(SignallerTest, ReadsPidFilesAsServersWriteThem) {
  // postfix pads it, PostgreSQL has more lines, some leave the line end out.
  for (const std::string& text :
       {absl::StrCat("   ", server->pid(), "\n"), absl::StrCat(server->pid(), "\n/var/lib/postgresql\n5432\n"),
        absl::StrCat(server->pid())}) {
    WritePid(text);
    EXPECT_THAT(Signal(SIGHUP), IsOk()) << text;
  }
}

TEST_F(SignallerTest, RefusesWhatIsNoServersProcess) {
  EXPECT_THAT(RefusalOf("0\n"), HasSubstr("names process 0, which is no server"));
  EXPECT_THAT(RefusalOf("1\n"), HasSubstr("names process 1, which is no server"));
  EXPECT_THAT(RefusalOf(absl::StrCat(-server->pid(), "\n")), HasSubstr("which is no server"));
  EXPECT_THAT(RefusalOf(absl::StrCat(getpid(), "\n")), HasSubstr("which is certcast-node itself"));
}

TEST_F(SignallerTest, RefusesWhatIsNoPidFile) {
  EXPECT_THAT(RefusalOf(""), HasSubstr("has no process id on its first line"));
  EXPECT_THAT(RefusalOf("\n42\n"), HasSubstr("has no process id on its first line"));
  EXPECT_THAT(RefusalOf("12x\n"), HasSubstr("has no process id on its first line"));
  EXPECT_THAT(RefusalOf("99999999999999\n"), HasSubstr("has no process id on its first line"));
  ASSERT_EQ(unlink(pid_file.c_str()), 0);
  EXPECT_THAT(Signal(SIGHUP).message(), HasSubstr(pid_file));
  ASSERT_EQ(mkdir(pid_file.c_str(), 0700), 0);
  EXPECT_THAT(Signal(SIGHUP).message(), HasSubstr("is not a file"));
}

TEST_F(SignallerTest, RefusesAFileThatOthersWrite) {
  ASSERT_EQ(chmod(pid_file.c_str(), 0664), 0);
  EXPECT_THAT(Signal(SIGHUP).message(), HasSubstr("may be written by others"));
  ASSERT_EQ(chmod(pid_file.c_str(), 0646), 0);
  EXPECT_THAT(Signal(SIGHUP).message(), HasSubstr("may be written by others"));
}

TEST_F(SignallerTest, AProcessThatEndedIsSaidToBeGone) {
  server->Kill();
  const absl::Status refused = Signal(SIGHUP);
  EXPECT_THAT(refused, HasReason(Reason::RELOAD_FAILED));
  EXPECT_THAT(refused.message(), HasSubstr("is not there"));
}

TEST_F(SignallerTest, AProcessThatNobodyWaitedForCountsAsEnded) {
  server->Signal(SIGKILL);
  // Its parent, this test, learns of it with the next call to Running only.
  ASSERT_THAT(
      testing::WaitUntil("the process has ended", absl::Seconds(10),
                         [&] {
                           return testing::ReadFile(absl::StrCat("/proc/", server->pid(), "/stat")).find(") Z ") !=
                                  std::string::npos;
                         }),
      IsOk());
  EXPECT_THAT(Signal(SIGHUP).message(), HasSubstr("has ended"));
}

TEST_F(SignallerTest, AProcessYoungerThanTheFileCameByItsNumberLater) {
  const timespec before = absl::ToTimespec(absl::Now() - absl::Seconds(20));
  const timespec times[] = {before, before};
  ASSERT_EQ(utimensat(AT_FDCWD, pid_file.c_str(), times, 0), 0);
  const absl::Status refused = Signal(SIGHUP);
  EXPECT_THAT(refused, HasReason(Reason::RELOAD_FAILED));
  EXPECT_THAT(refused.message(), HasSubstr("was started after the file was written, so it is another one"));
  EXPECT_EQ(testing::ReadFile(log), "ready\n");
}

}  // namespace
}  // namespace certcast::node
