#include "controller/transport/ssh/channel_reader.h"

#include <cstdint>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/link/bounds.h"
#include "common/secret/secret.h"
#include "common/status/status.h"
#include "google/protobuf/io/coded_stream.h"

namespace certcast::controller {
namespace {

// Of a varint up to kMaxLinkMessage.
constexpr size_t kMaxLengthBytes = 4;

// The length at the start of `bytes`, and the size of it; false when it is not whole yet.
bool ReadLength(absl::string_view bytes, uint32_t& length, size_t& size) {
  length = 0;
  for (size = 0; size < bytes.size() && size < kMaxLengthBytes;) {
    const auto byte = static_cast<unsigned char>(bytes[size]);
    length |= static_cast<uint32_t>(byte & 0x7f) << (7 * size);
    ++size;
    if ((byte & 0x80) == 0) return true;
  }
  return false;
}

}  // namespace

absl::StatusOr<bool> ChannelReader::Fill(Deadline deadline) {
  ASSIGN_OR_RETURN(const std::string bytes, channel_.Read(deadline));
  absl::StrAppend(&buffer_, bytes);
  return !bytes.empty();
}

absl::StatusOr<std::optional<std::string>> ChannelReader::ReadLine(size_t longest, Deadline deadline) {
  size_t searched = 0;
  while (true) {
    const size_t end = buffer_.find('\n', searched);
    if (end != std::string::npos ? end > longest : buffer_.size() > longest) {
      return Fail(Reason::PROTOCOL, absl::StrCat(channel_.peer(), " sent a line of more than ", longest, " bytes"));
    }
    if (end != std::string::npos) {
      const std::string line(absl::StripSuffix(absl::string_view(buffer_).substr(0, end), "\r"));
      buffer_.erase(0, end + 1);
      return line;
    }
    searched = buffer_.size();
    ASSIGN_OR_RETURN(const bool more, Fill(deadline));
    if (!more) return std::nullopt;
  }
}

absl::Status ChannelReader::ReadMessage(google::protobuf::MessageLite& message, Deadline deadline) {
  while (true) {
    uint32_t length = 0;
    size_t size = 0;
    const bool known = ReadLength(buffer_, length, size);
    if ((known && length > kMaxLinkMessage) || (!known && size == kMaxLengthBytes)) {
      return Fail(Reason::PROTOCOL,
                  absl::StrCat(channel_.peer(), " sent a message of more than ", kMaxLinkMessage, " bytes"));
    }
    if (known && buffer_.size() - size >= length) {
      const bool parsed = message.ParseFromArray(buffer_.data() + size, static_cast<int>(length));
      buffer_.erase(0, size + length);
      if (parsed) return absl::OkStatus();
      return Fail(Reason::PROTOCOL, absl::StrCat(channel_.peer(), " sent a message that does not parse"));
    }
    ASSIGN_OR_RETURN(const bool more, Fill(deadline));
    if (!more) {
      return Fail(Reason::LINK_LOST, absl::StrCat("the agent on ", channel_.peer(), " ended before it had answered"));
    }
  }
}

absl::Status WriteMessage(const google::protobuf::MessageLite& message, ByteChannel& channel, Deadline deadline) {
  const size_t size = message.ByteSizeLong();
  if (size > kMaxLinkMessage) {
    return Fail(Reason::MALFORMED, absl::StrCat("the command for ", channel.peer(), " has ", size,
                                                " bytes, a message at most ", kMaxLinkMessage));
  }
  using google::protobuf::io::CodedOutputStream;
  const size_t prefix = CodedOutputStream::VarintSize32(static_cast<uint32_t>(size));
  Secret bytes = Secret::OfSize(prefix + size);
  auto* at = reinterpret_cast<uint8_t*>(bytes.MutableBytes());
  at = CodedOutputStream::WriteVarint32ToArray(static_cast<uint32_t>(size), at);
  message.SerializeWithCachedSizesToArray(at);
  return channel.Write(bytes.ExposeSecret(), deadline);
}

}  // namespace certcast::controller
