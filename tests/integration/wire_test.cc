// The agent as it is shipped, under peers that mean it ill: what it holds stays bounded, and an install by the
// controller in the middle of it goes through. Each attack lasts a second or so; with
// CERTCAST_ATTACK_SECONDS in the environment, as tests/long.sh has it, longer.
#include <signal.h>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "common/link/bounds.h"
#include "gtest/gtest.h"
#include "tests/testing/agent_program.h"
#include "tests/testing/program.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/test_ca.h"
#include "tests/testing/wire_attacker.h"

namespace certcast {
namespace {

using testing::AgentProgram;
using testing::Frame;
using testing::FrameType;
using testing::IsOk;
using testing::RawConnection;
using testing::TlsConnection;

constexpr absl::Duration kPlenty = absl::Seconds(30);
// What systemd gives a service unless told otherwise.
constexpr rlim_t kAgentDescriptors = 1024;
// Connections of a crowd, each from an address of its own.
constexpr int kCrowd = 1000;

// The stated bounds, in KiB resident at any time: against everyone who has not got the controller's key, and against
// who has: on a link, pings cost gRPC many times their bytes.
constexpr int64_t kMostMemory = int64_t{96} * 1024;
constexpr int64_t kMostMemoryForController = int64_t{512} * 1024;
constexpr int kMostDescriptors = 760;
constexpr absl::Duration kInstallDeadline = absl::Seconds(20);

// Attacks until told to stop; says when its first round is done.
struct Attack {
  absl::Notification stop;
  absl::Notification under_way;

  void RoundDone() {
    if (!under_way.HasBeenNotified()) under_way.Notify();
  }
  bool Stopped(absl::Duration after = absl::ZeroDuration()) { return stop.WaitForNotificationWithTimeout(after); }
};

class WireTest : public ::testing::Test {
 protected:
  using OnAttack = std::function<void(Attack&)>;

  void SetUp() override {
    testing::RaiseDescriptorLimit();
    signal(SIGPIPE, SIG_IGN);
    ASSERT_THAT(agent_.Start(kAgentDescriptors), IsOk());
    address_ = agent_.address();
  }

  absl::Duration TimeInstall(const std::string& when) {
    const absl::Time start = absl::Now();
    EXPECT_THAT(agent_.InstallNext(kInstallDeadline), IsOk()) << when;
    return absl::Now() - start;
  }

  static absl::Duration AttackTime() {
    const char* seconds = getenv("CERTCAST_ATTACK_SECONDS");
    int number = 1;
    if (seconds != nullptr && !absl::SimpleAtoi(seconds, &number)) ADD_FAILURE() << seconds;
    return absl::Seconds(number);
  }

  // The promise of this file.
  void Holds(int64_t most_memory, const OnAttack& on_attack) {
    const absl::Duration alone = TimeInstall("alone");
    const AgentProgram::Held before = agent_.Look();
    Attack attack;
    std::thread attacker([&] { on_attack(attack); });
    int most_descriptors = 0;
    const auto watch_until = [&](const std::string& what, const std::function<bool()>& is_so) {
      EXPECT_THAT(testing::WaitUntil(what, absl::Minutes(5),
                                     [&] {
                                       most_descriptors = std::max(most_descriptors, agent_.Look().descriptors);
                                       return is_so();
                                     }),
                  IsOk());
    };
    watch_until("the attack is under way", [&] { return attack.under_way.HasBeenNotified(); });
    const absl::Duration under_attack = TimeInstall("under attack");
    const absl::Time enough = absl::Now() + AttackTime();
    watch_until("there was enough of it", [&] { return absl::Now() >= enough; });
    attack.stop.Notify();
    attacker.join();
    // What the attackers held goes when they do.
    watch_until("the descriptors are free again", [&] { return agent_.Look().descriptors <= before.descriptors + 2; });
    const absl::Duration after_it = TimeInstall("after the attack");
    const AgentProgram::Held after = agent_.Look();
    std::cout << "memory in KiB: " << before.memory << " before, " << after.most_memory << " at most, " << after.memory
              << " after; descriptors: " << before.descriptors << ", " << most_descriptors << ", " << after.descriptors
              << "; install: " << alone << " alone, " << under_attack << " under attack, " << after_it << " after"
              << std::endl;
    EXPECT_LT(after.most_memory, most_memory);
    EXPECT_LT(most_descriptors, kMostDescriptors);
    EXPECT_TRUE(agent_.Running());
  }

