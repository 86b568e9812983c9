#include "common/process/process.h"

#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "common/file/descriptor.h"
#include "common/process/spawn.h"
#include "common/status/status.h"

namespace certcast {
namespace {

constexpr absl::Duration kGrace = absl::Seconds(2);
// Where the kernel has no pidfd_open (before 5.3), the end of a process is looked for this often.
constexpr absl::Duration kLookInterval = absl::Milliseconds(20);
// How long what was killed may take to be gone. Only a process in an uninterruptible system call, or one whose parent
// never waits for it, takes more than an instant.
constexpr absl::Duration kGoneWithin = absl::Milliseconds(100);
// What a daemon has after the end of the program that started it: to come to setsid, and to say its last words to the
// output before it closes it. On a busy machine it has not run at all by then.
constexpr absl::Duration kLeavesWithin = absl::Seconds(1);
constexpr absl::Duration kLeaveInterval = absl::Milliseconds(2);

absl::Duration Monotonic() {
  return absl::FromChrono(std::chrono::steady_clock::now().time_since_epoch());
}

// The last `limit` bytes of what is added.
class Tail {
 public:
  explicit Tail(size_t limit) : limit_(limit) {}
  void Add(absl::string_view bytes) {
    bytes_.append(bytes.data(), bytes.size());
    // Cut seldom, so that each byte is moved once or twice.
    if (bytes_.size() > 2 * limit_ + 4096) Cut();
  }
  std::string Take() {
    Cut();
    return std::move(bytes_);
  }

 private:
  void Cut() {
    if (bytes_.size() > limit_) bytes_.erase(0, bytes_.size() - limit_);
  }
  const size_t limit_;
  std::string bytes_;
};

// Keeps SIGPIPE from this thread while it writes to a child that may be gone, and takes back the one it caused.
class WithoutSigpipe {
 public:
  WithoutSigpipe() {
    sigemptyset(&sigpipe_);
    sigaddset(&sigpipe_, SIGPIPE);
    sigset_t pending;
    sigpending(&pending);
    was_pending_ = sigismember(&pending, SIGPIPE) == 1;
    pthread_sigmask(SIG_BLOCK, &sigpipe_, &before_);
  }
  ~WithoutSigpipe() {
    const timespec at_once = {};
    if (!was_pending_) {
      while (sigtimedwait(&sigpipe_, nullptr, &at_once) < 0 && errno == EINTR) {
      }
    }
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  WithoutSigpipe(const WithoutSigpipe&) = delete;
  WithoutSigpipe& operator=(const WithoutSigpipe&) = delete;

 private:
  sigset_t sigpipe_;
  sigset_t before_;
  bool was_pending_;
};

// One running child, until it and its group are gone.
class Supervisor {
 public:
  Supervisor(Child child, const ProcessRequest& request)
      : child_(std::move(child)),
        input_(request.input),
        deadline_(Monotonic() + request.timeout),
        output_(request.max_output),
        error_(request.max_output) {
#ifdef SYS_pidfd_open
    pidfd_ = Descriptor(static_cast<int>(syscall(SYS_pidfd_open, child_.pid, 0)));
#endif
  }

  ProcessResult ToEnd() {
    while (!HasEnded()) {
      KeepDeadline();
      Serve(Patience());
    }
    ProcessResult result;
    Reap(result);
    if (!is_lost_) EndGroup();
    // What the program wrote before its end is in the pipes. What left the group may hold them open: no waiting for
    // their end.
    Drain(child_.output, output_);
    Drain(child_.error, error_);
    result.timed_out = stage_ != Stage::kRunning;
    result.output = output_.Take();
    result.error = error_.Take();
    return result;
  }

 private:
  enum class Stage { kRunning, kAskedToEnd, kKilled };

  bool HasEnded() {
    siginfo_t info = {};
    if (waitid(P_PID, static_cast<id_t>(child_.pid), &info, WEXITED | WNOHANG | WNOWAIT) == 0) {
      return info.si_pid == child_.pid;
    }
    is_lost_ = errno == ECHILD;
    return is_lost_;
  }

  void KeepDeadline() {
    if (stage_ == Stage::kKilled || Monotonic() < deadline_) return;
    if (stage_ == Stage::kRunning) {
      kill(-child_.pid, SIGTERM);
      // A stopped process acts on SIGTERM only when it goes on.
      kill(-child_.pid, SIGCONT);
      stage_ = Stage::kAskedToEnd;
      deadline_ = Monotonic() + kGrace;
    } else {
      kill(-child_.pid, SIGKILL);
      stage_ = Stage::kKilled;
    }
  }

