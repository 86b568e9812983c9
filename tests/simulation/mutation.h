// A product that is broken on purpose, to see that the rules notice. All of it happens at the edges that the simulator
// holds; the product itself has no such hooks.
#ifndef CERTCAST_TESTS_SIMULATION_MUTATION_H_
#define CERTCAST_TESTS_SIMULATION_MUTATION_H_

#include "absl/strings/string_view.h"

namespace certcast::simulation {

enum class Mutation {
  kNone,
  kProbesSeeWhatTheyShould,   // a node that believes its reload
  kEpochsAreIgnored,          // a node that obeys whoever comes
  kResultsAreForgotten,       // a node that does a repeated command again
  kNobodyWatchesTheDeadline,  // a node that waits for Confirm for ever
  kStepsAreNotSaved,          // a controller that acts before it saves
  kLeaseIsNotChecked,         // a store that takes writes of a controller that was replaced
  kBudgetIsNotKept,           // a controller that takes more nodes at once than the policy says
  kConfirmsAreLost,           // a node that says that it has confirmed, and has not
  kRevertsAreLost,            // a node that says that it went back, and has not
  kRequestsAreLost,           // a store that forgets what operators ask for
  kPausesAreForgotten,        // a controller that does not keep who had a rollout paused
  kWindowsAreIgnored,         // a controller that begins nodes whenever it likes
  kCertificatesAreMixedUp,    // a node that takes back another certificate than it is told to
  kRecoveryDoesNotReload,     // a node whose services go on as they are when it recovers
  kVisitsDoNotWait,           // a process over SSH that ends with its connection
  kStateIsNotLocked,          // processes over SSH that all work at once
};
inline constexpr int kMutations = static_cast<int>(Mutation::kStateIsNotLocked) + 1;
absl::string_view NameOf(Mutation mutation);

}  // namespace certcast::simulation

#endif  // CERTCAST_TESTS_SIMULATION_MUTATION_H_
