#include "node/frontend/gate.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/wire_attacker.h"

namespace certcast::node {
namespace {

using testing::HasReason;
using ::testing::HasSubstr;
using testing::IsOk;
using testing::RawConnection;

constexpr absl::Duration kPlenty = absl::Seconds(30);
constexpr absl::Duration kForEver = absl::Hours(1);
constexpr absl::Duration kShort = absl::Milliseconds(50);

// A TLS record that says it is a handshake; the gate reads no further than its length.
std::string Record(int size = 40) {
  return absl::StrCat(std::string("\x16\x03\x01", 3), std::string(1, static_cast<char>(size / 256)),
                      std::string(1, static_cast<char>(size % 256)), std::string(size, 'x'));
}

// How gRPC names the other end of a socket that it has.
std::string PeerOf(int fd) {
  sockaddr_in peer{};
  socklen_t size = sizeof peer;
  if (getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size) != 0) return "";
  char text[INET_ADDRSTRLEN];
  inet_ntop(AF_INET, &peer.sin_addr, text, sizeof text);
  return absl::StrCat("ipv4:", text, ":", ntohs(peer.sin_port));
}

// What gRPC was given, in order.
class Given {
 public:
  void Add(int fd) {
    absl::MutexLock lock(&mutex_);
    peers_.push_back(PeerOf(fd));
    descriptors_.emplace_back(fd);
  }
  // Waits until there are so many; the peers of all.
  std::vector<std::string> Await(size_t count) {
    absl::MutexLock lock(&mutex_);
    auto enough = [this, count]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return peers_.size() >= count; };
    EXPECT_TRUE(mutex_.AwaitWithTimeout(absl::Condition(&enough), kPlenty)) << peers_.size() << " of " << count;
    return peers_;
  }
  void ReadAll() const {
    absl::MutexLock lock(&mutex_);
    std::string buffer(65536, '\0');
    for (const Descriptor& fd : descriptors_) {
      while (recv(fd.get(), buffer.data(), buffer.size(), 0) > 0) {
      }
    }
  }
  // As gRPC does with connections that ended.
  void CloseAll() {
    absl::MutexLock lock(&mutex_);
    descriptors_.clear();
  }

 private:
  mutable absl::Mutex mutex_;
  std::vector<std::string> peers_ ABSL_GUARDED_BY(mutex_);
  std::vector<Descriptor> descriptors_ ABSL_GUARDED_BY(mutex_);
};

class GateTest : public ::testing::Test {
 protected:
  void SetUp() override { testing::RaiseDescriptorLimit(); }

  void Open(absl::Duration patience = kForEver, const std::string& host = "127.0.0.1") {
    auto gate = Gate::Listen({.host = host}, patience);
    ASSERT_THAT(gate, IsOk());
    gate_ = *std::move(gate);
    address_ = absl::StrCat("127.0.0.1:", gate_->port());
    gate_->Open([this](int fd) { given_.Add(fd); });
  }

  RawConnection& Connect(uint32_t source, const std::string& says = "") {
    RawConnection& connection = connections_.emplace_back(address_, source);
    EXPECT_TRUE(connection.connected());
    EXPECT_TRUE(connection.Send(says));
    return connection;
  }
  // One after the other, so that their age is known.
  RawConnection& ConnectAndSpeak(uint32_t source) {
    RawConnection& connection = Connect(source, Record());
    given_.Await(++spoken_);
    return connection;
  }

  Given given_;
  std::unique_ptr<Gate> gate_;
  std::string address_;
  std::list<RawConnection> connections_;
  size_t spoken_ = 0;
};

TEST_F(GateTest, HandsOverWhoHasSentTheWholeOfItsFirstRecord) {
  Open();
  const std::string record = Record(300);
  RawConnection& slow = Connect(1);
  for (size_t i = 0; i + 1 < record.size(); ++i) ASSERT_TRUE(slow.Send(record.substr(i, 1)));
  Connect(2, record);
  EXPECT_THAT(given_.Await(1), ::testing::ElementsAre(HasSubstr("127.1.0.3")));
  ASSERT_TRUE(slow.Send(record.substr(record.size() - 1)));
  EXPECT_THAT(given_.Await(2)[1], HasSubstr("127.1.0.2"));
}

