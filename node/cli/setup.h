// What the verbs of certcast-node have in common: configuration, identity, engine; and how they end.
#ifndef CERTCAST_NODE_CLI_SETUP_H_
#define CERTCAST_NODE_CLI_SETUP_H_

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "node/config/config.h"
#include "node/engine/engine.h"
#include "node/identity/identity.h"

namespace certcast::node {

// What the program exits with; scripts rely on it.
enum ExitCode {
  kDone = 0,
  kFailed = 1,
  kUsage = 2,  // or wrong configuration
};

// A node as its files say it is.
struct Setup {
  Config config;
  // Absent while it is not enrolled, or when the identity can't be used: see identity_status.
  std::optional<Identity> identity;
  // NOT_ENROLLED, or what is wrong with the identity. No reason not to recover, or not to look.
  absl::Status identity_status;

  EngineConfig MakeEngineConfig() const;
  IdentityStore MakeIdentityStore() const;
};

// Reads both; only a wrong configuration is an error.
absl::StatusOr<Setup> ReadSetup(const std::string& config_path);

// The machine's own files, processes, sockets and clock. `challenges` outlives who gets it; without, commands about
// HTTP challenges are refused.
EngineEnvironment RealEnvironment(HttpChallenges* challenges = nullptr);

// Prints `certcast-node: ...`, a failing command's stderr and the hint to standard error; returns the exit code for it.
int ReportError(const absl::Status& status);

// RFC 3339 in UTC to the second.
std::string ShowTime(absl::Time time);

}  // namespace certcast::node

#endif  // CERTCAST_NODE_CLI_SETUP_H_
