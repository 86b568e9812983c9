// Programs that do the same, side by side, and what is wanted of ours.
#ifndef CERTCAST_TESTS_BENCH_COMPARISON_H_
#define CERTCAST_TESTS_BENCH_COMPARISON_H_

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "tests/bench/process_tree.h"

namespace certcast::bench {

// Whether the machine has `program`, by PATH.
bool IsInstalled(const std::string& program);
// What is said of one that it has not.
std::string NotInstalled(const std::string& what, const std::string& program, const std::string& package);

absl::Duration Median(const std::vector<Measured>& runs, absl::Duration Measured::*of);

struct Aim {
  std::string what;
  double wanted = 0;
  bool at_least = false;
  double measured = 0;

  bool met() const { return at_least ? measured >= wanted : measured <= wanted; }
};

std::string AimTable(const std::vector<Aim>& aims);
nlohmann::ordered_json ToJson(const std::vector<Aim>& aims);

// The end of a file, for what is said of a failure.
std::string LastOf(const std::string& log);

}  // namespace certcast::bench

#endif  // CERTCAST_TESTS_BENCH_COMPARISON_H_