TEST_F(GateTest, HandsOverWhatIsNoTlsSoThatItIsRefusedInWords) {
  Open();
  Connect(1, "GET / HTTP/1.1\r\n\r\n");
  Connect(2, std::string("\x16\x03\x01\xff\xff", 5));
  given_.Await(2);
}

TEST_F(GateTest, CutsWhoSaysTooLittle) {
  Open(kShort);
  RawConnection& silent = Connect(1);
  RawConnection& slow = Connect(2, Record().substr(0, 20));
  EXPECT_TRUE(silent.AwaitEnd(kPlenty));
  EXPECT_TRUE(slow.AwaitEnd(kPlenty));
}

TEST_F(GateTest, CutsWhoHasNoLinkAndKeepsWhoHas) {
  Open(kShort);
  RawConnection& with = ConnectAndSpeak(1);
  EXPECT_TRUE(gate_->BeginLink(given_.Await(1)[0]));
  RawConnection& without = ConnectAndSpeak(2);
  EXPECT_TRUE(without.AwaitEnd(kPlenty));
  RawConnection& another = ConnectAndSpeak(3);
  EXPECT_TRUE(another.AwaitEnd(kPlenty));
  EXPECT_FALSE(with.Ended());
  gate_->EndLink(given_.Await(1)[0]);
  EXPECT_TRUE(with.AwaitEnd(kPlenty));
}

TEST_F(GateTest, SilentOnesTakePlacesFromEachOtherOnly) {
  Open();
  RawConnection& spoke = ConnectAndSpeak(1);
  RawConnection& first = Connect(2);
  for (uint32_t i = 0; i < kMaxWaitingConnections; ++i) Connect(3 + i);
  EXPECT_TRUE(first.AwaitEnd(kPlenty));
  ConnectAndSpeak(2000);
  EXPECT_FALSE(spoke.Ended());
}

TEST_F(GateTest, TheOldestWithoutALinkMakesPlace) {
  Open();
  RawConnection& linked = ConnectAndSpeak(1);
  EXPECT_TRUE(gate_->BeginLink(given_.Await(1)[0]));
  RawConnection& oldest = ConnectAndSpeak(2);
  RawConnection& next = ConnectAndSpeak(3);
  for (uint32_t i = 0; i + 1 < kMaxConnectionsWithoutLink; ++i) ConnectAndSpeak(4 + i);
  EXPECT_TRUE(oldest.AwaitEnd(kPlenty));
  EXPECT_FALSE(next.Ended());
  EXPECT_FALSE(linked.Ended());
}

TEST_F(GateTest, WhoHasTheMostMakesPlaceFirst) {
  Open();
  RawConnection& alone = ConnectAndSpeak(1);
  RawConnection& oldest_of_many = ConnectAndSpeak(2);
  for (uint32_t i = 0; i + 1 < kMaxConnectionsWithoutLink; ++i) ConnectAndSpeak(2);
  EXPECT_TRUE(oldest_of_many.AwaitEnd(kPlenty));
  EXPECT_FALSE(alone.Ended());
}

TEST_F(GateTest, HandsOverNoMoreWhileGrpcDoesNotCloseWhatEnded) {
  Open();
  const size_t most = kMaxConnectionsWithoutLink + kMaxLeavingConnections;
  for (size_t i = 0; i < most; ++i) ConnectAndSpeak(static_cast<uint32_t>(i));
  RawConnection& silent = Connect(4999);
  Connect(5000, Record());
  for (uint32_t i = 0; i + 1 < kMaxWaitingConnections; ++i) Connect(6000 + i);
  // The gate has looked at all of them, and has more than it lets wait.
  EXPECT_TRUE(silent.AwaitEnd(kPlenty));
  EXPECT_EQ(given_.Await(most).size(), most);
  given_.CloseAll();
  EXPECT_THAT(given_.Await(most + 1).back(), HasSubstr("127.1.19.137"));
}

TEST_F(GateTest, CutsWhoBeginsTooManyLinksAtOnce) {
  Open();
  RawConnection& connection = ConnectAndSpeak(1);
  const std::string peer = given_.Await(1)[0];
  for (int i = 0; i < kMaxStreamsPerConnection; ++i) EXPECT_TRUE(gate_->BeginLink(peer));
  EXPECT_FALSE(connection.Ended());
  EXPECT_FALSE(gate_->BeginLink(peer));
  EXPECT_TRUE(connection.AwaitEnd(kPlenty));
}

