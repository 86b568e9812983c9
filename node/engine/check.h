// The config tests of services (`nginx -t`), which see the new files and touch no running process.
#ifndef CERTCAST_NODE_ENGINE_CHECK_H_
#define CERTCAST_NODE_ENGINE_CHECK_H_

#include <vector>

#include "absl/status/status.h"
#include "node/engine/context.h"

namespace certcast::node {

// CHECK_FAILED at the first that fails.
absl::Status CheckServices(const EngineContext& engine, const std::vector<const Service*>& services);

}  // namespace certcast::node

#endif  // CERTCAST_NODE_ENGINE_CHECK_H_
