// Peers that do to a port what no gRPC client does: raw TCP, TLS by hand, HTTP/2 frames written out.
#ifndef CERTCAST_TESTS_TESTING_WIRE_ATTACKER_H_
#define CERTCAST_TESTS_TESTING_WIRE_ATTACKER_H_

#include <openssl/ssl.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/file/descriptor.h"
#include "common/x509/ssl_ptr.h"
#include "tests/testing/test_ca.h"

namespace certcast::testing {

// As many descriptors as the system lets this process have.
void RaiseDescriptorLimit();

// A TCP connection. Thread-compatible.
class RawConnection {
 public:
  // `to` is 127.0.0.1:port. `source` picks the address it comes from, one of 127.0.0.0/8: another number, another one.
  RawConnection(const std::string& to, uint32_t source);

  bool connected() const { return fd_.valid(); }
  int fd() const { return fd_.get(); }
  // What the kernel takes at once; false when the other end is gone or takes nothing.
  bool Send(absl::string_view bytes) const;
  // The other end has closed or reset. Throws away what it said.
  bool Ended() const;
  bool AwaitEnd(absl::Duration longest) const;

 private:
  Descriptor fd_;
};

// A ClientHello as OpenSSL says it, in its record.
std::string ClientHello();

// A TLS connection that offers h2 and trusts everyone.
class TlsConnection {
 public:
  // Shows `certificate` unless it is null.
  TlsConnection(const std::string& to, uint32_t source, const IssuedCertificate* certificate);

  // Of the handshake, as far as it gets without waiting. kDone: as far as a client can tell; in TLS 1.3 a server may
  // refuse the certificate after that.
  enum class Progress { kUnderWay, kDone, kFailed };
  Progress Step();
  // All of it.
  bool Handshake(absl::Duration longest);
  // All of it; false when the other end is gone or took nothing for a second.
  bool Send(absl::string_view bytes);
  // Up to so many bytes of what came; empty when nothing did, or the end.
  std::string Receive(absl::Duration longest);
  // Reads until the other end has closed or reset.
  bool AwaitEnd(absl::Duration longest);
  const RawConnection& raw() const { return raw_; }

 private:
  bool Wait(int events, absl::Duration longest) const;

  RawConnection raw_;
  SslPtr<SSL_CTX> context_;
  SslPtr<SSL> ssl_;
};

// HTTP/2 (RFC 9113, RFC 7541 without Huffman coding and without indexing).
inline constexpr char kPreface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
enum class FrameType : uint8_t {
  kData = 0,
  kHeaders = 1,
  kReset = 3,
  kSettings = 4,
  kPing = 6,
  kWindowUpdate = 8,
  kContinuation = 9
};
inline constexpr uint8_t kEndHeaders = 4;
std::string Frame(FrameType type, uint8_t flags, uint32_t stream, absl::string_view payload);
// With an empty SETTINGS frame.
std::string Hello();
std::string HeaderField(absl::string_view name, absl::string_view value);
// Of a call to NodeLink.Link.
std::string LinkHeaders();
// A gRPC message (length-prefixed) whose prefix says `declared` bytes.
std::string Message(uint32_t declared, absl::string_view content);

}  // namespace certcast::testing

#endif  // CERTCAST_TESTS_TESTING_WIRE_ATTACKER_H_
