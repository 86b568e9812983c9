// What happens in one run: the fleet, the policy, what the operator does and what goes wrong. All of it follows from
// the seed; leaving parts of it out gives a shorter run.
#ifndef CERTCAST_TESTS_SIMULATION_SCENARIO_H_
#define CERTCAST_TESTS_SIMULATION_SCENARIO_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "controller/config/config.h"

namespace certcast::simulation {

enum class FaultKind {
  // --- The network, between the controllers and one node.
  kPartition,     // nothing gets through
  kLoss,          // some messages are lost, with their connection
  kDelay,         // messages take up to seconds
  kLateDelivery,  // a connection is lost, and what it carried arrives later
  // --- A node.
  kKilledAgent,
  kFrozenAgent,
  kPowerLoss,
  kSlowDisk,
  kFullDisk,
  kClockSkew,
  kFlappingProbe,
  kLyingReload,  // exits with 0 and does nothing
  kFailingReload,
  kFailingCheck,
  kServiceDown,
  // --- The controller.
  kKilledController,
  kFrozenController,
  kTakenLease,  // a second controller takes over from one that still runs
  kStop,        // Ctrl-C
  kSlowStore,
  kFailingStore,
};
inline constexpr int kFaultKinds = static_cast<int>(FaultKind::kFailingStore) + 1;
absl::string_view NameOf(FaultKind kind);

struct FaultEvent {
  FaultKind kind = FaultKind::kPartition;
  // Where it is a node's.
  int node = 0;
  absl::Duration at;
  absl::Duration length;
  // For whatever else there is to choose.
  uint64_t dice = 0;
};

// What an operator asks of the rollout that is under way, or was the last one.
struct OperatorAct {
  enum class Kind { kPause, kResume, kAbort, kUndo, kRetry };
  Kind kind = Kind::kPause;
  absl::Duration at;
  uint64_t dice = 0;
};
inline constexpr int kActKinds = static_cast<int>(OperatorAct::Kind::kRetry) + 1;
absl::string_view NameOf(OperatorAct::Kind kind);

struct Scenario {
  struct Node {
    // Services nginx, and haproxy where there are two.
    int services = 1;
    // Files of services are copies instead of links.
    bool copies = false;
    // The controller looks at its services itself.
    bool is_verified = true;
    int rack = 0;
    // It has the second certificate too, where there is one.
    bool has_mail = false;
    // Nobody listens there: the controller logs in.
    bool is_ssh = false;
  };
  struct Generation {
    absl::Duration at;
    int certificate = 0;
  };
  uint64_t seed = 0;
  std::vector<Node> nodes;
  controller::RolloutPolicy policy;
  int certificates = 1;
  // That the operator brings, in this order; of each certificate 1, 2...
  std::vector<Generation> generations;
  std::vector<FaultEvent> faults;
  std::vector<OperatorAct> acts;

  // Nothing goes wrong any more from then on.
  absl::Duration horizon() const;
  bool Has(size_t node, int certificate) const { return certificate == 0 || nodes[node].has_mail; }
  // How many generations of it are brought.
  int Latest(int certificate) const;
  // A line for each thing that is special.
  std::string Describe() const;
};

// `with_faults`: false for a run in which nothing goes wrong, and the operator lets rollouts run.
Scenario MakeScenario(uint64_t seed, bool with_faults = true);

}  // namespace certcast::simulation

#endif  // CERTCAST_TESTS_SIMULATION_SCENARIO_H_
