// A whole node but for its disk: the agent's front end and engine, over files in memory, with a web server that reads
// them when it is told to reload and serves them over TLS.
#ifndef CERTCAST_TESTS_BENCH_MEMORY_NODE_H_
#define CERTCAST_TESTS_BENCH_MEMORY_NODE_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "node/identity/identity.h"
#include "tests/bench/node_processes.h"
#include "tests/bench/web_port.h"

namespace certcast::bench {

struct MemoryNodeOptions {
  int index = 0;
  // Whose certificate it uses, for names below bench.test.
  std::string certificate;
  node::Identity identity;
  // Outlives it.
  WebPort* web = nullptr;
};

// Describe is `AGENT WEB`: where each listens.
absl::StatusOr<std::unique_ptr<RunningNode>> MakeMemoryNode(MemoryNodeOptions options);

}  // namespace certcast::bench

#endif  // CERTCAST_TESTS_BENCH_MEMORY_NODE_H_
