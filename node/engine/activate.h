// `current`: one link that says which generation every service of a certificate reads (by links; for copies of it see
// copies.h).
#ifndef CERTCAST_NODE_ENGINE_ACTIVATE_H_
#define CERTCAST_NODE_ENGINE_ACTIVATE_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "node/engine/context.h"

namespace certcast::node {

// The directory of the generation that services read now. Empty: there is no `current`. kFailedPrecondition when it
// leads elsewhere than to a generation.
absl::StatusOr<std::string> CurrentDirectory(const EngineContext& engine, absl::string_view certificate);

// Makes the link `back` to `baseline`, so that the way back is a rename, which a full disk allows; then moves `current`
// to `target`. Atomic for services; durable on return. Idempotent.
absl::Status SwitchForward(const EngineContext& engine, absl::string_view certificate, absl::string_view baseline,
                           absl::string_view target);

// Moves `current` to `directory`, by renaming `back` where that leads there. Atomic, durable on return. Idempotent.
absl::Status SwitchBack(const EngineContext& engine, absl::string_view certificate, absl::string_view directory);

// Removes `back` where it is. Not durable.
absl::Status RemoveWayBack(const EngineContext& engine, absl::string_view certificate);

}  // namespace certcast::node

#endif  // CERTCAST_NODE_ENGINE_ACTIVATE_H_
