// The command line of certcast-node.
#ifndef CERTCAST_NODE_CLI_COMMAND_LINE_H_
#define CERTCAST_NODE_CLI_COMMAND_LINE_H_

namespace certcast::node {

// Parses the arguments, runs the verb and returns the program's exit code; 2 for arguments that don't parse.
int RunCommandLine(int argc, char** argv);

}  // namespace certcast::node

#endif  // CERTCAST_NODE_CLI_COMMAND_LINE_H_