  // Connections that are there at once, each from another address; each says `says`, a piece of `piece` bytes a round.
  // What the agent drops is replaced.
  OnAttack Crowd(const std::string& says, size_t piece = std::string::npos) {
    struct Visitor {
      std::unique_ptr<RawConnection> connection;
      size_t said = 0;
    };
    return [=, this](Attack& attack) {
      std::vector<Visitor> crowd(kCrowd);
      uint32_t source = 0;
      while (!attack.Stopped(absl::Milliseconds(10))) {
        for (Visitor& visitor : crowd) {
          if (attack.Stopped()) return;
          if (visitor.connection == nullptr || visitor.connection->Ended()) {
            visitor = {.connection = std::make_unique<RawConnection>(address_, ++source)};
          }
          if (visitor.said < says.size() && visitor.connection->Send(says.substr(visitor.said, piece))) {
            visitor.said += std::min(piece, says.size() - visitor.said);
          }
        }
        attack.RoundDone();
      }
    };
  }

  // One TLS connection after the other, each told `greeting`, then `next` until it is ended or the attack is over.
  // `heard` counts what the agent said.
  OnAttack Flood(const testing::IssuedCertificate& identity, const std::string& greeting,
                 const std::function<std::string(uint32_t round)>& next, size_t* heard = nullptr) {
    return [=, this, &identity](Attack& attack) {
      for (uint32_t source = 0; !attack.Stopped(); ++source) {
        TlsConnection connection(address_, source, &identity);
        if (!connection.Handshake(absl::Seconds(5)) || !connection.Send(greeting)) continue;
        // The agent's settings, and on a link its Hello.
        const std::string first = connection.Receive(absl::Seconds(1));
        if (heard != nullptr) *heard += first.size();
        for (uint32_t round = 0; !attack.Stopped() && connection.Send(next(round)); ++round) {
          if (round > 20) attack.RoundDone();
          // What it says must be read, or TCP stops us before its bounds do.
          for (std::string said; !(said = connection.Receive(absl::ZeroDuration())).empty();) {
            if (heard != nullptr) *heard += said.size();
          }
        }
        if (source > 20) attack.RoundDone();
      }
    };
  }

  // On four connections, with 15 calls each: more links than a node holds but for the real controller's.
  OnAttack OnManyLinks(const std::function<std::string(uint32_t stream)>& first,
                       const std::function<std::string(uint32_t stream)>& more) {
    const auto of_all = [](const std::function<std::string(uint32_t)>& one) {
      std::string frames;
      for (uint32_t stream = 1; stream < 31; stream += 2) frames += one(stream);
      return frames;
    };
    return [=, this](Attack& attack) {
      std::vector<std::unique_ptr<TlsConnection>> connections(4);
      for (uint32_t source = 0; !attack.Stopped(absl::Milliseconds(1));) {
        for (auto& connection : connections) {
          if (connection == nullptr || !connection->Send(of_all(more))) {
            connection = std::make_unique<TlsConnection>(address_, ++source, &agent_.controller());
            if (connection->Handshake(absl::Seconds(5))) connection->Send(testing::Hello() + of_all(first));
          }
          if (attack.Stopped()) return;
        }
        attack.RoundDone();
      }
    };
  }

