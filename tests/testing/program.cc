#include "tests/testing/program.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <random>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "common/clock/clock.h"
#include "common/file/descriptor.h"
#include "common/status/status.h"

namespace certcast::testing {
namespace {

constexpr absl::Duration kLookInterval = absl::Milliseconds(20);
constexpr absl::Duration kGrace = absl::Seconds(2);

absl::StatusOr<Descriptor> OpenStream(const std::string& path, int flags) {
  const std::string name = path.empty() ? "/dev/null" : path;
  Descriptor fd(open(name.c_str(), flags | O_CLOEXEC, 0600));
  if (!fd.valid()) return FailErrno(errno, absl::StrCat("opening ", name));
  return fd;
}

std::vector<std::string> EnvironmentOf(const ProgramOptions& options) {
  std::vector<std::string> result;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const absl::string_view name = absl::string_view(*variable).substr(0, absl::string_view(*variable).find('='));
    const auto replaced = [&](const auto& given) { return given.first == name; };
    if (std::none_of(options.environment.begin(), options.environment.end(), replaced)) result.emplace_back(*variable);
  }
  for (const auto& [name, value] : options.environment) result.push_back(absl::StrCat(name, "=", value));
  return result;
}

std::vector<char*> PointersTo(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  pointers.reserve(strings.size() + 1);
  for (std::string& string : strings) pointers.push_back(string.data());
  pointers.push_back(nullptr);
  return pointers;
}

// Where FreePort looks: from here to where the ports begin that the kernel gives to connections. A connection of
// another test may be on one of those by the time that a server wants it.
constexpr int kFirstPort = 10'000;

int PortsToLookAt() {
  int first_of_connections = 0;
  std::istringstream(ReadFile("/proc/sys/net/ipv4/ip_local_port_range")) >> first_of_connections;
  return std::max(first_of_connections - kFirstPort, 1000);
}

// False when another has it.
bool CanBind(const std::string& host, int type, int port) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  if (inet_pton(AF_INET, host.c_str(), &address.sin_addr) != 1) return false;
  const Descriptor fd(socket(AF_INET, type | SOCK_CLOEXEC, 0));
  return bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

}  // namespace

absl::Status WaitUntil(absl::string_view what, absl::Duration longest, const std::function<bool()>& is_so) {
  Clock& clock = Clock::Real();
  const absl::Duration until = clock.Monotonic() + longest;
  while (!is_so()) {
    if (clock.Monotonic() >= until) {
      return absl::DeadlineExceededError(absl::StrCat(what, ": not so within ", absl::FormatDuration(longest)));
    }
    clock.Sleep(kLookInterval);
  }
  return absl::OkStatus();
}

absl::StatusOr<int> FreePort(const std::string& host) {
  // Tests that run beside this one begin elsewhere.
  static std::atomic<unsigned> next = std::random_device()();
  static const auto ports = static_cast<unsigned>(PortsToLookAt());
  for (int tries = 0; tries < 100; ++tries) {
    const int port = kFirstPort + static_cast<int>(next++ % ports);
    if (CanBind(host, SOCK_STREAM, port) && CanBind(host, SOCK_DGRAM, port)) return port;
  }
  return absl::UnavailableError(absl::StrCat("no free port on ", host));
}

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

absl::Status WriteFile(const std::string& path, absl::string_view text, int mode) {
  unlink(path.c_str());
  const Descriptor fd(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
  if (!fd.valid() || write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    return FailErrno(errno, absl::StrCat("writing ", path));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Program>> Program::Start(const ProgramOptions& options) {
  ASSIGN_OR_RETURN(const Descriptor input, OpenStream(options.input, O_RDONLY));
  ASSIGN_OR_RETURN(const Descriptor output, OpenStream(options.output, O_WRONLY | O_CREAT | O_APPEND));
  ASSIGN_OR_RETURN(const Descriptor error, OpenStream(options.error, O_WRONLY | O_CREAT | O_APPEND));
  std::vector<std::string> arguments = options.argv;
  std::vector<std::string> environment = EnvironmentOf(options);
  const std::vector<char*> argv = PointersTo(arguments);
  const std::vector<char*> envp = PointersTo(environment);
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid < 0) return FailErrno(errno, absl::StrCat("starting ", options.argv[0]));
  if (pid == 0) {
    // A group of its own, so that what it leaves behind can be ended with it.
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, options.on_death);
    if (getppid() != parent) _exit(127);
    if (dup2(input.get(), 0) < 0 || dup2(output.get(), 1) < 0 || dup2(error.get(), 2) < 0) _exit(127);
    execvpe(argv[0], argv.data(), envp.data());
    _exit(127);
  }
  return std::unique_ptr<Program>(new Program(pid));
}

Program::~Program() {
  Signal(SIGCONT);
  Signal(SIGTERM);
  const bool ended = Wait(kGrace).ok();
  // What is left of its group, also when it has ended itself.
  kill(-pid_, SIGKILL);
  if (!ended) waitpid(pid_, nullptr, 0);
}

bool Program::Running() {
  if (status_.has_value()) return false;
  int status = 0;
  if (waitpid(pid_, &status, WNOHANG) == 0) return true;
  status_ = status;
  return false;
}

void Program::Signal(int signal) const {
  if (!status_.has_value()) kill(pid_, signal);
}

absl::StatusOr<int> Program::Wait(absl::Duration longest) {
  RETURN_IF_ERROR(WaitUntil(absl::StrCat("the end of process ", pid_), longest, [this] { return !Running(); }));
  return WIFEXITED(*status_) ? WEXITSTATUS(*status_) : 128 + WTERMSIG(*status_);
}

void Program::Kill() {
  Signal(SIGKILL);
  (void)Wait(kGrace);
}

}  // namespace certcast::testing
