#include "controller/acme/hook_command.h"

#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/status/status.h"
#include "controller/acme/challenge_solver.h"

namespace certcast::controller {
namespace {

// What a command usually dies with.
std::string LastLine(absl::string_view text) {
  text = absl::StripAsciiWhitespace(text);
  const std::vector<absl::string_view> lines = absl::StrSplit(text, '\n');
  return std::string(absl::StripAsciiWhitespace(lines.back()));
}

}  // namespace

absl::StatusOr<std::string> RunHook(ProcessRunner& processes, const HookCommand& command) {
  const absl::StatusOr<ProcessResult> result = processes.Run(command.request);
  if (!result.ok()) {
    return NothingWasMade(
        WithStep(WithReason(Annotate(result.status(), command.what), Reason::CHALLENGE_FAILED), command.step));
  }
  if (result->ok()) return result->output;
  const std::string& text = result->error.empty() ? result->output : result->error;
  const std::string said = LastLine(text);
  const absl::Status failed = Fail(
      Reason::CHALLENGE_FAILED, absl::StrCat(command.what, " ", result->Describe(), said.empty() ? "" : ": ", said),
      result->timed_out ? absl::StrCat("raise ", command.timeout_key, ", or find out what the hook waits for")
                        : "run the hook by hand with these arguments; it must exit with 0");
  return WithStep(WithStderr(failed, text), command.step);
}

}  // namespace certcast::controller
