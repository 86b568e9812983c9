// Real programs as children of a test, which end with it: the test's own, and nginx, Pebble and the like.
#ifndef CERTCAST_TESTS_TESTING_PROGRAM_H_
#define CERTCAST_TESTS_TESTING_PROGRAM_H_

#include <signal.h>
#include <sys/types.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace certcast::testing {

// Looks every 20 ms. Fails when it is not so after `longest`.
absl::Status WaitUntil(absl::string_view what, absl::Duration longest, const std::function<bool()>& is_so);

// A port of the numeric address `host` that was free for TCP and UDP a moment ago, and that no connection gets. Another
// one each time.
absl::StatusOr<int> FreePort(const std::string& host);

// Empty when it can't be read.
std::string ReadFile(const std::string& path);
// Replaces it, with these permissions from the beginning.
absl::Status WriteFile(const std::string& path, absl::string_view text, int mode = 0600);

struct ProgramOptions {
  // argv[0] is looked up in PATH when it has no slash.
  std::vector<std::string> argv;
  // Beside the test's own, and instead of those of the same name.
  std::vector<std::pair<std::string, std::string>> environment;
  // Where its standard streams lead; those that are empty lead to /dev/null. Output is appended to.
  std::string input;
  std::string output;
  std::string error;
  // What the kernel sends it when the test program is killed.
  int on_death = SIGKILL;
};

// Of a test with one thread: what the kernel sends on death is sent when the thread that started it ends.
class Program {
 public:
  static absl::StatusOr<std::unique_ptr<Program>> Start(const ProgramOptions& options);
  // Asks it to end; two seconds later kills it with its process group.
  ~Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  pid_t pid() const { return pid_; }
  bool Running();
  void Signal(int signal) const;
  // The exit code, or 128 and the number of the signal that ended it. Fails when it has not ended after `longest`.
  absl::StatusOr<int> Wait(absl::Duration longest);
  // At once, as `kill -9` does, and waits until it is gone. Its children live on.
  void Kill();

 private:
  explicit Program(pid_t pid) : pid_(pid) {}

  const pid_t pid_;
  // Of wait, once it has ended.
  std::optional<int> status_;
};

}  // namespace certcast::testing

#endif  // CERTCAST_TESTS_TESTING_PROGRAM_H_
