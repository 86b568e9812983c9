#include "controller/acme/dns01_hooks.h"

#include <algorithm>

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
  std::vector<std::string> domains;
  domains.reserve(challenges.size());
  for (const PresentedChallenge& challenge : challenges) domains.push_back(challenge.domain());
  all_domains_ = absl::StrJoin(domains, ",");
  remaining_ = static_cast<int>(challenges.size());
}

absl::Status CertbotHookWriter::Present(const PresentedChallenge& challenge) {
  remaining_ = std::max(0, remaining_ - 1);
  Call& call = calls_[KeyOf(challenge)];
  call = {.remaining = remaining_, .all_domains = all_domains_, .output = ""};
  HookCommand hook;
  hook.request = RequestFor(config_.auth, challenge, call);
  hook.step = "present";
  hook.what = Shown("certbot hook", config_.auth, challenge);
  hook.timeout_key = "challenge.certbot-hook.timeout";
  ASSIGN_OR_RETURN(const std::string output, RunHook(processes_, hook));
  call.output = std::string(absl::StripTrailingAsciiWhitespace(output));
  return absl::OkStatus();
}

absl::Status CertbotHookWriter::CleanUp(const PresentedChallenge& challenge) {
  if (config_.cleanup.empty()) return absl::OkStatus();
  const auto known = calls_.find(KeyOf(challenge));
  const Call call = known != calls_.end() ? known->second : Call{.all_domains = challenge.domain(), .output = ""};
  HookCommand hook;
  hook.request = RequestFor(config_.cleanup, challenge, call);
  hook.request.environment.emplace_back("CERTBOT_AUTH_OUTPUT", call.output);
  hook.step = "cleanup";
  hook.what = Shown("certbot hook", config_.cleanup, challenge);
  hook.timeout_key = "challenge.certbot-hook.timeout";
  return RunHook(processes_, hook).status();
}

std::string CertbotHookWriter::KeyOf(const PresentedChallenge& challenge) {
  return absl::StrCat(challenge.domain(), " ", challenge.value());
}

ProcessRequest CertbotHookWriter::RequestFor(const std::vector<std::string>& command,
                                             const PresentedChallenge& challenge, const Call& call) const {
  return {.argv = command,
          .environment = {{"CERTBOT_DOMAIN", challenge.domain()},
                          {"CERTBOT_VALIDATION", challenge.value()},
                          {"CERTBOT_REMAINING_CHALLENGES", absl::StrCat(call.remaining)},
                          {"CERTBOT_ALL_DOMAINS", call.all_domains}},
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
