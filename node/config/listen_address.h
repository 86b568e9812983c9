// Where an agent listens, as operators write it.
#ifndef CERTCAST_NODE_CONFIG_LISTEN_ADDRESS_H_
#define CERTCAST_NODE_CONFIG_LISTEN_ADDRESS_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/probe/address.h"

namespace certcast::node {

// host:port or [v6]:port; the host is digits, since a static binary resolves no names; port 0 picks a free one.
// kInvalidArgument otherwise.
absl::StatusOr<HostPort> ParseListenAddress(absl::string_view text);

}  // namespace certcast::node

#endif  // CERTCAST_NODE_CONFIG_LISTEN_ADDRESS_H_
