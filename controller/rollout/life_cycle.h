// What operators can make of a rollout's record. Pure: who calls these saves what they return before anything is done.
#ifndef CERTCAST_CONTROLLER_ROLLOUT_LIFE_CYCLE_H_
#define CERTCAST_CONTROLLER_ROLLOUT_LIFE_CYCLE_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "certcast/state/v1/store.pb.h"
#include "certcast/v1/api.pb.h"

namespace certcast::controller {

// Takes the request into the head. False, and the head is as it was, where there is nothing left to ask for: it is
// finished, on its way back, or stands as requested already.
//
//   PAUSE   PAUSED, by that operator: no further node begins
//   ABORT   HALTED; whether it goes back says the request, or else the policy
bool TakeRequest(const state::v1::RolloutRequest& request, state::v1::Rollout& head);

// Goes back: HALTED, with every node to be put back that this rollout changed and that is not back yet, a failed way
// back included. The rest ends as after any halt. For one that is finished as well as for one that is not.
state::v1::Rollout UndoRollout(state::v1::Rollout rollout, const v1::Operator& by);
// There is a node to be put back.
bool CanBeUndone(const state::v1::Rollout& rollout);

// A node of which nobody knows yet, as one that has not begun: asked under another command id.
state::v1::Rollout::Node ToBeAskedAnew(const state::v1::Rollout::Node& before);
// One that ends without its turn, or without being put back.
state::v1::Rollout::Node EndSkipped(state::v1::Rollout::Node node, v1::Reason::Code reason, absl::string_view detail);

// Names of its nodes that ended without the generation, in the order of the plan.
std::vector<std::string> NodesToRetry(const state::v1::Rollout& rollout);

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_ROLLOUT_LIFE_CYCLE_H_
