// `certcast nodes upgrade`, a verb below `nodes`.
#ifndef CERTCAST_CONTROLLER_CLI_NODES_UPGRADE_H_
#define CERTCAST_CONTROLLER_CLI_NODES_UPGRADE_H_

#include <CLI/CLI.hpp>

#include "controller/cli/session.h"

namespace certcast::controller::cli {

// As in verbs.h, below `nodes`.
void AddNodesUpgrade(CLI::App& nodes, Verb& chosen);

}  // namespace certcast::controller::cli

#endif  // CERTCAST_CONTROLLER_CLI_NODES_UPGRADE_H_
