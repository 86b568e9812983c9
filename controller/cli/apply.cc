#include <memory>
#include <string>
#include <vector>

#include "common/status/status.h"
#include "controller/cli/issued.h"
#include "controller/cli/long_call.h"
#include "controller/cli/operator.h"
#include "controller/cli/plan.h"
#include "controller/cli/rollout_result.h"
#include "controller/cli/table.h"
#include "controller/cli/verbs.h"

namespace certcast::controller::cli {
namespace {

struct ApplyOptions {
  std::vector<std::string> certificates;
  bool dry_run = false;
  bool force_renewal = false;
  bool now = false;
  bool wait = false;
};

int ExitCodeOf(const v1::ApplyResponse& response, bool dry_run) {
  if (dry_run) return response.changes_pending() ? kChangesPending : kDone;
  int code = AnyMissing(response.certificates()) ? kNotConverged : kDone;
  for (const auto& rollout : response.rollouts()) {
    const ExitCode of_it = ExitCodeOfRollout(rollout);
    if (of_it == kHalted) return kHalted;
    if (of_it != kDone) code = of_it;
  }
  return code;
}

int RunApply(Session& session, const ApplyOptions& options) {
  v1::ApplyRequest request;
  for (const std::string& name : options.certificates) request.add_certificates(name);
  request.set_dry_run(options.dry_run);
  request.set_force_renewal(options.force_renewal);
  request.set_now(options.now);
  request.set_wait(options.wait);
  *request.mutable_by() = CurrentOperator();

  const absl::StatusOr<v1::ApplyResponse> answer = FollowCall<v1::ApplyEvent, v1::ApplyResponse>(
      session, "nodes", [&](grpc::ClientContext* context) { return session.controller.Apply(context, request); });
  if (!answer.ok()) return ReportError(session.err, answer.status());
  const v1::ApplyResponse& response = *answer;

  if (session.options.json()) {
    session.out << ToJson(response);
  } else {
    PrintCertificates(session.out, response.certificates(), options.dry_run);
    for (const auto& rollout : response.rollouts()) {
      options.dry_run ? PrintPlan(session.out, rollout) : PrintRollout(session.out, rollout);
    }
  }
  PrintWarnings(session.err, response.warnings());
  const int failures = ReportFailures(session.err, response.certificates());
  const int code = ExitCodeOf(response, options.dry_run);
  const bool idle = response.rollouts().empty() && code == kDone && failures == kDone;
  if (idle && !session.options.json()) session.out << "nothing to do\n";
  return code == kHalted || failures == kDone ? code : failures;
}

}  // namespace

void AddApply(CLI::App& app, Verb& chosen) {
  auto options = std::make_shared<ApplyOptions>();
  CLI::App* verb = app.add_subcommand("apply", "Renew what is due, then bring every node to it: the main job");
  verb->add_option("CERT", options->certificates, "Certificates by name; all when none is given");
  verb->add_flag("--dry-run", options->dry_run,
                 "Say what would be done, change no service and order nothing; exit 5 when there is something");
  verb->add_flag("--force-renewal", options->force_renewal, "Obtain a new generation although none is due");
  CLI::Option* now =
      verb->add_flag("--now", options->now, "Whatever rollout.windows say; the rollout's record names you");
  verb->add_flag("--wait", options->wait, "Stay until the windows open that rollouts wait for")->excludes(now);
  verb->footer(
      "Obtains a new generation of each certificate that is due, then rolls it out in waves: each node verifies it, "
      "switches\n"
      "to it, reloads its services and probes what they serve; the controller looks for itself and confirms. More "
      "failures\n"
      "than `max_failures` halt the rollout, and the nodes that were changed go back.\n\n"
      "A node whose probes pass and fail by turns (PROBE_INCONCLUSIVE) goes back by itself and has the rollout PAUSED: "
      "no\n"
      "further node is touched, and the next run goes on with it.\n\n"
      "Outside its windows (rollout.windows) a rollout is WAITING_FOR_WINDOW: no node is touched, those at work when a "
      "window\n"
      "closes are finished, and a run in the next window goes on. Windows that do not open before a certificate "
      "expires "
      "are\n"
      "an error (WINDOW_TOO_LATE).\n\n"
      "A run that was interrupted is taken up by the next one. A second run does nothing.\n\n"
      "A host that is reached over SSH gets the agent that it lacks before it is asked, with --dry-run too: "
      "16 MB, once.\n\n"
      "Exit codes: 0 done or nothing to do, 1 failed, 2 wrong usage or configuration, 3 not every node has it (a "
      "rollout\n"
      "that is PAUSED or WAITING_FOR_WINDOW included),\n"
      "4 halted by the failure budget, 5 --dry-run found something to do.");
  verb->callback([&chosen, options] { chosen = [options](Session& session) { return RunApply(session, *options); }; });
}

}  // namespace certcast::controller::cli
