#include "common/process/process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/file/descriptor.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/program.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temporary_directory.h"

namespace certcast {
namespace {

using ::certcast::testing::HasCode;
using ::certcast::testing::HasReason;
using ::certcast::testing::IsOk;
using ::certcast::testing::TemporaryDirectory;
using ::testing::AnyOf;
using ::testing::Each;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

absl::StatusOr<ProcessResult> RunProgram(const ProcessRequest& request) {
  return ProcessRunner::Real().Run(request);
}

ProcessRequest Shell(std::string script) {
  ProcessRequest request;
  request.argv = {"sh", "-c", std::move(script)};
  return request;
}

// Gone, or dead and only not waited for by whoever is its parent now.
bool HasEnded(pid_t pid) {
  std::ifstream stat(absl::StrCat("/proc/", pid, "/stat"));
  std::string line;
  if (!std::getline(stat, line)) return true;
  return line.substr(line.rfind(')') + 2, 1) == "Z";
}

// What was sent SIGKILL is gone once it has had its turn.
bool EndsSoon(pid_t pid) {
  return testing::WaitUntil("it has ended", absl::Seconds(20), [pid] { return HasEnded(pid); }).ok();
}

// To a deadline: enough for a shell to begin on a busy machine.
constexpr absl::Duration kToBegin = absl::Seconds(2);

void End(pid_t daemon) {
  // 0 would be this process and its group.
  if (daemon > 0) kill(daemon, SIGKILL);
}

pid_t PidIn(const std::string& text) {
  pid_t pid = 0;
  EXPECT_TRUE(absl::SimpleAtoi(text, &pid)) << text;
  return pid;
}

TEST(ProcessTest, ReturnsExitCodeAndBothOutputs) {
  const auto result = RunProgram(Shell("echo out; echo err >&2; exit 3"));
  ASSERT_THAT(result, IsOk());
  EXPECT_EQ(result->exit_code, 3);
  EXPECT_EQ(result->output, "out\n");
  EXPECT_EQ(result->error, "err\n");
  EXPECT_FALSE(result->ok());
  EXPECT_EQ(result->Describe(), "exited with 3");
}

TEST(ProcessTest, SaysWhichSignalKilled) {
  const auto result = RunProgram(Shell("kill -9 $$"));
  ASSERT_THAT(result, IsOk());
  EXPECT_EQ(result->exit_code, -1);
  EXPECT_EQ(result->signal, SIGKILL);
  EXPECT_FALSE(result->timed_out);
  EXPECT_EQ(result->Describe(), "was killed by signal 9");
}

TEST(ProcessTest, PassesArgumentsAsTheyAre) {
  ProcessRequest request;
  request.argv = {"printf", "%s|", "a b", "$(id)", "", "*", "`x`;'"};
  EXPECT_EQ(RunProgram(request)->output, "a b|$(id)||*|`x`;'|");
}

TEST(ProcessTest, EndsAtTheDeadline) {
  ProcessRequest request = Shell("echo begun; exec sleep 60");
  request.timeout = kToBegin;
  const auto result = RunProgram(request);
  ASSERT_THAT(result, IsOk());
  EXPECT_TRUE(result->timed_out);
  EXPECT_EQ(result->signal, SIGTERM);
  EXPECT_EQ(result->output, "begun\n");
  EXPECT_GE(result->duration, kToBegin);
  EXPECT_LT(result->duration, absl::Seconds(30));
  EXPECT_EQ(result->Describe(), "did not end within 2s");
}

TEST(ProcessTest, IsNotOkAfterTheDeadlineEvenWhenItExitsWithZero) {
  ProcessRequest request = Shell("trap 'exit 0' TERM; while :; do sleep 0.05; done");
  request.timeout = kToBegin;
  const auto result = RunProgram(request);
  ASSERT_THAT(result, IsOk());
  EXPECT_EQ(result->exit_code, 0);
  EXPECT_FALSE(result->ok());
}

TEST(ProcessTest, KillsWhatIgnoresSigterm) {
  ProcessRequest request = Shell("trap '' TERM; while :; do sleep 0.05; done");
  request.timeout = kToBegin;
  const auto result = RunProgram(request);
  ASSERT_THAT(result, IsOk());
  EXPECT_TRUE(result->timed_out);
  EXPECT_EQ(result->signal, SIGKILL);
}

TEST(ProcessTest, EndsGrandchildrenAtTheDeadline) {
  ProcessRequest request = Shell("(sleep 60 & echo $!; wait) & wait");
  request.timeout = kToBegin;
  const auto result = RunProgram(request);
  ASSERT_THAT(result, IsOk());
  EXPECT_TRUE(result->timed_out);
  EXPECT_TRUE(EndsSoon(PidIn(result->output)));
}

TEST(ProcessTest, AsksGrandchildrenToEndToo) {
  ProcessRequest request = Shell("trap '' TERM; (trap 'echo asked; exit' TERM; while :; do sleep 0.05; done) & wait");
  request.timeout = kToBegin;
  const auto result = RunProgram(request);
  ASSERT_THAT(result, IsOk());
  EXPECT_EQ(result->output, "asked\n");
}

TEST(ProcessTest, EndsWhatWasLeftInTheBackground) {
  const auto result = RunProgram(Shell("sleep 60 >/dev/null 2>&1 </dev/null & echo $!"));
  ASSERT_THAT(result, IsOk());
  EXPECT_TRUE(result->ok());
  EXPECT_TRUE(EndsSoon(PidIn(result->output)));
}

TEST(ProcessTest, DoesNotWaitForWhatHoldsTheOutputOpen) {
  const auto result = RunProgram(Shell("sleep 60 & echo $!"));
  ASSERT_THAT(result, IsOk());
  EXPECT_TRUE(result->ok());
  EXPECT_LT(result->duration, absl::Seconds(30));
  EXPECT_TRUE(EndsSoon(PidIn(result->output)));
}

// What comes after this process begins anew, so nothing of it may go on beside that.
TEST(ProcessTest, WhoIsKilledTakesWhatItRunsWithIt) {
  const TemporaryDirectory directory;
  const std::string pid_file = directory.path() + "/pid";
  ASSERT_EQ(mkfifo((directory.path() + "/never").c_str(), 0600), 0);
  const pid_t caller = fork();
  ASSERT_GE(caller, 0);
  if (caller == 0) {
    RunProgram(Shell(absl::StrCat("cd ", directory.path(), "; echo $$ >new; mv new pid; read line <never")))
        .IgnoreError();
    _exit(0);
  }
  ASSERT_THAT(testing::WaitUntil("it runs", absl::Seconds(20), [&] { return access(pid_file.c_str(), F_OK) == 0; }),
              IsOk());
  const pid_t program = PidIn(testing::ReadFile(pid_file));
  EXPECT_FALSE(HasEnded(program));
  kill(caller, SIGKILL);
  EXPECT_EQ(waitpid(caller, nullptr, 0), caller);
  EXPECT_TRUE(EndsSoon(program));
}

TEST(ProcessTest, LetsADaemonWithASessionOfItsOwnLive) {
  const auto result =
      RunProgram(Shell("setsid sleep 60 & echo $!; while [ \"$(ps -o sid= -p $! | tr -d ' ')\" != $! ]; do :; done"));
  ASSERT_THAT(result, IsOk());
  const pid_t daemon = PidIn(result->output);
  EXPECT_FALSE(HasEnded(daemon));
  EXPECT_LT(result->duration, absl::Seconds(30));
  End(daemon);
}

// As `apachectl graceful` does where apache is not running.
TEST(ProcessTest, LetsADaemonLiveThatComesToItsSessionAfterItsParentsEnd) {
  const auto result =
      RunProgram(Shell("(while kill -0 $$; do :; done; exec setsid sleep 60) >/dev/null 2>&1 </dev/null & echo $!"));
  ASSERT_THAT(result, IsOk());
  EXPECT_TRUE(result->ok());
  const pid_t daemon = PidIn(result->output);
  EXPECT_FALSE(HasEnded(daemon));
  End(daemon);
}

// So does it: `httpd not running, trying to start` is still in its buffer when it forks.
TEST(ProcessTest, ListensToADaemonsLastWords) {
  const auto result = RunProgram(
      Shell("setsid sh -c 'echo $$; while kill -0 $0 2>/dev/null; do :; done; echo started;"
            "exec sleep 60 >/dev/null 2>&1' $$ & while [ \"$(ps -o sid= -p $! | tr -d ' ')\" != $! ]; do :; done"));
  ASSERT_THAT(result, IsOk());
  EXPECT_THAT(result->output, EndsWith("\nstarted\n"));
  const pid_t daemon = PidIn(result->output.substr(0, result->output.find('\n')));
  EXPECT_FALSE(HasEnded(daemon));
  End(daemon);
}

TEST(ProcessTest, WaitsForAProgramThatHasClosedItsOutput) {
  const auto result = RunProgram(Shell("exec >&- 2>&-; sleep 0.1; exit 4"));
  ASSERT_THAT(result, IsOk());
  EXPECT_EQ(result->exit_code, 4);
}

TEST(ProcessTest, KeepsTheEndOfEachOutput) {
  ProcessRequest request = Shell("i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done; echo last >&2");
  request.max_output = 100;
  const auto result = RunProgram(request);
  ASSERT_THAT(result, IsOk());
  EXPECT_EQ(result->output.size(), 100u);
  EXPECT_THAT(result->output, EndsWith("line 19998\nline 19999\n"));
  EXPECT_EQ(result->error, "last\n");
}

TEST(ProcessTest, KeepsNothingWhenNothingIsWanted) {
  ProcessRequest request = Shell("echo x");
  request.max_output = 0;
  EXPECT_EQ(RunProgram(request)->output, "");
}

TEST(ProcessTest, InheritsNoDescriptor) {
  // Neither low nor high ones, nor ones that lack O_CLOEXEC.
  const Descriptor low(open("/dev/null", O_RDONLY));
  const Descriptor high(fcntl(low.get(), F_DUPFD, 200));
  ASSERT_TRUE(high.valid());
  for (const std::string& input : {std::string(), std::string("x")}) {
    ProcessRequest request;
    request.argv = {"ls", "/proc/self/fd"};
    request.input = input;
    const auto result = RunProgram(request);
    ASSERT_THAT(result, IsOk());
    // 3 is ls's own, on the directory it lists.
    EXPECT_EQ(result->output, "0\n1\n2\n3\n");
  }
}

TEST(ProcessTest, LeavesNoDescriptorHere) {
  const auto highest_free = [] { return Descriptor(open("/dev/null", O_RDONLY | O_CLOEXEC)).get(); };
  const int before = highest_free();
  ASSERT_THAT(RunProgram(Shell("cat")), IsOk());
  ProcessRequest missing;
  missing.argv = {"/nonexistent/program"};
  ASSERT_FALSE(RunProgram(missing).ok());
  EXPECT_EQ(highest_free(), before);
}

TEST(ProcessTest, WorksWhereTheStandardDescriptorsAreClosed) {
  EXPECT_EXIT(
      {
        for (int fd = 0; fd < 3; ++fd) close(fd);
        ProcessRequest request = Shell("cat; echo err >&2");
        request.input = "in";
        const auto result = RunProgram(request);
        _exit(result.ok() && result->output == "in" && result->error == "err\n" ? 17 : 1);
      },
      ::testing::ExitedWithCode(17), "");
}

TEST(ProcessTest, ReadsNothingWithoutInput) {
  const auto result = RunProgram(Shell("cat; readlink /proc/self/fd/0"));
  ASSERT_THAT(result, IsOk());
  EXPECT_EQ(result->output, "/dev/null\n");
}

TEST(ProcessTest, WritesAllOfTheInputWhileItReadsTheOutput) {
  ProcessRequest request;
  request.argv = {"cat"};
  request.input = std::string(1'000'000, 'x') + "end";
  request.max_output = 2'000'000;
  const auto result = RunProgram(request);
  ASSERT_THAT(result, IsOk());
  EXPECT_TRUE(result->output == request.input);
}

TEST(ProcessTest, SurvivesAProgramThatDoesNotReadItsInput) {
  ProcessRequest request = Shell("exec <&-; exit 5");
  request.input = std::string(1'000'000, 'x');
  const auto result = RunProgram(request);
  ASSERT_THAT(result, IsOk());
  EXPECT_EQ(result->exit_code, 5);
}

TEST(ProcessTest, LeavesSigpipeAsItWas) {
  sigset_t mask;
  ProcessRequest request = Shell("exec <&-; sleep 0.05");
  request.input = std::string(1'000'000, 'x');
  ASSERT_THAT(RunProgram(request), IsOk());
  pthread_sigmask(SIG_SETMASK, nullptr, &mask);
  EXPECT_EQ(sigismember(&mask, SIGPIPE), 0);
  sigpending(&mask);
  EXPECT_EQ(sigismember(&mask, SIGPIPE), 0);
}

TEST(ProcessTest, GivesTheProgramDefaultSignals) {
  // As a server does; a program that ignores SIGPIPE or SIGTERM from birth on would not end when it should.
  signal(SIGPIPE, SIG_IGN);
  sigset_t blocked;
  sigset_t before;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &blocked, &before);
  const auto result = RunProgram(Shell("grep -E '^Sig(Blk|Ign)' /proc/self/status"));
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  signal(SIGPIPE, SIG_DFL);
  ASSERT_THAT(result, IsOk());
  EXPECT_THAT(result->output, StartsWith("SigBlk:\t0000000000000000\n"));
  // The lowest 28 signals: glibc keeps 32 and 33 for itself and lets nobody change them.
  EXPECT_THAT(result->output, EndsWith("0000000\n"));
}

TEST(ProcessTest, HandsOnNoEnvironmentButTheNamedOnes) {
  setenv("CERTCAST_TEST_SECRET", "s3cret", 1);
  setenv("TZ", "Europe/Berlin", 1);
  ProcessRequest request;
  request.argv = {"env"};
  request.environment = {{"RENEWED_LINEAGE", "/x"}, {"LANG", "C"}};
  const auto result = RunProgram(request);
  unsetenv("CERTCAST_TEST_SECRET");
  unsetenv("TZ");
  ASSERT_THAT(result, IsOk());
  const std::vector<std::string> lines = absl::StrSplit(result->output, '\n', absl::SkipEmpty());
  EXPECT_THAT(lines, ::testing::IsSupersetOf({"RENEWED_LINEAGE=/x", "LANG=C", "TZ=Europe/Berlin"}));
  EXPECT_THAT(lines, Each(AnyOf(StartsWith("PATH="), StartsWith("HOME="), StartsWith("LC_ALL="), StartsWith("USER="),
                                StartsWith("LOGNAME="), StartsWith("SHELL="), "RENEWED_LINEAGE=/x", "LANG=C",
                                "TZ=Europe/Berlin")));
}

TEST(ProcessTest, GivesProgramsTheUmaskThatIsSetForThem) {
  const mode_t before = umask(0077);
  const auto inherited = RunProgram(Shell("umask"));
  SetUmaskOfPrograms(0027);
  const auto set = RunProgram(Shell("umask"));
  const mode_t here = umask(before);
  SetUmaskOfPrograms(before);
  ASSERT_THAT(inherited, IsOk());
  ASSERT_THAT(set, IsOk());
  EXPECT_EQ(inherited->output, "0077\n");
  EXPECT_EQ(set->output, "0027\n");
  EXPECT_EQ(here, 0077u);
}

TEST(ProcessTest, RunsInTheDirectory) {
  const TemporaryDirectory directory;
  ProcessRequest request;
  request.argv = {"pwd", "-P"};
  request.directory = directory.path();
  EXPECT_EQ(RunProgram(request)->output, directory.path() + "\n");
}

TEST(ProcessTest, IsLeaderOfItsGroup) {
  const auto result = RunProgram(Shell("echo $$; ps -o pgid= -p $$ | tr -d ' '"));
  ASSERT_THAT(result, IsOk());
  const std::vector<std::string> lines = absl::StrSplit(result->output, '\n', absl::SkipEmpty());
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0], lines[1]);
}

