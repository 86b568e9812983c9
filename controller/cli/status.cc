#include "common/status/status.h"

#include <atomic>
#include <memory>
#include <string>
#include <utility>

#include "common/clock/clock.h"
#include "controller/cli/status_text.h"
#include "controller/cli/verbs.h"

namespace certcast::controller::cli {
namespace {

struct StatusOptions {
  std::string certificate;
  bool watch = false;
};

// As they stand now; one that is not there any more is left out.
Rollouts RolloutsOf(Session& session, const v1::StatusResponse& response) {
  Rollouts rollouts;
  for (const auto& certificate : response.certificates()) {
    if (certificate.rollout_id().empty() || certificate.rollout_state() == v1::Rollout::COMPLETED) continue;
    grpc::ClientContext context;
    v1::ListRolloutsRequest request;
    request.set_id(certificate.rollout_id());
    v1::ListRolloutsResponse listed;
    if (!session.controller.ListRollouts(&context, request, &listed).ok()) continue;
    for (v1::Rollout& rollout : *listed.mutable_rollouts()) rollouts[rollout.id()] = std::move(rollout);
  }
  return rollouts;
}

int ShowStatus(Session& session, const v1::StatusRequest& request, bool clear) {
  grpc::ClientContext context;
  v1::StatusResponse response;
  if (grpc::Status status = session.controller.GetStatus(&context, request, &response); !status.ok()) {
    return ReportError(session.err, FromGrpc(status));
  }
  const Rollouts rollouts = session.options.json() ? Rollouts() : RolloutsOf(session, response);
  if (clear) session.out << "\x1b[H\x1b[2J";
  if (session.options.json()) {
    session.out << ToJson(response);
  } else {
    PrintStatus(session.out, response, rollouts, clear);
  }
  session.out << std::flush;
  PrintWarnings(session.err, response.warnings());
  return response.converged() == response.total() ? kDone : kNotConverged;
}

int RunStatus(Session& session, const StatusOptions& options) {
  v1::StatusRequest request;
  request.set_certificate(options.certificate);
  if (!options.watch) return ShowStatus(session, request, /*clear=*/false);
  std::atomic<bool> interrupted = false;
  Interrupt::Handler handler(session.interrupt, [&] { interrupted = true; });
  int code = kDone;
  while (!interrupted) {
    code = ShowStatus(session, request, session.screen && !session.options.json());
    if (code == kFailed || code == kUsage) return code;
    for (int i = 0; i < 20 && !interrupted; ++i) Clock::Real().Sleep(absl::Milliseconds(100));
  }
  return code;
}

}  // namespace

void AddStatus(CLI::App& app, Verb& chosen) {
  auto options = std::make_shared<StatusOptions>();
  CLI::App* verb = app.add_subcommand("status", "N of N: what every node has installed and serves");
  verb->add_option("CERT", options->certificate, "One certificate; all when none is given");
  verb->add_flag("--watch", options->watch,
                 "Show it again every two seconds until interrupted; on a terminal the nodes that do not serve it");
  verb->footer(
      "Asks every node now. States: CONVERGED (installed, and served on every probe), PENDING (has not got the wanted\n"
      "generation yet), DRIFTED (got it, but its files or what it serves is something else), UNREACHABLE, FAILED.\n\n"
      "Changes no service; a host that is reached over SSH gets the agent that it lacks (16 MB, once), as at any "
      "contact.\n\n"
      "Exit codes: 0 when it is N of N, 3 when not.");
  verb->callback([&chosen, options] { chosen = [options](Session& session) { return RunStatus(session, *options); }; });
}

}  // namespace certcast::controller::cli
