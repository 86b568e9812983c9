// Paths that were given on the command line.
#ifndef CERTCAST_CONTROLLER_CLI_ABSOLUTE_PATH_H_
#define CERTCAST_CONTROLLER_CLI_ABSOLUTE_PATH_H_

#include <string>

namespace certcast::controller::cli {

// Relative to the directory that the command was given in. As it is where that can't be told.
std::string AbsolutePath(const std::string& path);

}  // namespace certcast::controller::cli

#endif  // CERTCAST_CONTROLLER_CLI_ABSOLUTE_PATH_H_
