// What `apply --dry-run` says of a rollout.
#ifndef CERTCAST_CONTROLLER_CLI_PLAN_H_
#define CERTCAST_CONTROLLER_CLI_PLAN_H_

#include <ostream>

#include "certcast/v1/api.pb.h"

namespace certcast::controller::cli {

// Waves with their nodes, services, what can't be reached, window and time. Lists are cut after a few names, `and 9970
// more`, so that it stays readable at ten thousand nodes; `-o json` has all of them.
void PrintPlan(std::ostream& out, const v1::Rollout& rollout);

}  // namespace certcast::controller::cli

#endif  // CERTCAST_CONTROLLER_CLI_PLAN_H_
