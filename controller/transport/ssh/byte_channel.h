// A byte stream to a program on a host.
#ifndef CERTCAST_CONTROLLER_TRANSPORT_SSH_BYTE_CHANNEL_H_
#define CERTCAST_CONTROLLER_TRANSPORT_SSH_BYTE_CHANNEL_H_

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/probe/deadline.h"

namespace certcast::controller {

// Thread-compatible. Errors: TIMED_OUT, LINK_LOST; they name the peer.
class ByteChannel {
 public:
  virtual ~ByteChannel() = default;
  // All of it. After an error it is not known how much of it went.
  virtual absl::Status Write(absl::string_view bytes, Deadline deadline) = 0;
  // What has come, as soon as there is any; empty once the program has ended its output.
  virtual absl::StatusOr<std::string> Read(Deadline deadline) = 0;
  // How the program ended, once Read gave nothing: unset where it was not told (a signal).
  virtual std::optional<int> AwaitExit(Deadline deadline) = 0;
  // The end of what it wrote to standard error so far, at most 4 KiB.
  virtual const std::string& error_output() const = 0;
  // For messages.
  virtual const std::string& peer() const = 0;
};

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_TRANSPORT_SSH_BYTE_CHANNEL_H_
