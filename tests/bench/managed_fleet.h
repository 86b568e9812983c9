// A controller's state on disk and a fleet of simulated nodes that belongs to it, as after `certcast init`, the nodes'
// enrolment and `certcast import`.
#ifndef CERTCAST_TESTS_BENCH_MANAGED_FLEET_H_
#define CERTCAST_TESTS_BENCH_MANAGED_FLEET_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "controller/api/machine.h"
#include "controller/config/config.h"
#include "tests/bench/node_processes.h"
#include "tests/bench/work_folder.h"
#include "tests/testing/test_ca.h"

namespace certcast::bench {

struct ManagedFleetOptions {
  int nodes = 1000;
  int processes = 4;
  // Of the rollout.
  int parallel = 64;
  // Where all of it lies; empty: $TMPDIR.
  std::string directory;
};

// Thread-compatible.
class ManagedFleet {
 public:
  // To be called before anything else has started a thread.
  static absl::StatusOr<std::unique_ptr<ManagedFleet>> Start(const ManagedFleetOptions& options);

  // What a controller is made of; links are gRPC's.
  static controller::Machine MakeMachine();

  std::string config_path() const { return folder_->path() + "/certcast.yaml"; }
  std::string state_path() const { return folder_->path() + "/state"; }
  const NodeProcesses& processes() const { return *processes_; }
  // The next generation of the certificate, issued by a CA of its own.
  absl::Status ImportNext(const controller::Machine& machine) const;

 private:
  ManagedFleet() = default;
  absl::Status Init(const ManagedFleetOptions& options);
  absl::Status StartNodes(const ManagedFleetOptions& options);
  absl::Status WriteConfig(const ManagedFleetOptions& options, const std::vector<std::string>& nodes) const;

  std::unique_ptr<WorkFolder> folder_;
  std::unique_ptr<NodeProcesses> processes_;
  const testing::TestCa root_ = testing::TestCa::Root("public root");
  const testing::TestCa issuer_ = root_.Intermediate("public intermediate");
};

}  // namespace certcast::bench

#endif  // CERTCAST_TESTS_BENCH_MANAGED_FLEET_H_
