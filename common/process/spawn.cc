#include "common/process/spawn.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "common/status/status.h"

namespace certcast {
namespace {

constexpr absl::string_view kDefaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
constexpr const char* kInherited[] = {"PATH", "HOME", "LANG", "LC_ALL", "TZ", "USER", "LOGNAME", "SHELL"};
// Where the child finds the pipe that tells why exec failed; 0 to 2 are its own.
constexpr int kReportFd = 3;

constexpr mode_t kOfThisProcess = static_cast<mode_t>(-1);
std::atomic<mode_t> umask_of_programs = kOfThisProcess;

struct Pipe {
  Descriptor read;
  Descriptor write;
};

// Where to read and to write; in the child they are free to be put in places 0 to 3 in any order.
absl::StatusOr<Descriptor> AboveReportFd(Descriptor fd) {
  if (fd.get() > kReportFd) return fd;
  Descriptor moved(fcntl(fd.get(), F_DUPFD_CLOEXEC, kReportFd + 1));
  if (!moved.valid()) return FailErrno(errno, "moving a descriptor");
  return moved;
}

absl::StatusOr<Pipe> MakePipe() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return FailErrno(errno, "making a pipe");
  Descriptor read(ends[0]);
  Descriptor write(ends[1]);
  Pipe pipe;
  ASSIGN_OR_RETURN(pipe.read, AboveReportFd(std::move(read)));
  ASSIGN_OR_RETURN(pipe.write, AboveReportFd(std::move(write)));
  return pipe;
}

absl::Status StopBlocking(const Descriptor& fd) {
  if (fcntl(fd.get(), F_SETFL, fcntl(fd.get(), F_GETFL) | O_NONBLOCK) != 0)
    return FailErrno(errno, "setting up a pipe");
  return absl::OkStatus();
}

absl::Status CheckRequest(const ProcessRequest& request) {
  if (request.argv.empty() || request.argv[0].empty()) return FailInput("a command has no program to run");
  for (const std::string& argument : request.argv) {
    if (absl::StrContains(argument, '\0')) {
      return FailInput(absl::StrCat("an argument of ", request.argv[0], " holds a zero byte"));
    }
  }
  for (const auto& [name, value] : request.environment) {
    if (name.empty() || absl::StrContains(name, '=') || absl::StrContains(name, '\0') ||
        absl::StrContains(value, '\0')) {
      return FailInput(
          absl::StrCat("the environment of ", request.argv[0], " has a variable that can't be one: \"", name, "\""));
    }
  }
  return absl::OkStatus();
}

bool IsExecutable(const std::string& path) {
  struct stat found;
  return stat(path.c_str(), &found) == 0 && S_ISREG(found.st_mode) && access(path.c_str(), X_OK) == 0;
}

// Before fork: exec would search in the child's environment, and malloc there.
absl::StatusOr<std::string> FindProgram(const std::string& name) {
  if (absl::StrContains(name, '/')) return name;
  const char* path = getenv("PATH");
  for (const absl::string_view directory : absl::StrSplit(path == nullptr ? kDefaultPath : path, ':')) {
    // An empty or relative entry would mean the directory this happens to run in.
    if (!absl::StartsWith(directory, "/")) continue;
    std::string candidate = absl::StrCat(directory, "/", name);
    if (IsExecutable(candidate)) return candidate;
  }
  return FailErrno(ENOENT, absl::StrCat("running ", name),
                   absl::StrCat("no ", name, " in PATH: install it, or give its full path"));
}

std::vector<std::string> EnvironmentOf(const ProcessRequest& request) {
  std::vector<std::string> result;
  for (const char* name : kInherited) {
    const bool overridden = std::any_of(request.environment.begin(), request.environment.end(),
                                        [&](const auto& variable) { return variable.first == name; });
    const char* value = getenv(name);
    if (value != nullptr && !overridden) result.push_back(absl::StrCat(name, "=", value));
  }
  for (const auto& [name, value] : request.environment) result.push_back(absl::StrCat(name, "=", value));
  return result;
}

std::vector<char*> PointersTo(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  pointers.reserve(strings.size() + 1);
  for (std::string& string : strings) pointers.push_back(string.data());
  pointers.push_back(nullptr);
  return pointers;
}

// What the child needs, made before fork.
struct ChildPlan {
  const char* program;
  char* const* argv;
  char* const* environment;
  // nullptr: stays.
  const char* directory;
  int input;
  int output;
  int error;
  int report;
  int max_fd;
  pid_t parent;
  // kOfThisProcess: stays.
  mode_t mask;
};

// Which call failed, on the report pipe.
struct Failure {
  enum class In : int { kSetup, kDirectory, kExec };
  In in;
  int error;
};

// From here to ChildMain: in the child, which has this process's memory until it calls exec, while other threads go on
// with it and the one that called waits. So nothing is changed there but what is the kernel's, and async-signal-safe
// calls only.
[[noreturn]] void ReportAndExit(int fd, Failure::In in) {
  const Failure failure = {in, errno};
  // Less than PIPE_BUF, so whole or not at all; when it fails, there is nobody to tell.
  if (write(fd, &failure, sizeof failure) < 0) _exit(126);
  _exit(127);
}

void ResetSignals() {
  struct sigaction standard = {};
  standard.sa_handler = SIG_DFL;
  for (int number = 1; number < NSIG; ++number) sigaction(number, &standard, nullptr);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
}

void CloseFrom(int first, int max_fd) {
#ifdef SYS_close_range
  if (syscall(SYS_close_range, static_cast<unsigned>(first), ~0U, 0U) == 0) return;
#endif
  // Linux before 5.9.
  for (int fd = first; fd < max_fd; ++fd) close(fd);
}

// Whoever comes after a process that was killed begins anew, and what that one had started must not go on beside it.
// The kernel sends this when the thread that called fork ends, which waits for the child (process.cc).
void EndWithParent(pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  // It may be gone already.
  if (getppid() != parent) _exit(127);
}

[[noreturn]] void ChildMain(const ChildPlan& plan) {
  EndWithParent(plan.parent);
  if (setpgid(0, 0) != 0) ReportAndExit(plan.report, Failure::In::kSetup);
  if (dup2(plan.input, 0) < 0 || dup2(plan.output, 1) < 0 || dup2(plan.error, 2) < 0 ||
      dup2(plan.report, kReportFd) < 0 || fcntl(kReportFd, F_SETFD, FD_CLOEXEC) != 0) {
    ReportAndExit(plan.report, Failure::In::kSetup);
  }
  CloseFrom(kReportFd + 1, plan.max_fd);
  ResetSignals();
  if (plan.mask != kOfThisProcess) umask(plan.mask);
  if (plan.directory != nullptr && chdir(plan.directory) != 0) ReportAndExit(kReportFd, Failure::In::kDirectory);
  execve(plan.program, plan.argv, plan.environment);
  ReportAndExit(kReportFd, Failure::In::kExec);
}

// With every signal blocked, so that no handler of this process runs in the child. vfork runs no atfork handlers, takes
// no locks and copies no page tables: those of gRPC and malloc have no business in a child that only calls exec.
pid_t ForkAndExec(const ChildPlan& plan) {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const pid_t pid = vfork();
  if (pid == 0) ChildMain(plan);
  const int error = errno;
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  errno = error;
  return pid;
}

// Waits until exec is done, which closes the pipe.
absl::Status ExecResult(const Descriptor& report, const ProcessRequest& request) {
  Failure failure;
  ssize_t size;
  do {
    size = read(report.get(), &failure, sizeof failure);
  } while (size < 0 && errno == EINTR);
  if (size == 0) return absl::OkStatus();
  if (size != sizeof failure) return FailErrno(EIO, absl::StrCat("running ", request.argv[0]));
  if (failure.in == Failure::In::kDirectory) {
    return FailErrno(failure.error, absl::StrCat("running ", request.argv[0], " in the directory ", request.directory));
  }
  absl::string_view hint;
  if (failure.error == EACCES) hint = "is it executable?";
  if (failure.error == ENOEXEC) hint = "a script needs a first line like #!/bin/sh";
  if (failure.error == ENOENT) hint = "no such program, or no interpreter as its first line names it";
  return FailErrno(failure.error, absl::StrCat("running ", request.argv[0]), hint);
}

}  // namespace

