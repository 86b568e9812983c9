#include "controller/acme/http01_fleet.h"

#include <algorithm>
#include <random>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/synchronization/mutex.h"
#include "common/probe/address.h"
#include "common/status/status.h"
#include "controller/acme/http01_look.h"
#include "controller/rollout/worker_threads.h"

namespace certcast::controller {
namespace {

// Of nodes at once.
constexpr int kParallel = 16;
// For one command to one node, reaching it included.
constexpr absl::Duration kTimeAllowed = absl::Seconds(30);
constexpr absl::Duration kPause = absl::Milliseconds(500);
// Longer than a CA usually takes, also where the next run goes on with the order.
constexpr absl::Duration kLifetime = absl::Hours(6);
constexpr size_t kNamed = 3;
constexpr uint16_t kHttpPort = 80;

std::string RandomId() {
  std::random_device device;
  return absl::StrFormat("http-%08x%08x", device(), device());
}

// Where it answers HTTP.
HostPort HttpAddress(const NodeConfig& node) {
  if (const auto parsed = ParseHostPort(node.http_address); parsed.ok()) return *parsed;
  HostPort at{.host = "", .port = kHttpPort};
  if (node.ssh.has_value()) {
    at.host = node.ssh->server.host;
  } else if (const auto parsed = ParseHostPort(node.address); parsed.ok()) {
    at.host = parsed->host;
  }
  return at;
}

// `web-01: refused; web-02: refused; and 5 more`
std::string Listed(const std::map<std::string, std::string>& problems) {
  std::vector<std::string> lines;
  for (const auto& [node, problem] : problems) {
    if (lines.size() < kNamed) lines.push_back(absl::StrCat("node ", node, ": ", problem));
  }
  if (problems.size() > kNamed) lines.push_back(absl::StrCat("and ", problems.size() - kNamed, " more"));
  return absl::StrJoin(lines, "; ");
}

}  // namespace

Http01Fleet::Http01Fleet(HttpFleet config, ChallengeFleet fleet, Clock& clock)
    : config_(config), fleet_(std::move(fleet)), clock_(clock), id_(RandomId()) {
}

Http01Fleet::~Http01Fleet() = default;

absl::Status Http01Fleet::Prepare(Challenge& challenge) {
  if (fleet_.nodes.empty()) {
    return Fail(Reason::CHALLENGE_FAILED, "there are no nodes to show an HTTP token on",
                "set the certificate's `nodes`");
  }
  challenge.clear_nodes();
  for (const NodeConfig* node : fleet_.nodes) challenge.add_nodes(node->name);
  return absl::OkStatus();
}

absl::Status Http01Fleet::Present(const Challenge& challenge) {
  v1::Command command = NewCommand();
  v1::PutHttpChallenge& put = *command.mutable_put_http_challenge();
  put.set_token(challenge.token());
  put.set_key_authorization(challenge.key_authorization());
  put.mutable_lifetime()->set_seconds(absl::ToInt64Seconds(kLifetime));
  Errors failed = Tell(NodesOf(challenge), command);
  for (const auto& [node, error] : failed) {
    if (IsUnanswered(error)) {
      unreachable_.insert(node);
      const auto session = sessions_.find(node);
      if (session == sessions_.end() || !session->second->in_doubt()) untold_.insert({node, challenge.token()});
    }
  }
  if (static_cast<int>(unreachable_.size()) <= config_.max_unreachable) {
    std::erase_if(failed, [](const auto& entry) { return IsUnanswered(entry.second); });
  }
  if (failed.empty()) return absl::OkStatus();
  std::map<std::string, std::string> problems;
  for (const auto& [node, error] : failed) problems[node] = std::string(error.message());
  return WithStep(Fail(Reason::CHALLENGE_FAILED, absl::StrCat(Place(challenge), " can't be shown: ", Listed(problems)),
                       FailureOf(failed.begin()->second).hint()),
                  "present");
}

absl::Status Http01Fleet::AwaitVisible(const std::vector<Challenge>& challenges,
                                       const std::function<void(absl::string_view)>& on_progress) {
  if (!config_.check || challenges.empty()) return absl::OkStatus();
  std::vector<const NodeConfig*> nodes;
  for (const NodeConfig* node : fleet_.nodes) {
    if (!unreachable_.contains(node->name)) nodes.push_back(node);
  }
  const absl::Duration end = clock_.Monotonic() + config_.timeout;
  while (true) {
    std::vector<std::string> seen(nodes.size());
    ForEachAtOnce(nodes.size(), kParallel, [&](size_t i) { seen[i] = LookAt(*nodes[i], challenges); });
    std::map<std::string, std::string> problems;
    std::vector<const NodeConfig*> left;
    for (size_t i = 0; i < nodes.size(); ++i) {
      if (seen[i].empty()) continue;
      problems[nodes[i]->name] = seen[i];
      left.push_back(nodes[i]);
    }
    if (problems.empty()) return absl::OkStatus();
    if (clock_.Monotonic() + kPause > end) {
      return WithStep(
          Fail(Reason::CHALLENGE_FAILED,
               absl::StrCat(problems.size(), " of ", fleet_.nodes.size(),
                            " nodes do not answer as the CA wants: ", Listed(problems)),
               "does the node's http_challenge lead to what its web server answers on port 80? `http_address` "
               "of a node says where it is asked, `check: false` under challenge.fleet does without"),
          "propagation");
    }
    on_progress(absl::StrCat("waiting for ", Listed(problems)));
    clock_.Sleep(kPause);
    nodes = std::move(left);
  }
}

absl::Status Http01Fleet::CleanUp(const Challenge& challenge) {
  v1::Command command = NewCommand();
  command.mutable_remove_http_challenge()->set_token(challenge.token());
  std::map<std::string, std::string> problems;
  std::vector<const NodeConfig*> nodes;
  for (const NodeConfig* node : NodesOf(challenge)) {
    if (!untold_.contains({node->name, challenge.token()})) nodes.push_back(node);
  }
  for (const auto& [node, error] : Tell(nodes, command)) problems[node] = std::string(error.message());
  if (problems.empty()) return absl::OkStatus();
  return WithStep(Fail(Reason::CHALLENGE_FAILED, absl::StrCat(Place(challenge), ": ", Listed(problems)),
                       absl::StrCat("nodes remove it by themselves after ", absl::FormatDuration(kLifetime))),
                  "cleanup");
}

absl::StatusOr<NodeSession*> Http01Fleet::SessionWith(const NodeConfig& node) {
  std::unique_ptr<NodeSession>& session = sessions_[node.name];
  if (session == nullptr) {
    if (transport_ == nullptr) {
      ASSIGN_OR_RETURN(transport_, fleet_.open_transport());
    }
    session = std::make_unique<NodeSession>(node, *transport_, clock_, kTimeAllowed);
  }
  session->Renew(kTimeAllowed);
  return session.get();
}

Http01Fleet::Errors Http01Fleet::Tell(const std::vector<const NodeConfig*>& nodes, const v1::Command& command) {
  std::vector<NodeSession*> sessions;
  Errors errors;
  for (const NodeConfig* node : nodes) {
    auto session = SessionWith(*node);
    if (!session.ok()) errors[node->name] = session.status();
    sessions.push_back(session.ok() ? *session : nullptr);
  }
  absl::Mutex mutex;
  ForEachAtOnce(nodes.size(), kParallel, [&](size_t i) {
    if (sessions[i] == nullptr) return;
    auto report = sessions[i]->Send(command);
    if (report.ok() && !report->has_http_challenge_result()) {
      report = Fail(Reason::PROTOCOL, absl::StrCat("node ", nodes[i]->name, " answered something else"));
    }
    if (report.ok()) return;
    absl::MutexLock lock(&mutex);
    errors[nodes[i]->name] = report.status();
  });
  return errors;
}

std::vector<const NodeConfig*> Http01Fleet::NodesOf(const Challenge& challenge) const {
  std::vector<const NodeConfig*> nodes;
  for (const std::string& name : challenge.nodes()) {
    if (const NodeConfig* node = fleet_.find_node(name); node != nullptr) nodes.push_back(node);
  }
  return nodes;
}

std::string Http01Fleet::LookAt(const NodeConfig& node, const std::vector<Challenge>& challenges) const {
  for (const Challenge& challenge : challenges) {
    const absl::Status seen = LookForToken(*fleet_.prober, clock_, HttpAddress(node), challenge);
    if (!seen.ok()) return std::string(seen.message());
  }
  return "";
}

v1::Command Http01Fleet::NewCommand() {
  v1::Command command;
  command.set_id(absl::StrCat(id_, "-", ++commands_));
  command.set_epoch(fleet_.epoch);
  command.set_without_progress(true);
  return command;
}

}  // namespace certcast::controller
