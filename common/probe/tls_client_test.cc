#include "common/probe/tls_client.h"

#include <openssl/ssl.h>

#include <string>
#include <vector>

#include "common/x509/certificate.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/local_tcp_server.h"
#include "tests/testing/local_tls_server.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/test_ca.h"

namespace certcast {
namespace {

using ::certcast::testing::HasCode;
using ::certcast::testing::HasReason;
using ::certcast::testing::IsOk;
using ::certcast::testing::IssuedCertificate;
using ::certcast::testing::LocalTlsServer;
using ::certcast::testing::RefusingPort;
using ::certcast::testing::SilentServer;
using ::certcast::testing::TalkingServer;
using ::certcast::testing::TestCa;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr absl::Duration kEnough = absl::Seconds(20);

// One fleet: a CA, a node that serves, and the controller's certificate.
class TlsClientTest : public ::testing::Test {
 protected:
  TlsClientTest() : server_(node_.fullchain_pem, node_.key_pem.ExposeSecret()) {}

  // With `client` as our certificate, and `root_` trusted.
  absl::Status HandshakeAs(const IssuedCertificate* client, absl::string_view name = "web-01.test") {
    TlsOptions options;
    options.roots = &roots_;
    options.listen = listen_;
    std::vector<Certificate> chain;
    if (client != nullptr) {
      chain = *ParseChainPem(client->fullchain_pem);
      options.chain = &chain;
      options.key = &client->key;
    }
    return TlsHandshake(server_.address(), name, options, kEnough).status();
  }

  static absl::Status Look(const std::string& address, absl::Duration timeout = kEnough) {
    return TlsHandshake(address, "web-01.test", {}, timeout).status();
  }

