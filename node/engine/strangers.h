// Who else may put something in the place of a service's file.
#ifndef CERTCAST_NODE_ENGINE_STRANGERS_H_
#define CERTCAST_NODE_ENGINE_STRANGERS_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "common/service/service.h"
#include "node/engine/context.h"
#include "node/engine/generation.h"

namespace certcast::node {

// Whether the directory of `path` is only root's, this process's and the service's own to write to: owner and group of
// its files as `record` has them, and the owner of a directory that has such a group. PERMISSION_DENIED, naming whose
// it is, with a hint, when others may put something else at the path. A directory that is not there: OK.
//
// The directories above are not looked at: who exchanges this one for another that they made is found by its owner.
absl::Status CheckNoStranger(const EngineContext& engine, absl::string_view path, const Service& service,
                             const GenerationRecord& record);

}  // namespace certcast::node

#endif  // CERTCAST_NODE_ENGINE_STRANGERS_H_
