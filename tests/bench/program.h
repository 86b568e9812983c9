// What the mains of benchmarks have in common: flags, exit codes, and how a failure is said.
#ifndef CERTCAST_TESTS_BENCH_PROGRAM_H_
#define CERTCAST_TESTS_BENCH_PROGRAM_H_

#include <CLI/CLI.hpp>
#include <functional>
#include <string>

#include "absl/status/statusor.h"

namespace certcast::bench {

class Program {
 public:
  // `name`: of the target in tests/bench. `example`: what follows `bazel run`, the target and its flags.
  Program(const std::string& name, const std::string& purpose, const std::string& example);

  CLI::App& app() { return app_; }
  // --directory: of `what` on the disk.
  void OfferDirectory(std::string& directory, const std::string& what);
  // -o, --output: "table" or "json".
  void OfferOutput(std::string& output);
  // --parallel and --processes of a simulated fleet.
  void OfferFleet(int& parallel, int& processes);

  // Reads the arguments and calls `run`, which says with what the program exits: 0, or 1 where what was measured failed
  // in part. A failure goes to standard error with its hint: 2 for a wrong argument, else 1.
  int Main(int argc, char** argv, const std::function<absl::StatusOr<int>()>& run);

 private:
  const std::string name_;
  CLI::App app_;
};

}  // namespace certcast::bench

#endif  // CERTCAST_TESTS_BENCH_PROGRAM_H_
