// What is not as it was installed.
#ifndef CERTCAST_NODE_ENGINE_DRIFT_H_
#define CERTCAST_NODE_ENGINE_DRIFT_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "node/engine/context.h"
#include "node/engine/generation.h"

namespace certcast::node {

// A line for each file of the service and that certificate that does not read as `record` says, through the path that
// the service uses: gone, not a link to certcast's (any more), or not a copy where it should be one, other contents,
// owner, group or mode. Empty: all is as it was installed. What can't be read is a line too.
std::vector<std::string> FindDrift(const EngineContext& engine, const Service& service, absl::string_view certificate,
                                   const GenerationRecord& record);

}  // namespace certcast::node

#endif  // CERTCAST_NODE_ENGINE_DRIFT_H_
