// What a node has, and what is not as it was installed.
#ifndef CERTCAST_NODE_ENGINE_INVENTORY_H_
#define CERTCAST_NODE_ENGINE_INVENTORY_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "certcast/v1/link.pb.h"
#include "node/engine/context.h"
#include "node/engine/probe.h"

namespace certcast::node {

// Without probes. Changes nothing; may run beside an install, and then shows the files as they are at that moment.
v1::Inventory TakeInventory(const EngineContext& engine);

// What every service of `certificate` should serve now; of every certificate when it is empty.
std::vector<Expectation> ExpectedNow(const EngineContext& engine, absl::string_view certificate);

}  // namespace certcast::node

#endif  // CERTCAST_NODE_ENGINE_INVENTORY_H_
