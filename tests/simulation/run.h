// One run of a scenario: fleet, network, store, controllers and operator, from the start until all is well again or a
// rule is broken.
#ifndef CERTCAST_TESTS_SIMULATION_RUN_H_
#define CERTCAST_TESTS_SIMULATION_RUN_H_

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tests/simulation/mutation.h"
#include "tests/simulation/scenario.h"
#include "tests/simulation/trace.h"

namespace certcast::simulation {

struct Outcome {
  Violation violation;
  std::vector<std::string> trace;
  // Times that a task gave way, after each of which the rules were looked at.
  int64_t events = 0;
  int64_t commands = 0;
  int64_t installs = 0;
  int64_t confirms = 0;
  int64_t reverts = 0;
  int64_t applies = 0;
  int64_t rollouts = 0;
  // Rollouts by the state that they ended in.
  std::map<std::string, int> ends;
  // Faults that happened.
  std::array<int64_t, kFaultKinds> faults = {};
  std::array<int64_t, kActKinds> acts = {};
};

// The same scenario gives the same outcome. One at a time in a process.
Outcome RunScenario(const Scenario& scenario, Mutation mutation = Mutation::kNone);

}  // namespace certcast::simulation

#endif  // CERTCAST_TESTS_SIMULATION_RUN_H_