  absl::Duration Patience() const {
    absl::Duration patience = pidfd_.valid() ? absl::Hours(1) : kLookInterval;
    if (stage_ != Stage::kKilled) patience = std::min(patience, deadline_ - Monotonic());
    return std::max(patience, absl::ZeroDuration());
  }

  // Moves bytes, until something ends or `patience` is over.
  void Serve(absl::Duration patience) {
    pollfd fds[] = {{child_.input.get(), POLLOUT, 0},
                    {child_.output.get(), POLLIN, 0},
                    {child_.error.get(), POLLIN, 0},
                    {pidfd_.get(), POLLIN, 0}};
    const int milliseconds = static_cast<int>(absl::ToInt64Milliseconds(absl::Ceil(patience, absl::Milliseconds(1))));
    if (poll(fds, std::size(fds), milliseconds) <= 0) return;
    if (fds[0].revents != 0) Feed();
    if (fds[1].revents != 0) Read(child_.output, output_);
    if (fds[2].revents != 0) Read(child_.error, error_);
  }

  void Feed() {
    const ssize_t written = write(child_.input.get(), input_.data(), input_.size());
    if (written > 0) input_.remove_prefix(static_cast<size_t>(written));
    // A program need not read all of its input.
    const bool gone = written < 0 && errno != EINTR && errno != EAGAIN;
    if (gone || input_.empty()) child_.input.Close();
  }

  // False when there is nothing to read now.
  static bool Read(Descriptor& from, Tail& to) {
    char buffer[16 * 1024];
    const ssize_t size = read(from.get(), buffer, sizeof buffer);
    if (size > 0) {
      to.Add(absl::string_view(buffer, static_cast<size_t>(size)));
      return true;
    }
    if (size < 0 && errno == EINTR) return true;
    if (size == 0 || errno != EAGAIN) from.Close();
    return false;
  }

  // Of what is there already, no more than a pipe can hold: a daemon that still has its other end may write for ever.
  static void Drain(Descriptor& from, Tail& to) {
    constexpr int kMaxReads = 64;
    for (int i = 0; from.valid() && i < kMaxReads && Read(from, to); ++i) {
    }
  }

  void Reap(ProcessResult& result) const {
    int status = 0;
    pid_t reaped;
    do {
      reaped = waitpid(child_.pid, &status, 0);
    } while (reaped < 0 && errno == EINTR);
    if (reaped < 0) return;
    if (WIFEXITED(status)) result.exit_code = WEXITSTATUS(status);
    if (WIFSIGNALED(status)) result.signal = WTERMSIG(status);
  }

  // What is left in the group after its leader. While it has members its number is nobody else's, and afterwards not
  // before all other numbers were given away.
  void EndGroup() {
    if (stage_ == Stage::kRunning) LetDaemonsLeave();
    if (!GroupIsThere()) return;
    kill(-child_.pid, SIGKILL);
    const absl::Duration until = Monotonic() + kGoneWithin;
    while (GroupIsThere() && Monotonic() < until) absl::SleepFor(absl::Milliseconds(1));
  }

  // At once where nobody is in the group or has the output open. Who writes to it after this is ended by SIGPIPE.
  void LetDaemonsLeave() {
    pidfd_.Close();
    const absl::Duration until = Monotonic() + kLeavesWithin;
    while (GroupIsThere() || child_.output.valid() || child_.error.valid()) {
      if (Monotonic() >= until) return;
      Serve(kLeaveInterval);
    }
  }

  bool GroupIsThere() const {
    return kill(-child_.pid, 0) == 0;
  }

  Child child_;
  absl::string_view input_;
  Descriptor pidfd_;
  Stage stage_ = Stage::kRunning;
  // Somebody else has waited for it, or this process ignores SIGCHLD: nobody can know how it ended.
  bool is_lost_ = false;
  // Of the stage.
  absl::Duration deadline_;
  Tail output_;
  Tail error_;
};

class RealProcessRunner : public ProcessRunner {
 public:
  absl::StatusOr<ProcessResult> Run(const ProcessRequest& request) override {
    const absl::Duration start = Monotonic();
    ASSIGN_OR_RETURN(Child child, Spawn(request));
    const WithoutSigpipe guard;
    ProcessResult result = Supervisor(std::move(child), request).ToEnd();
    result.duration = Monotonic() - start;
    if (result.timed_out) result.allowed = request.timeout;
    return result;
  }
};

}  // namespace

std::string ProcessResult::Describe() const {
  if (timed_out) return absl::StrCat("did not end within ", absl::FormatDuration(allowed));
  if (signal != 0) return absl::StrCat("was killed by signal ", signal);
  return absl::StrCat("exited with ", exit_code);
}

ProcessRunner& ProcessRunner::Real() {
  static auto* const runner = new RealProcessRunner;
  return *runner;
}

}  // namespace certcast
