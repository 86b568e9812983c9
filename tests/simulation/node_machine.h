// A node as a machine: a disk, services, a clock, and the agent's process with the real engine in it.
#ifndef CERTCAST_TESTS_SIMULATION_NODE_MACHINE_H_
#define CERTCAST_TESTS_SIMULATION_NODE_MACHINE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "certcast/v1/link.pb.h"
#include "common/clock/clock.h"
#include "common/probe/probe.h"
#include "common/process/process.h"
#include "node/engine/engine.h"
#include "node/engine/simulated_node.h"
#include "node/hosted/on_demand_engine.h"
#include "tests/simulation/dice.h"
#include "tests/simulation/mutation.h"
#include "tests/simulation/node_rules.h"
#include "tests/simulation/scenario.h"
#include "tests/simulation/scheduler.h"
#include "tests/simulation/trace.h"
#include "tests/testing/fault_file_system.h"

namespace certcast::simulation {

// The wall clock when a run begins.
absl::Time StartOfRun();

// Of one machine. Thread-safe by the scheduler.
class MachineClock final : public Clock {
 public:
  explicit MachineClock(Scheduler& scheduler) : scheduler_(scheduler) {}

  absl::Time Now() const override { return StartOfRun() + skew_ + scheduler_.Now(); }
  absl::Duration Monotonic() const override { return absl::Hours(1) + scheduler_.Now(); }
  absl::Duration SinceBoot() const override { return absl::Minutes(5) + scheduler_.Now() - booted_; }
  std::string BootId() const override { return absl::StrCat("boot-", boots_); }
  // Work that was put off takes its time here.
  void Sleep(absl::Duration duration) override;

  void SetSkew(absl::Duration skew) { skew_ = skew; }
  void Reboot();
  // Takes so long, at the next time something may be waited for.
  void Owe(absl::Duration work) { owed_ += work; }
  void Settle() { Sleep(absl::ZeroDuration()); }

 private:
  Scheduler& scheduler_;
  absl::Duration skew_;
  absl::Duration booted_;
  absl::Duration owed_;
  int boots_ = 1;
};

// Where an agent listens, its process stands. Over SSH each connection starts one, which ends with it, but for one that
// waits for Confirm; and one recovers when the machine boots.
class NodeMachine {
 public:
  // One life of a process of the agent's.
  struct Agent {
    ProcessPtr process;
    std::unique_ptr<testing::FaultFileSystem> files;
    std::unique_ptr<node::StateLocker> locker;
    std::unique_ptr<node::Engine> engine;
    // It has recovered, and takes commands.
    bool is_ready = false;
    // Commands under way that change something; over SSH any, one after the other.
    int changing = 0;
    bool is_reverting = false;
    // --- Over SSH.
    node::OnDemandEngine* on_demand = nullptr;
    // Commands that its connection has still to bring, and that there will be no more.
    int on_way = 0;
    bool is_hung_up = false;
  };
  using AgentPtr = std::shared_ptr<Agent>;

  // What goes wrong with it now.
  struct Troubles {
    bool slow_disk = false;
    bool full_disk = false;
    bool flapping_probe = false;
    bool lying_reload = false;
    bool failing_reload = false;
    bool failing_check = false;
    bool service_down = false;

    // A service may come to serve something else than its files, and nobody can help it.
    bool mislead() const {
      return full_disk || flapping_probe || lying_reload || failing_reload || failing_check || service_down;
    }
  };

  NodeMachine(int index, const Scenario& scenario, node::EngineConfig::Fleet fleet, const Mutation& mutation,
              Scheduler& scheduler, Trace& trace, Referee& referee);

  const std::string& name() const { return name_; }
  NodeRules& rules(int certificate) { return rules_.at(certificate); }
  const std::map<int, NodeRules>& rules() const { return rules_; }
  Troubles& troubles() { return troubles_; }
  MachineClock& clock() { return clock_; }

