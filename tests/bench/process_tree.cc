#include "tests/bench/process_tree.h"

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <memory>
#include <sstream>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "common/file/descriptor.h"
#include "common/status/status.h"
#include "tests/bench/measure.h"
#include "tests/testing/program.h"

namespace certcast::bench {
namespace {

// How often is looked whether hosts are done, and whether there was an interrupt.
constexpr absl::Duration kLook = absl::Milliseconds(20);
constexpr int kLookForInterruptMs = 100;
// In /proc/PID/stat, counted from the one after the name: of children that were waited for.
constexpr size_t kReapedUser = 13;
constexpr size_t kReapedSystem = 14;

volatile sig_atomic_t interrupted = 0;

void Interrupt(int /*signal*/) {
  interrupted = 1;
}

absl::Duration ReapedByThis() {
  rusage usage{};
  getrusage(RUSAGE_CHILDREN, &usage);
  return absl::DurationFromTimeval(usage.ru_utime) + absl::DurationFromTimeval(usage.ru_stime);
}

// What ended children of another process took.
absl::Duration ReapedByOther(pid_t pid) {
  const std::string stat = testing::ReadFile(absl::StrCat("/proc/", pid, "/stat"));
  // The name, in parentheses, may hold anything.
  const size_t name_end = stat.rfind(')');
  if (name_end == std::string::npos) return absl::ZeroDuration();
  const std::vector<absl::string_view> fields =
      absl::StrSplit(absl::string_view(stat).substr(name_end + 1), ' ', absl::SkipEmpty());
  int64_t user = 0;
  int64_t system = 0;
  if (fields.size() <= kReapedSystem || !absl::SimpleAtoi(fields[kReapedUser], &user) ||
      !absl::SimpleAtoi(fields[kReapedSystem], &system)) {
    return absl::ZeroDuration();
  }
  return absl::Seconds(1) * (user + system) / sysconf(_SC_CLK_TCK);
}

std::vector<pid_t> Descendants() {
  std::vector<pid_t> all = {getpid()};
  for (size_t i = 0; i < all.size(); ++i) {
    std::error_code error;
    // Children are the thread's that started them.
    for (const auto& thread : std::filesystem::directory_iterator(absl::StrCat("/proc/", all[i], "/task"), error)) {
      std::istringstream children(testing::ReadFile(thread.path().string() + "/children"));
      pid_t child = 0;
      while (children >> child) all.push_back(child);
    }
  }
  all.erase(all.begin());
  return all;
}

// What was left to this process and has ended. What it started itself is Program's to wait for, which happened before.
void ReapLeftBehind() {
  while (waitpid(-1, nullptr, WNOHANG) > 0) {
  }
}

void Settle(size_t descendants_before, absl::Duration longest) {
  const absl::Time until = absl::Now() + longest;
  while (CountDescendants() > descendants_before && absl::Now() < until && interrupted == 0) absl::SleepFor(kLook);
}

// Until it has ended. Nothing else looks meanwhile, so that the time is right and little is used.
absl::Status AwaitEnd(testing::Program& program, absl::Duration longest) {
  const absl::Time until = absl::Now() + longest;
  const Descriptor process(static_cast<int>(syscall(SYS_pidfd_open, program.pid(), 0)));
  if (!process.valid()) return FailErrno(errno, "pidfd_open");
  while (absl::Now() < until) {
    RETURN_IF_ERROR(CheckInterrupted());
    pollfd polled = {process.get(), POLLIN, 0};
    if (poll(&polled, 1, kLookForInterruptMs) > 0) return absl::OkStatus();
  }
  return absl::DeadlineExceededError(absl::StrCat("did not end within ", absl::FormatDuration(longest)));
}

}  // namespace

absl::Status AdoptDescendants() {
  struct sigaction action {};
  action.sa_handler = Interrupt;
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaction(signal, &action, nullptr);
  if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) return FailErrno(errno, "prctl(PR_SET_CHILD_SUBREAPER)");
  return absl::OkStatus();
}

bool Interrupted() {
  return interrupted != 0;
}

absl::Status CheckInterrupted() {
  return Interrupted() ? absl::CancelledError("interrupted") : absl::OkStatus();
}

absl::Duration TreeCpu() {
  absl::Duration sum = OwnCpu() + ReapedByThis();
  for (const pid_t pid : Descendants()) sum += CpuOf(pid) + ReapedByOther(pid);
  return sum;
}

size_t CountDescendants() {
  ReapLeftBehind();
  return Descendants().size();
}

absl::StatusOr<Measured> RunMeasured(const MeasuredCommand& command, absl::Duration settle) {
  RETURN_IF_ERROR(CheckInterrupted());
  const size_t descendants = CountDescendants();
  const absl::Duration all_before = TreeCpu();
  const absl::Duration reaped_before = ReapedByThis();
  testing::ProgramOptions options;
  options.argv = command.argv;
  options.environment = command.environment;
  options.input = command.input;
  options.output = command.output.empty() ? command.log : command.output;
  options.error = command.log;
  Measured measured;
  const absl::Time start = absl::Now();
  ASSIGN_OR_RETURN(const std::unique_ptr<testing::Program> program, testing::Program::Start(options));
  RETURN_IF_ERROR(AwaitEnd(*program, command.longest));
  measured.wall = absl::Now() - start;
  ASSIGN_OR_RETURN(measured.exit_code, program->Wait(absl::Seconds(1)));
  measured.own_cpu = ReapedByThis() - reaped_before;
  const absl::Duration before_looking = OwnCpu();
  Settle(descendants, settle);
  measured.all_cpu = TreeCpu() - all_before - (OwnCpu() - before_looking);
  return measured;
}

}  // namespace certcast::bench
