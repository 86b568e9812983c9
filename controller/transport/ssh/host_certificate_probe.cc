#include "controller/transport/ssh/host_certificate_probe.h"

#include <openssl/rand.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/status/status.h"
#include "controller/transport/ssh/wire.h"

namespace certcast::controller {
namespace {

constexpr absl::string_view kVersion = "SSH-2.0-certcast\r\n";
// RFC 4253 section 4.2; lines before the version are the server's affair, but not without end.
constexpr size_t kLongestVersion = 255;
constexpr int kMostLines = 64;
// RFC 4253 section 6.1.
constexpr uint32_t kLongestPacket = 35000;
constexpr int kMostPackets = 16;

constexpr uint8_t kDisconnect = 1;
constexpr uint8_t kKexInit = 20;
constexpr uint8_t kEcdhInit = 30;
constexpr uint8_t kEcdhReply = 31;

constexpr absl::string_view kCertificates =
    "ssh-ed25519-cert-v01@openssh.com,ecdsa-sha2-nistp256-cert-v01@openssh.com,"
    "ecdsa-sha2-nistp384-cert-v01@openssh.com,ecdsa-sha2-nistp521-cert-v01@openssh.com,"
    "rsa-sha2-512-cert-v01@openssh.com,rsa-sha2-256-cert-v01@openssh.com";
// Never used, but there must be some in common.
constexpr absl::string_view kCiphers =
    "aes128-gcm@openssh.com,aes256-gcm@openssh.com,chacha20-poly1305@openssh.com,aes128-ctr,aes256-ctr";
constexpr absl::string_view kMacs =
    "hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com,hmac-sha2-256,hmac-sha2-512";

std::string Random(size_t size) {
  std::string bytes(size, '\0');
  RAND_bytes(reinterpret_cast<unsigned char*>(bytes.data()), static_cast<int>(size));
  return bytes;
}

// RFC 4253 section 6: length, length of padding, payload, padding up to a multiple of 8.
std::string Packet(absl::string_view payload) {
  const size_t padding = 12 - (payload.size() + 9) % 8;
  std::string packet;
  AppendUint32(packet, static_cast<uint32_t>(1 + payload.size() + padding));
  packet += static_cast<char>(padding);
  absl::StrAppend(&packet, payload, std::string(padding, '\0'));
  return packet;
}

std::string KexInit() {
  std::string payload(1, static_cast<char>(kKexInit));
  absl::StrAppend(&payload, Random(16));
  for (const absl::string_view names :
       {absl::string_view("curve25519-sha256,curve25519-sha256@libssh.org"), kCertificates, kCiphers, kCiphers, kMacs,
        kMacs, absl::string_view("none"), absl::string_view("none"), absl::string_view(), absl::string_view()}) {
    AppendString(payload, names);
  }
  payload += '\0';  // no guess follows
  AppendUint32(payload, 0);
  return payload;
}

std::string EcdhInit() {
  std::string payload(1, static_cast<char>(kEcdhInit));
  // Any 32 bytes are a point (RFC 7748 section 5); nobody needs to know its scalar.
  AppendString(payload, Random(32));
  return payload;
}

class Exchange {
 public:
  Exchange(Descriptor socket, const std::string& peer, Deadline deadline)
      : socket_(std::move(socket)), peer_(peer), deadline_(deadline) {}

  absl::StatusOr<std::optional<SshCertificate>> Run();

 private:
  absl::Status Wait(short events) const;
  absl::Status Send(absl::string_view bytes) const;
  // Until there are so many bytes; false when the server ended the connection before.
  absl::StatusOr<bool> Fill(size_t size);
  absl::Status ReadVersion();
  // The payload; empty when the server ended the connection.
  absl::StatusOr<std::string> ReadPacket();

