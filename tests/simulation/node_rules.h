// What must always hold on one node, whatever happens to it (design section 2).
#ifndef CERTCAST_TESTS_SIMULATION_NODE_RULES_H_
#define CERTCAST_TESTS_SIMULATION_NODE_RULES_H_

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "certcast/v1/link.pb.h"
#include "tests/simulation/trace.h"

namespace certcast::simulation {

// Of one certificate on the node. Knows what the node was told and what an onlooker sees of it, nothing of what it
// thinks.
class NodeRules {
 public:
  // `epoch`: the highest that the node obeyed, for any of its certificates.
  NodeRules(std::string node, int certificate, std::vector<std::string> services, bool copies, uint64_t& epoch,
            Referee& referee);

  void CommandBegins(const v1::Command& command);
  // `report` was not seen by anybody yet; nullptr: the process died over it.
  void CommandEnds(const v1::Command& command, const v1::Report* report);
  // What the service's files hold now. `idle`: nothing is under way on the node, not even a recovery.
  void FilesHold(const std::string& service, int generation, bool idle);
  // The node's own prober saw the service serve that.
  void Seen(const std::string& service, int generation);
  // A reload was sent while the files held that.
  void Reloaded(const std::string& service, int files);
  // The agent has started anew and says what it has.
  void Started(const v1::Inventory& inventory);

  // Last confirmed.
  int good() const { return good_.back(); }
  const std::string& node() const { return node_; }
  // All that is known of it.
  std::string Where() const;
  int installs() const { return installs_; }
  int confirms() const { return confirms_; }
  int reverts() const { return reverts_; }

 private:
  struct Told {
    std::string id;
    // 0: nothing.
    int installs = 0;
    uint64_t epoch = 0;
  };

  void Flip(const std::string& service, int from, int to);
  bool MayHold(int generation);
  void NowGood(int generation);
  bool AllHold(int generation) const;
  void EndOfInstall(const v1::Command& command, const v1::InstallResult& result);
  void EndOfConfirm(const v1::Command& command, const v1::InstallResult& result);
  void EndOfRevert(const v1::Command& command, const v1::InstallResult& result);

  const std::string node_;
  const int certificate_;
  const std::vector<std::string> services_;
  const bool copies_;
  Referee& referee_;
  // Confirmed, last one last.
  std::vector<int> good_ = {0};
  // Being installed, or waiting for Confirm; 0: none.
  int target_ = 0;
  // Confirm of this one was begun; it may have been recorded.
  int confirming_ = 0;
  // A confirmed one that the node was told to leave.
  int leaving_ = 0;
  int highest_ = 0;
  uint64_t& epoch_;
  std::map<std::string, int> files_;
  // Since the files last changed.
  std::map<std::string, int> seen_;
  // Under way.
  std::vector<Told> commands_;
  std::set<std::string> answered_;
  // By command and service: how often the service was told to take up the command's generation.
  std::map<std::pair<std::string, std::string>, int> reloads_;
  int installs_ = 0;
  int confirms_ = 0;
  int reverts_ = 0;
};

}  // namespace certcast::simulation

#endif  // CERTCAST_TESTS_SIMULATION_NODE_RULES_H_
