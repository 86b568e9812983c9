// Nodes for benchmarks: the agent's own gRPC front end with mutual TLS and an identity each, over an engine that
// answers at once and keeps nothing. They live in processes of their own, so that what the controller uses can be told
// from what they use.
#ifndef CERTCAST_TESTS_BENCH_SIMULATED_FLEET_H_
#define CERTCAST_TESTS_BENCH_SIMULATED_FLEET_H_

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "certcast/v1/bundle.pb.h"
#include "controller/config/config.h"
#include "controller/transport/grpc_transport.h"
#include "tests/bench/node_processes.h"
#include "tests/testing/test_ca.h"
#include "tests/testing/test_fleet.h"

namespace certcast::bench {

inline constexpr char kCertificate[] = "wildcard";

// Thread-compatible.
class SimulatedFleet {
 public:
  // Makes the identities, forks `processes` and returns when every node listens. To be called before anything else has
  // started a thread. The children end with this process, however it ends.
  static absl::StatusOr<std::unique_ptr<SimulatedFleet>> Start(int nodes, int processes);
  SimulatedFleet(const SimulatedFleet&) = delete;
  SimulatedFleet& operator=(const SimulatedFleet&) = delete;

  const std::vector<controller::NodeConfig>& nodes() const { return nodes_; }
  controller::LinkIdentity ControllerIdentity() const;
  // A signed bundle with which an Install command has `install_bytes`, within a few; the chain is padded by a comment
  // in the leaf. Below what a leaf with its intermediate needs it is larger.
  v1::Bundle MakeBundle(uint64_t generation, size_t install_bytes) const;
  // What all the nodes' processes have used so far.
  absl::Duration Cpu() const { return processes_->Cpu(); }

 private:
  SimulatedFleet();

  const testing::TestFleet fleet_;
  const testing::TestCa ca_;
  const testing::TestCa issuing_ca_;
  std::vector<controller::NodeConfig> nodes_;
  std::unique_ptr<NodeProcesses> processes_;
};

}  // namespace certcast::bench

#endif  // CERTCAST_TESTS_BENCH_SIMULATED_FLEET_H_
