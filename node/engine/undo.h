// Leaving a generation on command.
#ifndef CERTCAST_NODE_ENGINE_UNDO_H_
#define CERTCAST_NODE_ENGINE_UNDO_H_

#include <string>

#include "certcast/v1/link.pb.h"
#include "node/engine/transaction.h"

namespace certcast::node {

// Carries out a Revert command while no install waits for Confirm: from the generation in force to the one before it,
// which goes as an install does: activate, check, reload, probe. When that fails, what was in force comes back: FAILED,
// REVERT_FAILED. UNCHANGED when another generation is in force. The result is saved under `command_id`.
v1::InstallResult Undo(const EngineContext& engine, const std::string& command_id, const v1::Revert& command,
                       const OnProgress& on_progress);

// Goes on with one that a restart interrupted, from ACTIVATING to PROBING. With environment.before_services only its
// files are put in place, and the journal stays.
v1::InstallResult ResumeUndo(Transaction& t);

}  // namespace certcast::node

#endif  // CERTCAST_NODE_ENGINE_UNDO_H_
