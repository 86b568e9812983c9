// `certcast status` for people.
#ifndef CERTCAST_CONTROLLER_CLI_STATUS_TEXT_H_
#define CERTCAST_CONTROLLER_CLI_STATUS_TEXT_H_

#include <map>
#include <ostream>
#include <string>

#include "certcast/v1/api.pb.h"

namespace certcast::controller::cli {

// By id: those of the status that are under way, or did not end well; their nodes are not needed.
using Rollouts = std::map<std::string, v1::Rollout>;

// N of N for each certificate, how its last rollout stands and what to do about it, then a line a node. `watched`: on a
// screen that is shown again and again; only as many nodes as it holds, of those that are not as they should be.
void PrintStatus(std::ostream& out, const v1::StatusResponse& response, const Rollouts& rollouts, bool watched);

}  // namespace certcast::controller::cli

#endif  // CERTCAST_CONTROLLER_CLI_STATUS_TEXT_H_
