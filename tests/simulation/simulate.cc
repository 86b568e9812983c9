// Runs the simulator by hand: one seed with its trace, or a night of them.
#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <iostream>
#include <string>

#include "absl/strings/str_cat.h"
#include "tests/simulation/run.h"
#include "tests/simulation/scenario.h"
#include "tests/simulation/shrink.h"

namespace certcast::simulation {
namespace {

struct Tally {
  int64_t runs = 0;
  int64_t failed = 0;
  Outcome sum;

  void Add(const Outcome& outcome) {
    ++runs;
    sum.events += outcome.events;
    sum.commands += outcome.commands;
    sum.installs += outcome.installs;
    sum.confirms += outcome.confirms;
    sum.reverts += outcome.reverts;
    sum.applies += outcome.applies;
    sum.rollouts += outcome.rollouts;
    for (const auto& [state, count] : outcome.ends) sum.ends[state] += count;
    for (size_t i = 0; i < sum.faults.size(); ++i) sum.faults[i] += outcome.faults[i];
    for (size_t i = 0; i < sum.acts.size(); ++i) sum.acts[i] += outcome.acts[i];
  }

  void Print() const {
    std::cout << "runs " << runs << ", failed " << failed << ", events " << sum.events << ", applies " << sum.applies
              << ", rollouts " << sum.rollouts << ", commands " << sum.commands << ", installs " << sum.installs
              << ", confirms " << sum.confirms << ", reverts " << sum.reverts << "\n";
    for (const auto& [state, count] : sum.ends) std::cout << "  rollouts that ended " << state << ": " << count << "\n";
    for (size_t i = 0; i < sum.faults.size(); ++i) {
      std::cout << "  " << NameOf(static_cast<FaultKind>(i)) << ": " << sum.faults[i] << "\n";
    }
    for (size_t i = 0; i < sum.acts.size(); ++i) {
      std::cout << "  operator: " << NameOf(static_cast<OperatorAct::Kind>(i)) << ": " << sum.acts[i] << "\n";
    }
  }
};

void Show(const Scenario& scenario, const Outcome& outcome) {
  std::cout << scenario.Describe() << "\n";
  for (const std::string& line : outcome.trace) std::cout << line << "\n";
  if (outcome.violation.happened()) {
    std::cout << "BROKEN: " << outcome.violation.rule << ": " << outcome.violation.text << "\n";
  }
}

}  // namespace
}  // namespace certcast::simulation

int main(int argc, char** argv) {
  using namespace certcast::simulation;  // NOLINT(google-build-using-namespace)
  CLI::App app("Simulates rollouts: the real controller and the real engine on virtual machines.");
  uint64_t seed = 1;
  int64_t runs = 1;
  bool trace = false;
  bool no_faults = false;
  bool no_shrink = false;
  app.add_option("--seed,--from", seed, "the first run's seed");
  app.add_option("--runs", runs, "so many, with seeds one after the other");
  app.add_flag("--trace", trace, "print what happens");
  app.add_flag("--no-faults", no_faults, "nothing goes wrong");
  app.add_flag("--no-shrink", no_shrink, "do not look for a shorter run that breaks the same rule");
  CLI11_PARSE(app, argc, argv);
  Tally tally;
  for (int64_t i = 0; i < runs; ++i) {
    const Scenario scenario = MakeScenario(seed + static_cast<uint64_t>(i), !no_faults);
    const Outcome outcome = RunScenario(scenario);
    tally.Add(outcome);
    if (trace) Show(scenario, outcome);
    if (!outcome.violation.happened()) continue;
    ++tally.failed;
    std::cout << "seed " << scenario.seed << ": " << outcome.violation.rule << ": " << outcome.violation.text
              << std::endl;
    if (no_shrink) continue;
    const Shrunk shrunk = Shrink(scenario);
    std::cout << "the shortest run that was found to break this:\n";
    Show(shrunk.scenario, shrunk.outcome);
  }
  tally.Print();
  return tally.failed == 0 ? 0 : 1;
}
