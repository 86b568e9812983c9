#include "node/engine/command.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/status/status.h"

namespace certcast::node {

absl::Status RunServiceCommand(const EngineContext& engine, const Service& service, const ServiceCommand& command,
                               absl::string_view what, v1::Reason::Code reason) {
  if (command.argv.empty()) return absl::OkStatus();
  const std::string whose =
      absl::StrCat("the ", what, " of service ", service.name, " (", absl::StrJoin(command.argv, " "), ")");
  ProcessRequest request;
  request.argv = command.argv;
  request.timeout = command.timeout;
  const absl::StatusOr<ProcessResult> result = engine.environment.processes->Run(request);
  if (!result.ok()) return WithReason(Annotate(result.status(), absl::StrCat(whose, " could not be started")), reason);
  if (result->ok()) return absl::OkStatus();
  std::string hint;
  if (result->timed_out) {
    hint = absl::StrCat("raise the timeout of its ", what, " in ", engine.config.file());
  } else if (what == "reload") {
    // What nginx, for one, says then is `invalid PID number ""`.
    hint = absl::StrCat("is the service running? Start ", service.name, ", or see why it refuses");
  }
  absl::Status failed = Fail(reason, absl::StrCat(whose, " ", result->Describe()), hint);
  return WithStderr(std::move(failed), result->error.empty() ? result->output : result->error);
}

}  // namespace certcast::node
