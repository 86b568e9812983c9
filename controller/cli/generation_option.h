// `--generation NUMBER`, as several verbs have it.
#ifndef CERTCAST_CONTROLLER_CLI_GENERATION_OPTION_H_
#define CERTCAST_CONTROLLER_CLI_GENERATION_OPTION_H_

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>

namespace certcast::controller::cli {

// `generation` is at least 1 where the option is given, and else as it was. It must live until the verb has run.
CLI::Option* AddGenerationOption(CLI::App& verb, uint64_t& generation, const std::string& description);

}  // namespace certcast::controller::cli

#endif  // CERTCAST_CONTROLLER_CLI_GENERATION_OPTION_H_