  AgentProgram agent_;
  std::string address_;
};

// By those who have no certificate.

TEST_F(WireTest, AThousandConnectionsThatSayNothing) {
  Holds(kMostMemory, Crowd(""));
}

TEST_F(WireTest, AThousandHalfHandshakes) {
  Holds(kMostMemory, Crowd(testing::ClientHello()));
}

TEST_F(WireTest, AThousandHandshakesByteByByte) {
  Holds(kMostMemory, Crowd(testing::ClientHello(), 1));
}

TEST_F(WireTest, AThousandConnectionsThatSpeakHttp) {
  Holds(kMostMemory, Crowd("GET / HTTP/1.1\r\nHost: node\r\n\r\n"));
}

TEST_F(WireTest, AThousandConnectionsWithGarbage) {
  // A linear congruential generator (Knuth's MMIX): the same garbage each time.
  std::string garbage;
  uint64_t state = 1;
  for (int i = 0; i < 20000; ++i) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    garbage.push_back(static_cast<char>(state >> 56));
  }
  Holds(kMostMemory, Crowd(garbage));
}

TEST_F(WireTest, AThousandHugeRecordsWithoutTheirEnd) {
  Holds(kMostMemory, Crowd("\x16\x03\x01\x40" + std::string(1, '\0') + std::string(16383, 'x')));
}

TEST_F(WireTest, AThousandHandshakesWithoutACertificateAtOnce) {
  Holds(kMostMemory, [this](Attack& attack) {
    std::vector<std::unique_ptr<TlsConnection>> crowd(kCrowd);
    for (uint32_t source = 0; !attack.Stopped(absl::Milliseconds(1));) {
      for (auto& connection : crowd) {
        if (attack.Stopped()) return;
        if (connection == nullptr) {
          connection = std::make_unique<TlsConnection>(address_, ++source, nullptr);
        } else if (connection->Step() != TlsConnection::Progress::kUnderWay && connection->raw().Ended()) {
          connection.reset();
        }
      }
      attack.RoundDone();
    }
  });
}

std::string BeginCall(uint32_t stream) {
  return Frame(FrameType::kHeaders, testing::kEndHeaders, stream, testing::LinkHeaders());
}

std::string HundredStreams(uint32_t round, bool reset) {
  std::string frames;
  for (uint32_t i = 0; i < 100; ++i) {
    const uint32_t stream = (round * 100 + i) * 2 + 3;
    frames += BeginCall(stream);
    if (reset) frames += Frame(FrameType::kReset, 0, stream, std::string("\0\0\0\x08", 4));
  }
  return frames;
}

// By another node of the fleet.

TEST_F(WireTest, ANodesCertificateDoesNotGetAsFarAsHttp) {
  size_t heard = 0;
  Holds(kMostMemory, Flood(
                         agent_.other_node(), testing::Hello(),
                         [](uint32_t round) { return HundredStreams(round, false); }, &heard));
  EXPECT_EQ(heard, 0);
}

// By one who has the controller's key, on connections beside the controller's own.

TEST_F(WireTest, PingFlood) {
  std::string pings;
  for (int i = 0; i < 1000; ++i) pings += Frame(FrameType::kPing, 0, 0, "12345678");
  Holds(kMostMemoryForController, Flood(agent_.controller(), testing::Hello(), [pings](uint32_t) { return pings; }));
}

TEST_F(WireTest, SettingsFlood) {
  std::string settings;
  for (int i = 0; i < 1000; ++i) settings += Frame(FrameType::kSettings, 0, 0, "");
  Holds(kMostMemoryForController,
        Flood(agent_.controller(), testing::Hello(), [settings](uint32_t) { return settings; }));
}

TEST_F(WireTest, StreamFlood) {
  Holds(kMostMemoryForController,
        Flood(agent_.controller(), testing::Hello(), [](uint32_t round) { return HundredStreams(round, false); }));
}

TEST_F(WireTest, PingFloodOnALink) {
  std::string pings;
  for (int i = 0; i < 1000; ++i) pings += Frame(FrameType::kPing, 0, 0, "12345678");
  Holds(kMostMemoryForController,
        Flood(agent_.controller(), testing::Hello() + BeginCall(1), [pings](uint32_t) { return pings; }));
}

TEST_F(WireTest, StreamFloodOnALink) {
  Holds(kMostMemoryForController, Flood(agent_.controller(), testing::Hello() + BeginCall(1),
                                        [](uint32_t round) { return HundredStreams(round, false); }));
}

TEST_F(WireTest, StreamsThatAreResetAtOnce) {
  Holds(kMostMemoryForController,
        Flood(agent_.controller(), testing::Hello(), [](uint32_t round) { return HundredStreams(round, true); }));
}

TEST_F(WireTest, HeadersWithoutEnd) {
  const std::string field = testing::HeaderField("x", std::string(1000, 'x'));
  std::string more;
  for (int i = 0; i < 10; ++i) more += Frame(FrameType::kContinuation, 0, 1, field);
  Holds(kMostMemoryForController,
        Flood(agent_.controller(), testing::Hello() + Frame(FrameType::kHeaders, 0, 1, testing::LinkHeaders()),
              [more](uint32_t) { return more; }));
}

TEST_F(WireTest, MetadataBeyondItsBound) {
  std::string headers = testing::LinkHeaders();
  for (int i = 0; i < 10; ++i) headers += testing::HeaderField(absl::StrCat("x-", i), std::string(1000, 'x'));
  ASSERT_GT(headers.size(), kMaxLinkMetadata);
  Holds(kMostMemoryForController, Flood(agent_.controller(), testing::Hello(), [headers](uint32_t round) {
          return Frame(FrameType::kHeaders, testing::kEndHeaders, 2 * round + 1, headers);
        }));
}

TEST_F(WireTest, FramesOfWrongLengths) {
  // Each is an error of the connection (RFC 9113, section 4.2 and 6).
  const std::vector<std::string> wrong = {
      Frame(FrameType::kPing, 0, 0, "1234567"),
      Frame(FrameType::kSettings, 0, 0, "12345"),
      Frame(FrameType::kWindowUpdate, 0, 0, "123"),
      Frame(FrameType::kReset, 0, 1, "12345"),
      Frame(FrameType::kData, 0, 1, std::string(100000, 'x')),
      Frame(FrameType::kHeaders, testing::kEndHeaders, 1, std::string(100000, 'x')),
      std::string(100, '\xff'),
  };
  Holds(kMostMemoryForController, [&](Attack& attack) {
    for (uint32_t source = 0; !attack.Stopped(); ++source) {
      TlsConnection connection(address_, source, &agent_.controller());
      if (!connection.Handshake(absl::Seconds(5))) continue;
      connection.Send(testing::Hello() + wrong[source % wrong.size()]);
      EXPECT_TRUE(connection.AwaitEnd(kHandshakeTimeout + kPlenty));
      if (source >= wrong.size()) attack.RoundDone();
    }
  });
}

TEST_F(WireTest, PrefacesByteByByte) {
  Holds(kMostMemoryForController, [this](Attack& attack) {
    struct Visitor {
      std::unique_ptr<TlsConnection> connection;
      size_t said = 0;
    };
    std::vector<Visitor> crowd(200);
    for (uint32_t source = 0; !attack.Stopped(absl::Milliseconds(10));) {
      for (Visitor& visitor : crowd) {
        if (attack.Stopped()) return;
        if (visitor.connection == nullptr || visitor.connection->raw().Ended()) {
          visitor = {.connection = std::make_unique<TlsConnection>(address_, ++source, &agent_.controller())};
          visitor.connection->Handshake(absl::Seconds(5));
        }
        // All but its last byte.
        if (visitor.said + 1 < sizeof testing::kPreface - 1) {
          visitor.connection->Send(std::string(1, testing::kPreface[visitor.said++]));
        }
      }
      attack.RoundDone();
    }
  });
}

TEST_F(WireTest, MessagesOfAMebibyteThatNeverEnd) {
  Holds(kMostMemoryForController,
        OnManyLinks(
            [](uint32_t stream) {
              return BeginCall(stream) +
                     Frame(FrameType::kData, 0, stream, testing::Message(kMaxLinkMessage, std::string(4000, 'x')));
            },
            [](uint32_t stream) { return Frame(FrameType::kData, 0, stream, std::string(1000, 'x')); }));
}

TEST_F(WireTest, MessagesThatSayTheyAreHuge) {
  Holds(kMostMemoryForController,
        OnManyLinks(
            [](uint32_t stream) {
              return BeginCall(stream) +
                     Frame(FrameType::kData, 0, stream, testing::Message(0xffffffff, std::string(4000, 'x')));
            },
            [](uint32_t stream) { return Frame(FrameType::kData, 0, stream, std::string(1000, 'x')); }));
}

TEST_F(WireTest, ManyCommandsWhoseAnswersNobodyReads) {
  // A Command with an id (field 1) and an empty Describe (field 10).
  const std::string describe = testing::Message(7, "\x0a\x03xyz\x52" + std::string(1, '\0'));
  std::string many;
  for (int i = 0; i < 100; ++i) many += describe;
  Holds(kMostMemoryForController,
        OnManyLinks(BeginCall, [many](uint32_t stream) { return Frame(FrameType::kData, 0, stream, many); }));
}

}  // namespace
}  // namespace certcast
