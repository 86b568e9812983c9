// How a rollout stands or ended, for people and for scripts.
#ifndef CERTCAST_CONTROLLER_CLI_ROLLOUT_RESULT_H_
#define CERTCAST_CONTROLLER_CLI_ROLLOUT_RESULT_H_

#include <ostream>

#include "certcast/v1/api.pb.h"
#include "controller/cli/session.h"

namespace certcast::controller::cli {

// Nodes that have it are a count; the others are named, with why and what to do.
void PrintRollout(std::ostream& out, const v1::Rollout& rollout);

// kDone when every node of it has the generation, kHalted when it halted or went back, kNotConverged otherwise.
ExitCode ExitCodeOfRollout(const v1::Rollout& rollout);

}  // namespace certcast::controller::cli

#endif  // CERTCAST_CONTROLLER_CLI_ROLLOUT_RESULT_H_
