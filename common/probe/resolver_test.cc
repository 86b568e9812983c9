#include "common/probe/resolver.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <string>
#include <vector>

#include "common/probe/system_resolver.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/memory_file_system.h"
#include "tests/testing/status_matchers.h"

namespace certcast {
namespace {

using ::certcast::testing::HasReason;
using ::certcast::testing::IsOk;
using ::certcast::testing::MemoryFileSystem;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// "127.0.0.1:80", for each.
std::vector<std::string> Texts(const std::vector<SocketAddress>& addresses) {
  std::vector<std::string> texts;
  for (const SocketAddress& address : addresses) {
    char text[INET6_ADDRSTRLEN] = "";
    HostPort shown;
    if (address.storage.ss_family == AF_INET) {
      const auto* v4 = reinterpret_cast<const sockaddr_in*>(&address.storage);
      shown.host = inet_ntop(AF_INET, &v4->sin_addr, text, sizeof text);
      shown.port = ntohs(v4->sin_port);
    } else {
      const auto* v6 = reinterpret_cast<const sockaddr_in6*>(&address.storage);
      shown.host = inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof text);
      shown.port = ntohs(v6->sin6_port);
    }
    texts.push_back(shown.ToString());
  }
  return texts;
}

class HostsResolverTest : public ::testing::Test {
 protected:
  absl::StatusOr<std::vector<SocketAddress>> Resolve(const std::string& host) {
    return HostsResolver(files_).Resolve({.host = host, .port = 80}, absl::Seconds(1));
  }
  MemoryFileSystem files_;
};

TEST_F(HostsResolverTest, TakesNumbersAsTheyAre) {
  EXPECT_THAT(Texts(*Resolve("127.0.0.5")), ElementsAre("127.0.0.5:80"));
  EXPECT_THAT(Texts(*Resolve("2001:db8::1")), ElementsAre("[2001:db8::1]:80"));
}

TEST_F(HostsResolverTest, FindsEveryAddressOfAName) {
  files_.PutFile("/etc/hosts",
                 "# localhost 9.9.9.9\n"
                 "127.0.0.1\tlocalhost\n"
                 "::1 ip6-localhost LOCALHOST # as well\n"
                 "not-an-address localhost\n"
                 "10.0.0.7 web web.example.com\n");
  EXPECT_THAT(Texts(*Resolve("localhost")), ElementsAre("127.0.0.1:80", "[::1]:80"));
  EXPECT_THAT(Texts(*Resolve("web.example.com")), ElementsAre("10.0.0.7:80"));
}

TEST_F(HostsResolverTest, SaysThatDnsIsNotAsked) {
  files_.PutFile("/etc/hosts", "127.0.0.1 localhost # example.com\n");
  const auto failed = Resolve("example.com");
  EXPECT_THAT(failed, HasReason(Reason::NO_ROUTE, HasSubstr("example.com")));
  EXPECT_THAT(FailureOf(failed.status()).hint(), HasSubstr("numeric"));
}

TEST_F(HostsResolverTest, LivesWithoutTheFile) {
  EXPECT_THAT(Resolve("localhost"), HasReason(Reason::NO_ROUTE));
}

TEST(SystemResolverTest, KnowsLocalhost) {
  const auto found = SystemResolver().Resolve({.host = "localhost", .port = 80}, absl::Seconds(10));
  ASSERT_THAT(found, IsOk());
  EXPECT_THAT(Texts(*found), Contains(::testing::AnyOf("127.0.0.1:80", "[::1]:80")));
  EXPECT_THAT(Texts(*SystemResolver().Resolve({.host = "::1", .port = 80}, absl::Seconds(1))), ElementsAre("[::1]:80"));
}

TEST(SystemResolverTest, SaysThatANameDoesNotResolve) {
  // RFC 6761 section 6.4: never resolves, whatever name server is asked or none.
  const auto failed = SystemResolver().Resolve({.host = "certcast.invalid", .port = 80}, absl::Seconds(30));
  EXPECT_THAT(failed, HasReason(Reason::NO_ROUTE, HasSubstr("certcast.invalid")));
}

}  // namespace
}  // namespace certcast
