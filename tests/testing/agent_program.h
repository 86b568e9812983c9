// The agent as it is shipped, in a process of its own, and a controller that installs on it over the wire.
#ifndef CERTCAST_TESTS_TESTING_AGENT_PROGRAM_H_
#define CERTCAST_TESTS_TESTING_AGENT_PROGRAM_H_

#include <sys/resource.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "controller/transport/grpc_transport.h"
#include "tests/testing/local_tls_server.h"
#include "tests/testing/program.h"
#include "tests/testing/temporary_directory.h"
#include "tests/testing/test_ca.h"
#include "tests/testing/test_fleet.h"

namespace certcast::testing {

// Thread-compatible.
class AgentProgram {
 public:
  // What the process holds. Memory in KiB.
  struct Held {
    int64_t memory = 0;
    // The most since it started.
    int64_t most_memory = 0;
    int descriptors = 0;
  };

  AgentProgram();

  // Enrols node web-01 and starts the agent with one service, which is a TLS server in this process. `descriptors`: how
  // many it may have.
  absl::Status Start(rlim_t descriptors);
  bool Running() { return agent_->Running(); }
  pid_t pid() const { return agent_->pid(); }

  // 127.0.0.1:port.
  const std::string& address() const { return address_; }
  // Certificates of the fleet's CA.
  const IssuedCertificate& controller() const { return controller_; }
  const IssuedCertificate& other_node() const { return other_node_; }

  // A link of the controller's.
  absl::StatusOr<std::unique_ptr<controller::Link>> Open(absl::Duration timeout);
  // As the controller does it: opens a link, installs the next generation, sees it served, confirms.
  absl::Status InstallNext(absl::Duration timeout);
  Held Look() const;

 private:
  absl::Status WriteConfig();
  absl::Status Run(const std::vector<std::string>& arguments, const std::string& input);
  std::string Sign();

  const TestCa public_ca_ = TestCa::Root("public root").Intermediate("public CA");
  const TestCa ca_ = TestCa::Root("fleet CA");
  const TestFleet fleet_;
  const IssuedCertificate controller_;
  const IssuedCertificate other_node_;
  const IssuedCertificate old_;
  LocalTlsServer service_;
  const TemporaryDirectory directory_;
  const std::string config_ = directory_.path() + "/node.yaml";
  const std::string log_ = directory_.path() + "/log";
  std::optional<controller::GrpcTransport> transport_;
  std::unique_ptr<Program> agent_;
  std::string address_;
  uint64_t generation_ = 0;
};

}  // namespace certcast::testing

#endif  // CERTCAST_TESTS_TESTING_AGENT_PROGRAM_H_
