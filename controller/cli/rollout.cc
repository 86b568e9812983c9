#include <algorithm>
#include <atomic>
#include <map>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/clock/clock.h"
#include "common/clock/timestamp.h"
#include "common/status/status.h"
#include "controller/cli/long_call.h"
#include "controller/cli/operator.h"
#include "controller/cli/rollout_result.h"
#include "controller/cli/table.h"
#include "controller/cli/verbs.h"

namespace certcast::controller::cli {
namespace {

using Action = v1::ChangeRolloutRequest;

constexpr char kNaming[] =
    "ID is a rollout's id, the beginning of it as far as only one has it, or a certificate, for its latest one.";

std::string ShowOperator(const v1::Operator& by) {
  return absl::StrCat(by.user(), " (process ", by.pid(), ", ", ShowTime(by.at()), ")");
}

struct WaveCounts {
  int size = 0;
  int good = 0;
  int bad = 0;
};

std::map<int, WaveCounts> CountWaves(const v1::Rollout& rollout) {
  std::map<int, WaveCounts> waves;
  for (const auto& node : rollout.nodes()) {
    WaveCounts& wave = waves[node.wave()];
    const bool good = node.outcome() == v1::Outcome::INSTALLED || node.outcome() == v1::Outcome::UNCHANGED;
    ++wave.size;
    wave.good += good;
    wave.bad += !good && node.outcome() != v1::Outcome::OUTCOME_UNSPECIFIED;
  }
  return waves;
}

void PrintStatus(std::ostream& out, const v1::GetRolloutResponse& response) {
  const v1::Rollout& rollout = response.rollout();
  PrintRollout(out, rollout);
  out << "  started " << ShowTime(rollout.started_at());
  if (rollout.has_finished_at()) out << ", ended " << ShowTime(rollout.finished_at());
  if (rollout.has_soak_until()) out << ", soaks until " << ShowTime(rollout.soak_until());
  out << "\n";
  if (rollout.has_paused_by()) out << "  paused by " << ShowOperator(rollout.paused_by()) << "\n";
  for (const v1::Operator& by : rollout.windows_overridden()) {
    out << "  gone on with whatever its windows say, for " << ShowOperator(by) << "\n";
  }
  if (response.has_requested()) {
    const bool abort = response.requested().action() == Action::ABORT;
    out << "  " << (abort ? "abort" : "pause") << " was asked for by " << ShowOperator(response.requested().by())
        << " and is met before the next node begins\n";
  }
  Table table({"WAVE", "NODES", "SERVE IT", "DO NOT", "TO DO"});
  for (const auto& [index, wave] : CountWaves(rollout)) {
    table.AddRow({index == 0 ? "before" : absl::StrCat(index), absl::StrCat(wave.size), absl::StrCat(wave.good),
                  absl::StrCat(wave.bad), absl::StrCat(wave.size - wave.good - wave.bad)});
  }
  out << "\n";
  table.Print(out);
}

int ShowRollout(Session& session, const std::string& id, bool clear, bool& ended) {
  grpc::ClientContext context;
  v1::GetRolloutRequest request;
  request.set_id(id);
  v1::GetRolloutResponse response;
  if (grpc::Status status = session.controller.GetRollout(&context, request, &response); !status.ok()) {
    ended = true;
    return ReportError(session.err, FromGrpc(status));
  }
  if (clear) session.out << "\x1b[H\x1b[2J";
  if (session.options.json()) {
    session.out << ToJson(response);
  } else {
    PrintStatus(session.out, response);
  }
  session.out << std::flush;
  ended = response.rollout().has_finished_at();
  return ExitCodeOfRollout(response.rollout());
}

// With --watch until it has ended.
int RunStatus(Session& session, const std::string& id, bool watch) {
  bool ended = false;
  if (!watch) return ShowRollout(session, id, /*clear=*/false, ended);
  std::atomic<bool> interrupted = false;
  Interrupt::Handler handler(session.interrupt, [&] { interrupted = true; });
  while (true) {
    const int code = ShowRollout(session, id, session.screen && !session.options.json(), ended);
    for (int i = 0; i < 10 && !ended && !interrupted; ++i) Clock::Real().Sleep(absl::Milliseconds(100));
    if (ended || interrupted) return code;
  }
}

int RunHistory(Session& session, const std::string& id) {
  grpc::ClientContext context;
  v1::ListRolloutsRequest request;
  request.set_id(id);
  v1::ListRolloutsResponse response;
  if (grpc::Status status = session.controller.ListRollouts(&context, request, &response); !status.ok()) {
    return ReportError(session.err, FromGrpc(status));
  }
  if (session.options.json()) {
    session.out << ToJson(response);
    return kDone;
  }
  Table table({"ID", "CERTIFICATE", "GENERATION", "STATE", "STARTED", "ENDED", "SERVE IT", "BECAUSE"});
  for (const auto& rollout : response.rollouts()) {
    const v1::Rollout::Counts& counts = rollout.counts();
    table.AddRow({rollout.id(), rollout.certificate(), absl::StrCat(rollout.generation()),
                  v1::Rollout::State_Name(rollout.state()), ShowTime(rollout.started_at()),
                  ShowTime(rollout.finished_at()), absl::StrCat(counts.good(), " of ", NodesOf(counts)),
                  rollout.because()});
  }
  table.Print(session.out);
  return kDone;
}

// What was wanted has become of it.
int ExitCodeOf(Action::Action action, const v1::ChangeRolloutResponse& response) {
  const v1::Rollout& rollout = response.rollout();
  if (response.pending()) return kNotConverged;
  const bool left = std::any_of(rollout.nodes().begin(), rollout.nodes().end(),
                                [](const v1::Rollout::Node& node) { return node.reason() == Reason::REVERT_FAILED; });
  switch (action) {
    case Action::PAUSE:
      return kDone;
    case Action::ABORT:
      return left ? kNotConverged : kDone;
    case Action::UNDO:
      // Otherwise there was nothing to undo.
      return left || rollout.state() == v1::Rollout::HALTED || !rollout.has_finished_at() ? kNotConverged : kDone;
    default:
      return ExitCodeOfRollout(rollout);
  }
}

int RunChange(Session& session, const v1::ChangeRolloutRequest& request) {
  const absl::StatusOr<v1::ChangeRolloutResponse> answer =
      FollowCall<v1::ChangeRolloutEvent, v1::ChangeRolloutResponse>(
          session, "nodes",
          [&](grpc::ClientContext* context) { return session.controller.ChangeRollout(context, request); });
  if (!answer.ok()) return ReportError(session.err, answer.status());
  const v1::ChangeRolloutResponse& response = *answer;
  if (session.options.json()) {
    session.out << ToJson(response);
  } else {
    PrintRollout(session.out, response.rollout());
    if (!response.text().empty()) session.out << "  " << response.text() << "\n";
  }
  return ExitCodeOf(request.action(), response);
}

struct ChangeOptions {
  std::string id;
  bool revert = false;
  bool keep = false;
  bool now = false;
};

CLI::App* AddChange(CLI::App& rollout, Verb& chosen, Action::Action action, const std::string& name,
                    const std::string& description, const std::string& footer) {
  auto options = std::make_shared<ChangeOptions>();
  CLI::App* verb = rollout.add_subcommand(name, description);
  verb->add_option("ID", options->id, kNaming);
  if (action == Action::ABORT) {
    CLI::Option* revert =
        verb->add_flag("--revert", options->revert, "Put back what it changed, whatever on_halt says");
    verb->add_flag("--keep", options->keep, "Leave nodes as they are, whatever on_halt says")->excludes(revert);
  }
  if (action == Action::RESUME || action == Action::RETRY) {
    verb->add_flag("--now", options->now, "Whatever the certificate's windows say; the rollout's record says who");
  }
  verb->footer(footer);
  verb->callback([&chosen, options, action] {
    chosen = [options, action](Session& session) {
      v1::ChangeRolloutRequest request;
      request.set_id(options->id);
      request.set_action(action);
      if (options->revert) request.set_on_halt(Action::REVERT);
      if (options->keep) request.set_on_halt(Action::KEEP);
      request.set_now(options->now);
      *request.mutable_by() = CurrentOperator();
      return RunChange(session, request);
    };
  });
  return verb;
}

void AddStatusAndHistory(CLI::App& rollout, Verb& chosen) {
  auto shown = std::make_shared<std::string>();
  auto watch = std::make_shared<bool>(false);
  CLI::App* status = rollout.add_subcommand("status", "How a rollout stands: its waves, and the nodes that fail");
  status->add_option("ID", *shown, absl::StrCat(kNaming, " The latest when none is given."));
  status->add_flag("--watch", *watch, "Show it again each second until it has ended");
  status->footer(
      "Reads what is saved, also while another process is at work on it, and asks no node; `certcast status` does.\n\n"
      "Exit codes: 0 COMPLETED, 3 not every node has it (yet), 4 halted or gone back.");
  status->callback([&chosen, shown, watch] {
    chosen = [shown, watch](Session& session) { return RunStatus(session, *shown, *watch); };
  });

  auto listed = std::make_shared<std::string>();
  CLI::App* history = rollout.add_subcommand("history", "Rollouts so far, the latest first");
  history->add_option("ID", *listed, "Those of this certificate, or whose id begins so; all when none is given");
  history->footer("The last 50 of each certificate that have ended are kept, and every one that has not.");
  history->callback(
      [&chosen, listed] { chosen = [listed](Session& session) { return RunHistory(session, *listed); }; });
}

}  // namespace

void AddRollout(CLI::App& app, Verb& chosen) {
  CLI::App* verb = app.add_subcommand("rollout", "Rollouts: look at them, pause, resume, abort, undo, retry");
  verb->require_subcommand(1);
  verb->footer(absl::StrCat(kNaming,
                            "\nWithout ID: the latest; for pause, resume and abort the one that is unfinished.\n"
                            "`certcast rollout VERB --help` says more of each."));
  AddStatusAndHistory(*verb, chosen);
  AddChange(*verb, chosen, Action::PAUSE, "pause", "Begin no further node",
            "Nodes at work are finished and confirmed first. Where another process is at work on it (certcast apply),\n"
            "that one is asked, and answers between two nodes; this waits for a minute, and the request stays.\n"
            "certcast apply does nothing with the certificate before certcast rollout resume.\n\n"
            "Exit codes: 0 it is paused, 1 it has ended or is on its way back, 2 wrong usage, 3 not answered yet.");
  AddChange(*verb, chosen, Action::RESUME, "resume", "Go on with one that is paused, or was left unfinished",
            "Nodes that were left in the middle are asked what they have; nothing is installed or reloaded twice.\n\n"
            "Exit codes: as of certcast apply.");
  AddChange(
      *verb, chosen, Action::ABORT, "abort", "Halt it, as if the failure budget had been overspent",
      "Nodes at work are finished first; then the ones that it changed go back, or stay with `on_halt: stop`.\n"
      "Where another process is at work on it, that one does it; else it is done here.\n\n"
      "Exit codes: 0 it is halted, 1 it has ended, 2 wrong usage, 3 not answered yet, or a node did not go back.");
  AddChange(*verb, chosen, Action::UNDO, "undo", "Put back what it changed, also after it has ended",
            "Each node goes back to what it had before, and is seen to serve that. The generation stays the wanted\n"
            "one: the next certcast apply rolls it out again. A node never goes back to a certificate that has\n"
            "expired. A node that could not go back is tried again by another undo.\n\n"
            "Exit codes: 0 every node is back, 1 refused, 2 wrong usage, 3 not every node is.");
  AddChange(*verb, chosen, Action::RETRY, "retry", "Its generation once more, to the nodes that ended without it",
            "A rollout of its own: waves, budget and all. Refused when another generation is wanted now.\n\n"
            "Exit codes: as of certcast apply.");
}

}  // namespace certcast::controller::cli
