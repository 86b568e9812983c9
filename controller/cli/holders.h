// Who still has a certificate that is to be revoked; revoke and replace have it in common.
#ifndef CERTCAST_CONTROLLER_CLI_HOLDERS_H_
#define CERTCAST_CONTROLLER_CLI_HOLDERS_H_

#include <ostream>

#include "certcast/v1/api.pb.h"
#include "google/protobuf/repeated_field.h"

namespace certcast::controller::cli {

// A line each, the first 50: `  web-01 SERVES generation 2: nginx: tls 127.0.0.1:443 serves it`.
void PrintHolders(std::ostream& out, const google::protobuf::RepeatedPtrField<v1::Holder>& holders);

}  // namespace certcast::controller::cli

#endif  // CERTCAST_CONTROLLER_CLI_HOLDERS_H_
