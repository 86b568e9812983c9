// Gives haproxy a certificate through its runtime API (haproxy's management.txt, "set ssl cert").
#ifndef CERTCAST_NODE_ENGINE_HAPROXY_H_
#define CERTCAST_NODE_ENGINE_HAPROXY_H_

#include "absl/status/status.h"
#include "node/engine/context.h"

namespace certcast::node {

// Sends what is at reload.certificate now: haproxy serves it on new connections when this returns, and the old ones
// stay. RELOAD_FAILED, with what haproxy said, when it does not take it; then it goes on with what it has: what was
// begun is given up (`abort ssl cert`). Where that can't be said either, the next call for any of the node's
// certificates at this socket does it. A change of another certificate that somebody else is in the middle of is left
// alone, and a reason to fail. haproxy keeps it in memory alone: after a restart it reads the file. Idempotent.
absl::Status UpdateHaproxy(const EngineContext& engine, const Service& service, const HaproxyReload& reload);

}  // namespace certcast::node

#endif  // CERTCAST_NODE_ENGINE_HAPROXY_H_
