// PutHttpChallenge and RemoveHttpChallenge: what a CA looks for by http-01, shown where the node's configuration says.
#ifndef CERTCAST_NODE_ENGINE_HTTP_CHALLENGE_H_
#define CERTCAST_NODE_ENGINE_HTTP_CHALLENGE_H_

#include "absl/status/status.h"
#include "certcast/v1/link.pb.h"
#include "node/engine/context.h"

namespace certcast::node {

// Carries one of the two out. Takes no lock: an install may be under way. NOT_ENROLLED, STALE_EPOCH, NOT_DECLARED where
// the node has no place for them, CHALLENGE_FAILED where it can't listen there; and as HttpChallenges says.
absl::Status ChangeHttpChallenge(const EngineContext& engine, const v1::Command& command);

}  // namespace certcast::node

#endif  // CERTCAST_NODE_ENGINE_HTTP_CHALLENGE_H_
