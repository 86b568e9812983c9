// What happened in a run, a line each; the same for the same seed, byte for byte, on every machine.
#ifndef CERTCAST_TESTS_SIMULATION_TRACE_H_
#define CERTCAST_TESTS_SIMULATION_TRACE_H_

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "tests/simulation/scheduler.h"

namespace certcast::simulation {

class Trace {
 public:
  explicit Trace(const Scheduler& scheduler) : scheduler_(scheduler) {}

  // Nothing that differs between two runs of one seed may be in it: no fingerprint, no key, no random name.
  template <typename... Parts>
  void Note(const Parts&... parts) {
    if (scheduler_.is_ending()) return;
    lines_.push_back(
        absl::StrCat(absl::StrFormat("%10.3f ", absl::ToDoubleSeconds(scheduler_.Now())), absl::StrCat(parts...)));
  }
  const std::vector<std::string>& lines() const { return lines_; }

 private:
  const Scheduler& scheduler_;
  std::vector<std::string> lines_;
};

// The first rule that was broken, and how.
struct Violation {
  // Stays the same while a run is made shorter.
  std::string rule;
  std::string text;
  bool happened() const { return !rule.empty(); }
};

// Ends the run at the first violation.
class Referee {
 public:
  Referee(Scheduler& scheduler, Trace& trace) : scheduler_(scheduler), trace_(trace) {}
  void Break(absl::string_view rule, absl::string_view text) {
    if (violation_.happened() || scheduler_.is_ending()) return;
    trace_.Note("BROKEN: ", rule, ": ", text);
    violation_ = {std::string(rule), std::string(text)};
    scheduler_.KillAll();
  }
  const Violation& violation() const { return violation_; }

 private:
  Scheduler& scheduler_;
  Trace& trace_;
  Violation violation_;
};

}  // namespace certcast::simulation

#endif  // CERTCAST_TESTS_SIMULATION_TRACE_H_
