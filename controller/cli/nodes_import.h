// `certcast nodes import`: nodes out of an inventory that is there already. The one verb that needs no configuration,
// since what it prints is a part of one.
#ifndef CERTCAST_CONTROLLER_CLI_NODES_IMPORT_H_
#define CERTCAST_CONTROLLER_CLI_NODES_IMPORT_H_

#include <CLI/CLI.hpp>
#include <functional>
#include <ostream>

namespace certcast::controller::cli {

// Carries a verb out without a controller: the result to `out`, errors to `err`; the exit code.
using PlainVerb = std::function<int(std::ostream& out, std::ostream& err)>;

// Below `certcast nodes`, as AddNodes has added it.
void AddNodesImport(CLI::App& app, PlainVerb& chosen);

}  // namespace certcast::controller::cli

#endif  // CERTCAST_CONTROLLER_CLI_NODES_IMPORT_H_
