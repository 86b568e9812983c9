#include "tests/simulation/rollout_rules.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "controller/schedule/window.h"
#include "tests/simulation/certificates.h"

namespace certcast::simulation {
namespace {

using state::v1::Rollout;

constexpr absl::string_view kHeads = "rollouts/";
constexpr absl::string_view kNodes = "rollout-nodes/";

bool InTheMiddle(const Rollout::Node& node) {
  return node.step() != Rollout::Node::PENDING && node.step() != Rollout::Node::DONE;
}

bool IsGood(const Rollout::Node& node) {
  return node.step() == Rollout::Node::DONE &&
         (node.result().outcome() == v1::Outcome::INSTALLED || node.result().outcome() == v1::Outcome::UNCHANGED);
}

}  // namespace

RolloutRules::RolloutRules(const Scenario& scenario, std::vector<std::unique_ptr<NodeMachine>>& nodes,
                           const Scheduler& scheduler, Trace& trace, Referee& referee)
    : scenario_(scenario), nodes_(nodes), scheduler_(scheduler), trace_(trace), referee_(referee) {
}

NodeMachine& RolloutRules::Find(const std::string& name) {
  const auto is_it = [&](const std::unique_ptr<NodeMachine>& node) { return node->name() == name; };
  return **std::find_if(nodes_.begin(), nodes_.end(), is_it);
}

void RolloutRules::Committed(const Process& writer, const controller::Transaction& transaction) {
  if (transaction.epoch != 0 && transaction.epoch < epoch_) {
    return referee_.Break(
        "fencing", absl::StrCat("a controller of epoch ", transaction.epoch, " has written after one of ", epoch_));
  }
  const std::map<int, std::string> latest = latest_;
  // The head first: what nodes may do follows from it.
  for (const controller::Transaction::Write& write : transaction.writes) {
    if (!write.value.has_value() || !absl::StartsWith(write.key, kHeads)) continue;
    Rollout head;
    head.ParseFromString(*write.value);
    HeadWritten(writer, write.key.substr(kHeads.size()), head);
  }
  for (const controller::Transaction::Write& write : transaction.writes) {
    if (!write.value.has_value() || !absl::StartsWith(write.key, kNodes)) continue;
    const std::vector<std::string> parts = absl::StrSplit(write.key.substr(kNodes.size()), absl::MaxSplits('/', 1));
    Node node;
    node.ParseFromString(*write.value);
    NodeWritten(rollouts_[parts[0]], parts[1], node);
  }
  if (latest_ == latest || !absl::StartsWith(writer.name(), "retry")) return;
  for (const auto& [certificate, id] : latest) {
    if (latest_[certificate] != id) CheckRetry(rollouts_[id], rollouts_[latest_[certificate]]);
  }
}

void RolloutRules::HeadWritten(const Process& writer, const std::string& id, const Rollout& head) {
  const bool is_new = rollouts_.count(id) == 0;
  Record& record = rollouts_[id];
  if (is_new) {
    record.certificate = CertificateCalled(head.certificate());
    latest_[record.certificate] = id;
  }
  const bool is_undone =
      absl::StartsWith(writer.name(), "undo") && head.state() == v1::Rollout::HALTED && !head.has_finished_at();
  if (!is_new && record.head.has_finished_at() && head.state() != record.head.state() && !is_undone) {
    referee_.Break("what is finished stays so", absl::StrCat(id, " was ", v1::Rollout::State_Name(record.head.state()),
                                                             ", is ", v1::Rollout::State_Name(head.state())));
  }
  if (is_new || head.state() != record.head.state() || head.wave() != record.head.wave()) {
    trace_.Note("record: ", id, " ", v1::Rollout::State_Name(head.state()), " wave ", head.wave(), " ",
                head.halted_because(), head.paused_because());
  }
  if (head.has_finished_at() && !record.head.has_finished_at()) ++ends_[v1::Rollout::State_Name(head.state())];
  record.head = head;
  if (head.has_finished_at() && head.state() == v1::Rollout::REVERTED) CheckReverted(id, record);
}

void RolloutRules::CheckReverted(const std::string& id, const Record& record) {
  const int generation = static_cast<int>(record.head.generation());
  for (const auto& [name, before] : record.confirmed_before) {
    if (before == generation || RulesOf(record, name).good() != generation) continue;
    referee_.Break("what is put back is gone",
                   absl::StrCat(id, " is REVERTED, and ", name, " has confirmed its generation ", generation));
  }
}

void RolloutRules::CheckRetry(const Record& before, const Record& record) {
  for (const auto& [name, node] : record.nodes) {
    const auto was = before.nodes.find(name);
    if (was != before.nodes.end() && !IsGood(was->second)) continue;
    referee_.Break("a retry is for what was left",
                   absl::StrCat(name, " is retried, and ", before.head.id(), " left it with the generation"));
  }
}

void RolloutRules::NodeWritten(Record& record, const std::string& name, const Node& node) {
  const Node before = record.nodes[name];
  record.nodes[name] = node;
  if (node.step() == before.step() && node.attempt() == before.attempt()) return;
  trace_.Note("record: ", name, " ", Node::Step_Name(node.step()),
              node.step() == Node::DONE ? absl::StrCat(" ", v1::Outcome::Code_Name(node.result().outcome()), " ",
                                                       v1::Reason::Code_Name(node.result().reason()))
                                        : "");
  const bool begins = before.step() == Node::PENDING && node.step() == Node::INSTALLING;
  // Of several tries the first: what it had at the next one may be this rollout's doing.
  if (begins) record.confirmed_before.emplace(name, RulesOf(record, name).good());
  if (begins) CheckWindow(record, name);
  if (begins && held_.count(record.head.id()) > 0) {
    referee_.Break("what an operator holds is held", absl::StrCat(name, " begins in ", record.head.id()));
  }
  if (begins && record.head.state() != v1::Rollout::RUNNING) {
    referee_.Break("none begins after a halt",
                   absl::StrCat(name, " begins while the rollout is ", v1::Rollout::State_Name(record.head.state())));
  }
  if (node.step() == Node::DONE) CheckOutcome(record, node);
}

void RolloutRules::CheckOutcome(const Record& record, const Node& node) {
  const std::string& name = node.result().name();
  const int generation = static_cast<int>(record.head.generation());
  const int confirmed = RulesOf(record, name).good();
  if (IsGood(node) && confirmed != generation && confirmed < generation) {
    referee_.Break("the record is what is so",
                   absl::StrCat(name, " is ", v1::Outcome::Code_Name(node.result().outcome()),
                                " in the record of generation ", generation, ", and has confirmed ", confirmed));
  }
  if (node.result().outcome() == v1::Outcome::REVERTED && confirmed == generation && !HadItBefore(record, node)) {
    referee_.Break("the record is what is so", absl::StrCat(name, " is REVERTED in the record of generation ",
                                                            generation, ", which it has confirmed"));
  }
}

// A commit may take that long.
void RolloutRules::CheckWindow(const Record& record, const std::string& node) {
  constexpr absl::Duration kSlack = absl::Seconds(2);
  if (!scenario_.policy.windows.has_value() || record.head.windows_overridden_size() > 0) return;
  const absl::Time now = StartOfRun() + scheduler_.Now();
  const absl::Time closed = controller::NextClosing(*scenario_.policy.windows, now - kSlack);
  if (controller::IsOpen(*scenario_.policy.windows, now) || closed > now - kSlack) return;
  if (scheduler_.Now() < frozen_until_ + kSlack) return;
  referee_.Break("nodes begin in their window", absl::StrCat(node, " begins in ", record.head.id()));
}

bool RolloutRules::HadItBefore(const Record& record, const Node& node) {
  const auto before = record.confirmed_before.find(node.result().name());
  return before != record.confirmed_before.end() && before->second == static_cast<int>(record.head.generation());
}

void RolloutRules::Sent(const Process& sender, const std::string& node, const v1::Command& command) {
  if (!command.has_install() && !command.has_confirm() && !command.has_revert()) return;
  // What another controller has made of the record since can't be known to this one.
  if (command.epoch() != epoch_) return;
  const std::string id = command.id().substr(0, command.id().find('.'));
  const auto found = rollouts_.find(id);
  if (found == rollouts_.end()) {
    return referee_.Break("saved before done", absl::StrCat(sender.name(), " sends ", command.id(), " of no rollout"));
  }
  const Record& record = found->second;
  const Node& step = record.nodes.at(node);
  const Node::Step due = command.has_install()   ? Node::INSTALLING
                         : command.has_confirm() ? Node::CONFIRMING
                                                 : Node::REVERTING;
  if (step.step() != due) {
    return referee_.Break("saved before done", absl::StrCat(sender.name(), " sends ", command.id(),
                                                            ", but the record says ", Node::Step_Name(step.step())));
  }
  if (command.has_confirm()) {
    const auto seen = seen_.find({node, record.certificate});
    const bool is_verified =
        scenario_.nodes[static_cast<size_t>(std::stoi(node.substr(node.find('-') + 1)))].is_verified;
    if (is_verified && (seen == seen_.end() || seen->second != static_cast<int>(command.confirm().generation()))) {
      referee_.Break("confirmed is what was seen",
                     absl::StrCat(sender.name(), " sends ", command.id(), " and did not see it served itself"));
    }
    return;
  }
  if (command.has_revert()) {
    const bool halted = absl::StrContains(command.id(), ".halted");
    if (halted && !record.head.policy().revert_on_halt()) {
      referee_.Break("kept where the policy says so", absl::StrCat(sender.name(), " sends ", command.id()));
    }
    if (HadItBefore(record, step)) {
      referee_.Break("what it had before is not taken",
                     absl::StrCat(sender.name(), " sends ", command.id(), ", and the rollout did not bring it there"));
    }
    return;
  }
  seen_.erase({node, record.certificate});
  CheckBudget(record, node);
}

void RolloutRules::CheckBudget(const Record& record, const std::string& node) {
  const controller::RolloutPolicy& policy = scenario_.policy;
  const auto rack = [&](const std::string& name) {
    return scenario_.nodes[static_cast<size_t>(std::stoi(name.substr(name.find('-') + 1)))].rack;
  };
  int all = 0, beside = 0, good = 0;
  for (const auto& [name, other] : record.nodes) {
    if (IsGood(other)) ++good;
    if (!InTheMiddle(other)) continue;
    ++all;
    if (rack(name) == rack(node)) ++beside;
  }
  if (all > policy.parallel) {
    referee_.Break("no more at once than the policy says",
                   absl::StrCat(all, " nodes are in flight, parallel is ", policy.parallel));
  }
  if (good == 0 && all > std::max(record.head.waves(0).size(), 1)) {
    referee_.Break(
        "no more at risk than the first wave",
        absl::StrCat(all, " nodes are in flight and none was good, the first wave has ", record.head.waves(0).size()));
  }
  if (!policy.spread_label.empty() && beside > policy.spread_in_flight) {
    referee_.Break("no more of a rack than the policy says",
                   absl::StrCat(beside, " nodes of a rack are in flight, spread is ", policy.spread_in_flight));
  }
  if (record.nodes.at(node).result().wave() != record.head.wave()) {
    referee_.Break("wave after wave", absl::StrCat(node, " is of wave ", record.nodes.at(node).result().wave(),
                                                   ", at work is wave ", record.head.wave()));
  }
}

void RolloutRules::SeenFromHere(const std::string& node, const Observation& seen) {
  for (int certificate = 0; seen.ok && certificate < kMostCertificates; ++certificate) {
    const int generation = GenerationOf(certificate, seen.served_sha256);
    if (generation >= 0) seen_[{node, certificate}] = generation;
  }
}

std::string RolloutRules::ProblemAtEnd() {
  for (const auto& [id, record] : rollouts_) {
    if (!record.head.has_finished_at()) {
      return absl::StrCat(id, " is left ", v1::Rollout::State_Name(record.head.state()));
    }
  }
  for (const auto& [certificate, id] : latest_) {
    const std::string problem = ProblemAtEnd(rollouts_.at(id));
    if (!problem.empty()) return absl::StrCat(id, " says of ", problem);
  }
  return "";
}

std::string RolloutRules::ProblemAtEnd(const Record& record) {
  for (const auto& [name, node] : record.nodes) {
    const int generation = static_cast<int>(record.head.generation());
    const int confirmed = RulesOf(record, name).good();
    // Of others nobody knows, and the record says so.
    const bool went_back = node.result().outcome() == v1::Outcome::REVERTED && !HadItBefore(record, node);
    if ((IsGood(node) && confirmed != generation) || (went_back && confirmed == generation)) {
      return absl::StrCat(name, " ", v1::Outcome::Code_Name(node.result().outcome()), ", which has confirmed ",
                          confirmed);
    }
  }
  return "";
}

}  // namespace certcast::simulation
