// Programs that are measured, with all that they and the rest of this process's family start.
#ifndef CERTCAST_TESTS_BENCH_PROCESS_TREE_H_
#define CERTCAST_TESTS_BENCH_PROCESS_TREE_H_

#include <sys/types.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace certcast::bench {

// From now on: what a descendant leaves behind becomes this process's child, so that it is still counted and found; and
// an interrupt (SIGINT, SIGTERM, SIGHUP) only makes Interrupted() true, so that everything is taken down in order.
absl::Status AdoptDescendants();
bool Interrupted();
// CANCELLED when Interrupted().
absl::Status CheckInterrupted();

// User and system time of this process and all its descendants, those that have ended too. What a living one has of
// ended children is known to 10 ms.
absl::Duration TreeCpu();
// Living descendants; those that have ended and were left to this process are reaped.
size_t CountDescendants();

struct MeasuredCommand {
  std::vector<std::string> argv;
  // Beside this process's.
  std::vector<std::pair<std::string, std::string>> environment;
  // A file; empty: nothing.
  std::string input;
  // A file that gets its standard error, and standard output where that has none of its own. Appended to.
  std::string log;
  std::string output;
  absl::Duration longest = absl::Minutes(20);
};

struct Measured {
  int exit_code = 0;
  absl::Duration wall;
  // Of the program and what it waited for.
  absl::Duration own_cpu;
  // Of it and of everything else in the tree: the hosts, this process.
  absl::Duration all_cpu;
};

// Of a process with one thread that starts programs. The time ends with the program; CPU also counts what hosts do
// after it, until there are no more descendants than before, for at most `settle`.
absl::StatusOr<Measured> RunMeasured(const MeasuredCommand& command, absl::Duration settle = absl::Seconds(2));

}  // namespace certcast::bench

#endif  // CERTCAST_TESTS_BENCH_PROCESS_TREE_H_
