#include "controller/cli/nodes_upgrade.h"

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/status/status.h"
#include "controller/cli/long_call.h"
#include "controller/cli/table.h"

namespace certcast::controller::cli {
namespace {

using Node = v1::UpgradeNodesResponse::Node;

struct UpgradeOptions {
  std::vector<std::string> names;
  bool dry_run = false;
  int parallel = 16;
};

std::string InPlaceOf(const Node& node) {
  return node.previous_sha256().empty() ? "" : absl::StrCat(" in place of ", ShortFingerprint(node.previous_sha256()));
}

std::string Describe(const Node& node) {
  switch (node.state()) {
    case Node::UP_TO_DATE:
      return absl::StrCat("is up to date: ", node.version(), ", ", ShortFingerprint(node.sha256()));
    case Node::UPLOADED:
      return absl::StrCat("uploaded ", node.version(), ", ", ShortFingerprint(node.sha256()), InPlaceOf(node));
    case Node::OUTDATED:
      return absl::StrCat("would upload ", ShortFingerprint(node.sha256()), InPlaceOf(node));
    case Node::NOT_OURS:
      return absl::StrCat("not ours to upgrade: ", node.detail());
    default:
      return absl::StrCat(Node::State_Name(node.state()), " ", ReasonName(node.reason()), ": ", node.detail());
  }
}

void Print(std::ostream& out, const v1::UpgradeNodesResponse& response) {
  int ours = 0;
  int current = 0;
  for (const Node& node : response.nodes()) {
    ours += node.state() != Node::NOT_OURS;
    current += node.state() == Node::UP_TO_DATE || node.state() == Node::UPLOADED;
    out << node.name() << ": " << Printable(Describe(node)) << "\n";
    PrintLines(out, "    | ", node.stderr());
    if (!node.hint().empty()) out << "    hint: " << Printable(node.hint()) << "\n";
  }
  if (ours == 0) {
    out << "nothing to upgrade: no host gets its agent from here\n";
  } else {
    out << current << " of " << ours << " hosts have this certcast-node\n";
  }
}

int ExitCodeOf(const v1::UpgradeNodesResponse& response) {
  if (response.changes_pending()) return kChangesPending;
  for (const Node& node : response.nodes()) {
    if (node.state() == Node::UNREACHABLE) return kNotConverged;
  }
  return kDone;
}

int RunUpgrade(Session& session, const UpgradeOptions& options) {
  v1::UpgradeNodesRequest request;
  for (const std::string& name : options.names) request.add_names(name);
  request.set_dry_run(options.dry_run);
  request.set_parallel(options.parallel);

  const absl::StatusOr<v1::UpgradeNodesResponse> answer = FollowCall<v1::UpgradeNodesEvent, v1::UpgradeNodesResponse>(
      session, "hosts",
      [&](grpc::ClientContext* context) { return session.controller.UpgradeNodes(context, request); });
  if (!answer.ok()) return ReportError(session.err, answer.status());
  const v1::UpgradeNodesResponse& response = *answer;
  if (session.options.json()) {
    session.out << ToJson(response);
  } else {
    Print(session.out, response);
  }
  return ExitCodeOf(response);
}

}  // namespace

void AddNodesUpgrade(CLI::App& nodes, Verb& chosen) {
  auto options = std::make_shared<UpgradeOptions>();
  CLI::App* verb = nodes.add_subcommand("upgrade", "Put this certcast-node on hosts that are reached over SSH");
  verb->add_option("NAME", options->names, "Nodes by name; all when none is given");
  verb->add_flag("--dry-run", options->dry_run,
                 "Say what would be uploaded and upload nothing; exit 5 when there is any");
  verb->add_option("--parallel", options->parallel, "Hosts at once")->check(CLI::Range(1, 1024))->capture_default_str();
  verb->footer(
      "Each host gets the certcast-node of this machine (`ssh: {agent_binary: ...}`) once: where it has none or "
      "another\n"
      "one. The digest is checked there before it runs, it is started once to see that it answers, and older ones are\n"
      "removed. No service is touched, and an install under way goes on. `certcast apply` does the same by itself at\n"
      "its next contact with a host: this does it ahead of time. Agents that listen (grpc://) and those that a\n"
      "restricted login leads to are upgraded by whoever installed them.\n\n"
      "Exit codes: 0 done or nothing to do, 1 failed, 2 wrong usage or configuration, 3 a host could not be reached "
      "or\n"
      "takes no agent, 5 --dry-run found something to do.");
  verb->callback(
      [&chosen, options] { chosen = [options](Session& session) { return RunUpgrade(session, *options); }; });
}

}  // namespace certcast::controller::cli
