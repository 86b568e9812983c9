// What is between controllers and nodes: connections that carry commands to the real engine and its reports back, and
// that are lost, late and cut.
#ifndef CERTCAST_TESTS_SIMULATION_NETWORK_H_
#define CERTCAST_TESTS_SIMULATION_NETWORK_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/probe/probe.h"
#include "controller/transport/link.h"
#include "tests/simulation/dice.h"
#include "tests/simulation/node_machine.h"
#include "tests/simulation/scheduler.h"
#include "tests/simulation/trace.h"

namespace certcast::simulation {

class Network {
 public:
  // What goes wrong between the controllers and one node now.
  struct Troubles {
    bool partition = false;
    bool loss = false;
    bool delay = false;
    bool late_delivery = false;
  };
  using OnSend = std::function<void(const Process& sender, const std::string& node, const v1::Command& command)>;
  using OnLook = std::function<void(const Process& looker, const std::string& node, const Observation& seen)>;

  Network(uint64_t seed, std::vector<std::unique_ptr<NodeMachine>>& nodes, Scheduler& scheduler, Trace& trace);

  Troubles& troubles(const std::string& node) { return troubles_[node]; }
  void Heal();
  // Told of each command that a living controller sends, before it is on its way; and of what its handshakes see.
  void OnCommands(OnSend on_send, OnLook on_look) {
    on_send_ = std::move(on_send);
    on_look_ = std::move(on_look);
  }

  // As one controller's process has them.
  std::unique_ptr<controller::Transport> TransportOf(ProcessPtr process);
  std::unique_ptr<Prober> ProberOf(ProcessPtr process);

  int64_t commands() const { return commands_; }

 private:
  friend class LinkToNode;
  friend class TransportOfController;
  friend class ProberOfController;
  struct Call;

  NodeMachine* Find(const std::string& node);
  absl::Duration Latency(const std::string& node);
  absl::Duration LoginTime();
  // Until a node sees that its connection has ended.
  absl::Duration TimeToHangUp(const std::string& node);
  absl::StatusOr<v1::Report> Carry(const ProcessPtr& caller, const NodeMachine::AgentPtr& agent, NodeMachine& node,
                                   const v1::Command& command, absl::Duration timeout);
  // On the agent's side of the connection.
  void Deliver(const NodeMachine::AgentPtr& agent, NodeMachine& node, const v1::Command& command,
               const std::shared_ptr<Call>& call, absl::Duration after);

  Dice dice_;
  std::vector<std::unique_ptr<NodeMachine>>& nodes_;
  Scheduler& scheduler_;
  Trace& trace_;
  std::map<std::string, Troubles> troubles_;
  OnSend on_send_;
  OnLook on_look_;
  int64_t commands_ = 0;
};

// For the trace: "install 2 (wildcard-2-x.0.install)".
std::string Describe(const v1::Command& command);
std::string Describe(const v1::Report& report);

}  // namespace certcast::simulation

#endif  // CERTCAST_TESTS_SIMULATION_NETWORK_H_
