// A command of the operator's that writes or removes a TXT record.
#ifndef CERTCAST_CONTROLLER_ACME_HOOK_COMMAND_H_
#define CERTCAST_CONTROLLER_ACME_HOOK_COMMAND_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/process/process.h"

namespace certcast::controller {

struct HookCommand {
  ProcessRequest request;
  // `present`: the step, for messages.
  std::string step;
  // "the dns-01 hook `/bin/hook present` for _acme-challenge.example.com."
  std::string what;
  // Where its time is configured: "challenge.exec.timeout".
  std::string timeout_key;
};

// Its standard output. CHALLENGE_FAILED, with its standard error, unless it exits with 0 in time, marked by
// NothingWasMade where it could not be started. What it leaves running is ended.
absl::StatusOr<std::string> RunHook(ProcessRunner& processes, const HookCommand& command);

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_ACME_HOOK_COMMAND_H_
