#include "tests/testing/daemon.h"

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <sstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/probe/probe.h"
#include "common/process/process.h"
#include "common/status/status.h"

namespace certcast::testing {
namespace {

constexpr absl::Duration kStartTimeout = absl::Seconds(20);
constexpr absl::Duration kStopTimeout = absl::Seconds(5);
constexpr absl::Duration kLook = absl::Seconds(2);

absl::Status RunOrFail(const std::vector<std::string>& argv) {
  ASSIGN_OR_RETURN(const ProcessResult result, ProcessRunner::Real().Run({.argv = argv, .timeout = absl::Minutes(1)}));
  if (result.ok()) return absl::OkStatus();
  return absl::InternalError(
      absl::StrCat(absl::StrJoin(argv, " "), " ", result.Describe(), "\n", result.output, result.error));
}

absl::Status ChangeOwner(const std::string& owner, const std::string& path) {
  return owner.empty() ? absl::OkStatus() : RunOrFail({"chown", owner, path});
}

// Of this thread.
std::vector<pid_t> Children() {
  std::istringstream list(ReadFile(absl::StrCat("/proc/self/task/", gettid(), "/children")));
  std::vector<pid_t> children;
  for (pid_t pid; list >> pid;) children.push_back(pid);
  return children;
}

// Those whose parent has ended come to this process; so do theirs, once these have.
void EndOrphans() {
  (void)WaitUntil("nothing is left of the server", kStopTimeout, [] {
    for (const pid_t pid : Children()) {
      kill(pid, SIGKILL);
      waitpid(pid, nullptr, 0);
    }
    return Children().empty();
  });
}

}  // namespace

absl::StatusOr<std::unique_ptr<Daemon>> Daemon::Start(DaemonPlan plan, const std::string& log) {
  if (geteuid() != 0) return absl::FailedPreconditionError("servers are started by root: run this test as root");
  if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) return FailErrno(errno, "becoming the parent of orphans");
  std::unique_ptr<Daemon> daemon(new Daemon(std::move(plan), log));
  RETURN_IF_ERROR(daemon->Prepare());
  RETURN_IF_ERROR(daemon->Launch());
  return daemon;
}

Daemon::~Daemon() {
  Stop();
}

void Daemon::Reap() {
  const pid_t own = Running() ? program_->pid() : 0;
  for (const pid_t pid : Children()) {
    if (pid != own) waitpid(pid, nullptr, WNOHANG);
  }
}

absl::Status Daemon::Restart() {
  Stop();
  return Launch();
}

absl::Status Daemon::Prepare() const {
  for (const DaemonPlan::Folder& folder : plan_.folders) {
    std::error_code error;
    std::filesystem::create_directories(folder.path, error);
    if (error) return absl::InternalError(absl::StrCat("making ", folder.path, ": ", error.message()));
    RETURN_IF_ERROR(ChangeOwner(folder.owner, folder.path));
  }
  for (const DaemonPlan::File& file : plan_.files) {
    RETURN_IF_ERROR(WriteFile(file.path, file.text, 0644));
    RETURN_IF_ERROR(ChangeOwner(file.owner, file.path));
  }
  for (const std::vector<std::string>& argv : plan_.prepare) RETURN_IF_ERROR(RunOrFail(argv));
  return absl::OkStatus();
}

absl::Status Daemon::Launch() {
  const size_t said_before = log().size();
  // SIGTERM, so that its children end as well.
  ASSIGN_OR_RETURN(program_, Program::Start({.argv = plan_.argv, .output = log_, .error = log_, .on_death = SIGTERM}));
  const auto is_up = [&] {
    return Prober::Real().Look({.what = TcpProbe{plan_.address}}, kLook).ok &&
           absl::StrContains(log().substr(said_before), plan_.says);
  };
  const absl::Status started = WaitUntil(absl::StrCat(plan_.argv[0], " listens on ", plan_.address), kStartTimeout,
                                         [&] { return !program_->Running() || is_up(); });
  if (started.ok() && program_->Running()) return absl::OkStatus();
  return absl::InternalError(absl::StrCat(plan_.argv[0], " did not start:\n", log()));
}

void Daemon::Stop() {
  if (program_ == nullptr) return;
  program_->Signal(plan_.stop);
  (void)program_->Wait(kStopTimeout);
  program_.reset();
  EndOrphans();
}

}  // namespace certcast::testing
