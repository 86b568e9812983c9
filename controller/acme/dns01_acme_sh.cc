#include "controller/acme/dns01_acme_sh.h"

#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/secret/reference.h"
#include "common/secret/secret.h"
#include "common/status/status.h"
#include "controller/acme/hook_command.h"

namespace certcast::controller {
namespace {

using state::v1::PresentedChallenge;

// Arguments: acme.sh, the API's file, its function, the folder for what it saves, the domain, the record's name and
// value. Standard input: the variables, a line each, `NAME=VALUE`, then an empty line.
//
// Reading acme.sh without arguments prints its help and defines everything; _initpath finds the folders. What an API
// saves for a domain (DOMAIN_CONF) is kept apart from acme.sh's own certificates.
constexpr char kScript[] = R"(umask 077
while IFS= read -r certcast_line && [ -n "$certcast_line" ]; do
  certcast_value=${certcast_line#*=}
  eval "${certcast_line%%=*}=\$certcast_value"
done
unset certcast_line certcast_value
exec </dev/null
certcast_sh=$1 certcast_api=$2 certcast_call=$3 LE_CONFIG_HOME=$4 certcast_domain=$5 certcast_name=$6 certcast_txt=$7
export LE_CONFIG_HOME
set --
. "$certcast_sh" >/dev/null || exit 1
_initpath || exit 1
mkdir -p "$LE_CONFIG_HOME/certcast" || exit 1
DOMAIN_CONF=$LE_CONFIG_HOME/certcast/$certcast_domain.conf
. "$certcast_api" || exit 1
"$certcast_call" "$certcast_name" "$certcast_txt"
)";

// Of variables: a few tokens, or a key.
constexpr size_t kUsualInput = size_t{64} * 1024;

// acme.sh's names have no final dot.
std::string WithoutDot(absl::string_view fqdn) {
  absl::ConsumeSuffix(&fqdn, ".");
  return std::string(fqdn);
}

}  // namespace

absl::Status AcmeShWriter::Present(const PresentedChallenge& challenge) {
  return Run("_add", "present", challenge);
}

absl::Status AcmeShWriter::CleanUp(const PresentedChallenge& challenge) {
  return Run("_rm", "cleanup", challenge);
}

// A line each, for the script's standard input.
absl::Status AcmeShWriter::AppendVariables(std::string& input) const {
  for (const auto& [name, reference] : config_.variables) {
    const absl::StatusOr<Secret> value = ReadSecret(reference);
    const std::string place = absl::StrCat("challenge.acme-sh.variables.", name);
    if (!value.ok()) return WithReason(Annotate(value.status(), place), Reason::CHALLENGE_FAILED);
    if (absl::StrContains(value->ExposeSecret(), "\n")) {
      return Fail(Reason::CHALLENGE_FAILED, absl::StrCat(place, ": the value has more than one line"));
    }
    absl::StrAppend(&input, name, "=", value->ExposeSecret(), "\n");
  }
  absl::StrAppend(&input, "\n");
  return absl::OkStatus();
}

absl::Status AcmeShWriter::Run(const char* verb, const char* step, const PresentedChallenge& challenge) {
  const std::string call = absl::StrCat(config_.api, verb);
  HookCommand hook;
  hook.what = absl::StrCat(call, " of ", config_.script, " for ", challenge.fqdn());
  hook.step = step;
  hook.timeout_key = "challenge.acme-sh.timeout";
  hook.request.argv = {"/bin/sh",
                       "-c",
                       kScript,
                       "certcast",
                       config_.script,
                       absl::StrCat(config_.apis, "/", config_.api, ".sh"),
                       call,
                       config_.home,
                       challenge.domain(),
                       WithoutDot(challenge.fqdn()),
                       challenge.value()};
  hook.request.timeout = config_.timeout;
  // What is outgrown would not be wiped.
  hook.request.input.reserve(kUsualInput);
  absl::Status status = WithStep(AppendVariables(hook.request.input), step);
  if (status.ok()) status = RunHook(processes_, hook).status();
  Wipe(hook.request.input.data(), hook.request.input.size());
  return status;
}

}  // namespace certcast::controller
