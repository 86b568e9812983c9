// The end of what went well: it is recorded as in force, and what is not needed any more is removed.
#ifndef CERTCAST_NODE_ENGINE_COMMIT_H_
#define CERTCAST_NODE_ENGINE_COMMIT_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "node/engine/transaction.h"

namespace certcast::node {

// Saves COMMITTING, from where there is no way back but a Revert; then FinishCommit.
absl::Status Commit(Transaction& t, absl::string_view command_id);

// Records the journal's target as in force, its baseline as the one to go back to (none after a Revert: it goes back
// one step only), and t.result under `command_id`, all in one write; then prunes and makes the journal IDLE.
// Idempotent. After an error the journal stays, and Recover goes on.
absl::Status FinishCommit(Transaction& t, absl::string_view command_id);

}  // namespace certcast::node

#endif  // CERTCAST_NODE_ENGINE_COMMIT_H_
