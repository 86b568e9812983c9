#include "controller/transport/ssh/wire.h"

#include "absl/strings/str_cat.h"

namespace certcast::controller {

uint8_t WireReader::ReadByte() {
  return static_cast<uint8_t>(ReadNumber(1));
}

uint32_t WireReader::ReadUint32() {
  return static_cast<uint32_t>(ReadNumber(4));
}

uint64_t WireReader::ReadUint64() {
  return ReadNumber(8);
}

absl::string_view WireReader::ReadString() {
  return ReadBytes(ReadUint32());
}

absl::string_view WireReader::ReadBytes(size_t size) {
  if (!ok_ || size > rest_.size()) {
    ok_ = false;
    return {};
  }
  const absl::string_view bytes = rest_.substr(0, size);
  rest_.remove_prefix(size);
  return bytes;
}

uint64_t WireReader::ReadNumber(size_t size) {
  uint64_t number = 0;
  for (const char byte : ReadBytes(size)) number = number << 8 | static_cast<unsigned char>(byte);
  return number;
}

void AppendUint32(std::string& bytes, uint32_t number) {
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(number >> shift & 0xff);
}

void AppendString(std::string& bytes, absl::string_view string) {
  AppendUint32(bytes, static_cast<uint32_t>(string.size()));
  absl::StrAppend(&bytes, string);
}

}  // namespace certcast::controller
