// What an operator does about a record of the engine's that is lost: both of its slots damaged, or one of them gone.
#ifndef CERTCAST_NODE_ENGINE_LOST_RECORD_H_
#define CERTCAST_NODE_ENGINE_LOST_RECORD_H_

#include <string>

#include "node/engine/environment.h"

namespace certcast::node {

// For hints: all of it, in the order in which it is to be done. Who does so has a node that is as it should be,
// wherever the install was that was under way, and services serve meanwhile what they had (damaged_record_test.cc does
// it).
//
// The journal says what is under way now, so one of another day must not come back: it would be gone on with, or taken
// back. Without it what was under way is neither, and files may be of both generations until the next install.
std::string WithoutJournal(const EngineConfig& config);
// The state says what is in force and what was accepted. One of another day is less than that, and does no harm: what
// services read and it does not know of counts as changed by hand. Without it that counts as what was there before
// certcast.
std::string WithoutState(const EngineConfig& config);

}  // namespace certcast::node

#endif  // CERTCAST_NODE_ENGINE_LOST_RECORD_H_
