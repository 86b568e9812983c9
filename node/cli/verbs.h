// The verbs of certcast-node. Each returns the program's exit code, prints its result to standard output and what went
// wrong to standard error.
#ifndef CERTCAST_NODE_CLI_VERBS_H_
#define CERTCAST_NODE_CLI_VERBS_H_

#include <string>

namespace certcast::node {

// Serves until SIGTERM or SIGINT, and takes configuration and identity anew at SIGHUP.
int Run(const std::string& config_path);
// Serves one controller on standard input and output.
int Stdio(const std::string& config_path);
// The same where there is no configuration: the controller's first command says what this host is.
int HostedStdio();

// Prints a certificate request for the node's own key.
int Csr(const std::string& config_path);
// Reads an identity from standard input and pins it.
int Accept(const std::string& config_path, bool force);

struct StatusOptions {
  // As of RecoverOptions.
  std::string state;
  bool json = false;
  // Also what is served now.
  bool probe = false;
};
// What the node has, read from its disk beside a running agent.
int ShowStatus(const std::string& config_path, const StatusOptions& options);

struct RecoverOptions {
  // The directory of a host without a configuration of its own, which then is not read.
  std::string state;
  // At boot: the files alone. The rest is for another call, once the services run.
  bool before_services = false;
  // Also until nothing waits for Confirm any more.
  bool wait = false;
  // The operator says that the clock is right.
  bool trust_clock = false;
};
// Finishes or takes back what a crash left half-done.
int Recover(const std::string& config_path, const RecoverOptions& options);
// Runs one service's check and probes.
int TestService(const std::string& config_path, const std::string& service);
int CheckConfig(const std::string& config_path);

}  // namespace certcast::node

#endif  // CERTCAST_NODE_CLI_VERBS_H_
