// A rollout's record: how it is made, read and shown. state::v1::Rollout says what is in it.
#ifndef CERTCAST_CONTROLLER_ROLLOUT_RECORD_H_
#define CERTCAST_CONTROLLER_ROLLOUT_RECORD_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "certcast/state/v1/store.pb.h"
#include "certcast/v1/api.pb.h"
#include "controller/config/config.h"
#include "controller/rollout/planner.h"

namespace certcast::controller {

// One certificate's generation, to be brought to its nodes.
struct RolloutSubject {
  std::string certificate;
  uint64_t generation = 0;
  std::string leaf_sha256;
};

// A rollout that has not begun (PLANNED), as RolloutRecords::Create takes it, which gives it its id. Settled members
// are in it as UNCHANGED, in wave 0, and are never spoken to. Without waves there is nothing to do.
state::v1::Rollout MakeRollout(const RolloutSubject& subject, const std::vector<FleetMember>& fleet,
                               const RolloutPolicy& policy, uint64_t seed, absl::Time now);

// Nothing is left to do: its state is final and finished_at is set. Any other one is to be resumed.
bool IsFinished(const state::v1::Rollout& rollout);

// Forwards: further nodes may begin, or are about to.
bool GoesOn(v1::Rollout::State state);

// A rollout that was PAUSED, and is not gone on with since another generation is wanted now: INCOMPLETE, finished.
// `because` is what nodes say that it did not get to.
state::v1::Rollout EndPaused(state::v1::Rollout rollout, absl::string_view because, absl::Time now);

// As people and scripts see it.
v1::Rollout ShowRollout(const state::v1::Rollout& rollout);

google::protobuf::Duration ToProto(absl::Duration duration);
absl::Duration FromProto(const google::protobuf::Duration& duration);

// The policy that the rollout was begun with; its waves are in the record itself.
RolloutPolicy PolicyOf(const state::v1::Rollout& rollout);

// What one node counts as in the rollout's budgets.
enum class Standing {
  kOpen,          // no outcome yet
  kGood,          // serves the generation
  kFailed,        // REVERTED or FAILED, or lost after Install was sent, so that nobody knows what it did
  kMissing,       // UNREACHABLE, and it was never touched, or confirmed before
  kInconclusive,  // its probes passed and failed by turns: nobody knows yet, and it is asked again
  kSkipped,
};
Standing StandingOf(const state::v1::Rollout::Node& node);
v1::Rollout::Counts CountNodes(const state::v1::Rollout& rollout);
// Adds so many nodes to those that stand so; a negative number takes them away.
void AddTo(v1::Rollout::Counts& counts, Standing standing, int nodes);

// The id of a command about one node of the rollout. A controller that resumes it makes the same ones, so that the node
// answers what it did already from its record. At most 64 characters.
enum class CommandRole { kDescribe, kInstall, kConfirm, kRevertUnverified, kRevertHalted };
std::string CommandId(absl::string_view rollout_id, size_t node, CommandRole role, int attempt);

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_ROLLOUT_RECORD_H_
