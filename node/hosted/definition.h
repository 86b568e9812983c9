// What a controller says a host is, where the host itself does not say: NodeDefinition (link.proto) as the engine takes
// it.
#ifndef CERTCAST_NODE_HOSTED_DEFINITION_H_
#define CERTCAST_NODE_HOSTED_DEFINITION_H_

#include "absl/status/statusor.h"
#include "certcast/v1/link.pb.h"
#include "node/engine/environment.h"

namespace certcast::node {

// Checked as a node.yaml is: the services by the same reader, and nothing is believed unbounded. MALFORMED, naming the
// field, or `services:LINE:COLUMN` of each mistake in the services.
absl::StatusOr<EngineConfig> ReadDefinition(const v1::NodeDefinition& definition);

}  // namespace certcast::node

#endif  // CERTCAST_NODE_HOSTED_DEFINITION_H_