TEST_F(GateTest, CutsWhoBeginsLinksWithoutEnd) {
  Open();
  RawConnection& connection = ConnectAndSpeak(1);
  const std::string peer = given_.Await(1)[0];
  for (int i = 0; i < kMaxLinksBegun; ++i) {
    EXPECT_TRUE(gate_->BeginLink(peer));
    gate_->EndLink(peer);
  }
  EXPECT_FALSE(connection.Ended());
  EXPECT_FALSE(gate_->BeginLink(peer));
  EXPECT_TRUE(connection.AwaitEnd(kPlenty));
}

// As much as the gate lets through without a link, in pieces that a socket takes.
bool SendMuch(const RawConnection& connection, const Given& given, uint64_t bytes) {
  for (uint64_t sent = 0; sent < bytes; sent += 4096) {
    if (!connection.Send(std::string(4096, 'x'))) return false;
    given.ReadAll();
  }
  return true;
}

TEST_F(GateTest, CutsWhoSendsMuchWithoutALink) {
  Open();
  RawConnection& connection = ConnectAndSpeak(1);
  EXPECT_TRUE(SendMuch(connection, given_, kMaxBytesWithoutLink));
  // What gRPC has not read yet wakes the gate.
  connection.Send("x");
  EXPECT_TRUE(connection.AwaitEnd(kPlenty));
}

TEST_F(GateTest, CutsWhoSendsMoreThanAMessageBetweenCommands) {
  Open();
  RawConnection& connection = ConnectAndSpeak(1);
  const std::string peer = given_.Await(1)[0];
  EXPECT_TRUE(gate_->BeginLink(peer));
  for (int i = 0; i < 5; ++i) {
    EXPECT_TRUE(SendMuch(connection, given_, kMaxLinkMessage));
    gate_->CountCommand(peer);
  }
  EXPECT_FALSE(connection.Ended());
  SendMuch(connection, given_, kMaxLinkMessage + kMaxBytesWithoutLink);
  connection.Send("x");
  EXPECT_TRUE(connection.AwaitEnd(kPlenty));
}

TEST_F(GateTest, ClosingLeavesWhatWasGivenAndClosesTheRest) {
  Open();
  RawConnection& given = ConnectAndSpeak(1);
  RawConnection& waiting = Connect(2, "x");
  gate_->Close();
  EXPECT_TRUE(waiting.AwaitEnd(kPlenty));
  EXPECT_FALSE(given.Ended());
  EXPECT_FALSE(RawConnection(address_, 3).connected());
}

bool ConnectsOverIpv6(uint16_t port) {
  const Descriptor fd(socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_in6 to{.sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = in6addr_loopback};
  return connect(fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0;
}

TEST_F(GateTest, TheIpv6WildcardTakesIpv4UnderItsOwnName) {
  Open(kShort, "::");
  EXPECT_TRUE(ConnectsOverIpv6(gate_->port()));
  RawConnection& connection = ConnectAndSpeak(1);
  sockaddr_in own{};
  socklen_t size = sizeof own;
  ASSERT_EQ(getsockname(connection.fd(), reinterpret_cast<sockaddr*>(&own), &size), 0);
  const std::string peer = absl::StrCat("ipv4:127.1.0.2:", ntohs(own.sin_port));
  EXPECT_TRUE(gate_->BeginLink(peer));
  RawConnection& another = ConnectAndSpeak(2);
  EXPECT_TRUE(another.AwaitEnd(kPlenty));
  EXPECT_FALSE(connection.Ended());
  gate_->EndLink(peer);
  EXPECT_TRUE(connection.AwaitEnd(kPlenty));
}

TEST_F(GateTest, TheIpv4WildcardTakesIpv4Only) {
  Open(kForEver, "0.0.0.0");
  EXPECT_FALSE(ConnectsOverIpv6(gate_->port()));
  ConnectAndSpeak(1);
}

TEST_F(GateTest, SaysWhyItCannotListen) {
  Open();
  EXPECT_THAT(Gate::Listen({.host = "127.0.0.1", .port = gate_->port()}),
              HasReason(Reason::NO_ROUTE, HasSubstr("in use")));
  EXPECT_THAT(Gate::Listen({.host = "192.0.2.1"}), HasReason(Reason::NO_ROUTE, HasSubstr("192.0.2.1")));
}

}  // namespace
}  // namespace certcast::node
