// The one way back: from any step of an install, and from a restart in the middle of it.
#ifndef CERTCAST_NODE_ENGINE_REVERT_H_
#define CERTCAST_NODE_ENGINE_REVERT_H_

#include "absl/status/status.h"
#include "certcast/v1/link.pb.h"
#include "node/engine/transaction.h"

namespace certcast::node {

// Puts things back as they were before the transaction, for the reason `why` (that in the journal counts when there is
// one already), and makes its result:
//   - nothing was switched: FAILED. What was staged is removed; no reload.
//   - `current` was switched: it goes back to the baseline; services that a reload was sent to (after a restart all of
//     the certificate's, since they may have started with the new files) are reloaded again, and every probe of theirs
//     must see the old certificate. Then REVERTED, for a transaction that was itself a Revert
//     FAILED with REVERT_FAILED. A service that had no files before has them no more, and nothing is expected of it.
//   - the baseline has expired or is damaged: the new files stay, REVERT_FAILED.
//   - going back fails: REVERT_FAILED, with both failures.
//   - with environment.before_services, where something was switched: the files go back, the rest is left in the
//     journal. REVERTED, which is not saved.
// The result is saved before the journal is IDLE again. Where the disk does not let it finish, the journal stays as it
// is, and Recover goes on from there. Idempotent.
v1::InstallResult GoBack(Transaction& t, const absl::Status& why);

}  // namespace certcast::node

#endif  // CERTCAST_NODE_ENGINE_REVERT_H_
