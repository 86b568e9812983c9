// Servers that are none; real ones are in tests/integration/ssh_login_test.cc.
#include "controller/transport/ssh/host_certificate_probe.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "common/probe/address.h"
#include "common/probe/resolver.h"
#include "common/probe/stream.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/local_tcp_server.h"
#include "tests/testing/status_matchers.h"

namespace certcast::controller {
namespace {

using testing::HasReason;
using ::testing::HasSubstr;
using testing::SilentServer;
using testing::TalkingServer;

absl::StatusOr<std::optional<SshCertificate>> Fetch(int port, absl::Duration timeout = absl::Seconds(10)) {
  const Deadline deadline = Deadline::In(timeout);
  ASSIGN_OR_RETURN(Descriptor socket,
                   ConnectTcp({"127.0.0.1", static_cast<uint16_t>(port)}, Resolver::Local(), deadline));
  return FetchHostCertificate(std::move(socket), "web-01", deadline);
}

// RFC 4253 section 6: this payload with 4 bytes of padding.
std::string Packet(const std::string& payload) {
  const size_t length = 1 + payload.size() + 4;
  std::string packet;
  for (int shift = 24; shift >= 0; shift -= 8) packet += static_cast<char>(length >> shift & 0xff);
  return absl::StrCat(packet, "\x04", payload, std::string(4, 'p'));
}

TEST(HostCertificateProbe, WhoeverSaysNothingTimesOut) {
  const SilentServer silent;
  EXPECT_THAT(Fetch(silent.port(), absl::Milliseconds(200)), HasReason(Reason::TIMED_OUT, HasSubstr("web-01")));
}

TEST(HostCertificateProbe, WhatIsNoSshIsRefusedBeforeMuchIsRead) {
  for (const std::string& bytes :
       {std::string(300, 'x'), absl::StrCat("SSH-2.0-", std::string(300, 'x')), std::string(100, '\n'),
        std::string("SSH-2.0-x\r\n\x7f\xff\xff\xff\x04 ", 17), absl::StrCat("SSH-2.0-x\r\n", std::string(8, '\0')),
        std::string("SSH-2.0-x\r\n\0\0\0\x05\x04 ", 17)}) {
    const TalkingServer server(bytes);
    EXPECT_THAT(Fetch(server.port()), HasReason(Reason::PROTOCOL, HasSubstr("web-01"))) << bytes;
  }
}

TEST(HostCertificateProbe, EndlessPacketsAreGivenUp) {
  std::string bytes = "A banner\r\nSSH-2.0-x\r\n";
  for (int i = 0; i < 100; ++i) absl::StrAppend(&bytes, Packet("\x02ignored"));
  const TalkingServer server(bytes);
  EXPECT_THAT(Fetch(server.port()), HasReason(Reason::PROTOCOL, HasSubstr("did not answer the key exchange")));
}

TEST(HostCertificateProbe, ARefusalOrAPlainKeyIsNoCertificate) {
  const std::string version = "SSH-1.99-x\n";
  // The end; DISCONNECT; answers whose host key is none.
  for (const std::string& payload :
       {std::string(), std::string("\x01"), std::string("\x1f\0\0\0\x03key", 8), std::string("\x1f")}) {
    const TalkingServer server(payload.empty() ? version : version + Packet(payload));
    const absl::StatusOr<std::optional<SshCertificate>> fetched = Fetch(server.port());
    ASSERT_THAT(fetched, testing::IsOk());
    EXPECT_FALSE(fetched->has_value());
  }
}

}  // namespace
}  // namespace certcast::controller
