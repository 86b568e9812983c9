// The real `certcast`, run on a configuration in a folder of a test.
#ifndef CERTCAST_TESTS_TESTING_CONTROLLER_PROGRAM_H_
#define CERTCAST_TESTS_TESTING_CONTROLLER_PROGRAM_H_

#include <memory>
#include <nlohmann/json.hpp>
#include <ostream>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "tests/testing/program.h"

namespace certcast::testing {

struct CommandResult {
  // -1: it did not end in time, or could not be started.
  int exit_code = -1;
  std::string out;
  std::string err;
  // What `out` is as JSON; discarded (is_discarded()) when it is none.
  nlohmann::json json;
};

// For messages of failed assertions.
std::ostream& operator<<(std::ostream& out, const CommandResult& result);

// Runs a program of this repository by its path below the root: "node/certcast-node". What it writes stays in
// `captured`, a directory, as NUMBER.out and NUMBER.err.
CommandResult RunCaptured(const std::string& captured, const std::string& program, std::vector<std::string> arguments,
                          absl::string_view input = "", absl::Duration longest = absl::Seconds(60));

// A command that is under way.
class RunningCommand {
 public:
  static absl::StatusOr<std::unique_ptr<RunningCommand>> Start(const std::string& captured, const std::string& program,
                                                               std::vector<std::string> arguments,
                                                               absl::string_view input = "");
  Program& program() { return *program_; }
  std::string err() const { return ReadFile(base_ + ".err"); }
  CommandResult Finish(absl::Duration longest = absl::Seconds(60));

 private:
  explicit RunningCommand(std::string base) : base_(std::move(base)) {}
  const std::string base_;
  std::unique_ptr<Program> program_;
};

// The controller of a folder: its configuration is HOME/certcast.yaml.
class ControllerProgram {
 public:
  explicit ControllerProgram(std::string home);

  std::string config_path() const { return home_ + "/certcast.yaml"; }
  // What all of its runs wrote is in there.
  const std::string& captured() const { return captured_; }

  CommandResult Run(std::vector<std::string> arguments, absl::string_view input = "") const;
  // The same with `-o json`.
  CommandResult Json(std::vector<std::string> arguments) const;
  absl::StatusOr<std::unique_ptr<RunningCommand>> StartJson(std::vector<std::string> arguments) const;
  // With both standard output and error leading to that file.
  absl::StatusOr<std::unique_ptr<Program>> StartInto(const std::string& path, std::vector<std::string> arguments) const;

 private:
  const std::string home_;
  const std::string captured_;
};

}  // namespace certcast::testing

#endif  // CERTCAST_TESTS_TESTING_CONTROLLER_PROGRAM_H_
