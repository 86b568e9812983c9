// A real server of a Debian package beside others: in a folder of its own, on a port of its own, in the foreground,
// ended by its id. Runs as root, as servers are started; they become their own users.
#ifndef CERTCAST_TESTS_TESTING_DAEMON_H_
#define CERTCAST_TESTS_TESTING_DAEMON_H_

#include <csignal>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tests/testing/program.h"

namespace certcast::testing {

// Paths are absolute.
struct DaemonPlan {
  struct Folder {
    std::string path;
    // Empty: root.
    std::string owner;
  };
  std::vector<Folder> folders;
  struct File {
    std::string path;
    std::string text;
    // Empty: root.
    std::string owner;
  };
  std::vector<File> files;
  // Before the first start, one after the other; each must end with 0.
  std::vector<std::vector<std::string>> prepare;
  // In the foreground.
  std::vector<std::string> argv;
  // What is connected to in order to see that it is up: 127.0.0.1:PORT.
  std::string address;
  // What its output says by then; empty: nothing.
  std::string says;
  // By which it ends itself and all its children.
  int stop = SIGTERM;
};

// What it leaves behind becomes a child of the test's process, and is ended too.
class Daemon {
 public:
  // Listens when this returns. Its output and error go to `log`.
  static absl::StatusOr<std::unique_ptr<Daemon>> Start(DaemonPlan plan, const std::string& log);
  ~Daemon();
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

  // The main process is the one that was started.
  bool Running() { return program_ != nullptr && program_->Running(); }
  // What has ended is taken note of, as init does it: else it looks alive to those who ask with a signal.
  void Reap();
  void Signal(int signal) const { program_->Signal(signal); }
  // As a service manager does it. Listens when this returns; fails when the server ends instead.
  absl::Status Restart();
  std::string log() const { return ReadFile(log_); }

 private:
  Daemon(DaemonPlan plan, std::string log) : plan_(std::move(plan)), log_(std::move(log)) {}
  absl::Status Prepare() const;
  absl::Status Launch();
  void Stop();

  const DaemonPlan plan_;
  const std::string log_;
  std::unique_ptr<Program> program_;
};

}  // namespace certcast::testing

#endif  // CERTCAST_TESTS_TESTING_DAEMON_H_
