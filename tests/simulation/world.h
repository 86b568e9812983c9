// Everything that one run consists of. run.h is what others need to know of it.
#ifndef CERTCAST_TESTS_SIMULATION_WORLD_H_
#define CERTCAST_TESTS_SIMULATION_WORLD_H_

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "certcast/v1/api.pb.h"
#include "controller/api/controller.h"
#include "controller/config/config.h"
#include "tests/simulation/dice.h"
#include "tests/simulation/mutation.h"
#include "tests/simulation/network.h"
#include "tests/simulation/node_machine.h"
#include "tests/simulation/rollout_rules.h"
#include "tests/simulation/run.h"
#include "tests/simulation/scenario.h"
#include "tests/simulation/scheduler.h"
#include "tests/simulation/shared_store.h"
#include "tests/simulation/trace.h"
#include "tests/testing/fake_process_runner.h"
#include "tests/testing/memory_file_system.h"

namespace certcast::simulation {

class World {
 public:
  // The scenario outlives it.
  World(const Scenario& scenario, Mutation mutation);
  Outcome Run();

 private:
  // One call of the controller, in a process of its own.
  struct Invocation {
    ProcessPtr process;
    std::atomic<bool> stop{false};
    bool has_ended = false;
    // It may carry rollouts out.
    bool carries_out = false;
    absl::Status status;
    v1::ApplyResponse applied;
    v1::ChangeRolloutResponse changed;

    bool has_succeeded() const { return has_ended && process->is_alive() && status.ok(); }
  };
  using InvocationPtr = std::shared_ptr<Invocation>;
  using Action = v1::ChangeRolloutRequest;

  // --- world.cc: its parts, and how calls of the controller run.
  void Mutate();
  void AfterSlice();
  bool IsOver() const { return !operator_->is_alive(); }
  // False when it takes too long.
  bool Await(const std::function<bool()>& condition, absl::Duration patience);
  bool AwaitEnd(const InvocationPtr& invocation);
  InvocationPtr Start(const std::string& verb, std::function<void(controller::Controller&, Invocation&)> call);
  void EndOf(const InvocationPtr& invocation);
  // The call that holds the lease and works on nodes, or null.
  InvocationPtr CarryingOut();
  void KillController(Process& process);

  // --- operator.cc: what an operator does.
  void Operate();
  void BringGenerations();
  void ApplyNowAndThen();
  InvocationPtr StartApply(const v1::ApplyRequest& request = {});
  v1::ApplyRequest HowToApply();
  void Import(int certificate, int generation);
  InvocationPtr StartChange(int certificate, Action::Action action, Action::OnHalt on_halt = Action::AS_PLANNED);
  void Act(const OperatorAct& act);
  void JudgeAct(const OperatorAct& act, const Invocation& invocation, int64_t acts_before);
  void CheckTheEnd();
  void LetGoOfWhatIsPaused(int certificate);
  // Of nodes; empty: none.
  std::string ProblemAtEnd();

  // --- faults.cc
  void Happen(const FaultEvent& fault);
  bool Begin(const FaultEvent& fault);
  void End(const FaultEvent& fault);
  void Freeze(Process& process, absl::Duration length);
  void Heal();

  const Scenario& scenario_;
  const Mutation mutation_;
  Scheduler scheduler_;
  Trace trace_;
  Referee referee_;
  Dice dice_;
  std::vector<std::unique_ptr<NodeMachine>> nodes_;
  Network network_;
  SharedStore store_;
  RolloutRules rules_;
  testing::MemoryFileSystem files_;
  testing::FakeProcessRunner processes_;
  MachineClock clock_;
  controller::Config config_;
  ProcessPtr operator_ = std::make_shared<Process>("operator");
  std::vector<InvocationPtr> running_;
  // A controller that dies after so many more slices of its own.
  Process* doomed_ = nullptr;
  int slices_left_ = 0;
  bool healed_ = false;
  size_t brought_ = 0;
  int invocations_ = 0;
  // Acts that have begun, and those that are under way.
  int64_t acts_ = 0;
  int acting_ = 0;
  Outcome outcome_;
};

// Nothing in a run takes longer than that once nothing goes wrong any more.
inline constexpr absl::Duration kPatience = absl::Minutes(15);

}  // namespace certcast::simulation

#endif  // CERTCAST_TESTS_SIMULATION_WORLD_H_
