// The protocols whose words are bytes: LDAP, PostgreSQL, MySQL.
#include <algorithm>
#include <cstdint>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/probe/start_tls_dialogue.h"
#include "common/status/status.h"

namespace certcast {
namespace {

uint8_t At(absl::string_view bytes, size_t i) {
  return static_cast<uint8_t>(bytes[i]);
}

// --- LDAP: BER (X.690), as RFC 4511 section 5.1 limits it.

constexpr size_t kMaxLdapMessage = size_t{16} * 1024;

// One element at the start of `bytes`, which loses it. False when there is none with this tag.
bool TakeElement(absl::string_view& bytes, uint8_t tag, absl::string_view& contents) {
  if (bytes.size() < 2 || At(bytes, 0) != tag) return false;
  size_t length = At(bytes, 1);
  size_t head = 2;
  if (length >= 0x80) {
    const size_t octets = length - 0x80;
    if (octets < 1 || octets > 3 || bytes.size() < 2 + octets) return false;
    length = 0;
    for (size_t i = 0; i < octets; ++i) length = length << 8 | At(bytes, 2 + i);
    head += octets;
  }
  if (bytes.size() - head < length) return false;
  contents = bytes.substr(head, length);
  bytes.remove_prefix(head + length);
  return true;
}

// A whole LDAPMessage: its contents.
absl::StatusOr<std::string> ReadLdapMessage(StartTlsDialogue& dialogue) {
  ASSIGN_OR_RETURN(const std::string head, dialogue.Bytes(2));
  if (head[0] != 0x30) return dialogue.NotTheProtocol(head);
  size_t length = At(head, 1);
  if (length >= 0x80) {
    const size_t octets = length - 0x80;
    if (octets < 1 || octets > 3) return dialogue.NotTheProtocol(head);
    ASSIGN_OR_RETURN(const std::string more, dialogue.Bytes(octets));
    length = 0;
    for (size_t i = 0; i < octets; ++i) length = length << 8 | At(more, i);
  }
  if (length > kMaxLdapMessage) return dialogue.Refuse("the server's answer is larger than 16 KiB");
  return dialogue.Bytes(length);
}

struct LdapResult {
  int code = -1;
  std::string diagnostic;
};

// RFC 4511 section 4.12: messageID, then ExtendedResponse [APPLICATION 24] with LDAPResult's components.
bool ParseExtendedResponse(absl::string_view message, LdapResult& result) {
  constexpr uint8_t kInteger = 0x02;
  constexpr uint8_t kOctetString = 0x04;
  constexpr uint8_t kEnumerated = 0x0a;
  constexpr uint8_t kExtendedResponse = 0x78;
  absl::string_view id;
  absl::string_view response;
  absl::string_view code;
  absl::string_view matched;
  absl::string_view diagnostic;
  if (!TakeElement(message, kInteger, id) || !TakeElement(message, kExtendedResponse, response)) return false;
  if (!TakeElement(response, kEnumerated, code) || code.empty() || code.size() > 2) return false;
  if (!TakeElement(response, kOctetString, matched) || !TakeElement(response, kOctetString, diagnostic)) return false;
  result.code = 0;
  for (size_t i = 0; i < code.size(); ++i) result.code = result.code << 8 | At(code, i);
  result.diagnostic = std::string(diagnostic);
  return true;
}

// Of the MySQL protocol, which is little-endian: three bytes of length, one of sequence, then the payload.
absl::StatusOr<std::string> ReadMysqlPacket(StartTlsDialogue& dialogue) {
  constexpr size_t kMaxGreeting = size_t{16} * 1024;
  ASSIGN_OR_RETURN(const std::string head, dialogue.Bytes(4));
  const size_t length = At(head, 0) | static_cast<size_t>(At(head, 1)) << 8 | static_cast<size_t>(At(head, 2)) << 16;
  if (length == 0 || length > kMaxGreeting || head[3] != 0) return dialogue.NotTheProtocol(head);
  return dialogue.Bytes(length);
}

}  // namespace

absl::Status StartTlsOverLdap(StartTlsDialogue& dialogue) {
  // LDAPMessage {1, ExtendedRequest [APPLICATION 23] {[0] OID of StartTLS}}.
  constexpr absl::string_view kOid = "1.3.6.1.4.1.1466.20037";
  const auto size = static_cast<char>(kOid.size());
  const std::string request = absl::StrCat(std::string{0x30, static_cast<char>(size + 7), 0x02, 0x01, 0x01, 0x77,
                                                       static_cast<char>(size + 2), static_cast<char>(0x80), size},
                                           kOid);
  dialogue.Begin("StartTLS");
  RETURN_IF_ERROR(dialogue.Send(request));
  ASSIGN_OR_RETURN(const std::string message, ReadLdapMessage(dialogue));
  LdapResult result;
  if (!ParseExtendedResponse(message, result)) return dialogue.NotTheProtocol(message);
  constexpr int kSuccess = 0;
  constexpr int kProtocolError = 2;
  if (result.code == kSuccess) return dialogue.Finish();
  // What servers say that don't know the operation (section 4.12).
  if (result.code == kProtocolError) return dialogue.NotOffered("StartTLS", result.diagnostic);
  return dialogue.Refused("StartTLS", absl::StrCat("result ", result.code, " ", result.diagnostic));
}

absl::Status StartTlsOverPostgres(StartTlsDialogue& dialogue) {
  dialogue.Begin("SSLRequest");
  // Length 8, and a version number that is none: 1234.5679.
  constexpr char kRequest[] = {0, 0, 0, 8, 0x04, static_cast<char>(0xd2), 0x16, 0x2f};
  RETURN_IF_ERROR(dialogue.Send(absl::string_view(kRequest, sizeof kRequest)));
  ASSIGN_OR_RETURN(const std::string answer, dialogue.Bytes(1));
  switch (answer[0]) {
    case 'S':
      return dialogue.Finish();
    case 'N':
      return dialogue.NotOffered("TLS");
    case 'E':
      // ErrorResponse: it could not start a process for us, or the like. Length and fields, or from old ones a line.
      return dialogue.Refused("TLS", dialogue.Available());
    default:
      return dialogue.NotTheProtocol(answer);
  }
}

absl::Status StartTlsOverMysql(StartTlsDialogue& dialogue) {
  constexpr uint8_t kVersion10 = 10;
  constexpr uint8_t kError = 0xff;
  constexpr unsigned kClientSsl = 0x0800;
  dialogue.Begin("greeting");
  ASSIGN_OR_RETURN(const std::string greeting, ReadMysqlPacket(dialogue));
  // An error packet before any capability was agreed: code, then text.
  if (At(greeting, 0) == kError) {
    return dialogue.Refused("the connection", greeting.substr(std::min<size_t>(3, greeting.size())));
  }
  if (At(greeting, 0) != kVersion10) return dialogue.NotTheProtocol(greeting);
  // Version, terminated; connection id 4, scramble 8, filler 1; then the lower capabilities.
  const size_t version_end = greeting.find('\0', 1);
  constexpr size_t kBetween = 1 + 4 + 8 + 1;
  if (version_end == std::string::npos || greeting.size() < version_end + kBetween + 2) {
    return dialogue.NotTheProtocol(greeting);
  }
  const size_t at = version_end + kBetween;
  const unsigned capabilities = At(greeting, at) | static_cast<unsigned>(At(greeting, at + 1)) << 8;
  if ((capabilities & kClientSsl) == 0) return dialogue.NotOffered("TLS");
  RETURN_IF_ERROR(dialogue.Finish());
  dialogue.Begin("SSLRequest");
  // PROTOCOL_41, SSL, SECURE_CONNECTION; largest packet 16 MiB; utf8; 23 bytes of zero. Not answered: TLS begins.
  constexpr absl::string_view kHead("\x20\x00\x00\x01\x00\x8a\x00\x00\x00\x00\x00\x01\x21", 13);
  return dialogue.Send(absl::StrCat(kHead, std::string(23, '\0')));
}

}  // namespace certcast
