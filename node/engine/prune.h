// Which generations stay on the disk.
#ifndef CERTCAST_NODE_ENGINE_PRUNE_H_
#define CERTCAST_NODE_ENGINE_PRUNE_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "node/engine/context.h"

namespace certcast::node {

// Removes generations of a certificate beyond EngineConfig::keep, the oldest first, and those above the highest that
// was accepted, which another fleet left. Also what was never written whole, and what the one in force, or the one to
// go back to, was taken in from, when owner, group or mode of its files were changed. Never the one in force, the one
// to go back to, or the one that `current` leads to.
absl::Status Prune(const EngineContext& engine, absl::string_view certificate);

}  // namespace certcast::node

#endif  // CERTCAST_NODE_ENGINE_PRUNE_H_
