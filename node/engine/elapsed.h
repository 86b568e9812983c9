// How long ago a step of the journal was, whatever the wall clock did meanwhile, also across restarts.
#ifndef CERTCAST_NODE_ENGINE_ELAPSED_H_
#define CERTCAST_NODE_ENGINE_ELAPSED_H_

#include <optional>

#include "absl/time/time.h"
#include "common/clock/clock.h"
#include "node/engine/journal.h"

namespace certcast::node {

// For `journal`: the install begins now.
void NoteBeginning(Journal& journal, const Clock& clock);
// For `journal`: the wait for Confirm begins now. `confirm_timeout` is set.
void NoteWait(Journal& journal, const Clock& clock);

// What time it is by the wall clock of when the install began and the time since then. Nullopt where the machine was
// started anew meanwhile, or the journal does not say: nothing but the wall clock knows then.
std::optional<absl::Time> NowSinceBeginning(const Journal& journal, const Clock& clock);

// How long is left to wait for Confirm, from 0 to the whole confirm_timeout. Of a journal that is at AWAITING_CONFIRM.
// The wall clock has no part in it: a clock that jumped neither ends the wait nor makes it longer.
//   - The same boot of the machine: what the clock that never jumps (CLOCK_BOOTTIME) says, sleep included.
//   - Another boot: how long the machine was off is not known, so the wait counts from the boot. A machine that is up
//   for
//     longer than confirm_timeout has no time left.
//   - A journal of an agent that did not keep this: the whole timeout anew.
absl::Duration TimeLeftToConfirm(const Journal& journal, const Clock& clock);

}  // namespace certcast::node

#endif  // CERTCAST_NODE_ENGINE_ELAPSED_H_
