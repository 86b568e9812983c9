// What a restart does about an install that was under way.
#ifndef CERTCAST_NODE_ENGINE_RECOVER_H_
#define CERTCAST_NODE_ENGINE_RECOVER_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "node/engine/context.h"
#include "node/engine/recovery.h"

namespace certcast::node {

// Brings the journal to IDLE, or leaves it at AWAITING_CONFIRM while there is time, and saves how the command ended:
//   STAGING                  what was staged is removed: FAILED
//   LINKING                  the way back stays where it is complete, the rest is removed: FAILED
//   ACTIVATING               switched back where it was switched, and then as CHECKING: REVERTED
//   CHECKING, RELOADING,     switched back, all services of the certificate reloaded, since who started meanwhile has
//   PROBING                  read the new files, and probed: REVERTED
//   the same of a Revert     done again: REVERTED
//   AWAITING_CONFIRM         waits on; when the time is over, or the node belongs to another fleet now, as PROBING:
//                            REVERTED with NOT_CONFIRMED
//   COMMITTING               finished: INSTALLED
//   REVERTING                done again: REVERTED
// with the reason INTERRUPTED where there was no other. Idempotent: after a crash in the middle of it, it is done
// again. The wall clock has no part in it: see elapsed.h and CheckNotExpiredNow. Returns what was done; `failed` where
// that ended as REVERT_FAILED. Fails when the disk does not let it finish: the journal is still there then.
//
// With environment.before_services nothing is checked, reloaded or probed: what needs that stays in the journal, once
// the files are those that it goes to, and whoever recovers without it reloads, probes and ends it. A service that
// starts between the two starts with the right files.
absl::StatusOr<Recovery> Recover(const EngineContext& engine);

// Removes temporary files and links that a crash left: in the state, and beside the paths of services. The latter as
// far as it goes: a directory that can't be read is no reason not to start.
absl::Status RemoveAllTemporaries(const EngineContext& engine);

// NOT_CONFIRMED, as the reason to go back.
absl::Status NotConfirmed(const Journal& journal);

}  // namespace certcast::node

#endif  // CERTCAST_NODE_ENGINE_RECOVER_H_
