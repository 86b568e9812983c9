// Where a program listens, as operators write it.
#ifndef CERTCAST_COMMON_LISTEN_LISTEN_ADDRESS_H_
#define CERTCAST_COMMON_LISTEN_LISTEN_ADDRESS_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/probe/address.h"

namespace certcast {

// host:port or [v6]:port; the host is digits, since the agent resolves no names; port 0 picks a free one.
// kInvalidArgument otherwise.
absl::StatusOr<HostPort> ParseListenAddress(absl::string_view text);

}  // namespace certcast

#endif  // CERTCAST_COMMON_LISTEN_LISTEN_ADDRESS_H_
