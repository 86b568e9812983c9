// What must always hold of the controllers' record, and between it and what nodes are told (design sections 2 and 6).
#ifndef CERTCAST_TESTS_SIMULATION_ROLLOUT_RULES_H_
#define CERTCAST_TESTS_SIMULATION_ROLLOUT_RULES_H_

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "certcast/state/v1/store.pb.h"
#include "certcast/v1/link.pb.h"
#include "common/probe/probe.h"
#include "controller/store/store.h"
#include "tests/simulation/node_machine.h"
#include "tests/simulation/scenario.h"
#include "tests/simulation/scheduler.h"
#include "tests/simulation/trace.h"

namespace certcast::simulation {

class RolloutRules {
 public:
  RolloutRules(const Scenario& scenario, std::vector<std::unique_ptr<NodeMachine>>& nodes, const Scheduler& scheduler,
               Trace& trace, Referee& referee);

  // Written by that process, under the transaction's epoch; 0: under none.
  void Committed(const Process& writer, const controller::Transaction& transaction);
  void Sent(const Process& sender, const std::string& node, const v1::Command& command);
  void SeenFromHere(const std::string& node, const Observation& seen);
  void LeaseTaken(uint64_t epoch) { epoch_ = epoch; }
  // An operator was told that it is paused: no node of it begins until one has it resumed.
  void Held(const std::string& rollout) { held_.insert(rollout); }
  void NothingIsHeld() { held_.clear(); }
  // A process of the controller's does nothing until then, and goes on as if no time had gone by.
  void Froze(absl::Duration until) { frozen_until_ = std::max(frozen_until_, until); }

  // What the record of a certificate's latest rollout says that is not so; empty: nothing.
  std::string ProblemAtEnd();
  int rollouts() const { return static_cast<int>(rollouts_.size()); }
  // Of all rollouts, how many ended so.
  const std::map<std::string, int>& ends() const { return ends_; }

 private:
  using Node = state::v1::Rollout::Node;
  struct Record {
    state::v1::Rollout head;
    int certificate = 0;
    std::map<std::string, Node> nodes;
    // What a node had when it began.
    std::map<std::string, int> confirmed_before;
  };

  void HeadWritten(const Process& writer, const std::string& id, const state::v1::Rollout& head);
  void NodeWritten(Record& record, const std::string& name, const Node& node);
  void CheckOutcome(const Record& record, const Node& node);
  // That it is REVERTED says that all is as it was.
  void CheckReverted(const std::string& id, const Record& record);
  void CheckRetry(const Record& before, const Record& record);
  void CheckWindow(const Record& record, const std::string& node);
  static bool HadItBefore(const Record& record, const Node& node);
  std::string ProblemAtEnd(const Record& record);
  void CheckBudget(const Record& record, const std::string& node);
  NodeMachine& Find(const std::string& node);
  NodeRules& RulesOf(const Record& record, const std::string& node) { return Find(node).rules(record.certificate); }

  const Scenario& scenario_;
  std::vector<std::unique_ptr<NodeMachine>>& nodes_;
  const Scheduler& scheduler_;
  Trace& trace_;
  Referee& referee_;
  uint64_t epoch_ = 0;
  std::map<std::string, Record> rollouts_;
  // By certificate.
  std::map<int, std::string> latest_;
  std::set<std::string> held_;
  std::map<std::string, int> ends_;
  absl::Duration frozen_until_ = -absl::InfiniteDuration();
  // What a handshake from the controller last saw of a certificate, since the node was last told to install it.
  std::map<std::pair<std::string, int>, int> seen_;
};

}  // namespace certcast::simulation

#endif  // CERTCAST_TESTS_SIMULATION_ROLLOUT_RULES_H_
