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

class NodeMachine {
 public:
  // One life of the agent's process.
  struct Agent {
    ProcessPtr process;
    std::unique_ptr<testing::FaultFileSystem> files;
    std::unique_ptr<node::Engine> engine;
    // It has recovered, and takes commands.
    bool is_ready = false;
    // Commands that change something, under way.
    int changing = 0;
    bool is_reverting = false;
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
  };

  NodeMachine(int index, const Scenario& scenario, node::EngineConfig::Fleet fleet, const Mutation& mutation,
              Scheduler& scheduler, Trace& trace, Referee& referee);

  const std::string& name() const { return name_; }
  NodeRules& rules() { return rules_; }
  Troubles& troubles() { return troubles_; }
  MachineClock& clock() { return clock_; }

  // Starts the agent's process, which takes a while.
  void StartAgent();
  // Null while it does not run or take commands.
  AgentPtr agent() const { return agent_ != nullptr && agent_->is_ready ? agent_ : nullptr; }
  bool has_power() const { return has_power_; }
  // kill -9, at once or at one of the next operations on its disk (from 1; 0: at once); it is started again `after`.
  void KillAgent(int operations, absl::Duration after);
  void FreezeAgent(absl::Duration duration);
  // What was not fsynced is lost or not, as the seed has it.
  void LosePower(int operations, uint64_t seed, absl::Duration after);

  // Called on a task of the agent's process. Nothing when it died over it.
  std::optional<v1::Report> Handle(const AgentPtr& agent, const v1::Command& command);
  // What a handshake sees now.
  Observation LookFromOutside();

  // After each slice: a death that a file operation met, and what its files hold.
  void Look();
  // What is not as it should be at the end of a run, for the wanted generation; empty: nothing.
  std::string ProblemAtEnd(int wanted);

 private:
  friend class ProgramsOfNode;
  friend class ProberOfNode;

  struct Death {
    bool is_power_loss = false;
    uint64_t seed = 0;
    absl::Duration after;
  };

  void Die();
  void Boot();
  void StartServices();
  void RunAgent(const AgentPtr& agent);
  void WatchForConfirm(const AgentPtr& agent);
  bool MeetFileOperation(absl::string_view operation);
  void CheckFiles(bool idle);
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
  std::vector<std::string> services_;
  NodeRules rules_;
  Troubles troubles_;
  // Of what does not die with the agent: services, power.
  ProcessPtr hardware_;
  AgentPtr agent_;
  bool has_power_ = true;
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
