// The data types of the SSH protocols (RFC 4251 section 5), with every bound checked.
#ifndef CERTCAST_CONTROLLER_TRANSPORT_SSH_WIRE_H_
#define CERTCAST_CONTROLLER_TRANSPORT_SSH_WIRE_H_

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace certcast::controller {

// Reads from the start of what it was given. After the first thing that is not there it is not ok, and gives zeros and
// empty strings. Thread-compatible; `bytes` outlive it.
class WireReader {
 public:
  explicit WireReader(absl::string_view bytes) : rest_(bytes) {}

  uint8_t ReadByte();
  uint32_t ReadUint32();
  uint64_t ReadUint64();
  // Also the bytes of an mpint.
  absl::string_view ReadString();
  // Exactly `size` bytes, without a length before them.
  absl::string_view ReadBytes(size_t size);

  bool ok() const { return ok_; }
  // Everything was read, and was there.
  bool done() const { return ok_ && rest_.empty(); }
  absl::string_view rest() const { return rest_; }

 private:
  uint64_t ReadNumber(size_t size);

  absl::string_view rest_;
  bool ok_ = true;
};

void AppendUint32(std::string& bytes, uint32_t number);
void AppendString(std::string& bytes, absl::string_view string);

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_TRANSPORT_SSH_WIRE_H_
