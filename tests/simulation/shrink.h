// From a run that broke a rule to the shortest one that is found to break the same.
#ifndef CERTCAST_TESTS_SIMULATION_SHRINK_H_
#define CERTCAST_TESTS_SIMULATION_SHRINK_H_

#include "tests/simulation/mutation.h"
#include "tests/simulation/run.h"
#include "tests/simulation/scenario.h"

namespace certcast::simulation {

struct Shrunk {
  Scenario scenario;
  Outcome outcome;
};

// Leaves out nodes, faults, acts, generations and what else is special, one after the other, as long as the rule that
// `scenario` breaks is broken still. The same scenario gives the same one. At most a few hundred runs.
Shrunk Shrink(const Scenario& scenario, Mutation mutation = Mutation::kNone);

}  // namespace certcast::simulation

#endif  // CERTCAST_TESTS_SIMULATION_SHRINK_H_
