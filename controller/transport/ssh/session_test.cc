#include "controller/transport/ssh/session.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <string>
#include <thread>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace {

std::atomic<int> closed_twice = 0;

}  // namespace

// In place of the C library's, for this program and for libssh: another thread would have had its own closed.
extern "C" int close(int fd) {
  const int result = static_cast<int>(syscall(SYS_close, fd));
  if (result != 0 && errno == EBADF) ++closed_twice;
  return result;
}

namespace certcast::controller {
namespace {

using testing::HasReason;

struct Peer {
  const char* name;
  std::string says;
};

// RFC 4253, sections 6 and 11.1.
std::string DisconnectPacket() {
  const std::string payload = std::string(
      "\x01\0\0\0\x02\0\0\0\x03"
      "bye\0\0\0\0",
      16);
  const int padding = 8 + (8 - (5 + static_cast<int>(payload.size())) % 8) % 8;
  const auto length = static_cast<char>(1 + payload.size() + static_cast<size_t>(padding));
  return std::string({'\0', '\0', '\0', length, static_cast<char>(padding)}) + payload +
         std::string(static_cast<size_t>(padding), '\0');
}

class HandshakeTest : public ::testing::TestWithParam<Peer> {};

TEST_P(HandshakeTest, ASocketIsClosedOnceHoweverItEnds) {
  std::array<int, 2> ends;
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()), 0);
  {
    const Descriptor far_end(ends[1]);
    ASSERT_EQ(write(far_end.get(), GetParam().says.data(), GetParam().says.size()), GetParam().says.size());
    shutdown(far_end.get(), SHUT_WR);
    closed_twice = 0;
    const auto session = SshSession::Connect(Descriptor(ends[0]), "web-1", "deploy", {}, /*only_those=*/false,
                                             Deadline::In(absl::Seconds(10)));
    EXPECT_THAT(session, HasReason(Reason::PROTOCOL));
  }
  EXPECT_EQ(closed_twice, 0);
  EXPECT_EQ(fcntl(ends[0], F_GETFD), -1) << "it is open still";
}

INSTANTIATE_TEST_SUITE_P(Peers, HandshakeTest,
                         ::testing::Values(Peer{"HangsUp", ""}, Peer{"HangsUpLater", "SSH-2.0-OpenSSH_9.2\r\n"},
                                           Peer{"SaysGoodbye", "SSH-2.0-OpenSSH_9.2\r\n" + DisconnectPacket()},
                                           Peer{"IsNoSshServer", std::string(300, '\xff')},
                                           Peer{"TalksNonsense", "SSH-2.0-OpenSSH_9.2\r\n" + std::string(300, '\xff')}),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace certcast::controller
