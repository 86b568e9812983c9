// Runs a program: argv, never a shell line; a deadline; bounded output; no inherited descriptors.
#ifndef CERTCAST_COMMON_PROCESS_PROCESS_H_
#define CERTCAST_COMMON_PROCESS_PROCESS_H_

#include <sys/types.h>

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace certcast {

// The umask of programs that are started from now on. Without it they get this process's, which is made for its own
// keys: a server that a reload starts anew would make logs and sockets that nobody else can open.
void SetUmaskOfPrograms(mode_t mask);

struct ProcessRequest {
  // argv[0] is looked up in PATH when it has no slash. At least one.
  std::vector<std::string> argv;
  // Beside PATH, HOME, LANG, LC_ALL, TZ, USER, LOGNAME and SHELL of this process; nothing else is inherited.
  std::vector<std::pair<std::string, std::string>> environment;
  // Empty: this process's.
  std::string directory;
  // Written to its standard input, which is then closed.
  std::string input;
  // After it, the whole process group gets SIGTERM, and SIGKILL 2 s later.
  absl::Duration timeout = absl::Seconds(30);
  // Of standard output and of standard error each, the last bytes are kept; the rest is read and dropped.
  size_t max_output = 16 * 1024;
};

struct ProcessResult {
  // Of wait: the exit code, or -1 when a signal ended it.
  int exit_code = -1;
  int signal = 0;
  bool timed_out = false;
  // The request's timeout, when that was it.
  absl::Duration allowed;
  std::string output;
  std::string error;
  absl::Duration duration;

  bool ok() const { return exit_code == 0 && !timed_out; }
  // "exited with 1", "was killed by signal 9", "did not end within 30s".
  std::string Describe() const;
};

// Thread-safe.
class ProcessRunner {
 public:
  virtual ~ProcessRunner() = default;
  // A program does not outlive this process: where that is killed the kernel ends it, though not what it has started
  // itself.
  //
  // Fails only when the program could not be started (missing, not executable). Whatever it left in its process group
  // is killed when this returns, also when it closed its output and went on in the background. A daemon lives on that,
  // within a second of the program's end, makes a session of its own (setsid) and writes to the output for the last
  // time. Not idempotent: what the program did is done.
  virtual absl::StatusOr<ProcessResult> Run(const ProcessRequest& request) = 0;

  // The machine's; lives for ever.
  static ProcessRunner& Real();
};

}  // namespace certcast

#endif  // CERTCAST_COMMON_PROCESS_PROCESS_H_
