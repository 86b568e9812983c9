// From a login to a certcast-node that runs: the remote command, and what is said with it.
//
// The command is the same for every host. What differs, which directory and which binary, is told to it on its standard
// input, as lines; a binary that is missing follows the same way. A login whose command is forced to be
// `certcast-node stdio` never runs it: then the agent speaks at once.
#ifndef CERTCAST_CONTROLLER_TRANSPORT_SSH_BOOTSTRAP_H_
#define CERTCAST_CONTROLLER_TRANSPORT_SSH_BOOTSTRAP_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/probe/deadline.h"
#include "controller/transport/agent_on_host.h"
#include "controller/transport/ssh/agent_binary.h"
#include "controller/transport/ssh/byte_channel.h"
#include "controller/transport/ssh/channel_reader.h"

namespace certcast::controller {

// One line for any login shell: sh, bash, csh and fish pass it on to /bin/sh unchanged.
extern const char kBootstrapCommand[];

struct BootstrapOptions {
  // Of the binaries on the host: absolute, or relative to the login's home. Without line ends.
  std::string directory;
  bool sudo = false;
  // Who logs in, for messages.
  std::string user;
  // Where the host has none with the same contents; false: that is all that is wanted to be known.
  bool may_upload = true;
  // Whether the contents of what the host has are looked at as well, not only its name and size: what is damaged is
  // replaced.
  bool check_contents = false;
  // Unless it is nullptr: set when an agent that was there, and whose contents were not looked at, did not come up.
  // Another contact with check_contents helps if it is damaged.
  bool* in_doubt = nullptr;
  // Asked for only when the host has no agent of its own to offer.
  std::function<absl::StatusOr<std::shared_ptr<const AgentBinary>>()> binary;
  // Its contents, asked for only when they are uploaded.
  std::function<absl::StatusOr<std::shared_ptr<const std::string>>(const AgentBinary& binary)> contents;
  // An upload may go on beyond the deadline of all else, as long as no 256 KiB of it take longer than this.
  absl::Duration longest_stall = absl::Minutes(1);
};

// Speaks with kBootstrapCommand, which was started on `channel`, until the agent runs: the next thing that `reader`
// gives is its Hello, unless the agent is kMissing; `version` is not known yet. Uploads the binary if the host has none
// with the same contents. Errors: NO_AGENT_BINARY (can't be put there or does not run there: what and why),
// SUDO_REFUSED, PROTOCOL (what came is of neither program), TIMED_OUT, LINK_LOST. Idempotent.
absl::StatusOr<AgentOnHost> Bootstrap(ByteChannel& channel, ChannelReader& reader, const BootstrapOptions& options,
                                      Deadline deadline);

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_TRANSPORT_SSH_BOOTSTRAP_H_
