// Simulated nodes in processes of their own, so that what the controller uses can be told from what they use.
#ifndef CERTCAST_TESTS_BENCH_NODE_PROCESSES_H_
#define CERTCAST_TESTS_BENCH_NODE_PROCESSES_H_

#include <sys/types.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/file/descriptor.h"

namespace certcast::bench {

// So many descriptors for this process and its children. FailInput when the system gives no more.
absl::Status RaiseDescriptorLimit(size_t descriptors);

// A machine's loopback has 16 million addresses: one for each node, so that ports never run out.
std::string LoopbackOf(int node);
// `node-17`.
std::string NameOf(int node);

// Serves until it is destroyed.
class RunningNode {
 public:
  virtual ~RunningNode() = default;
  // What the other process is to know of it, in one line.
  virtual std::string Describe() const = 0;
};

// Thread-compatible.
class NodeProcesses {
 public:
  // Called in the node's process, for one node after the other.
  using Make = std::function<absl::StatusOr<std::unique_ptr<RunningNode>>(int node)>;

  // Forks `processes` and returns when every node is there. To be called before anything else has started a thread. The
  // children end with this process, however it ends.
  static absl::StatusOr<std::unique_ptr<NodeProcesses>> Start(int nodes, int processes, const Make& make);
  // Ends the processes and waits for them.
  ~NodeProcesses();
  NodeProcesses(const NodeProcesses&) = delete;
  NodeProcesses& operator=(const NodeProcesses&) = delete;

  // Describe of each node, in their order.
  const std::vector<std::string>& descriptions() const { return descriptions_; }
  // What all the processes have used so far.
  absl::Duration Cpu() const;

 private:
  NodeProcesses() = default;
  // What the child says comes out of the descriptor.
  absl::StatusOr<Descriptor> Fork(int first, int count, const Make& make);
  absl::Status Collect(absl::string_view said);

  std::vector<std::string> descriptions_;
  std::vector<pid_t> processes_;
  // The children end when our end of it is closed.
  Descriptor alive_read_;
  Descriptor alive_write_;
};

}  // namespace certcast::bench

#endif  // CERTCAST_TESTS_BENCH_NODE_PROCESSES_H_
