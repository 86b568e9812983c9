// What a wrong command line is answered, by both programs.
#ifndef CERTCAST_COMMON_COMMAND_LINE_USAGE_ERROR_H_
#define CERTCAST_COMMON_COMMAND_LINE_USAGE_ERROR_H_

#include <CLI/CLI.hpp>
#include <string>

namespace certcast {

// For CLI::App::failure_message: one line that names the program and the word that is wrong, also a verb that there is
// not, and where to read more.
std::string DescribeUsageError(const CLI::App* app, const CLI::Error& error);

}  // namespace certcast

#endif  // CERTCAST_COMMON_COMMAND_LINE_USAGE_ERROR_H_
