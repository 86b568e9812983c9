// Puts this controller's agent on the hosts that are logged in to.
#include <algorithm>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/status/status.h"
#include "controller/api/controller.h"
#include "controller/api/note.h"
#include "controller/api/session.h"
#include "controller/rollout/worker_threads.h"

namespace certcast::controller {
namespace {

using Row = v1::UpgradeNodesResponse::Node;

// Each upload is as large as the agent: more at once are not faster, and slower for each.
constexpr int kUsualParallel = 16;
constexpr int kMostParallel = 1024;
constexpr absl::Duration kConnectTimeout = absl::Seconds(10);

absl::StatusOr<std::vector<const NodeConfig*>> SelectNodes(const Config& config, const v1::UpgradeNodesRequest& asked) {
  const std::set<std::string> names(asked.names().begin(), asked.names().end());
  for (const std::string& name : names) {
    const NodeConfig* const node = config.FindNode(name);
    if (node == nullptr) return FailInput(absl::StrCat("there is no node ", name, " in ", config.path));
    if (!node->ssh.has_value()) {
      return FailInput(absl::StrCat("the agent of ", name, " is not ours to upgrade: it listens at ", node->address),
                       "install it there as the first one was, and restart it; only hosts with an ssh:// address get "
                       "theirs from here");
    }
  }
  std::vector<const NodeConfig*> nodes;
  for (const NodeConfig& node : config.nodes) {
    if (names.empty() || names.contains(node.name)) nodes.push_back(&node);
  }
  return nodes;
}

Row::State StateOf(const AgentOnHost& agent) {
  switch (agent.state) {
    case AgentOnHost::State::kCurrent:
      return Row::UP_TO_DATE;
    case AgentOnHost::State::kUploaded:
      return Row::UPLOADED;
    case AgentOnHost::State::kMissing:
      return Row::OUTDATED;
    case AgentOnHost::State::kOwn:
      break;
  }
  return Row::NOT_OURS;
}

void Fill(const absl::StatusOr<AgentOnHost>& agent, Row& row) {
  if (!agent.ok()) {
    v1::Failure failure = FailureOf(agent.status());
    row.set_state(Row::UNREACHABLE);
    row.set_reason(failure.reason());
    row.set_detail(std::move(*failure.mutable_detail()));
    row.set_hint(std::move(*failure.mutable_hint()));
    row.set_stderr(std::move(*failure.mutable_stderr()));
    return;
  }
  row.set_state(StateOf(*agent));
  row.set_sha256(agent->sha256);
  row.set_previous_sha256(agent->previous_sha256);
  row.set_version(agent->version);
  if (row.state() == Row::NOT_OURS) row.set_detail("the login leads to an agent that is installed there");
}

// A line for what was done or failed; the others are in the result.
std::string Note(const Row& row) {
  if (row.state() == Row::UPLOADED) return "uploaded";
  if (row.state() == Row::UNREACHABLE) return absl::StrCat(ReasonName(row.reason()), ": ", row.detail());
  return {};
}

}  // namespace

absl::StatusOr<v1::UpgradeNodesResponse> Controller::UpgradeNodes(const v1::UpgradeNodesRequest& request,
                                                                  const OnProgress& on_progress,
                                                                  const std::atomic<bool>& stop) {
  ASSIGN_OR_RETURN(const std::vector<const NodeConfig*> nodes, SelectNodes(config_, request));
  if (request.parallel() < 0 || request.parallel() > kMostParallel) {
    return FailInput(absl::StrCat("from 1 to ", kMostParallel, " hosts at once, not ", request.parallel()));
  }
  ASSIGN_OR_RETURN(const Session session, OpenToRead(config_, machine_));
  const std::unique_ptr<AgentInstaller> installer = machine_.make_agent_installer(session.keyring->fleet_id());

  std::vector<Row> rows(nodes.size());
  absl::Mutex mutex;
  size_t done = 0;
  const auto finish = [&](const Row& row) {
    absl::MutexLock lock(&mutex);
    ++done;
    const std::string note = Note(row);
    if (note.empty()) return;
    on_progress(MakeNote(absl::StrCat("[", done, "/", nodes.size(), "] ", row.name(), ": ", note)));
  };
  const int parallel = request.parallel() == 0 ? kUsualParallel : request.parallel();
  ForEachAtOnce(nodes.size(), parallel, [&](size_t i) {
    if (stop) return;
    Row& row = rows[i];
    row.set_name(nodes[i]->name);
    if (!nodes[i]->ssh.has_value()) {
      row.set_state(Row::NOT_OURS);
      row.set_detail(absl::StrCat("its agent listens at ", nodes[i]->address));
    } else {
      const absl::Duration start = machine_.clock->Monotonic();
      Fill(installer->PutAgent(*nodes[i], request.dry_run(), kConnectTimeout), row);
      row.set_duration_ms(absl::ToInt64Milliseconds(machine_.clock->Monotonic() - start));
    }
    finish(row);
  });
  if (stop) return absl::CancelledError("stopped as asked; the next `certcast nodes upgrade` goes on from here");

  v1::UpgradeNodesResponse response;
  for (Row& row : rows) {
    if (row.state() == Row::OUTDATED) response.set_changes_pending(true);
    *response.add_nodes() = std::move(row);
  }
  return response;
}

}  // namespace certcast::controller
