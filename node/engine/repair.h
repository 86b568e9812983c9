// What is put back at a start, where nobody has put anything else in its place.
#ifndef CERTCAST_NODE_ENGINE_REPAIR_H_
#define CERTCAST_NODE_ENGINE_REPAIR_H_

#include "node/engine/context.h"
#include "node/engine/recovery.h"

namespace certcast::node {

// Makes what is gone of the generations in force: `current`, the links of services, their copies. From the generation's
// own directory, and only where that is as it was written and the path's directory is there and nobody else's. What is
// there, whatever it is, stays: it is drift until the next install. No service is told, since nothing new is in force.
//
// Returns what was done, and what could not be. While an install is under way: does nothing.
// Idempotent.
Recovery PutBackWhatIsGone(const EngineContext& engine);

}  // namespace certcast::node

#endif  // CERTCAST_NODE_ENGINE_REPAIR_H_
