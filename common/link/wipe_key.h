// Links live long, the private key in a command must not.
#ifndef CERTCAST_COMMON_LINK_WIPE_KEY_H_
#define CERTCAST_COMMON_LINK_WIPE_KEY_H_

#include "certcast/v1/link.pb.h"

namespace certcast {

// Overwrites the private key of an Install; nothing in any other command.
void WipeKey(v1::Command& command);

}  // namespace certcast

#endif  // CERTCAST_COMMON_LINK_WIPE_KEY_H_