class ExecFailureTest : public ::testing::Test {
 protected:
  std::string Write(const std::string& name, const std::string& text, mode_t mode) {
    std::string path = directory_.path() + "/" + name;
    std::ofstream(path) << text;
    EXPECT_EQ(chmod(path.c_str(), mode), 0);
    return path;
  }
  static absl::Status StatusOfRunning(std::string program, std::string directory = "") {
    ProcessRequest request;
    request.argv = {std::move(program)};
    request.directory = std::move(directory);
    return RunProgram(request).status();
  }
  TemporaryDirectory directory_;
};

TEST_F(ExecFailureTest, MissingInPath) {
  const absl::Status failed = StatusOfRunning("certcast-no-such-program");
  EXPECT_THAT(failed, HasCode(absl::StatusCode::kNotFound));
  EXPECT_THAT(FailureOf(failed).hint(), HasSubstr("full path"));
}

TEST_F(ExecFailureTest, MissingFile) {
  EXPECT_THAT(StatusOfRunning("/nonexistent/x"), HasReason(Reason::STORAGE_FAILED, HasSubstr("/nonexistent/x")));
}

TEST_F(ExecFailureTest, NotExecutable) {
  const std::string path = Write("x", "#!/bin/sh\n", 0644);
  const absl::Status failed = StatusOfRunning(path);
  EXPECT_THAT(failed, HasReason(Reason::PERMISSION_DENIED, HasSubstr(path)));
  EXPECT_THAT(FailureOf(failed).hint(), HasSubstr("executable"));
}

