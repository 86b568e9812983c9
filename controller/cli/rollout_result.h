// How a rollout stands or ended, for people and for scripts.
#ifndef CERTCAST_CONTROLLER_CLI_ROLLOUT_RESULT_H_
#define CERTCAST_CONTROLLER_CLI_ROLLOUT_RESULT_H_

#include <ostream>
#include <string>

#include "certcast/v1/api.pb.h"
#include "controller/cli/session.h"

namespace certcast::controller::cli {

// Nodes that have it are a count, and so are those that the rollout did not get to or put back though they were fine;
// the others are named, with why and what to do.
void PrintRollout(std::ostream& out, const v1::Rollout& rollout);

// By its counts: `wave 2 of 3, 120 of 1000 nodes serve generation 7, 3 do not, 877 to do`.
std::string ShowHowFar(const v1::Rollout& rollout);
int NodesOf(const v1::Rollout::Counts& counts);

// What goes on with one that is PAUSED or WAITING_FOR_WINDOW; empty otherwise.
std::string HowToGoOn(const v1::Rollout& rollout);

// kDone when every node of it has the generation, kHalted when it halted or went back, kNotConverged otherwise.
ExitCode ExitCodeOfRollout(const v1::Rollout& rollout);

}  // namespace certcast::controller::cli

#endif  // CERTCAST_CONTROLLER_CLI_ROLLOUT_RESULT_H_
