#include "controller/rollout/verify.h"

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/probe/address.h"
#include "common/probe/probe.h"
#include "common/probe/resolver.h"
#include "common/process/process.h"
#include "common/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/fake_prober.h"
#include "tests/testing/local_tls_server.h"
#include "tests/testing/test_ca.h"

namespace certcast::controller {
namespace {

using certcast::testing::FakeClock;
using certcast::testing::FakeProber;
using certcast::testing::IssuedCertificate;
using certcast::testing::LocalTlsServer;
using certcast::testing::TestCa;
using ::testing::SizeIs;

const std::string kNew(64, 'b');
const std::string kOld(64, 'a');

ExpectedEndpoint At(const std::string& address) {
  return {.node = "web-01",
          .certificate = "wildcard",
          .address = address,
          .server_name = "www.example.com",
          .leaf_sha256 = kNew};
}

TEST(EndpointsOf, AsksPlainAddressesForTheCertificatesOwnName) {
  NodeConfig node;
  node.name = "web-01";
  node.verify = {{"10.0.0.1:443", ""}, {"10.0.0.1:8443", "api.example.com"}};
  const std::vector<ExpectedEndpoint> endpoints = EndpointsOf(node, "wildcard", "www.example.com", kNew);
  ASSERT_THAT(endpoints, SizeIs(2));
  EXPECT_EQ(endpoints[0].server_name, "www.example.com");
  EXPECT_EQ(endpoints[1].server_name, "api.example.com");
  EXPECT_EQ(endpoints[1].node, "web-01");
  EXPECT_EQ(endpoints[1].leaf_sha256, kNew);
}

TEST(EndpointsOf, LeavesOutWhatIsAnotherCertificates) {
  NodeConfig node;
  node.verify = {{.address = "10.0.0.1:443"},
                 {.address = "10.0.0.1:443", .server_name = "shop.example.org", .certificate = "shop"},
                 {.address = "10.0.0.1:993", .certificate = "wildcard"}};
  const std::vector<ExpectedEndpoint> endpoints = EndpointsOf(node, "wildcard", "www.example.com", kNew);
  ASSERT_THAT(endpoints, SizeIs(2));
  EXPECT_EQ(endpoints[0].address, "10.0.0.1:443");
  EXPECT_EQ(endpoints[0].server_name, "www.example.com");
  EXPECT_EQ(endpoints[1].address, "10.0.0.1:993");
  EXPECT_THAT(EndpointsOf(node, "shop", "www.example.org", kNew), SizeIs(2));
}

TEST(VerifyEndpoints, TellsRightFromWrongFromSilent) {
  FakeClock clock;
  FakeProber prober;
  prober.On("tls right:443 www.example.com", {FakeProber::Serves(kNew)});
  prober.On("tls wrong:443 www.example.com", {FakeProber::Serves(kOld)});
  prober.On("tls silent:443 www.example.com", {FakeProber::Fails("connection refused")});
  const auto seen = VerifyEndpoints({At("right:443"), At("wrong:443"), At("silent:443")}, prober, clock, {});
  ASSERT_THAT(seen, SizeIs(3));
  EXPECT_TRUE(seen[0].ok());
  EXPECT_EQ(seen[0].detail(), "");
  EXPECT_EQ(seen[0].certificate(), "wildcard");
  EXPECT_FALSE(seen[1].ok());
  EXPECT_EQ(seen[1].served_sha256(), kOld);
  EXPECT_EQ(seen[1].detail(), absl::StrCat("serves ", kOld, ", expected ", kNew));
  EXPECT_FALSE(seen[2].ok());
  EXPECT_EQ(seen[2].detail(), "connection refused");
}

TEST(VerifyEndpoints, AsksForTlsInTheServersOwnProtocol) {
  NodeConfig node;
  node.verify = {{"10.0.0.1:25", "", StartTlsProtocol::kSmtp}};
  FakeClock clock;
  FakeProber prober;
  prober.On("tls 10.0.0.1:25 mail.example.com starttls smtp", {FakeProber::Serves(kNew)});
  EXPECT_TRUE(VerifyEndpoints(EndpointsOf(node, "wildcard", "mail.example.com", kNew), prober, clock, {})[0].ok());
}

TEST(VerifyEndpoints, RightLeafAtOneAddressOfSeveralIsNotEnough) {
  FakeClock clock;
  FakeProber prober;
  Observation mixed = FakeProber::Serves(kNew);
  mixed.ok = false;
  mixed.detail = "several addresses, which do not serve the same";
  prober.On("tls web:443 www.example.com", {mixed});
  const auto seen = VerifyEndpoints({At("web:443")}, prober, clock, {});
  EXPECT_FALSE(seen[0].ok());
  EXPECT_EQ(seen[0].detail(), mixed.detail);
}

TEST(VerifyEndpoints, LooksOnceWithoutPatience) {
  FakeClock clock;
  FakeProber prober;
  prober.On("tls web:443 www.example.com", {FakeProber::Serves(kOld), FakeProber::Serves(kNew)});
  EXPECT_FALSE(VerifyEndpoints({At("web:443")}, prober, clock, {})[0].ok());
  EXPECT_THAT(prober.looks(), SizeIs(1));
}

TEST(VerifyEndpoints, LooksAgainUntilItsPatienceEnds) {
  FakeClock clock;
  FakeProber prober;
  prober.On("tls web:443 www.example.com", {FakeProber::Serves(kOld)});
  VerifyOptions options;
  options.patience = absl::Seconds(2);
  options.pause = absl::Milliseconds(500);
  EXPECT_FALSE(VerifyEndpoints({At("web:443")}, prober, clock, options)[0].ok());
  EXPECT_THAT(prober.looks(), SizeIs(5));
  EXPECT_EQ(clock.slept(), absl::Seconds(2));
}

TEST(VerifyEndpoints, IsNotContentWithAnythingWhereNothingIsExpected) {
  FakeClock clock;
  FakeProber prober;
  prober.Otherwise([](const ProbeSpec&) { return FakeProber::Serves(kOld); });
  ExpectedEndpoint endpoint = At("web:443");
  endpoint.leaf_sha256.clear();
  const auto seen = VerifyEndpoints({endpoint}, prober, clock, {});
  EXPECT_FALSE(seen[0].ok());
  EXPECT_EQ(seen[0].served_sha256(), kOld);
}

TEST(VerifyEndpoints, KeepsTheOrderOfManyEndpoints) {
  FakeClock clock;
  FakeProber prober;
  prober.Otherwise([](const ProbeSpec&) { return FakeProber::Serves(kNew); });
  std::vector<ExpectedEndpoint> endpoints;
  endpoints.reserve(500);
  for (int i = 0; i < 500; ++i) endpoints.push_back(At(absl::StrCat("web-", i, ":443")));
  const auto seen = VerifyEndpoints(endpoints, prober, clock, {});
  for (int i = 0; i < 500; ++i) EXPECT_EQ(seen[i].address(), endpoints[i].address);
  EXPECT_THAT(prober.looks(), SizeIs(500));
}

// Names that a test gives addresses.
class NamedAddresses final : public Resolver {
 public:
  std::map<std::string, std::vector<std::string>> names;

