// Lines and messages out of what a program on a host writes.
#ifndef CERTCAST_CONTROLLER_TRANSPORT_SSH_CHANNEL_READER_H_
#define CERTCAST_CONTROLLER_TRANSPORT_SSH_CHANNEL_READER_H_

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/probe/deadline.h"
#include "controller/transport/ssh/byte_channel.h"
#include "google/protobuf/message_lite.h"

namespace certcast::controller {

// Thread-compatible. What has come and was not asked for yet is kept, also after an error: a read that timed out may be
// asked for again. Errors: those of the channel; LINK_LOST at the end of the output; PROTOCOL.
class ChannelReader {
 public:
  // `channel` outlives it.
  explicit ChannelReader(ByteChannel& channel) : channel_(channel) {}

  // Without its end (LF or CRLF). nullopt when none came before the end of the output; PROTOCOL when it is longer than
  // `longest`.
  absl::StatusOr<std::optional<std::string>> ReadLine(size_t longest, Deadline deadline);
  // A message with its length before it as a varint, at most kMaxLinkMessage long.
  absl::Status ReadMessage(google::protobuf::MessageLite& message, Deadline deadline);

  // What has come and was not read as a line or message.
  absl::string_view pending() const { return buffer_; }

 private:
  // Waits for more; false at the end of the output.
  absl::StatusOr<bool> Fill(Deadline deadline);

  ByteChannel& channel_;
  std::string buffer_;
};

// The other way. MALFORMED, and nothing is sent, when it is too long. The message's bytes are wiped here.
absl::Status WriteMessage(const google::protobuf::MessageLite& message, ByteChannel& channel, Deadline deadline);

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_TRANSPORT_SSH_CHANNEL_READER_H_
