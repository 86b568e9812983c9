#include "node/engine/signaller.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <ctime>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "common/file/descriptor.h"
#include "common/status/status.h"

namespace certcast::node {
namespace {

constexpr char kStale[] = "is the server running, and is this its pid file?";
// Between the start of a process and its pid file the clocks of both may differ by their ticks.
constexpr absl::Duration kClockTolerance = absl::Seconds(2);

struct PidFile {
  pid_t pid = 0;
  uid_t owner = 0;
  absl::Time written;
  // In memory, as /run is: so it was written since the machine started.
  bool is_of_this_boot = false;
};

struct ProcessStat {
  char state = 'X';
  uid_t owner = 0;
  // Since the machine started.
  absl::Duration started;
};

absl::Status Refuse(absl::string_view detail, absl::string_view hint = kStale) {
  return Fail(Reason::RELOAD_FAILED, detail, hint);
}

absl::Status RefuseErrno(int error, absl::string_view doing, absl::string_view hint = kStale) {
  return Refuse(FailureOf(FailErrno(error, doing)).detail(), hint);
}

// At most 4 KiB, which is more than a pid file or a line of /proc has.
absl::StatusOr<std::string> ReadStart(const Descriptor& fd, const std::string& path) {
  char buffer[4096];
  ssize_t size;
  do {
    size = read(fd.get(), buffer, sizeof buffer);
  } while (size < 0 && errno == EINTR);
  if (size < 0) return RefuseErrno(errno, absl::StrCat("reading ", path));
  return std::string(buffer, static_cast<size_t>(size));
}

absl::Time TimeOf(const timespec& time) {
  return absl::TimeFromTimespec(time);
}

// postmaster.pid has more lines; master.pid of postfix is padded with spaces.
absl::StatusOr<pid_t> ParsePid(const std::string& path, absl::string_view text) {
  const absl::string_view line = absl::StripAsciiWhitespace(text.substr(0, text.find('\n')));
  pid_t pid = 0;
  if (!absl::SimpleAtoi(line, &pid)) return Refuse(absl::StrCat(path, " has no process id on its first line"));
  if (pid <= 1) return Refuse(absl::StrCat(path, " names process ", pid, ", which is no server of its own"));
  if (pid == getpid()) return Refuse(absl::StrCat(path, " names process ", pid, ", which is certcast-node itself"));
  return pid;
}

absl::StatusOr<PidFile> ReadPidFile(const std::string& path) {
  // A fifo would block; no terminal becomes ours.
  const Descriptor fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd.valid()) return RefuseErrno(errno, absl::StrCat("opening ", path));
  struct stat found;
  struct statfs file_system;
  if (fstat(fd.get(), &found) != 0 || fstatfs(fd.get(), &file_system) != 0) {
    return RefuseErrno(errno, absl::StrCat("looking at ", path));
  }
  if (!S_ISREG(found.st_mode)) return Refuse(absl::StrCat(path, " is not a file"), "");
  if ((found.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    return Refuse(absl::StrCat(path, " may be written by others than its owner, who could name any process in it"),
                  absl::StrCat("chmod go-w ", path));
  }
  PidFile file;
  file.owner = found.st_uid;
  file.written = TimeOf(found.st_mtim);
  file.is_of_this_boot = file_system.f_type == TMPFS_MAGIC || file_system.f_type == RAMFS_MAGIC;
  ASSIGN_OR_RETURN(const std::string text, ReadStart(fd, path));
  ASSIGN_OR_RETURN(file.pid, ParsePid(path, text));
  return file;
}

// proc(5): after the name, which is in parentheses and may hold anything, field 3 is the state, field 22 the start.
absl::StatusOr<ProcessStat> ReadProcess(pid_t pid) {
  constexpr size_t kFirst = 3;
  constexpr size_t kStartTime = 22;
  const std::string path = absl::StrCat("/proc/", pid, "/stat");
  const Descriptor fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat owner;
  if (!fd.valid() || fstat(fd.get(), &owner) != 0) return RefuseErrno(errno, absl::StrCat("opening ", path));
  ASSIGN_OR_RETURN(const std::string text, ReadStart(fd, path));
  const size_t name_end = text.rfind(") ");
  const std::vector<absl::string_view> fields =
      absl::StrSplit(name_end == std::string::npos ? "" : absl::string_view(text).substr(name_end + 2), ' ');
  int64_t ticks = 0;
  if (fields.size() <= kStartTime - kFirst || fields[0].size() != 1 ||
      !absl::SimpleAtoi(fields[kStartTime - kFirst], &ticks)) {
    return Refuse(absl::StrCat(path, " can't be understood"), "");
  }
  return ProcessStat{.state = fields[0][0],
                     .owner = owner.st_uid,
                     .started = absl::Seconds(1) * ticks / static_cast<double>(sysconf(_SC_CLK_TCK))};
}

absl::Time BootTime() {
  timespec now = {};
  timespec since_boot = {};
  clock_gettime(CLOCK_REALTIME, &now);
  clock_gettime(CLOCK_BOOTTIME, &since_boot);
  return TimeOf(now) - absl::DurationFromTimespec(since_boot);
}

absl::Status CheckProcess(const std::string& path, const PidFile& file, const ProcessStat& process) {
  const std::string who = absl::StrCat("process ", file.pid, ", which ", path, " names,");
  if (process.state == 'Z' || process.state == 'X') return Refuse(absl::StrCat(who, " has ended"));
  if (file.owner != 0 && file.owner != geteuid() && file.owner != process.owner) {
    return Refuse(absl::StrCat(who, " is user ", process.owner, "'s, and the file is user ", file.owner, "'s"),
                  "a server writes its own process id: is this its pid file?");
  }
  const absl::Time boot = BootTime();
  // A file in memory that is older than the machine: the clock was set since, and the times say nothing.
  if (file.is_of_this_boot && file.written < boot - kClockTolerance) return absl::OkStatus();
  if (boot + process.started <= file.written + kClockTolerance) return absl::OkStatus();
  return Refuse(absl::StrCat(who, " was started after the file was written, so it is another one"),
                "is the server running? If it is, and the clock was set since it started, restart it once");
}

absl::StatusOr<Descriptor> HoldProcess(const std::string& path, pid_t pid) {
  Descriptor process(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  if (process.valid() || errno == ENOSYS) return process;
  if (errno == ESRCH) return Refuse(absl::StrCat("process ", pid, ", which ", path, " names, is not there"));
  return RefuseErrno(errno, absl::StrCat("opening process ", pid, ", which ", path, " names"));
}

class RealSignaller : public Signaller {
 public:
  absl::Status Signal(const std::string& pid_file, int signal) override {
    ASSIGN_OR_RETURN(const PidFile file, ReadPidFile(pid_file));
    // From here on its number is not given to another without the last call failing.
    ASSIGN_OR_RETURN(const Descriptor held, HoldProcess(pid_file, file.pid));
    ASSIGN_OR_RETURN(const ProcessStat process, ReadProcess(file.pid));
    RETURN_IF_ERROR(CheckProcess(pid_file, file, process));
    const long sent =
        held.valid() ? syscall(SYS_pidfd_send_signal, held.get(), signal, nullptr, 0) : kill(file.pid, signal);
    if (sent == 0) return absl::OkStatus();
    return RefuseErrno(errno, absl::StrCat("sending a signal to process ", file.pid, ", which ", pid_file, " names"));
  }
};

}  // namespace

Signaller& Signaller::Real() {
  static auto* const signaller = new RealSignaller;
  return *signaller;
}

}  // namespace certcast::node
