// Whether this machine's clock can be right.
#ifndef CERTCAST_NODE_ENGINE_CLOCK_CHECK_H_
#define CERTCAST_NODE_ENGINE_CLOCK_CHECK_H_

#include "absl/status/status.h"
#include "certcast/state/v1/node.pb.h"
#include "certcast/v1/bundle.pb.h"
#include "node/engine/context.h"
#include "node/engine/generation.h"
#include "node/engine/journal.h"

namespace certcast::node {

// Beside its clock a node has two words on the time: when the latest manifest that it accepted was signed
// (NodeState.known_time: the controller's clock, under the fleet's signature), and the dates of its own identity, which
// is renewed every month. CLOCK_SUSPICIOUS, saying what to do, when the wall clock is
//   - behind: before known_time, or before the identity was made, by more than a minute;
//   - ahead: more than a year after both known_time and the end of the identity.
// Not suspicious: a machine that was off for months, and any smaller jump. Where such a clock is wrong all the same,
// bundles are refused as MANIFEST_EXPIRED, EXPIRED or NOT_YET_VALID, with a hint that names the clock. A node without
// an identity, as every host over SSH, is not found to be ahead by this: nobody may have come for years. See
// CheckClockAgainst.
//
// With a suspicious clock nothing is installed. Services go on with what they have, what waits for Confirm does so (see
// elapsed.h), and Confirm and Revert are carried out: they are about what is here already.
absl::Status CheckClock(const EngineContext& engine);

// For a node without an identity the bundle that is brought is the word on the time, since it is signed as it is sent
// and counts for a day. CLOCK_SUSPICIOUS, where its signature and fleet are right and the wall clock is
//   - ahead: more than a year after both known_time and the time until which the bundle counts;
//   - behind: more than a year before it was signed.
// Such a bundle is refused by any clock: here it is no more than why. An old one that somebody sends again is told as
// MANIFEST_EXPIRED where a later one was accepted in the year before, else as this. A machine that was off for years
// and whose clock is right takes a new bundle. OK for all else, also for what is wrong otherwise (see verify.h), and
// for nodes with an identity. The fleet is set.
absl::Status CheckClockAgainst(const EngineContext& engine, const v1::Bundle& bundle);

// For a change of the state: the manifest was accepted, so it is known to be at least when it was signed. Goes with a
// write that is made anyway.
void NoteKnownTime(NodeState& state, const v1::Manifest& manifest);

// CheckNotExpired, by the time that is most likely right: of an install of this boot (`journal`; empty: of none) by the
// clock that it began under; else by the wall clock. A suspicious one is not asked, nor one by which the transaction of
// `journal` began in the future or more than a year ago: what a service had before is better than what has just failed
// there.
absl::Status CheckNotExpiredNow(const EngineContext& engine, const GenerationRecord& record, const Journal& journal);

}  // namespace certcast::node

#endif  // CERTCAST_NODE_ENGINE_CLOCK_CHECK_H_
