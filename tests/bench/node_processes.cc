#include "tests/bench/node_processes.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/status/status.h"
#include "controller/transport/grpc_transport.h"
#include "tests/bench/measure.h"

namespace certcast::bench {
namespace {

absl::Status WriteAll(int fd, absl::string_view text) {
  while (!text.empty()) {
    const ssize_t written = write(fd, text.data(), text.size());
    if (written < 0 && errno != EINTR) return FailErrno(errno, "writing to a pipe");
    if (written > 0) text.remove_prefix(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

// Until the other end is closed.
std::string ReadAll(int fd) {
  std::string text;
  char buffer[4096];
  while (true) {
    const ssize_t size = read(fd, buffer, sizeof buffer);
    if (size > 0) text.append(buffer, static_cast<size_t>(size));
    if (size == 0 || (size < 0 && errno != EINTR)) return text;
  }
}

// The child's life: serve, say what there is, a line each (or `!` and what went wrong), and end with the parent.
[[noreturn]] void LiveAsNodes(int first, int count, const NodeProcesses::Make& make, int said, int alive) {
  controller::SilenceGrpcLog();
  // As the agent and any web server do: whoever connects may go away in the middle of an answer.
  signal(SIGPIPE, SIG_IGN);
  std::vector<std::unique_ptr<RunningNode>> nodes;
  std::string lines;
  absl::Status status;
  for (int i = 0; i < count && status.ok(); ++i) {
    absl::StatusOr<std::unique_ptr<RunningNode>> node = make(first + i);
    status = node.status();
    if (!node.ok()) break;
    absl::StrAppend(&lines, (*node)->Describe(), "\n");
    nodes.push_back(*std::move(node));
  }
  status = WriteAll(said, status.ok() ? lines : absl::StrCat("!", status.message()));
  close(said);
  if (status.ok()) ReadAll(alive);
  _exit(0);
}

}  // namespace

std::string LoopbackOf(int node) {
  return absl::StrCat("127.77.", node / 250, ".", node % 250 + 1);
}

std::string NameOf(int node) {
  return absl::StrCat("node-", node);
}

absl::Status RaiseDescriptorLimit(size_t descriptors) {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur >= descriptors) return absl::OkStatus();
  limit.rlim_cur = descriptors;
  limit.rlim_max = std::max<rlim_t>(limit.rlim_max, descriptors);
  if (setrlimit(RLIMIT_NOFILE, &limit) == 0) return absl::OkStatus();
  return FailInput(absl::StrCat("so many nodes need ", descriptors, " open files a process, the limit is lower"),
                   "take fewer --nodes or more --processes, or raise the limit: ulimit -n");
}

absl::StatusOr<std::unique_ptr<NodeProcesses>> NodeProcesses::Start(int nodes, int processes, const Make& make) {
  auto started = std::unique_ptr<NodeProcesses>(new NodeProcesses());
  int ends[2];
  if (pipe(ends) != 0) return FailErrno(errno, "making a pipe");
  started->alive_read_ = Descriptor(ends[0]);
  started->alive_write_ = Descriptor(ends[1]);
  processes = std::clamp(processes, 1, nodes);
  std::vector<Descriptor> children;
  for (int i = 0; i < processes; ++i) {
    const int first = static_cast<int>(int64_t{nodes} * i / processes);
    const int end = static_cast<int>(int64_t{nodes} * (i + 1) / processes);
    ASSIGN_OR_RETURN(Descriptor child, started->Fork(first, end - first, make));
    children.push_back(std::move(child));
  }
  for (const Descriptor& child : children) RETURN_IF_ERROR(started->Collect(ReadAll(child.get())));
  if (started->descriptions_.size() != static_cast<size_t>(nodes)) {
    return absl::InternalError("a process of nodes ended early");
  }
  return started;
}

absl::StatusOr<Descriptor> NodeProcesses::Fork(int first, int count, const Make& make) {
  int ends[2];
  if (pipe(ends) != 0) return FailErrno(errno, "making a pipe");
  Descriptor read_end(ends[0]);
  const Descriptor write_end(ends[1]);
  const pid_t pid = fork();
  if (pid < 0) return FailErrno(errno, "starting a process");
  if (pid == 0) {
    alive_write_.Close();
    LiveAsNodes(first, count, make, write_end.get(), alive_read_.get());
  }
  processes_.push_back(pid);
  return read_end;
}

absl::Status NodeProcesses::Collect(absl::string_view said) {
  if (absl::StartsWith(said, "!"))
    return absl::InternalError(absl::StrCat("the nodes did not start: ", said.substr(1)));
  for (const absl::string_view line : absl::StrSplit(said, '\n', absl::SkipEmpty())) {
    descriptions_.emplace_back(line);
  }
  return absl::OkStatus();
}

NodeProcesses::~NodeProcesses() {
  alive_write_.Close();
  for (const pid_t pid : processes_) {
    while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
}

absl::Duration NodeProcesses::Cpu() const {
  absl::Duration sum;
  for (const pid_t pid : processes_) sum += CpuOf(pid);
  return sum;
}

}  // namespace certcast::bench
