#include "controller/acme/dns01_hooks.h"

#include <algorithm>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/status/status.h"
#include "controller/acme/hook_command.h"

namespace certcast::controller {
namespace {

using state::v1::PresentedChallenge;

std::string Shown(absl::string_view hook, const std::vector<std::string>& words, const PresentedChallenge& challenge) {
  return absl::StrCat("the ", hook, " `", absl::StrJoin(words, " "), "` for ", challenge.fqdn());
}

}  // namespace

void CertbotHookWriter::Announce(const std::vector<PresentedChallenge>& challenges) {
  std::set<std::string> domains;
  for (const PresentedChallenge& challenge : challenges) domains.insert(challenge.domain());
  all_domains_ = absl::StrJoin(domains, ",");
  remaining_ = static_cast<int>(challenges.size());
}

absl::Status CertbotHookWriter::Present(const PresentedChallenge& challenge) {
  remaining_ = std::max(0, remaining_ - 1);
  HookCommand hook;
  hook.request = RequestFor(config_.auth, challenge);
  hook.step = "present";
  hook.what = Shown("certbot hook", config_.auth, challenge);
  hook.timeout_key = "challenge.certbot-hook.timeout";
  ASSIGN_OR_RETURN(const std::string output, RunHook(processes_, hook));
  outputs_[challenge.value()] = std::string(absl::StripTrailingAsciiWhitespace(output));
  return absl::OkStatus();
}

absl::Status CertbotHookWriter::CleanUp(const PresentedChallenge& challenge) {
  if (config_.cleanup.empty()) return absl::OkStatus();
  HookCommand hook;
  hook.request = RequestFor(config_.cleanup, challenge);
  hook.request.environment.emplace_back("CERTBOT_AUTH_OUTPUT", outputs_[challenge.value()]);
  hook.step = "cleanup";
  hook.what = Shown("certbot hook", config_.cleanup, challenge);
  hook.timeout_key = "challenge.certbot-hook.timeout";
  return RunHook(processes_, hook).status();
}

ProcessRequest CertbotHookWriter::RequestFor(const std::vector<std::string>& command,
                                             const PresentedChallenge& challenge) const {
  return {.argv = command,
          .environment = {{"CERTBOT_DOMAIN", challenge.domain()},
                          {"CERTBOT_VALIDATION", challenge.value()},
                          {"CERTBOT_TOKEN", challenge.token()},
                          {"CERTBOT_REMAINING_CHALLENGES", absl::StrCat(remaining_)},
                          {"CERTBOT_ALL_DOMAINS", all_domains_.empty() ? challenge.domain() : all_domains_}},
          .timeout = config_.timeout};
}

absl::Status DehydratedHookWriter::Present(const PresentedChallenge& challenge) {
  return Run("deploy_challenge", "present", challenge);
}

absl::Status DehydratedHookWriter::CleanUp(const PresentedChallenge& challenge) {
  return Run("clean_challenge", "cleanup", challenge);
}

absl::Status DehydratedHookWriter::Run(const char* verb, const char* step, const PresentedChallenge& challenge) {
  HookCommand hook;
  hook.request = {.argv = config_.command, .timeout = config_.timeout};
  hook.request.argv.insert(hook.request.argv.end(), {verb, challenge.domain(), challenge.token(), challenge.value()});
  hook.step = step;
  hook.what = Shown("dehydrated hook", hook.request.argv, challenge);
  hook.timeout_key = "challenge.dehydrated-hook.timeout";
  return RunHook(processes_, hook).status();
}

}  // namespace certcast::controller