  TestCa root_ = TestCa::Root("Fleet CA");
  TestCa intermediate_ = root_.Intermediate("Intermediate");
  IssuedCertificate node_ = intermediate_.Issue({.dns_names = {"web-01.test"}, .ip_addresses = {"127.0.0.1"}});
  std::vector<Certificate> roots_ = {root_.certificate()};
  absl::Duration listen_ = absl::ZeroDuration();
  LocalTlsServer server_;
};

TEST_F(TlsClientTest, ReturnsTheChainThatIsServed) {
  const auto peer = TlsHandshake(server_.address(), "web-01.test", {}, kEnough);
  ASSERT_THAT(peer, IsOk());
  EXPECT_EQ(peer->leaf_sha256, node_.certificate.sha256());
  EXPECT_EQ(peer->version, "TLSv1.3");
  EXPECT_EQ(peer->ChainSha256(),
            (std::vector<std::string>{node_.certificate.sha256(), intermediate_.certificate().sha256()}));
  EXPECT_EQ(peer->Leaf().value().der(), node_.certificate.der());
}

TEST_F(TlsClientTest, SpeaksTls12) {
  server_.LimitVersion(TLS1_2_VERSION);
  EXPECT_EQ(TlsHandshake(server_.address(), "web-01.test", {}, kEnough)->version, "TLSv1.2");
}

TEST_F(TlsClientTest, SpeaksNothingOlder) {
  server_.LimitVersion(TLS1_1_VERSION);
  EXPECT_THAT(Look(server_.address()), HasReason(Reason::PROTOCOL));
}

TEST_F(TlsClientTest, SendsNamesButNoNumbersAsServerName) {
  EXPECT_THAT(TlsHandshake(server_.address(), "web-01.test", {}, kEnough), IsOk());
  EXPECT_THAT(TlsHandshake(server_.address(), "127.0.0.1", {}, kEnough), IsOk());
  EXPECT_THAT(TlsHandshake(server_.address(), "", {}, kEnough), IsOk());
  EXPECT_THAT(server_.server_names(), ElementsAre("web-01.test", "", ""));
}

TEST_F(TlsClientTest, SeesWhatNobodyWouldTrust) {
  const IssuedCertificate bad = TestCa::SelfSigned(
      {.dns_names = {"other.test"}, .not_after = absl::FromUnixSeconds(1600000000), .key_type = KeyType::kRsa2048});
  server_.Serve(bad.fullchain_pem, bad.key_pem.ExposeSecret());
  EXPECT_EQ(TlsHandshake(server_.address(), "web-01.test", {}, kEnough)->leaf_sha256, bad.certificate.sha256());
}

TEST_F(TlsClientTest, AcceptsATrustedServer) {
  EXPECT_THAT(HandshakeAs(nullptr), IsOk());
  EXPECT_THAT(HandshakeAs(nullptr, ""), IsOk()) << "127.0.0.1 is in the certificate";
}

TEST_F(TlsClientTest, SaysThatTheServersNameIsAnother) {
  EXPECT_THAT(HandshakeAs(nullptr, "web-02.test"),
              HasReason(Reason::AUTH_FAILED, AllOf(HasSubstr("ostname mismatch"), HasSubstr("web-01.test"))));
}

TEST_F(TlsClientTest, SaysThatTheServersCertificateHasExpired) {
  const IssuedCertificate old =
      root_.Issue({.dns_names = {"web-01.test"}, .not_after = absl::FromUnixSeconds(1700000000)});
  server_.Serve(old.fullchain_pem, old.key_pem.ExposeSecret());
  EXPECT_THAT(HandshakeAs(nullptr),
              HasReason(Reason::AUTH_FAILED, AllOf(HasSubstr("expired"), HasSubstr("web-01.test, until 2023-11-14"))));
}

TEST_F(TlsClientTest, SaysThatTheServerIsFromAnotherCa) {
  const IssuedCertificate foreign = TestCa::Root("Other CA").Issue({.dns_names = {"web-01.test"}});
  server_.Serve(foreign.fullchain_pem, foreign.key_pem.ExposeSecret());
  const absl::Status refused = HandshakeAs(nullptr);
  EXPECT_THAT(refused, HasReason(Reason::AUTH_FAILED, HasSubstr("certificate of 127.0.0.1")));
  EXPECT_THAT(FailureOf(refused).hint(), HasSubstr("one fleet"));
}

// The server's answer comes after our side of the handshake is done in TLS 1.3, and during it in TLS 1.2.
class MutualTlsTest : public TlsClientTest, public ::testing::WithParamInterface<int> {
 protected:
  MutualTlsTest() {
    server_.LimitVersion(GetParam());
    server_.DemandClientCertificate(root_.root_pem());
    // Long enough for any answer; silence is not waited for.
    listen_ = absl::Seconds(10);
  }
};

INSTANTIATE_TEST_SUITE_P(All, MutualTlsTest, ::testing::Values(TLS1_2_VERSION, TLS1_3_VERSION),
                         [](const auto& info) { return info.param == TLS1_2_VERSION ? "Tls12" : "Tls13"; });

TEST_P(MutualTlsTest, ClientOfTheFleetGetsIn) {
  const IssuedCertificate client = intermediate_.Issue({.dns_names = {"controller.test"}});
  TlsOptions options;
  const std::vector<Certificate> chain = *ParseChainPem(client.fullchain_pem);
  options.chain = &chain;
  options.key = &client.key;
  options.listen = absl::Milliseconds(50);
  EXPECT_THAT(TlsHandshake(server_.address(), "web-01.test", options, kEnough), IsOk());
}

TEST_P(MutualTlsTest, ClientWithoutACertificateIsToldSo) {
  const absl::Status refused = HandshakeAs(nullptr);
  if (GetParam() == TLS1_3_VERSION) {
    EXPECT_THAT(refused, HasReason(Reason::AUTH_FAILED, HasSubstr("certificate required")));
    EXPECT_THAT(FailureOf(refused).hint(), HasSubstr("client certificate"));
  } else {
    // TLS 1.2 has no alert of its own for that (RFC 5246 section 7.2.2).
    EXPECT_THAT(refused, HasReason(Reason::PROTOCOL, HasSubstr("handshake failure")));
  }
}

TEST_P(MutualTlsTest, ExpiredClientIsToldSo) {
  const IssuedCertificate client =
      root_.Issue({.dns_names = {"controller.test"}, .not_after = absl::FromUnixSeconds(1700000000)});
  const absl::Status refused = HandshakeAs(&client);
  EXPECT_THAT(refused, HasReason(Reason::AUTH_FAILED, HasSubstr("certificate expired")));
  EXPECT_THAT(FailureOf(refused).hint(), HasSubstr("our certificate has expired"));
}

TEST_P(MutualTlsTest, ClientOfAnotherFleetIsToldSo) {
  const IssuedCertificate client = TestCa::Root("Other CA").Issue({.dns_names = {"controller.test"}});
  const absl::Status refused = HandshakeAs(&client);
  EXPECT_THAT(refused, HasReason(Reason::AUTH_FAILED, HasSubstr("unknown CA")));
  EXPECT_THAT(FailureOf(refused).hint(), HasSubstr("CA of our certificate"));
}

TEST_F(TlsClientTest, RefusesAKeyThatIsNotTheCertificates) {
  const IssuedCertificate other = root_.Issue({.dns_names = {"controller.test"}});
  TlsOptions options;
  const std::vector<Certificate> chain = {node_.certificate};
  options.chain = &chain;
  options.key = &other.key;
  EXPECT_THAT(TlsHandshake(server_.address(), "", options, kEnough), HasReason(Reason::KEY_MISMATCH));
}

TEST_F(TlsClientTest, SaysThatNothingListens) {
  const RefusingPort port;
  const absl::Status failed = Look(port.address());
  EXPECT_THAT(failed, HasReason(Reason::NO_ROUTE, AllOf(HasSubstr(port.address()), HasSubstr("refused"))));
  EXPECT_THAT(FailureOf(failed).hint(), HasSubstr("nothing listens"));
}

TEST_F(TlsClientTest, GivesUpOnAServerThatSaysNothing) {
  const SilentServer server;
  const absl::Time start = absl::Now();
  EXPECT_THAT(Look(server.address(), absl::Milliseconds(100)),
              HasReason(Reason::TIMED_OUT, HasSubstr(server.address())));
  EXPECT_LT(absl::Now() - start, absl::Seconds(10));
}

TEST_F(TlsClientTest, SaysThatItIsNotTls) {
  for (const absl::string_view garbage :
       {"HTTP/1.1 400 Bad Request\r\n\r\n", "SSH-2.0-OpenSSH_9.2\r\n", "220 mail\r\n"}) {
    const TalkingServer server(garbage);
    EXPECT_THAT(Look(server.address()), HasReason(Reason::PROTOCOL, HasSubstr("not TLS"))) << garbage;
  }
}

TEST_F(TlsClientTest, SaysThatTheConnectionWasClosed) {
  const TalkingServer server("");
  EXPECT_THAT(Look(server.address()), HasReason(Reason::LINK_LOST, HasSubstr("closed the connection")));
}

TEST_F(TlsClientTest, RefusesWhatIsNoAddress) {
  EXPECT_THAT(Look("web-01"), HasCode(absl::StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace certcast
