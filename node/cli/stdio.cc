// stdio: one controller at the other end of a pipe, as over SSH.
#include "node/frontend/stdio.h"

#include <signal.h>
#include <unistd.h>

#include <memory>
#include <string>

#include "common/clock/clock.h"
#include "common/status/status.h"
#include "common/version/version.h"
#include "node/cli/setup.h"
#include "node/cli/verbs.h"

namespace certcast::node {

int Stdio(const std::string& config_path) {
  signal(SIGPIPE, SIG_IGN);
  absl::StatusOr<Setup> setup = ReadSetup(config_path);
  if (!setup.ok()) return ReportError(setup.status());
  absl::StatusOr<std::unique_ptr<Engine>> engine = Engine::Start(setup->MakeEngineConfig(), RealEnvironment());
  if (!engine.ok()) return ReportError(engine.status());
  // Without one the engine refuses installs, and says so; one that is there and can't be used is for an operator to
  // see.
  if (!setup->identity_status.ok() && ReasonOf(setup->identity_status) != Reason::NOT_ENROLLED) {
    return ReportError(setup->identity_status);
  }
  v1::Hello hello;
  hello.set_node(setup->config.name);
  hello.set_version(kVersion);
  if (setup->identity.has_value()) hello.set_fleet_id(setup->identity->file.fleet_id);
  absl::Status served = ServeStdio(STDIN_FILENO, STDOUT_FILENO, **engine, Clock::Real(), hello);
  return served.ok() ? kDone : ReportError(served);
}

}  // namespace certcast::node