TEST_F(ExecFailureTest, ScriptWithoutAnInterpreterLine) {
  EXPECT_THAT(FailureOf(StatusOfRunning(Write("x", "echo hello\n", 0755))).hint(), HasSubstr("#!"));
}

TEST_F(ExecFailureTest, ScriptWhoseInterpreterIsMissing) {
  EXPECT_THAT(FailureOf(StatusOfRunning(Write("x", "#!/nonexistent/sh\n", 0755))).hint(), HasSubstr("interpreter"));
}

TEST_F(ExecFailureTest, MissingDirectory) {
  EXPECT_THAT(StatusOfRunning("true", "/nonexistent"), HasReason(Reason::STORAGE_FAILED, HasSubstr("/nonexistent")));
}

TEST_F(ExecFailureTest, NothingToRun) {
  EXPECT_THAT(RunProgram({}), HasCode(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(StatusOfRunning(""), HasCode(absl::StatusCode::kInvalidArgument));
}

TEST_F(ExecFailureTest, ZeroByteInAnArgument) {
  ProcessRequest request;
  request.argv = {"echo", std::string("a\0b", 3)};
  EXPECT_THAT(RunProgram(request), HasCode(absl::StatusCode::kInvalidArgument));
  request.argv = {"echo"};
  request.environment = {{"A=B", "c"}};
  EXPECT_THAT(RunProgram(request), HasCode(absl::StatusCode::kInvalidArgument));
}

TEST_F(ExecFailureTest, LeavesNoZombie) {
  ASSERT_FALSE(StatusOfRunning("/nonexistent/x").ok());
  EXPECT_EQ(waitpid(-1, nullptr, WNOHANG), -1);
  EXPECT_EQ(errno, ECHILD);
}

TEST(ProcessTest, RunsFromManyThreads) {
  std::vector<std::thread> threads;
  std::vector<std::string> wrong(8);
  for (size_t t = 0; t < wrong.size(); ++t) {
    threads.emplace_back([t, &wrong] {
      for (int i = 0; i < 10; ++i) {
        const std::string text = absl::StrCat("thread ", t, " run ", i);
        ProcessRequest request;
        request.argv = {"cat"};
        request.input = text;
        const auto result = RunProgram(request);
        if (!result.ok() || result->output != text) wrong[t] = text;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(wrong, Each(""));
}

}  // namespace
}  // namespace certcast
