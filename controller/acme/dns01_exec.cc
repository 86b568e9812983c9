#include "controller/acme/dns01_exec.h"

#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/status/status.h"

namespace certcast::controller {
namespace {

// What a command usually dies with.
std::string LastLine(absl::string_view text) {
  text = absl::StripAsciiWhitespace(text);
  const std::vector<absl::string_view> lines = absl::StrSplit(text, '\n');
  return std::string(absl::StripAsciiWhitespace(lines.back()));
}

}  // namespace

absl::Status Dns01Exec::Present(const state::v1::PresentedChallenge& challenge) {
  return Run("present", challenge);
}

absl::Status Dns01Exec::CleanUp(const state::v1::PresentedChallenge& challenge) {
  return Run("cleanup", challenge);
}

absl::Status Dns01Exec::Run(const char* verb, const state::v1::PresentedChallenge& challenge) {
  ProcessRequest request{.argv = config_.command, .timeout = config_.timeout};
  request.argv.push_back(verb);
  if (config_.raw) {
    request.argv.insert(request.argv.end(),
                        {"--", challenge.domain(), challenge.token(), challenge.key_authorization()});
  } else {
    request.argv.insert(request.argv.end(), {challenge.fqdn(), challenge.value()});
  }
  const std::string what =
      absl::StrCat("the dns-01 hook `", absl::StrJoin(config_.command, " "), " ", verb, "` for ", challenge.fqdn());
  const auto result = processes_.Run(request);
  if (!result.ok()) {
    return WithStep(WithReason(Annotate(result.status(), what), Reason::CHALLENGE_FAILED), verb);
  }
  if (result->ok()) return absl::OkStatus();
  const std::string said = LastLine(result->error.empty() ? result->output : result->error);
  const absl::Status failed =
      Fail(Reason::CHALLENGE_FAILED, absl::StrCat(what, " ", result->Describe(), said.empty() ? "" : ": ", said),
           result->timed_out ? "raise challenge.exec.timeout, or find out what the hook waits for"
                             : "run the hook by hand with these arguments; it must exit with 0");
  return WithStep(WithStderr(failed, result->error.empty() ? result->output : result->error), verb);
}

}  // namespace certcast::controller
