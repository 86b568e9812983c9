#include "controller/acme/dns01_exec.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/status/status.h"
#include "controller/acme/hook_command.h"

namespace certcast::controller {

absl::Status Dns01Exec::Present(const state::v1::PresentedChallenge& challenge) {
  return Run("present", challenge);
}

absl::Status Dns01Exec::CleanUp(const state::v1::PresentedChallenge& challenge) {
  return Run("cleanup", challenge);
}

absl::Status Dns01Exec::Run(const char* verb, const state::v1::PresentedChallenge& challenge) {
  HookCommand hook;
  hook.request = {.argv = config_.command, .timeout = config_.timeout};
  hook.request.argv.push_back(verb);
  if (config_.raw) {
    hook.request.argv.insert(hook.request.argv.end(),
                             {"--", challenge.domain(), challenge.token(), challenge.key_authorization()});
  } else {
    hook.request.argv.insert(hook.request.argv.end(), {challenge.fqdn(), challenge.value()});
  }
  hook.step = verb;
  hook.what =
      absl::StrCat("the dns-01 hook `", absl::StrJoin(config_.command, " "), " ", verb, "` for ", challenge.fqdn());
  hook.timeout_key = "challenge.exec.timeout";
  return RunHook(processes_, hook).status();
}

}  // namespace certcast::controller
