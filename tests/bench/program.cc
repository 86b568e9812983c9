#include "tests/bench/program.h"

#include <iostream>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/status/status.h"

namespace certcast::bench {

Program::Program(const std::string& name, const std::string& purpose, const std::string& example)
    : name_(name),
      app_(absl::StrCat(purpose, "\nRun it as: bazel run ", example, "\nSee the top of tests/bench/", name,
                        ".cc for what is measured.")) {
}

void Program::OfferDirectory(std::string& directory, const std::string& what) {
  app_.add_option("--directory", directory, absl::StrCat("where ", what, " ($TMPDIR)"));
}

void Program::OfferOutput(std::string& output) {
  app_.add_option("-o,--output", output, "table or json")
      ->capture_default_str()
      ->check(CLI::IsMember({"table", "json"}));
}

void Program::OfferFleet(int& parallel, int& processes) {
  app_.add_option("--parallel", parallel, "how many at once")->capture_default_str()->check(CLI::Range(1, 10'000));
  app_.add_option("--processes", processes, "over how many processes the nodes are spread")
      ->capture_default_str()
      ->check(CLI::Range(1, 64));
}

int Program::Main(int argc, char** argv, const std::function<absl::StatusOr<int>()>& run) {
  // As the programs themselves do.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  try {
    app_.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app_.exit(error) == 0 ? 0 : 2;
  }
  const absl::StatusOr<int> exit_code = run();
  if (exit_code.ok()) return *exit_code;
  const v1::Failure failure = FailureOf(exit_code.status());
  std::cerr << name_ << ": " << failure.detail() << (failure.hint().empty() ? "" : "\n  ") << failure.hint() << "\n";
  return absl::IsInvalidArgument(exit_code.status()) ? 2 : 1;
}

}  // namespace certcast::bench