  absl::StatusOr<std::vector<SocketAddress>> Resolve(const HostPort& host, absl::Duration timeout) override {
    if (IsNumericAddress(host.host)) return Resolver::Local().Resolve(host, timeout);
    absl::MutexLock lock(&mutex_);
    ++lookups_;
    const auto found = names.find(host.host);
    if (found == names.end()) return Fail(Reason::NO_ROUTE, "no address of " + host.host, "is it spelt right?");
    std::vector<SocketAddress> addresses;
    for (const std::string& address : found->second) {
      addresses.push_back(Resolver::Local().Resolve({address, host.port}, timeout).value().front());
    }
    return addresses;
  }
  int lookups() const {
    absl::MutexLock lock(&mutex_);
    return lookups_;
  }

 private:
  mutable absl::Mutex mutex_;
  int lookups_ ABSL_GUARDED_BY(mutex_) = 0;
};

TEST(VerifyEveryAddress, FindsTheOneAddressOfANameThatServesTheOldOne) {
  FakeClock clock;
  FakeProber prober;
  NamedAddresses resolver;
  resolver.names["web.example.com"] = {"192.0.2.1", "2001:db8::1", "192.0.2.1"};
  prober.On("tls 192.0.2.1:443 www.example.com", {FakeProber::Serves(kNew)});
  prober.On("tls [2001:db8::1]:443 www.example.com", {FakeProber::Serves(kOld)});
  size_t lines = 0;
  const auto seen = VerifyEveryAddress({At("web.example.com:443")}, resolver, prober, clock, {},
                                       [&](size_t count) { lines = count; });
  ASSERT_THAT(seen, SizeIs(2)) << "an address that is named twice is one";
  EXPECT_EQ(lines, 2u);
  EXPECT_EQ(seen[0].address(), "web.example.com:443");
  EXPECT_EQ(seen[0].ip_address(), "192.0.2.1:443");
  EXPECT_TRUE(seen[0].ok()) << seen[0].detail();
  EXPECT_EQ(seen[1].address(), "web.example.com:443");
  EXPECT_EQ(seen[1].ip_address(), "[2001:db8::1]:443");
  EXPECT_FALSE(seen[1].ok());
  EXPECT_EQ(seen[1].served_sha256(), kOld);
}

TEST(VerifyEveryAddress, LooksANameUpOnceForAllItsEndpoints) {
  FakeClock clock;
  FakeProber prober;
  prober.Otherwise([](const ProbeSpec&) { return FakeProber::Serves(kNew); });
  NamedAddresses resolver;
  resolver.names["web.example.com"] = {"192.0.2.1", "192.0.2.2"};
  ExpectedEndpoint api = At("web.example.com:443");
  api.server_name = "api.example.com";
  const auto seen =
      VerifyEveryAddress({At("web.example.com:443"), api, At("192.0.2.3:443")}, resolver, prober, clock, {}, {});
  ASSERT_THAT(seen, SizeIs(5));
  EXPECT_EQ(seen[2].server_name(), "api.example.com");
  EXPECT_EQ(seen[2].ip_address(), "192.0.2.1:443");
  EXPECT_EQ(seen[4].ip_address(), "") << "it is one already";
  EXPECT_EQ(resolver.lookups(), 1);
}

TEST(VerifyEveryAddress, ANameWithoutAnAddressIsALineThatIsNotOk) {
  FakeClock clock;
  FakeProber prober;
  NamedAddresses resolver;
  const auto seen = VerifyEveryAddress({At("typo.example.com:443")}, resolver, prober, clock, {}, {});
  ASSERT_THAT(seen, SizeIs(1));
  EXPECT_FALSE(seen[0].ok());
  EXPECT_EQ(seen[0].detail(), "no address of typo.example.com (is it spelt right?)");
  EXPECT_THAT(prober.looks(), SizeIs(0));
}

TEST(VerifyEveryAddress, TellsOfEachOnce) {
  FakeClock clock;
  FakeProber prober;
  prober.Otherwise([](const ProbeSpec&) { return FakeProber::Serves(kNew); });
  NamedAddresses resolver;
  std::vector<ExpectedEndpoint> endpoints;
  for (int i = 0; i < 200; ++i) endpoints.push_back(At(absl::StrCat("192.0.2.", i, ":443")));
  VerifyOptions options;
  int told = 0;
  options.on_look = [&](const v1::VerifyResponse::Endpoint& endpoint) { told += endpoint.ok(); };
  EXPECT_THAT(VerifyEveryAddress(endpoints, resolver, prober, clock, options, {}), SizeIs(200));
  EXPECT_EQ(told, 200);
}

// Over real sockets: a name with an IPv4 and an IPv6 address on one port, and another certificate behind each.
TEST(VerifyEveryAddress, ShakesHandsOverIpv4AndIpv6) {
  const IssuedCertificate wanted = TestCa::SelfSigned({.dns_names = {"www.example.com"}});
  const IssuedCertificate old = TestCa::SelfSigned({.dns_names = {"www.example.com"}});
  LocalTlsServer v6(old.fullchain_pem, old.key_pem.ExposeSecret(), /*is_v6=*/true);
  LocalTlsServer v4(wanted.fullchain_pem, wanted.key_pem.ExposeSecret(), /*is_v6=*/false, v6.port());
  NamedAddresses resolver;
  resolver.names["web.example.com"] = {"127.0.0.1", "::1"};
  ExpectedEndpoint endpoint = At(absl::StrCat("web.example.com:", v6.port()));
  endpoint.leaf_sha256 = wanted.certificate.sha256();
  const std::unique_ptr<Prober> prober = Prober::Over(resolver, ProcessRunner::Real());
  auto seen = VerifyEveryAddress({endpoint}, resolver, *prober, Clock::Real(), {}, {});
  ASSERT_THAT(seen, SizeIs(2));
  EXPECT_TRUE(seen[0].ok()) << seen[0].detail();
  EXPECT_FALSE(seen[1].ok());
  EXPECT_EQ(seen[1].ip_address(), absl::StrCat("[::1]:", v6.port()));
  EXPECT_EQ(seen[1].served_sha256(), old.certificate.sha256());

  v6.Serve(wanted.fullchain_pem, wanted.key_pem.ExposeSecret());
  seen = VerifyEveryAddress({endpoint}, resolver, *prober, Clock::Real(), {}, {});
  ASSERT_THAT(seen, SizeIs(2));
  EXPECT_TRUE(seen[0].ok() && seen[1].ok()) << seen[1].detail();
  EXPECT_THAT(v6.server_names(), ::testing::Each("www.example.com"));
}

}  // namespace
}  // namespace certcast::controller
