// Tells a service to read its files again. Its exit code 0 proves nothing: see probe.h.
#ifndef CERTCAST_NODE_ENGINE_RELOAD_H_
#define CERTCAST_NODE_ENGINE_RELOAD_H_

#include "absl/status/status.h"
#include "node/engine/context.h"

namespace certcast::node {

// RELOAD_FAILED. OK without doing anything for a service that is not told. Not idempotent: it is done each time.
absl::Status ReloadService(const EngineContext& engine, const Service& service);

}  // namespace certcast::node

#endif  // CERTCAST_NODE_ENGINE_RELOAD_H_
