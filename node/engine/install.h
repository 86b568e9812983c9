// One install on this node (design: "One install on a node").
#ifndef CERTCAST_NODE_ENGINE_INSTALL_H_
#define CERTCAST_NODE_ENGINE_INSTALL_H_

#include <string>

#include "absl/status/status.h"
#include "certcast/v1/link.pb.h"
#include "node/engine/generation.h"
#include "node/engine/transaction.h"

namespace certcast::node {

// The whole of it, up to waiting for Confirm. The journal is IDLE before; after it, IDLE or AWAITING_CONFIRM, or where
// the disk let nothing be finished, as Recover wants it. The result is saved under `command_id`.
v1::InstallResult Install(const EngineContext& engine, const std::string& command_id, const v1::Install& command,
                          const OnProgress& on_progress);

// Puts the files of the journal's target, whose record is `to`, in place. May be begun again after a restart.
absl::Status Activate(Transaction& t, const GenerationRecord& to);

// Makes the journal's target what is in force and served: activate, check, reload, probe. `to` is the target's record.
// Stops at the first error; the way back is the caller's (GoBack). May be begun again after a restart.
absl::Status SwitchOver(Transaction& t, const GenerationRecord& to);

}  // namespace certcast::node

#endif  // CERTCAST_NODE_ENGINE_INSTALL_H_
