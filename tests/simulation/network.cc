#include "tests/simulation/network.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "certcast/v1/bundle.pb.h"
#include "common/status/status.h"
#include "tests/testing/fake_prober.h"

namespace certcast::simulation {

using controller::Link;
using controller::NodeConfig;
using controller::Transport;

namespace {

// A peer that is gone without a word is noticed after that (common/link/bounds.h).
constexpr absl::Duration kSilence = absl::Seconds(40);

absl::Status Lost() {
  return Fail(Reason::LINK_LOST, "connection reset");
}

}  // namespace

// A command on its way, and its answer.
struct Network::Call {
  std::optional<v1::Report> report;
  // The connection is cut, as far as the caller's side knows.
  bool is_cut = false;
};

class LinkToNode final : public Link {
 public:
  LinkToNode(Network& network, ProcessPtr process, NodeMachine::AgentPtr agent, NodeMachine& node)
      : network_(network), process_(std::move(process)), agent_(std::move(agent)), node_(node) {
    hello_.set_node(node_.name());
  }
  ~LinkToNode() override { node_.HangUp(agent_, network_.TimeToHangUp(node_.name())); }
  absl::StatusOr<v1::Report> Call(const v1::Command& command, absl::Duration timeout, const OnProgress&) override {
    return network_.Carry(process_, agent_, node_, command, timeout);
  }
  const v1::Hello& hello() const override { return hello_; }

 private:
  Network& network_;
  const ProcessPtr process_;
  const NodeMachine::AgentPtr agent_;
  NodeMachine& node_;
  v1::Hello hello_;
};

class TransportOfController final : public Transport {
 public:
  TransportOfController(Network& network, ProcessPtr process) : network_(network), process_(std::move(process)) {}

  absl::StatusOr<std::unique_ptr<Link>> Open(const NodeConfig& config, absl::Duration timeout) override {
    NodeMachine& node = *network_.Find(config.name);
    const Network::Troubles& troubles = network_.troubles(config.name);
    network_.scheduler_.Sleep(std::min(network_.Latency(config.name), timeout));
    if (process_->is_alive() && (troubles.partition || !node.has_power())) {
      network_.scheduler_.Sleep(timeout);
      return Fail(Reason::TIMED_OUT, "no answer to the connection");
    }
    network_.scheduler_.Sleep(std::min(network_.Latency(config.name), timeout));
    if (!process_->is_alive()) return Lost();
    // Logging in takes a while.
    if (node.is_ssh()) network_.scheduler_.Sleep(network_.LoginTime());
    if (!process_->is_alive() || !node.has_power()) return Lost();
    const NodeMachine::AgentPtr agent = node.Contact();
    if (agent == nullptr) return Fail(Reason::NO_ROUTE, "connection refused");
    return std::make_unique<LinkToNode>(network_, process_, agent, node);
  }

 private:
  Network& network_;
  const ProcessPtr process_;
};

class ProberOfController final : public Prober {
 public:
  ProberOfController(Network& network, ProcessPtr process) : network_(network), process_(std::move(process)) {}

  Observation Look(const ProbeSpec& spec, absl::Duration timeout) override {
    const std::string& address = std::get<TlsProbe>(spec.what).address;
    const size_t colon = address.find(':');
    const std::string name = address.substr(0, colon);
    network_.scheduler_.Sleep(std::min(network_.Latency(name) * 2, timeout));
    if (!process_->is_alive()) return testing::FakeProber::Fails("dead");
    if (network_.troubles(name).partition) {
      network_.scheduler_.Sleep(timeout);
      return testing::FakeProber::Fails("timed out");
    }
    Observation seen = network_.Find(name)->LookFromOutside(address.substr(colon + 1));
    if (network_.on_look_) network_.on_look_(*process_, name, seen);
    return seen;
  }

