#include "tests/testing/program_channel.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <iostream>

#include "absl/strings/str_cat.h"
#include "common/status/status.h"

namespace certcast::testing {
namespace {

// Two ends, both closed on exec; the first does not block. Sockets, as sshd uses them.
std::array<Descriptor, 2> Pair() {
  std::array<int, 2> ends;
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    std::cerr << "socketpair failed\n";
    std::abort();
  }
  fcntl(ends[0], F_SETFL, O_NONBLOCK);
  return {Descriptor(ends[0]), Descriptor(ends[1])};
}

bool WaitFor(int fd, short events, Deadline deadline) {
  pollfd polled = {fd, events, 0};
  return poll(&polled, 1, static_cast<int>(absl::ToInt64Milliseconds(deadline.Remaining())) + 1) > 0;
}

}  // namespace

std::unique_ptr<ProgramChannel> ProgramChannel::Start(
    const std::vector<std::string>& argv, const std::string& directory,
    const std::vector<std::pair<std::string, std::string>>& environment) {
  std::unique_ptr<ProgramChannel> channel(new ProgramChannel());
  std::array<Descriptor, 2> input = Pair();
  std::array<Descriptor, 2> output = Pair();
  std::array<Descriptor, 2> error = Pair();
  std::vector<char*> pointers;
  for (const std::string& argument : argv) pointers.push_back(const_cast<char*>(argument.c_str()));
  pointers.push_back(nullptr);
  channel->pid_ = fork();
  if (channel->pid_ == 0) {
    setsid();
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGPIPE, SIG_DFL);
    for (const auto& [name, value] : environment) setenv(name.c_str(), value.c_str(), 1);
    if (dup2(input[1].get(), 0) < 0 || dup2(output[1].get(), 1) < 0 || dup2(error[1].get(), 2) < 0) _exit(127);
    if (chdir(directory.c_str()) != 0) _exit(127);
    execvp(pointers[0], pointers.data());
    _exit(127);
  }
  if (channel->pid_ < 0) {
    std::cerr << "fork failed\n";
    std::abort();
  }
  channel->input_ = std::move(input[0]);
  channel->output_ = std::move(output[0]);
  channel->error_ = std::move(error[0]);
  return channel;
}

ProgramChannel::~ProgramChannel() {
  input_.Close();
  output_.Close();
  if (status_.has_value()) return;
  kill(-pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

void ProgramChannel::DrainErrorOutput() {
  std::array<char, 4096> bytes;
  ssize_t size = 0;
  while ((size = recv(error_.get(), bytes.data(), bytes.size(), 0)) > 0) {
    absl::StrAppend(&error_output_, absl::string_view(bytes.data(), static_cast<size_t>(size)));
  }
}

absl::Status ProgramChannel::Write(absl::string_view bytes, Deadline deadline) {
  while (!bytes.empty()) {
    const ssize_t size = send(input_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (size >= 0) {
      bytes.remove_prefix(static_cast<size_t>(size));
    } else if (errno != EAGAIN) {
      return Fail(Reason::LINK_LOST, "the program ended before it had read all");
    } else if (!WaitFor(input_.get(), POLLOUT, deadline)) {
      return Fail(Reason::TIMED_OUT, "web-01: timed out while waiting for it to read");
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> ProgramChannel::Read(Deadline deadline) {
  std::string bytes(size_t{16} * 1024, '\0');
  while (true) {
    DrainErrorOutput();
    const ssize_t size = recv(output_.get(), bytes.data(), bytes.size(), 0);
    if (size >= 0) {
      bytes.resize(static_cast<size_t>(size));
      return bytes;
    }
    if (errno != EAGAIN && errno != ECONNRESET) return Fail(Reason::LINK_LOST, "web-01: the connection is gone");
    if (errno == ECONNRESET) return std::string();
    if (!WaitFor(output_.get(), POLLIN, deadline)) {
      return Fail(Reason::TIMED_OUT, "web-01: timed out while waiting for an answer");
    }
  }
}

std::optional<int> ProgramChannel::AwaitExit(Deadline) {
  DrainErrorOutput();
  if (!status_.has_value()) {
    int status = 0;
    waitpid(pid_, &status, 0);
    status_ = status;
    DrainErrorOutput();
  }
  return WIFEXITED(*status_) ? std::optional<int>(WEXITSTATUS(*status_)) : std::nullopt;
}

}  // namespace certcast::testing
