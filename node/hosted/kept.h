// What a host keeps of its controller, both 0600 in the state directory:
//   pinned-fleet  fleet id and manifest key, made at first contact and never changed by us
//   definition    the NodeDefinition that the engine worked with last
// A directory of another user, or one that others may write to, is refused (PERMISSION_DENIED).
#ifndef CERTCAST_NODE_HOSTED_KEPT_H_
#define CERTCAST_NODE_HOSTED_KEPT_H_

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "certcast/v1/link.pb.h"
#include "common/file/file_system.h"
#include "node/engine/environment.h"

namespace certcast::node {

// OK when `state` (which may be missing) has no pin, or that of this fleet. FOREIGN_FLEET when it has another id or
// manifest key, and when it does not say which: a person must look. Changes nothing.
absl::Status CheckPinnedFleet(FileSystem& files, const std::string& state, const EngineConfig::Fleet& fleet);

// The same; then makes the pin where there is none. Durable on return. `state` is there, and its lock is held.
absl::Status PinFleet(FileSystem& files, const std::string& state, const EngineConfig::Fleet& fleet);

// nullopt: none, or no such directory. MALFORMED for one that does not parse.
absl::StatusOr<std::optional<v1::NodeDefinition>> ReadKeptDefinition(FileSystem& files, const std::string& state);

// Durable on return; after an error the old or the new one is there. The state's lock is held.
absl::Status KeepDefinition(FileSystem& files, const v1::NodeDefinition& definition);

// In every field.
bool IsSameDefinition(const v1::NodeDefinition& a, const v1::NodeDefinition& b);

}  // namespace certcast::node

#endif  // CERTCAST_NODE_HOSTED_KEPT_H_