 private:
  Network& network_;
  const ProcessPtr process_;
};

Network::Network(uint64_t seed, std::vector<std::unique_ptr<NodeMachine>>& nodes, Scheduler& scheduler, Trace& trace)
    : dice_(seed, 3), nodes_(nodes), scheduler_(scheduler), trace_(trace) {
}

void Network::Heal() {
  troubles_.clear();
}

std::unique_ptr<Transport> Network::TransportOf(ProcessPtr process) {
  return std::make_unique<TransportOfController>(*this, std::move(process));
}

std::unique_ptr<Prober> Network::ProberOf(ProcessPtr process) {
  return std::make_unique<ProberOfController>(*this, std::move(process));
}

NodeMachine* Network::Find(const std::string& name) {
  const auto is_it = [&](const std::unique_ptr<NodeMachine>& node) { return node->name() == name; };
  return std::find_if(nodes_.begin(), nodes_.end(), is_it)->get();
}

absl::Duration Network::Latency(const std::string& node) {
  const absl::Duration usual = dice_.Between(absl::Microseconds(200), absl::Milliseconds(8));
  return troubles_[node].delay ? usual + dice_.Between(absl::ZeroDuration(), absl::Seconds(3)) : usual;
}

absl::Duration Network::LoginTime() {
  return dice_.Between(absl::Milliseconds(60), absl::Milliseconds(350));
}

absl::Duration Network::TimeToHangUp(const std::string& node) {
  return troubles_[node].partition ? dice_.Between(absl::Seconds(1), kSilence) : Latency(node);
}

absl::StatusOr<v1::Report> Network::Carry(const ProcessPtr& caller, const NodeMachine::AgentPtr& agent,
                                          NodeMachine& node, const v1::Command& command, absl::Duration timeout) {
  if (!caller->is_alive()) return Lost();
  ++commands_;
  trace_.Note(caller->name(), " > ", node.name(), " ", Describe(command));
  if (on_send_) on_send_(*caller, node.name(), command);
  const Troubles& troubles = troubles_[node.name()];
  const auto call = std::make_shared<Call>();
  absl::Duration cut_after = absl::InfiniteDuration();
  if (troubles.partition || (troubles.loss && dice_.OneIn(3))) {
    cut_after = dice_.Between(absl::Milliseconds(1), kSilence);
  } else if (troubles.late_delivery && dice_.OneIn(2)) {
    cut_after = dice_.Between(absl::ZeroDuration(), absl::Milliseconds(300));
    Deliver(agent, node, command, nullptr, dice_.Between(absl::ZeroDuration(), absl::Seconds(dice_.OneIn(2) ? 30 : 2)));
  } else {
    Deliver(agent, node, command, call, Latency(node.name()));
  }
  const absl::Duration sent = scheduler_.Now();
  const absl::Duration until = sent + std::min(timeout, cut_after);
  while (!call->report.has_value() && !call->is_cut && caller->is_alive() && scheduler_.Now() < until) {
    // An agent that is killed resets its connections; a machine without power says nothing.
    if (!agent->process->is_alive() && node.has_power()) call->is_cut = true;
    if (call->is_cut) break;
    scheduler_.Wait(call.get(), std::min(until - scheduler_.Now(), absl::Seconds(2)));
  }
  if (!caller->is_alive()) return Lost();
  if (!call->report.has_value()) {
    const bool timed_out = !call->is_cut && scheduler_.Now() >= sent + timeout;
    trace_.Note(caller->name(), " < ", node.name(), timed_out ? " no answer in time to " : " lost ", Describe(command));
    return timed_out ? Fail(Reason::TIMED_OUT, "no answer in time") : Lost();
  }
  trace_.Note(caller->name(), " < ", node.name(), " ", Describe(*call->report));
  if (call->report->has_refusal()) return StatusOf(call->report->refusal().failure());
  return *std::move(call->report);
}

void Network::Deliver(const NodeMachine::AgentPtr& agent, NodeMachine& node, const v1::Command& command,
                      const std::shared_ptr<Call>& call, absl::Duration after) {
  ++agent->on_way;
  scheduler_.Spawn(agent->process, [this, agent, &node, command, call, after] {
    scheduler_.Sleep(after);
    if (!agent->process->is_alive()) return;
    if (call == nullptr) trace_.Note(node.name(), " gets, late: ", Describe(command));
    const std::optional<v1::Report> report = node.Handle(agent, command);
    --agent->on_way;
    scheduler_.Notify(&agent->on_way);
    if (!report.has_value() || call == nullptr) return;
    scheduler_.Sleep(Latency(node.name()));
    if (!agent->process->is_alive()) return;
    const Troubles& troubles = troubles_[node.name()];
    if (troubles.partition || (troubles.loss && dice_.OneIn(3))) {
      // The caller waits until it gives up.
      trace_.Note(node.name(), " answers in vain: ", Describe(*report));
      return;
    }
    call->report = *report;
    scheduler_.Notify(call.get());
  });
}

std::string Describe(const v1::Command& command) {
  switch (command.body_case()) {
    case v1::Command::kInstall: {
      v1::Manifest manifest;
      manifest.ParseFromString(command.install().bundle().manifest());
      return absl::StrCat("install ", manifest.certificate(), " ", manifest.generation(), " ", command.id(), " epoch ",
                          command.epoch());
    }
    case v1::Command::kConfirm:
      return absl::StrCat("confirm ", command.confirm().certificate(), " ", command.confirm().generation(), " ",
                          command.id(), " epoch ", command.epoch());
    case v1::Command::kRevert:
      return absl::StrCat("revert ", command.revert().certificate(), " ", command.revert().generation(), " ",
                          command.id(), " epoch ", command.epoch());
    case v1::Command::kDescribe:
      return absl::StrCat("describe ", command.id());
    default:
      return "probe";
  }
}

std::string Describe(const v1::Report& report) {
  if (report.has_refusal())
    return absl::StrCat("refused: ", v1::Reason::Code_Name(report.refusal().failure().reason()));
  if (report.has_install_result()) {
    const v1::InstallResult& result = report.install_result();
    return absl::StrCat(v1::Outcome::Code_Name(result.outcome()), " ",
                        result.has_failure() ? v1::Reason::Code_Name(result.failure().reason()) : "", " in force ",
                        result.generation_in_force());
  }
  std::string text = "has";
  for (const v1::Inventory::Certificate& has : report.inventory().certificates()) {
    absl::StrAppend(&text, " ", has.name(), " ", has.generation(), has.confirmed() ? " confirmed" : "",
                    has.has_confirm_by() ? " waiting" : "");
  }
  return text;
}

}  // namespace certcast::simulation