  const Descriptor socket_;
  const std::string& peer_;
  const Deadline deadline_;
  std::string buffer_;
};

absl::Status Exchange::Wait(short events) const {
  while (true) {
    pollfd polled = {socket_.get(), events, 0};
    const int milliseconds = static_cast<int>(absl::ToInt64Milliseconds(
        absl::Ceil(std::min<absl::Duration>(deadline_.Remaining(), absl::Hours(1)), absl::Milliseconds(1))));
    const int count = poll(&polled, 1, milliseconds);
    if (count > 0) return absl::OkStatus();
    if (count < 0 && errno != EINTR) return Fail(Reason::LINK_LOST, absl::StrCat(peer_, ": poll failed"));
    if (deadline_.IsOver()) {
      return Fail(Reason::TIMED_OUT, absl::StrCat(peer_, ": timed out while waiting for its host certificate"));
    }
  }
}

absl::Status Exchange::Send(absl::string_view bytes) const {
  while (!bytes.empty()) {
    const ssize_t size = send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (size >= 0) {
      bytes.remove_prefix(static_cast<size_t>(size));
    } else if (errno == EAGAIN) {
      RETURN_IF_ERROR(Wait(POLLOUT));
    } else if (errno != EINTR) {
      return Fail(Reason::LINK_LOST, absl::StrCat("the connection to ", peer_, " is gone"));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> Exchange::Fill(size_t size) {
  std::array<char, 4096> bytes;
  while (buffer_.size() < size) {
    const ssize_t count = recv(socket_.get(), bytes.data(), bytes.size(), 0);
    if (count > 0) {
      buffer_.append(bytes.data(), static_cast<size_t>(count));
    } else if (count == 0 || errno == ECONNRESET) {
      return false;
    } else if (errno == EAGAIN) {
      RETURN_IF_ERROR(Wait(POLLIN));
    } else if (errno != EINTR) {
      return Fail(Reason::LINK_LOST, absl::StrCat("the connection to ", peer_, " is gone"));
    }
  }
  return true;
}

absl::Status Exchange::ReadVersion() {
  for (int lines = 0; lines < kMostLines;) {
    const size_t end = buffer_.find('\n');
    if (end != std::string::npos) {
      const bool is_version = absl::StartsWith(buffer_, "SSH-2.0-") || absl::StartsWith(buffer_, "SSH-1.99-");
      buffer_.erase(0, end + 1);
      if (is_version) return absl::OkStatus();
      ++lines;
    } else {
      if (buffer_.size() > kLongestVersion) break;
      ASSIGN_OR_RETURN(const bool more, Fill(buffer_.size() + 1));
      if (!more) break;
    }
  }
  return Fail(Reason::PROTOCOL, absl::StrCat(peer_, " did not complete the SSH handshake: it sent no version"),
              "is it an SSH server on that port? It may also have had too many connections at once (MaxStartups)");
}

absl::StatusOr<std::string> Exchange::ReadPacket() {
  ASSIGN_OR_RETURN(const bool has_length, Fill(5));
  if (!has_length) return std::string();
  WireReader header(buffer_);
  const uint32_t length = header.ReadUint32();
  const uint32_t padding = header.ReadByte();
  if (length > kLongestPacket || length < padding + 2) {
    return Fail(Reason::PROTOCOL, absl::StrCat(peer_, " sent what is no SSH packet"));
  }
  ASSIGN_OR_RETURN(const bool whole, Fill(size_t{4} + length));
  if (!whole) return std::string();
  std::string payload = buffer_.substr(5, length - padding - 1);
  buffer_.erase(0, size_t{4} + length);
  return payload;
}

absl::StatusOr<std::optional<SshCertificate>> Exchange::Run() {
  RETURN_IF_ERROR(Send(absl::StrCat(kVersion, Packet(KexInit()))));
  RETURN_IF_ERROR(ReadVersion());
  for (int packets = 0; packets < kMostPackets; ++packets) {
    ASSIGN_OR_RETURN(const std::string payload, ReadPacket());
    WireReader reader(payload);
    switch (reader.ReadByte()) {
      case 0:  // the end
      case kDisconnect:
        return std::nullopt;
      case kKexInit:
        RETURN_IF_ERROR(Send(Packet(EcdhInit())));
        break;
      case kEcdhReply: {
        absl::StatusOr<SshCertificate> certificate = ParseSshCertificate(reader.ReadString());
        if (!certificate.ok()) return std::nullopt;
        return *std::move(certificate);
      }
      default:  // IGNORE, DEBUG
        break;
    }
  }
  return Fail(Reason::PROTOCOL, absl::StrCat(peer_, " did not answer the key exchange"));
}

}  // namespace

absl::StatusOr<std::optional<SshCertificate>> FetchHostCertificate(Descriptor socket, const std::string& peer,
                                                                   Deadline deadline) {
  return Exchange(std::move(socket), peer, deadline).Run();
}

}  // namespace certcast::controller