void SetUmaskOfPrograms(mode_t mask) {
  umask_of_programs = mask;
}

absl::StatusOr<Child> Spawn(const ProcessRequest& request) {
  RETURN_IF_ERROR(CheckRequest(request));
  ASSIGN_OR_RETURN(const std::string program, FindProgram(request.argv[0]));
  Pipe input;
  if (request.input.empty()) {
    Descriptor null(open("/dev/null", O_RDONLY | O_CLOEXEC));
    if (!null.valid()) return FailErrno(errno, "opening /dev/null");
    ASSIGN_OR_RETURN(input.read, AboveReportFd(std::move(null)));
  } else {
    ASSIGN_OR_RETURN(input, MakePipe());
    RETURN_IF_ERROR(StopBlocking(input.write));
  }
  ASSIGN_OR_RETURN(Pipe output, MakePipe());
  ASSIGN_OR_RETURN(Pipe error, MakePipe());
  ASSIGN_OR_RETURN(Pipe report, MakePipe());
  RETURN_IF_ERROR(StopBlocking(output.read));
  RETURN_IF_ERROR(StopBlocking(error.read));

  std::vector<std::string> arguments = request.argv;
  std::vector<std::string> environment = EnvironmentOf(request);
  const std::vector<char*> argv = PointersTo(arguments);
  const std::vector<char*> envp = PointersTo(environment);
  Child child;
  child.pid = ForkAndExec({.program = program.c_str(),
                           .argv = argv.data(),
                           .environment = envp.data(),
                           .directory = request.directory.empty() ? nullptr : request.directory.c_str(),
                           .input = input.read.get(),
                           .output = output.write.get(),
                           .error = error.write.get(),
                           .report = report.write.get(),
                           .max_fd = static_cast<int>(sysconf(_SC_OPEN_MAX)),
                           .parent = getpid(),
                           .mask = umask_of_programs});
  if (child.pid < 0) return FailErrno(errno, absl::StrCat("starting a process for ", request.argv[0]));
  report.write.Close();
  absl::Status started = ExecResult(report.read, request);
  if (!started.ok()) {
    while (waitpid(child.pid, nullptr, 0) < 0 && errno == EINTR) {
    }
    return started;
  }
  child.input = std::move(input.write);
  child.output = std::move(output.read);
  child.error = std::move(error.read);
  return child;
}

}  // namespace certcast
