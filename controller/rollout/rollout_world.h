// A fleet in memory and everything a rollout needs, for tests of this folder.
//
// Whatever happens in it, the world checks that no node is given a command that changes it before the step that the
// command belongs to is in the log.
#ifndef CERTCAST_CONTROLLER_ROLLOUT_ROLLOUT_WORLD_H_
#define CERTCAST_CONTROLLER_ROLLOUT_ROLLOUT_WORLD_H_

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "certcast/state/v1/store.pb.h"
#include "controller/config/config.h"
#include "controller/rollout/executor.h"
#include "controller/rollout/planner.h"
#include "controller/rollout/rollout_log.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/fake_link.h"
#include "tests/testing/fake_prober.h"

namespace certcast::controller {

constexpr auto kInstall = testing::CommandKind::kInstall;
constexpr auto kConfirm = testing::CommandKind::kConfirm;
constexpr auto kRevert = testing::CommandKind::kRevert;

// A log that can stop being one. Thread-safe.
class MemoryRolloutLog : public RolloutLog {
 public:
  // As the controller's death at the n-th Save from now (from 1) looks from outside: that one and all later ones fail.
  enum class Death { kBeforeTheCommit, kAfterTheCommit };
  void DieAt(int save, Death death);
  void Revive();
  void Begin(const state::v1::Rollout& rollout);

  absl::Status Save(const state::v1::Rollout* head, const std::map<size_t, state::v1::Rollout::Node>& nodes) override;

  state::v1::Rollout stored() const;
  state::v1::Rollout::Node::Step StepOf(const std::string& node) const;
  // Waits for it; false when it takes longer than any test should.
  bool AwaitState(v1::Rollout::State state) const;
  int saves() const;

 private:
  mutable absl::Mutex mutex_;
  state::v1::Rollout stored_ ABSL_GUARDED_BY(mutex_);
  int saves_ ABSL_GUARDED_BY(mutex_) = 0;
  int dies_at_ ABSL_GUARDED_BY(mutex_) = 0;
  Death death_ ABSL_GUARDED_BY(mutex_) = Death::kBeforeTheCommit;
};

class RolloutWorld {
 public:
  static constexpr char kCertificate[] = "wildcard";
  static const std::string& OldLeaf();
  static const std::string& NewLeaf();

  // Nodes node-0 to node-(n-1) with generation 1 in force, rack r0 to r(racks-1) in turn, and an endpoint that the
  // controller can see.
  explicit RolloutWorld(int nodes, int racks = 0);

  // Wave sizes count, one node at a time where nothing else is said.
  RolloutPolicy& policy() { return policy_; }
  testing::FakeClock& clock() { return clock_; }
  testing::FakeTransport& transport() { return transport_; }
  testing::FakeProber& prober() { return prober_; }
  MemoryRolloutLog& log() { return log_; }
  testing::FakeNode& node(const std::string& name) { return transport_.Node(name); }
  std::vector<FleetMember>& fleet() { return fleet_; }
  std::map<std::string, NodeConfig>& configs() { return configs_; }
  std::atomic<bool>& stop() { return stop_; }
  RolloutInputs& inputs() { return inputs_; }
  int bundles_made() const { return bundles_made_; }
  const std::vector<v1::ApplyEvent::Progress>& progress() const { return progress_; }
  // Called on the worker's thread before a node gets a command.
  void OnCommand(testing::FakeTransport::OnCommand on_command) { on_command_ = std::move(on_command); }

  // As an operator does from another process; it is there until it was taken up.
  void Ask(state::v1::RolloutRequest::Wish wish,
           state::v1::RolloutRequest::OnHalt on_halt = state::v1::RolloutRequest::AS_PLANNED);
  bool asked() const;
  // `certcast rollout resume`: what was asked before counts no more.
  void Unask();

  // Plans generation 2 as the policy says. The names of the nodes in the order of the plan are the record's.
  state::v1::Rollout Plan();
  absl::StatusOr<state::v1::Rollout> Execute(const state::v1::Rollout& rollout);
  // Plans and executes.
  absl::StatusOr<state::v1::Rollout> Run() { return Execute(Plan()); }
  // What a fresh controller does with what is in the log.
  absl::StatusOr<state::v1::Rollout> Resume();

  // Nodes of the plan's wave, from 1.
  static std::vector<std::string> NamesIn(const state::v1::Rollout& rollout, int wave);
  static v1::Rollout::Node ResultOf(const state::v1::Rollout& rollout, const std::string& node);
  // Every node serves that leaf, and none waits for Confirm.
  bool AllServe(const std::string& leaf);

 private:
  void CheckSavedFirst(const std::string& node, const v1::Command& command) const;

  testing::FakeClock clock_;
  testing::FakeTransport transport_{clock_};
  testing::FakeProber prober_;
  MemoryRolloutLog log_;
  RolloutPolicy policy_;
  std::vector<FleetMember> fleet_;
  std::map<std::string, NodeConfig> configs_;
  RolloutInputs inputs_;
  std::atomic<bool> stop_{false};
  mutable absl::Mutex request_mutex_;
  std::optional<state::v1::RolloutRequest> request_ ABSL_GUARDED_BY(request_mutex_);
  std::atomic<int> bundles_made_{0};
  testing::FakeTransport::OnCommand on_command_;
  std::vector<v1::ApplyEvent::Progress> progress_;
};

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_ROLLOUT_ROLLOUT_WORLD_H_
