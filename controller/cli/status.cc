#include "common/status/status.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/clock/clock.h"
#include "controller/cli/table.h"
#include "controller/cli/verbs.h"

namespace certcast::controller::cli {
namespace {

struct StatusOptions {
  std::string certificate;
  bool watch = false;
};

using Row = v1::StatusResponse::Node;

// What a screen holds: the first by name of those that are not as they should be.
std::vector<const Row*> RowsForAScreen(const v1::StatusResponse& response) {
  constexpr size_t kMost = 20;
  std::vector<const Row*> rows;
  for (const Row& row : response.nodes()) {
    if (row.state() != Row::CONVERGED) rows.push_back(&row);
  }
  std::sort(rows.begin(), rows.end(), [](const Row* a, const Row* b) { return a->name() < b->name(); });
  rows.resize(std::min(rows.size(), kMost));
  return rows;
}

std::vector<const Row*> AllRows(const v1::StatusResponse& response) {
  std::vector<const Row*> rows;
  for (const Row& row : response.nodes()) rows.push_back(&row);
  return rows;
}

// `watched`: on a screen that is shown again and again.
void PrintStatus(std::ostream& out, const v1::StatusResponse& response, bool watched) {
  for (const auto& certificate : response.certificates()) {
    out << certificate.name() << ": " << certificate.converged() << " of " << certificate.total() << " nodes serve ";
    if (certificate.generation() == 0) {
      out << "it: nothing was issued or imported yet\n";
      continue;
    }
    out << "generation " << certificate.generation() << ", SHA-256 " << certificate.leaf_sha256() << "\n  expires "
        << ShowTime(certificate.not_after());
    if (certificate.has_renew_at()) out << ", renewal due " << ShowTime(certificate.renew_at());
    if (!certificate.rollout_id().empty()) {
      out << "; last rollout " << certificate.rollout_id() << " "
          << v1::Rollout::State_Name(certificate.rollout_state());
      if (!certificate.rollout_because().empty()) out << " (" << certificate.rollout_because() << ")";
    }
    out << "\n";
  }
  const std::vector<const Row*> rows = watched ? RowsForAScreen(response) : AllRows(response);
  if (rows.empty()) return;
  Table table({"NODE", "CERTIFICATE", "STATE", "GENERATION", "INSTALLED", "SERVED", "SINCE", "DETAIL"});
  for (const Row* row : rows) {
    const Row& node = *row;
    table.AddRow({node.name(), node.certificate(), v1::StatusResponse::Node::State_Name(node.state()),
                  absl::StrCat(node.generation()), ShortFingerprint(node.installed_sha256()),
                  ShortFingerprint(node.served_sha256()), ShowTime(node.since()),
                  node.reason() == Reason::REASON_UNSPECIFIED
                      ? node.detail()
                      : absl::StrCat(ReasonName(node.reason()), node.detail().empty() ? "" : ": ", node.detail())});
  }
  out << "\n";
  table.Print(out);
  const int missing = response.total() - response.converged();
  if (watched && static_cast<size_t>(missing) > rows.size()) {
    out << "and " << static_cast<size_t>(missing) - rows.size() << " more\n";
  }
}

int ShowStatus(Session& session, const v1::StatusRequest& request, bool clear) {
  grpc::ClientContext context;
  v1::StatusResponse response;
  if (grpc::Status status = session.controller.GetStatus(&context, request, &response); !status.ok()) {
    return ReportError(session.err, FromGrpc(status));
  }
  if (clear) session.out << "\x1b[H\x1b[2J";
  if (session.options.json()) {
    session.out << ToJson(response);
  } else {
    PrintStatus(session.out, response, clear);
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
      "Exit codes: 0 when it is N of N, 3 when not.");
  verb->callback([&chosen, options] { chosen = [options](Session& session) { return RunStatus(session, *options); }; });
}

}  // namespace certcast::controller::cli
