// The answer to a command that is not carried out.
#ifndef CERTCAST_NODE_ENGINE_REFUSAL_H_
#define CERTCAST_NODE_ENGINE_REFUSAL_H_

#include "absl/status/status.h"
#include "certcast/v1/link.pb.h"

namespace certcast::node {

v1::Report Refuse(const v1::Command& command, const absl::Status& why);

}  // namespace certcast::node

#endif  // CERTCAST_NODE_ENGINE_REFUSAL_H_
