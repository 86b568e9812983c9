// One node's part of a rollout: install, look, confirm; or back again.
#ifndef CERTCAST_CONTROLLER_ROLLOUT_NODE_RUN_H_
#define CERTCAST_CONTROLLER_ROLLOUT_NODE_RUN_H_

#include <cstddef>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "certcast/state/v1/store.pb.h"
#include "certcast/v1/link.pb.h"
#include "common/clock/clock.h"
#include "common/probe/probe.h"
#include "common/status/status.h"
#include "controller/config/config.h"
#include "controller/rollout/bundle_cache.h"
#include "controller/rollout/ledger.h"
#include "controller/rollout/node_session.h"
#include "controller/rollout/record.h"
#include "controller/transport/link.h"

namespace certcast::controller {

// What all nodes of a rollout share. All of it outlives the runs.
struct NodeRunContext {
  std::string rollout_id;
  RolloutSubject subject;
  RolloutPolicy policy;
  std::string default_server_name;
  uint64_t epoch = 0;
  // Whether nodes may begin now.
  std::function<bool()> may_begin;
  Ledger* ledger = nullptr;
  BundleCache* bundles = nullptr;
  Transport* transport = nullptr;
  Prober* prober = nullptr;
  Clock* clock = nullptr;
};

// Takes one node from the step in its record to DONE. What the node does is its outcome, in the ledger; an error here
// is one that ends the rollout's run: the ledger can't be saved, the bundle can't be made, the node obeys another
// controller. Thread-compatible; used once.
class NodeRun {
 public:
  NodeRun(size_t index, const NodeConfig& config, const NodeRunContext& context);

  // Forwards: to the generation.
  absl::Status Advance();
  // Backwards, after a halt: the record's step is REVERTING.
  absl::Status Revert();

  // As it is in the ledger now.
  const state::v1::Rollout::Node& node() const { return node_; }

 private:
  using Step = state::v1::Rollout::Node;

  absl::Status Install();
  absl::Status JudgeInstall(const v1::InstallResult& result);
  bool IsToBeAskedAnew(const v1::InstallResult& result);
  // By its own probes, of a generation before this one, confirmed and as it was installed.
  bool ServesWhatItHas();
  absl::Status JudgeUnchanged(const v1::InstallResult& result);
  absl::Status AskWhatItHas();
  // Of a node that could not be asked when the rollout was planned.
  absl::Status AskWhatItHadBefore();
  // `problem`: what speaks against confirming already; empty: nothing.
  absl::Status Verify(std::string problem);
  absl::Status Confirm();
  absl::Status GoBack(CommandRole role, Reason::Code because);

  // --- The ends.
  absl::Status Finish(v1::Outcome::Code outcome);
  // No answer, or a refusal.
  absl::Status FinishWithoutResult(const absl::Status& status);
  absl::Status FinishNotConfirmed(const v1::Failure& failure);
  absl::Status FinishNotReverted(const v1::Failure& failure);

  // A halt must put it back, unless it had the generation before.
  void MarkChanged();
  absl::Status Save(Step::Step step);
  v1::Command NewCommand(CommandRole role) const;
  // What is wrong with what the configuration's endpoints serve; empty when all is well or there are none.
  std::string LookFromHere(const std::string& leaf_sha256);
  // What in the result doesn't fit its claim that the generation is served; empty when all fits.
  std::string ContradictionIn(const v1::InstallResult& result) const;
  void KeepFailure(const v1::Failure& failure);
  void AddToDetail(absl::string_view text);
  void KeepServed(const v1::InstallResult& result);

  const size_t index_;
  const NodeConfig& config_;
  const NodeRunContext& context_;
  const absl::Duration started_;
  state::v1::Rollout::Node node_;
  NodeSession session_;
  // An earlier controller had begun: it may have sent what this one didn't.
  const bool begun_before_;
  // The node accepted the generation earlier and does not have it now.
  bool went_back_before_ = false;
};

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_ROLLOUT_NODE_RUN_H_
