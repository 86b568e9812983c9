#include "tests/testing/syscall_killer.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <map>
#include <set>
#include <thread>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "common/status/status.h"

namespace certcast::testing {
namespace {

using SyscallInfo = __ptrace_syscall_info;

constexpr absl::Duration kLongest = absl::Seconds(20);
constexpr int kNone = -1;
constexpr int kSyscallStop = SIGTRAP | 0x80;

// Which argument holds what. kNone: there is none.
struct CallShape {
  const char* name;
  int descriptor = kNone;  // of the file itself
  int directory = kNone;   // that `path` is relative to
  int path = kNone;
  int other_directory = kNone;
  int other_path = kNone;
  int flags = kNone;  // of open; only calls that may change something are counted
  int how = kNone;    // of openat2
  int mode = kNone;   // of what is made
  int bytes = kNone;  // a buffer, its size after it
};

const std::map<uint64_t, CallShape>& Calls() {
  static const auto* const calls = new std::map<uint64_t, CallShape>{
      {SYS_open, {.name = "open", .path = 0, .flags = 1, .mode = 2}},
      {SYS_creat, {.name = "creat", .path = 0, .mode = 1}},
      {SYS_openat, {.name = "openat", .directory = 0, .path = 1, .flags = 2, .mode = 3}},
      {SYS_openat2, {.name = "openat2", .directory = 0, .path = 1, .how = 2}},
      {SYS_write, {.name = "write", .descriptor = 0, .bytes = 1}},
      {SYS_writev, {.name = "writev", .descriptor = 0}},
      {SYS_pwrite64, {.name = "pwrite64", .descriptor = 0, .bytes = 1}},
      {SYS_pwritev, {.name = "pwritev", .descriptor = 0}},
      {SYS_pwritev2, {.name = "pwritev2", .descriptor = 0}},
      {SYS_sendfile, {.name = "sendfile", .descriptor = 0}},
      {SYS_copy_file_range, {.name = "copy_file_range", .descriptor = 2}},
      {SYS_fsync, {.name = "fsync", .descriptor = 0}},
      {SYS_fdatasync, {.name = "fdatasync", .descriptor = 0}},
      {SYS_ftruncate, {.name = "ftruncate", .descriptor = 0}},
      {SYS_truncate, {.name = "truncate", .path = 0}},
      {SYS_fallocate, {.name = "fallocate", .descriptor = 0}},
      {SYS_fchmod, {.name = "fchmod", .descriptor = 0}},
      {SYS_chmod, {.name = "chmod", .path = 0}},
      {SYS_fchmodat, {.name = "fchmodat", .directory = 0, .path = 1}},
      {SYS_fchown, {.name = "fchown", .descriptor = 0}},
      {SYS_chown, {.name = "chown", .path = 0}},
      {SYS_lchown, {.name = "lchown", .path = 0}},
      {SYS_fchownat, {.name = "fchownat", .directory = 0, .path = 1}},
      {SYS_rename, {.name = "rename", .path = 0, .other_path = 1}},
      {SYS_renameat, {.name = "renameat", .directory = 0, .path = 1, .other_directory = 2, .other_path = 3}},
      {SYS_renameat2, {.name = "renameat2", .directory = 0, .path = 1, .other_directory = 2, .other_path = 3}},
      {SYS_link, {.name = "link", .path = 0, .other_path = 1}},
      {SYS_linkat, {.name = "linkat", .directory = 0, .path = 1, .other_directory = 2, .other_path = 3}},
      {SYS_symlink, {.name = "symlink", .path = 0, .other_path = 1}},
      {SYS_symlinkat, {.name = "symlinkat", .path = 0, .other_directory = 1, .other_path = 2}},
      {SYS_unlink, {.name = "unlink", .path = 0}},
      {SYS_unlinkat, {.name = "unlinkat", .directory = 0, .path = 1}},
      {SYS_mkdir, {.name = "mkdir", .path = 0, .mode = 1}},
      {SYS_mkdirat, {.name = "mkdirat", .directory = 0, .path = 1, .mode = 2}},
      {SYS_rmdir, {.name = "rmdir", .path = 0}},
  };
  return *calls;
}

// Bytes at `address` of the process, as many as are there up to `size`.
std::string ReadMemory(pid_t pid, uint64_t address, size_t size) {
  std::string bytes(size, '\0');
  iovec here{bytes.data(), size};
  iovec there{reinterpret_cast<void*>(address), size};  // NOLINT(performance-no-int-to-ptr)
  const ssize_t count = process_vm_readv(pid, &here, 1, &there, 1, 0);
  bytes.resize(count < 0 ? 0 : static_cast<size_t>(count));
  return bytes;
}

// A string that may end right before a page that is not mapped.
std::string ReadString(pid_t pid, uint64_t address) {
  constexpr size_t kPage = 4096;
  std::string text;
  while (text.size() < PATH_MAX) {
    const std::string part = ReadMemory(pid, address + text.size(), kPage - (address + text.size()) % kPage);
    if (part.empty()) break;
    text += part;
    if (const size_t end = text.find('\0'); end != std::string::npos) return text.substr(0, end);
  }
  return text;
}

std::string DescriptorLink(pid_t pid, uint64_t descriptor) {
  return absl::StrCat("/proc/", pid, "/fd/", static_cast<int>(descriptor));
}

std::string PathOfDescriptor(pid_t pid, uint64_t descriptor) {
  std::array<char, PATH_MAX> path;
  const ssize_t size = readlink(DescriptorLink(pid, descriptor).c_str(), path.data(), path.size());
  return size < 0 ? "?" : std::string(path.data(), static_cast<size_t>(size));
}

std::string PathAt(pid_t pid, const SyscallInfo& info, int directory, int path) {
  const uint64_t* const arguments = info.entry.args;
  std::string name = ReadString(pid, arguments[path]);
  if (directory == kNone || absl::StartsWith(name, "/") || static_cast<int>(arguments[directory]) == AT_FDCWD) {
    return name;
  }
  return absl::StrCat(PathOfDescriptor(pid, arguments[directory]), "/", name);
}

bool MayChange(uint64_t open_flags) {
  return (open_flags & O_ACCMODE) != O_RDONLY || (open_flags & (O_CREAT | O_TRUNC)) != 0;
}

// Whether the descriptor is of a file or directory that outlives the process.
bool IsKept(pid_t pid, uint64_t descriptor) {
  if (static_cast<int>(descriptor) <= STDERR_FILENO) return false;
  struct stat found;
  if (stat(DescriptorLink(pid, descriptor).c_str(), &found) != 0) return false;
  return S_ISREG(found.st_mode) || S_ISDIR(found.st_mode);
}

// What the call is about to do to files; nullopt when it is none of those that count.
std::optional<std::string> DescribeCall(pid_t pid, const SyscallInfo& info) {
  const auto call = Calls().find(info.entry.nr);
  if (call == Calls().end()) return std::nullopt;
  const CallShape& shape = call->second;
  const uint64_t* const arguments = info.entry.args;
  if (shape.flags != kNone && !MayChange(arguments[shape.flags])) return std::nullopt;
  if (shape.how != kNone) {
    uint64_t flags = 0;  // the first member of open_how
    const std::string bytes = ReadMemory(pid, arguments[shape.how], sizeof flags);
    bytes.copy(reinterpret_cast<char*>(&flags), sizeof flags);
    if (!MayChange(flags)) return std::nullopt;
  }
  std::string about;
  if (shape.descriptor != kNone) {
    if (!IsKept(pid, arguments[shape.descriptor])) return std::nullopt;
    about = PathOfDescriptor(pid, arguments[shape.descriptor]);
  } else {
    about = PathAt(pid, info, shape.directory, shape.path);
  }
  if (absl::StartsWith(about, "/dev/") || absl::StartsWith(about, "/proc/")) return std::nullopt;
  if (shape.other_path != kNone) {
    absl::StrAppend(&about, " -> ", PathAt(pid, info, shape.other_directory, shape.other_path));
  }
  return absl::StrCat(shape.name, " ", about);
}

// Whether the call's result is a descriptor of the file.
bool Opens(const CallShape& shape) {
  return shape.flags != kNone || shape.how != kNone || absl::string_view(shape.name) == "creat";
}

// What is known when the call begins.
RecordedCall BeginRecord(pid_t pid, const CallShape& shape, const uint64_t* arguments, const std::string& operation) {
  RecordedCall call{.operation = operation};
  if (shape.flags != kNone) call.flags = arguments[shape.flags];
  if (shape.mode != kNone) call.mode_asked = static_cast<mode_t>(arguments[shape.mode]);
  if (shape.how != kNone) {
    uint64_t flags_and_mode[2] = {};
    const std::string bytes = ReadMemory(pid, arguments[shape.how], sizeof flags_and_mode);
    bytes.copy(reinterpret_cast<char*>(flags_and_mode), sizeof flags_and_mode);
    call.flags = flags_and_mode[0];
    call.mode_asked = static_cast<mode_t>(flags_and_mode[1]);
  }
  if (shape.bytes != kNone) call.written = ReadMemory(pid, arguments[shape.bytes], arguments[shape.bytes + 1]);
  return call;
}

// The file that the call was about, where it is now.
std::string PathAfter(pid_t pid, const CallShape& shape, const SyscallInfo& entry, int64_t result) {
  if (Opens(shape)) return DescriptorLink(pid, static_cast<uint64_t>(result));
  if (shape.descriptor != kNone) return DescriptorLink(pid, entry.entry.args[shape.descriptor]);
  if (shape.other_path != kNone) return PathAt(pid, entry, shape.other_directory, shape.other_path);
  return PathAt(pid, entry, shape.directory, shape.path);
}

// What is known when it has ended.
void EndRecord(pid_t pid, const SyscallInfo& entry, int64_t result, RecordedCall& call) {
  call.succeeded = result >= 0;
  if (!call.succeeded) return;
  const CallShape& shape = Calls().at(entry.entry.nr);
  const std::string path = PathAfter(pid, shape, entry, result);
  struct stat found;
  // A descriptor's entry is a link to its file, also where that has no name any more.
  const bool by_descriptor = Opens(shape) || shape.descriptor != kNone;
  if ((by_descriptor ? stat(path.c_str(), &found) : lstat(path.c_str(), &found)) != 0) return;
  call.device = found.st_dev;
  call.inode = found.st_ino;
  call.mode = found.st_mode;
  call.owner = found.st_uid;
  call.group = found.st_gid;
}

// In the child: never returns.
[[noreturn]] void Become(const TracedProgram& program, char* const* argv) {
  const int input = open(program.input.empty() ? "/dev/null" : program.input.c_str(), O_RDONLY | O_CLOEXEC);
  const auto replace = [](const std::string& path) {
    return open(path.empty() ? "/dev/null" : path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  };
  if (dup2(input, 0) < 0 || dup2(replace(program.output), 1) < 0 || dup2(replace(program.error), 2) < 0) _exit(127);
  if (ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) _exit(127);
  raise(SIGSTOP);  // until the tracer has set its options
  execv(argv[0], argv);
  _exit(127);
}

// One run, from its first stop to its end.
class Tracer {
 public:
  Tracer(pid_t pid, bool record, const std::optional<KillPoint>& kill_at)
      : pid_(pid), record_(record), kill_at_(kill_at) {}

  absl::StatusOr<TracedRun> Run() {
    int status = 0;
    if (waitpid(pid_, &status, __WALL) != pid_ || !WIFSTOPPED(status)) {
      return absl::FailedPreconditionError("the child can't be traced");
    }
    // Not TRACEFORK and TRACEVFORK: programs that it starts go their own way.
    constexpr long kOptions = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL;
    if (ptrace(PTRACE_SETOPTIONS, pid_, nullptr, kOptions) != 0) return FailErrno(errno, "tracing");
    threads_.insert(pid_);
    Resume(pid_, 0);
    while (true) {
      const pid_t thread = waitpid(-1, &status, __WALL | __WNOTHREAD);
      if (thread < 0 && errno == EINTR) continue;
      if (thread < 0) return FailErrno(errno, "waiting for the traced program");
      if (WIFSTOPPED(status)) {
        Handle(thread, status);
      } else if (thread == pid_) {
        run_.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        return std::move(run_);
      }
    }
  }

 private:
  // A thread that was killed meanwhile is not there any more, and that is no error.
  static void Resume(pid_t thread, int signal) { ptrace(PTRACE_SYSCALL, thread, nullptr, signal); }

  void Handle(pid_t thread, int status) {
    if (run_.killed) return;
    const int signal = WSTOPSIG(status);
    const bool is_new = threads_.insert(thread).second;
    const int event = status >> 16;
    if (event == PTRACE_EVENT_EXEC) started_ = true;
    if (signal == kSyscallStop && started_) {
      LookAtCall(thread);
      if (run_.killed) return;
    }
    // A new thread begins with a SIGSTOP that nobody sent.
    const bool of_tracing = event != 0 || signal == kSyscallStop || (is_new && signal == SIGSTOP);
    Resume(thread, of_tracing ? 0 : signal);
  }

  void LookAtCall(pid_t thread) {
    SyscallInfo info = {};
    if (ptrace(PTRACE_GET_SYSCALL_INFO, thread, sizeof info, &info) <= 0) return;
    if (info.op == PTRACE_SYSCALL_INFO_ENTRY) {
      std::optional<std::string> operation = DescribeCall(pid_, info);
      if (!operation.has_value()) return;
      if (record_) {
        run_.calls.push_back(BeginRecord(pid_, Calls().at(info.entry.nr), info.entry.args, *operation));
      }
      run_.operations.push_back(*std::move(operation));
      under_way_[thread] = {run_.operations.size(), info};
      KillIfAt(run_.operations.size(), KillPoint::Moment::kBefore);
    } else if (const auto call = under_way_.find(thread); call != under_way_.end()) {
      const auto [operation, entry] = call->second;
      under_way_.erase(call);
      if (record_) EndRecord(pid_, entry, info.exit.rval, run_.calls[operation - 1]);
      KillIfAt(operation, KillPoint::Moment::kAfter);
    }
  }

  // A call at whose entry the process is killed is not carried out.
  void KillIfAt(size_t operation, KillPoint::Moment moment) {
    if (!kill_at_.has_value() || kill_at_->operation != operation || kill_at_->moment != moment) return;
    kill(pid_, SIGKILL);
    run_.killed = true;
  }

  const pid_t pid_;
  const bool record_;
  const std::optional<KillPoint> kill_at_;
  std::set<pid_t> threads_;
  // The operation that a thread is in, and how it began.
  std::map<pid_t, std::pair<size_t, SyscallInfo>> under_way_;
  bool started_ = false;
  TracedRun run_;
};

}  // namespace

absl::StatusOr<TracedRun> RunTraced(const TracedProgram& program, const std::optional<KillPoint>& kill_at) {
  std::vector<std::string> arguments = program.argv;
  std::vector<char*> argv;
  argv.reserve(arguments.size() + 1);
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  const pid_t pid = fork();
  if (pid < 0) return FailErrno(errno, absl::StrCat("starting ", program.argv[0]));
  if (pid == 0) Become(program, argv.data());
  absl::Notification ended;
  std::atomic<bool> timed_out = false;
  std::thread watchdog([&] {
    if (ended.WaitForNotificationWithTimeout(kLongest)) return;
    timed_out = true;
    kill(pid, SIGKILL);
  });
  absl::StatusOr<TracedRun> run = Tracer(pid, program.record, kill_at).Run();
  ended.Notify();
  watchdog.join();
  if (!run.ok()) kill(pid, SIGKILL);
  if (run.ok() && timed_out) {
    return absl::DeadlineExceededError(
        absl::StrCat(program.argv[0], " did not end within ", absl::FormatDuration(kLongest),
                     "; the last it did: ", run->operations.empty() ? "nothing" : run->operations.back()));
  }
  return run;
}

}  // namespace certcast::testing
