// `certcast adopt`: what another ACME client has. It needs no configuration to begin with, since what it prints is one.
#ifndef CERTCAST_CONTROLLER_CLI_ADOPT_H_
#define CERTCAST_CONTROLLER_CLI_ADOPT_H_

#include <CLI/CLI.hpp>
#include <functional>
#include <optional>
#include <ostream>
#include <string>

#include "controller/cli/session.h"

namespace certcast::controller::cli {

// Does what the verb does where there is no file `config_path` yet: the exit code, or nullopt when that is there now
// and the verb is to go on.
using WithoutConfig =
    std::function<std::optional<int>(const std::string& config_path, std::ostream& out, std::ostream& err)>;

void AddAdopt(CLI::App& app, Verb& chosen, WithoutConfig& without_config);

}  // namespace certcast::controller::cli

#endif  // CERTCAST_CONTROLLER_CLI_ADOPT_H_
