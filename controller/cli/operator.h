// Who runs the command line.
#ifndef CERTCAST_CONTROLLER_CLI_OPERATOR_H_
#define CERTCAST_CONTROLLER_CLI_OPERATOR_H_

#include "certcast/v1/api.pb.h"

namespace certcast::controller::cli {

// The login that this process belongs to, by sudo the one that called it; where it has no name, its number.
v1::Operator CurrentOperator();

}  // namespace certcast::controller::cli

#endif  // CERTCAST_CONTROLLER_CLI_OPERATOR_H_
