#include "controller/rollout/verify.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/fake_prober.h"

namespace certcast::controller {
namespace {

using certcast::testing::FakeClock;
using certcast::testing::FakeProber;
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

}  // namespace
}  // namespace certcast::controller