  // Once, when a run begins.
  void Begin();
  // Who takes the commands of a new connection: the agent that stands, null while it does not run; or one of its own.
  AgentPtr Contact();
  // The connection to it has ended, and it knows after a while.
  void HangUp(const AgentPtr& agent, absl::Duration after);
  bool is_ssh() const { return is_ssh_; }
  bool has_power() const { return has_power_; }
  // Where an agent is to stand, it does; over SSH no process is left.
  bool HasCalmedDown() const;
  // For Confirm. It has calmed down.
  bool SomethingWaits();
  // kill -9, at once or at one of the next operations on its disk (from 1; 0: at once); it is started again `after`.
  // False: there is none.
  bool KillAgent(int operations, absl::Duration after);
  bool FreezeAgent(absl::Duration duration);
  // What was not fsynced is lost or not, as the seed has it.
  void LosePower(int operations, uint64_t seed, absl::Duration after);

  // Called on a task of the agent's process. Nothing when it died over it.
  std::optional<v1::Report> Handle(const AgentPtr& agent, const v1::Command& command);
  // What a handshake with that port sees now: 993 is the second certificate's.
  Observation LookFromOutside(absl::string_view port);

  // After each slice: a death that a file operation met, and what its files hold.
  void Look();
  // What is not as it should be at the end of a run; empty: nothing.
  std::string ProblemAtEnd(const Scenario& scenario);

 private:
  friend class ProgramsOfNode;
  friend class ProberOfNode;
  friend class LockerOfNode;

  struct Death {
    bool is_power_loss = false;
    uint64_t seed = 0;
    absl::Duration after;
  };

  // --- node_agents.cc: the agent's processes.
  AgentPtr MakeAgent(absl::string_view what);
  node::EngineEnvironment EnvironmentOf(const Agent& agent);
  // Starts the agent that stands, which takes a while.
  void StartAgent();
  void RunAgent(const AgentPtr& agent);
  AgentPtr StartVisit(absl::string_view what);
  void RunVisit(const AgentPtr& agent);
  void RecoverAtBoot();
  void EndVisit(const AgentPtr& agent);
  bool IsHere(const AgentPtr& agent) const;
  // Null: it is dead.
  Agent* Current() const;
  // What the state directory says, whoever is at work.
  v1::Inventory LookAtState();
  // Dead is what its own file operation met, or what somebody killed.
  bool HasDied(const AgentPtr& agent);

  void Die(const AgentPtr& agent);
  void Kill(AgentPtr agent);
  void LosePowerNow(const Death& death);
  void Boot();
  void BootService(const std::string& service);
  void WatchForConfirm(const AgentPtr& agent);
  bool MeetFileOperation(absl::string_view operation);
  void AddService(const std::string& service, int certificate);
  std::string ProblemAtEnd(int certificate, int wanted);
  NodeRules& RulesOf(const std::string& service) { return rules_.at(services_.at(service)); }
  int FilesHold(const std::string& service);
  void CheckFiles(bool idle);
  void CheckServed();
  bool IsIdle() const;
  absl::StatusOr<ProcessResult> RunProgram(const ProcessRequest& request);
  Observation LookFromWithin(const ProbeSpec& spec);
  void Reload(const std::string& service);

  const int index_;
  const std::string name_;
  const Mutation& mutation_;
  Scheduler& scheduler_;
  Trace& trace_;
  Referee& referee_;
  Dice dice_;
  MachineClock clock_;
  node::SimulatedNode machine_;
  std::unique_ptr<ProcessRunner> programs_;
  std::unique_ptr<Prober> prober_;
  // By name, the certificate that each uses.
  std::map<std::string, int> services_;
  // Of each certificate that it has.
  std::map<int, NodeRules> rules_;
  uint64_t epoch_ = 0;
  Troubles troubles_;
  // Of what does not die with the agent: services, power.
  ProcessPtr hardware_;
  const bool is_ssh_;
  // Those that live. Of what stands there is one.
  std::vector<AgentPtr> agents_;
  // Over SSH: the last process has ended by itself, and left nothing.
  bool is_settled_ = true;
  ProcessPtr lock_holder_;
  bool has_power_ = true;
  // It was misled, and has not been seen to be right since.
  bool is_excused_ = false;
  // Since the rules were last told of the files; and since they were while nothing was under way.
  bool is_changed_ = true;
  bool is_checked_idle_ = false;
  int lives_ = 0;
  std::optional<Death> death_;
  // Since when a service serves what it does, and what its old workers serve meanwhile.
  std::map<std::string, std::pair<absl::Duration, std::string>> old_workers_;
};

}  // namespace certcast::simulation

#endif  // CERTCAST_TESTS_SIMULATION_NODE_MACHINE_H_
