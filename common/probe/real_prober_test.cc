#include <openssl/ssl.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/probe/probe.h"
#include "common/probe/resolver.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/fake_process_runner.h"
#include "tests/testing/local_tcp_server.h"
#include "tests/testing/local_tls_server.h"
#include "tests/testing/program.h"
#include "tests/testing/start_tls_scripts.h"
#include "tests/testing/temporary_directory.h"
#include "tests/testing/test_ca.h"

namespace certcast {
namespace {

using ::certcast::testing::FakeProcessRunner;
using ::certcast::testing::IssuedCertificate;
using ::certcast::testing::LocalTlsServer;
using ::certcast::testing::RefusingPort;
using ::certcast::testing::SilentServer;
using ::certcast::testing::StartTlsScript;
using ::certcast::testing::TalkingServer;
using ::certcast::testing::TestCa;
using ::certcast::testing::WriteFile;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class RealProberTest : public ::testing::Test {
 protected:
  RealProberTest() : server_(old_.fullchain_pem, old_.key_pem.ExposeSecret()) {}

  Observation Look(decltype(ProbeSpec::what) what, absl::Duration timeout = absl::Seconds(20)) {
    return prober_->Look({.what = std::move(what)}, timeout);
  }
  void Swap(const IssuedCertificate& to) { server_.Serve(to.fullchain_pem, to.key_pem.ExposeSecret()); }
  std::string Https(absl::string_view path) const { return absl::StrCat("https://", server_.address(), path); }

  TestCa root_ = TestCa::Root();
  IssuedCertificate old_ = root_.Issue({.dns_names = {"www.test"}});
  IssuedCertificate new_ = root_.Issue({.dns_names = {"www.test"}});
  LocalTlsServer server_;
  FakeProcessRunner processes_;
  std::unique_ptr<Prober> prober_ = Prober::Over(Resolver::Local(), processes_);
};

TEST_F(RealProberTest, SeesASwapOnTheNextLook) {
  const TlsProbe probe = {.address = server_.address(), .server_name = "www.test"};
  const Observation before = Look(probe);
  EXPECT_TRUE(before.ok) << before.detail;
  EXPECT_EQ(before.served_sha256, old_.certificate.sha256());
  Swap(new_);
  EXPECT_EQ(Look(probe).served_sha256, new_.certificate.sha256());
}

TEST_F(RealProberTest, SeesWhatIsServedForEachName) {
  server_.ServeName("new.test", new_.fullchain_pem, new_.key_pem.ExposeSecret());
  EXPECT_EQ(Look(TlsProbe{server_.address(), "new.test"}).served_sha256, new_.certificate.sha256());
  EXPECT_EQ(Look(TlsProbe{server_.address(), "old.test"}).served_sha256, old_.certificate.sha256());
}

TEST_F(RealProberTest, TlsSaysWhatStoppedIt) {
  const RefusingPort refusing;
  const Observation refused = Look(TlsProbe{refusing.address(), "www.test"});
  EXPECT_FALSE(refused.ok);
  EXPECT_EQ(refused.served_sha256, "");
  EXPECT_THAT(refused.detail, HasSubstr("refused"));
  EXPECT_THAT(refused.detail, HasSubstr("nothing listens there"));
  const SilentServer silent;
  EXPECT_THAT(Look(TlsProbe{silent.address(), "www.test"}, absl::Milliseconds(100)).detail, HasSubstr("timed out"));
  const TalkingServer garbage("+OK hello\r\n");
  EXPECT_THAT(Look(TlsProbe{garbage.address(), "www.test"}).detail, HasSubstr("not TLS"));
}

TEST_F(RealProberTest, TlsKnowsNamesFromHostsAlone) {
  EXPECT_TRUE(Look(TlsProbe{absl::StrCat("localhost:", server_.port()), "www.test"}).ok);
  EXPECT_THAT(Look(TlsProbe{"certcast.invalid:443", ""}).detail, HasSubstr("not in /etc/hosts"));
}

TEST_F(RealProberTest, SeesTheWholeChain) {
  const TestCa intermediate = root_.Intermediate();
  const IssuedCertificate leaf = intermediate.Issue({.dns_names = {"www.test"}});
  Swap(leaf);
  EXPECT_THAT(Look(TlsProbe{server_.address(), "www.test"}).chain_sha256,
              ElementsAre(leaf.certificate.sha256(), intermediate.certificate().sha256()));
  Swap(old_);
  EXPECT_THAT(Look(TlsProbe{server_.address(), "www.test"}).chain_sha256, ElementsAre(old_.certificate.sha256()));
}

class StartTlsTest : public RealProberTest, public ::testing::WithParamInterface<StartTlsName> {};

INSTANTIATE_TEST_SUITE_P(All, StartTlsTest, ::testing::ValuesIn(StartTlsNames()),
                         [](const auto& info) { return std::string(info.param.name); });

TEST_P(StartTlsTest, SeesWhatIsServedOnTheSameConnection) {
  server_.TalkFirst(StartTlsScript(GetParam().protocol));
  TlsProbe probe = {.address = server_.address(), .server_name = "www.test"};
  probe.starttls = GetParam().protocol;
  const Observation seen = Look(probe);
  EXPECT_TRUE(seen.ok) << seen.detail;
  EXPECT_EQ(seen.served_sha256, old_.certificate.sha256());
  EXPECT_THAT(server_.server_names(), ElementsAre("www.test"));
}

TEST_P(StartTlsTest, GivesUpOnAServerThatSaysNothing) {
  const SilentServer silent;
  TlsProbe probe = {.address = silent.address(), .server_name = "www.test"};
  probe.starttls = GetParam().protocol;
  EXPECT_THAT(Look(probe, absl::Milliseconds(100)).detail,
              AllOf(HasSubstr(absl::StrCat(GetParam().name, " ")), HasSubstr("timed out")));
}

TEST_P(StartTlsTest, SaysThatTheServerClosed) {
  const TalkingServer closes("");
  TlsProbe probe = {.address = closes.address(), .server_name = "www.test"};
  probe.starttls = GetParam().protocol;
  EXPECT_THAT(Look(probe).detail, HasSubstr("the server closed the connection"));
}

TEST_F(RealProberTest, LooksOverIpv6) {
  const LocalTlsServer v6(new_.fullchain_pem, new_.key_pem.ExposeSecret(), /*is_v6=*/true);
  const Observation seen = Look(TlsProbe{v6.address(), "www.test"});
  EXPECT_TRUE(seen.ok) << seen.detail;
  EXPECT_EQ(seen.served_sha256, new_.certificate.sha256());
  EXPECT_TRUE(Look(HttpProbe{.url = absl::StrCat("https://", v6.address(), "/"), .host = "www.test"}).ok);
  EXPECT_TRUE(Look(TcpProbe{v6.address()}).ok);
}

// A name that leads to 127.0.0.1 and ::1.
class TwoAddresses final : public Resolver {
 public:
  absl::StatusOr<std::vector<SocketAddress>> Resolve(const HostPort& host, absl::Duration timeout) override {
    if (IsNumericAddress(host.host)) return Resolver::Local().Resolve(host, timeout);
    std::vector<SocketAddress> both = Resolver::Local().Resolve({"127.0.0.1", host.port}, timeout).value();
    both.push_back(Resolver::Local().Resolve({"::1", host.port}, timeout).value().front());
    return both;
  }
};

class TwoAddressesTest : public RealProberTest {
 protected:
  TwoAddressesTest() { prober_ = Prober::Over(resolver_, processes_); }
  TlsProbe ByName() const { return {.address = absl::StrCat("both.test:", server_.port()), .server_name = "www.test"}; }

  TwoAddresses resolver_;
};

TEST_F(TwoAddressesTest, ListenerThatWasForgottenIsFound) {
  LocalTlsServer other(new_.fullchain_pem, new_.key_pem.ExposeSecret(), /*is_v6=*/true, server_.port());
  const Observation mixed = Look(ByName());
  EXPECT_FALSE(mixed.ok);
  EXPECT_THAT(mixed.detail, AllOf(HasSubstr("do not serve the same"), HasSubstr(new_.certificate.sha256())));
  Swap(new_);
  const Observation same = Look(ByName());
  EXPECT_TRUE(same.ok) << same.detail;
  EXPECT_EQ(same.served_sha256, new_.certificate.sha256());
}

TEST_F(TwoAddressesTest, AddressWhereNothingListensIsPassedOver) {
  const Observation seen = Look(ByName());
  EXPECT_TRUE(seen.ok) << seen.detail;
  EXPECT_EQ(seen.served_sha256, old_.certificate.sha256());
}

TEST_F(TwoAddressesTest, NoneAtAllIsRefused) {
  const RefusingPort refusing;
  const Observation seen = Look(TlsProbe{absl::StrCat("both.test:", refusing.port()), "www.test"});
  EXPECT_FALSE(seen.ok);
  EXPECT_THAT(seen.detail, AllOf(HasSubstr("both.test"), HasSubstr("refused")));
}

class ClientCertificateTest : public RealProberTest {
 protected:
  ClientCertificateTest() {
    const IssuedCertificate client = root_.Issue({.dns_names = {"client.test"}});
    EXPECT_TRUE(WriteFile(directory_.path() + "/client.pem", client.fullchain_pem, 0644).ok());
    EXPECT_TRUE(WriteFile(directory_.path() + "/client.key", client.key_pem.ExposeSecret(), 0600).ok());
    EXPECT_TRUE(WriteFile(directory_.path() + "/open.key", client.key_pem.ExposeSecret(), 0644).ok());
    server_.DemandClientCertificate(root_.root_pem());
    // Here the server has looked at our certificate before the handshake ends.
    server_.LimitVersion(TLS1_2_VERSION);
  }
  ClientCertificate Client(absl::string_view key) const {
    return {.certificate_file = directory_.path() + "/client.pem",
            .key = {.kind = SecretReference::Kind::kFile, .name = absl::StrCat(directory_.path(), "/", key)}};
  }

  testing::TemporaryDirectory directory_;
};

TEST_F(ClientCertificateTest, IsShown) {
  TlsProbe tls = {.address = server_.address(), .server_name = "www.test"};
  EXPECT_FALSE(Look(tls).ok);
  tls.client = Client("client.key");
  EXPECT_TRUE(Look(tls).ok) << Look(tls).detail;
  HttpProbe http = {.url = Https("/"), .host = "www.test"};
  EXPECT_FALSE(Look(http).ok);
  http.client = Client("client.key");
  EXPECT_TRUE(Look(http).ok) << Look(http).detail;
}

TEST_F(ClientCertificateTest, KeyThatOthersMayReadIsRefused) {
  TlsProbe tls = {.address = server_.address(), .server_name = "www.test"};
  tls.client = Client("open.key");
  EXPECT_THAT(Look(tls).detail, AllOf(HasSubstr("client certificate"), HasSubstr("open.key")));
  tls.client = Client("missing.key");
  EXPECT_THAT(Look(tls).detail, HasSubstr("missing.key"));
  tls.client = Client("client.key");
  tls.client.certificate_file = "/missing.pem";
  EXPECT_THAT(Look(tls).detail, HasSubstr("/missing.pem"));
}

TEST_F(RealProberTest, HttpsSeesTheBody) {
  server_.Answer("HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\nstatus: good");
  HttpProbe probe = {.url = Https("/"), .host = "www.test"};
  const auto look = [&](BodyPattern::Kind kind, const std::string& text) {
    probe.body = {kind, text};
    return Look(probe);
  };
  EXPECT_TRUE(look(BodyPattern::Kind::kContains, "us: g").ok);
  EXPECT_TRUE(look(BodyPattern::Kind::kMatches, "^status: (good|fine)$").ok);
  EXPECT_THAT(look(BodyPattern::Kind::kContains, "g.od").detail,
              HasSubstr(R"(the body does not contain "g.od"; it begins "status: good")"));
  const Observation failed = look(BodyPattern::Kind::kMatches, "^good");
  EXPECT_THAT(failed.detail, HasSubstr(R"(the body does not match "^good")"));
  EXPECT_EQ(failed.served_sha256, old_.certificate.sha256());
}

TEST_F(RealProberTest, ARedirectIsReportedAndNotFollowed) {
  server_.Answer(absl::StrCat("HTTP/1.1 301 Moved Permanently\r\nLocation: ", Https("/else"), "\r\n\r\n"));
  HttpProbe probe = {.url = Https("/"), .host = "www.test"};
  EXPECT_THAT(Look(probe).detail, HasSubstr("301, not 200"));
  EXPECT_EQ(Look(probe).location, "");
  probe.body = {BodyPattern::Kind::kContains, "good"};
  const Observation seen = Look(probe);
  EXPECT_THAT(seen.detail, HasSubstr("301, not 200"));
  EXPECT_EQ(seen.location, Https("/else"));
  EXPECT_THAT(server_.requests(), ::testing::Each(HasSubstr("GET / HTTP/1.1")));
}

TEST_F(RealProberTest, HttpsSeesStatusAndFingerprint) {
  const Observation seen = Look(HttpProbe{.url = Https("/healthz"), .host = "www.test", .status = 200});
  EXPECT_TRUE(seen.ok) << seen.detail;
  EXPECT_EQ(seen.served_sha256, old_.certificate.sha256());
  EXPECT_THAT(server_.server_names(), ElementsAre("www.test"));
  EXPECT_THAT(server_.requests(), ElementsAre(HasSubstr("GET /healthz HTTP/1.1\r\nHost: www.test\r\n")));
}

TEST_F(RealProberTest, HttpsTakesNoPortAsServerName) {
  EXPECT_TRUE(Look(HttpProbe{.url = Https("/"), .host = "www.test:8443"}).ok);
  EXPECT_THAT(server_.server_names(), ElementsAre("www.test"));
  EXPECT_THAT(server_.requests(), ElementsAre(HasSubstr("Host: www.test:8443\r\n")));
}

TEST_F(RealProberTest, HttpsSaysTheOtherStatus) {
  server_.Answer("HTTP/1.1 502 Bad Gateway\r\n\r\n");
  const Observation seen = Look(HttpProbe{.url = Https("/"), .host = "www.test"});
  EXPECT_FALSE(seen.ok);
  EXPECT_EQ(seen.served_sha256, old_.certificate.sha256());
  EXPECT_THAT(seen.detail, HasSubstr("502, not 200"));
  EXPECT_TRUE(Look(HttpProbe{.url = Https("/"), .host = "www.test", .status = 502}).ok);
}

TEST_F(RealProberTest, HttpsGivesUpOnAServerThatNeverAnswers) {
  server_.Answer("");
  EXPECT_FALSE(Look(HttpProbe{.url = Https("/")}).ok);
  const SilentServer silent;
  EXPECT_THAT(Look(HttpProbe{.url = "http://" + silent.address() + "/"}, absl::Milliseconds(100)).detail,
              HasSubstr("timed out"));
}

TEST_F(RealProberTest, PlainHttpHasNoFingerprint) {
  const TalkingServer server("HTTP/1.1 204 No Content\r\n\r\n");
  const Observation seen = Look(HttpProbe{.url = "http://" + server.address(), .status = 204});
  EXPECT_TRUE(seen.ok) << seen.detail;
  EXPECT_EQ(seen.served_sha256, "");
}

TEST_F(RealProberTest, HttpSaysThatItIsNotHttp) {
  const TalkingServer server("SSH-2.0-OpenSSH_9.2\r\n");
  EXPECT_THAT(Look(HttpProbe{.url = "http://" + server.address()}).detail, HasSubstr("not HTTP/1"));
  EXPECT_THAT(Look(HttpProbe{.url = "gopher://x/"}).detail, HasSubstr("not a URL"));
}

TEST_F(RealProberTest, TcpOnlyConnects) {
  const SilentServer silent;
  const RefusingPort refusing;
  EXPECT_TRUE(Look(TcpProbe{silent.address()}).ok);
  const Observation refused = Look(TcpProbe{refusing.address()});
  EXPECT_FALSE(refused.ok);
  EXPECT_THAT(refused.detail, HasSubstr(refusing.address()));
}

TEST_F(RealProberTest, CommandMustExitWithZero) {
  processes_.On({"check-mail", "-v"}, FakeProcessRunner::Exits(0));
  EXPECT_TRUE(Look(CommandProbe{{"check-mail", "-v"}}, absl::Seconds(7)).ok);
  EXPECT_EQ(processes_.requests().at(0).timeout, absl::Seconds(7));
  processes_.On({"check-mail", "-v"}, FakeProcessRunner::Exits(2, "connecting...\nno greeting\n\n"));
  const Observation failed = Look(CommandProbe{{"check-mail", "-v"}});
  EXPECT_FALSE(failed.ok);
  EXPECT_EQ(failed.detail, "check-mail exited with 2: no greeting");
  processes_.On({"check-mail", "-v"}, FakeProcessRunner::Hangs());
  EXPECT_THAT(Look(CommandProbe{{"check-mail", "-v"}}).detail, HasSubstr("did not end within 20s"));
  EXPECT_FALSE(Look(CommandProbe{{"missing"}}).ok);
}

TEST(ProbeSpecTest, DescribesItselfAsInTheConfiguration) {
  EXPECT_EQ((ProbeSpec{.what = TlsProbe{"127.0.0.1:443", "www.example.com"}}).Describe(),
            "tls 127.0.0.1:443 www.example.com");
  EXPECT_EQ((ProbeSpec{.what = TlsProbe{"127.0.0.1:443", ""}}).Describe(), "tls 127.0.0.1:443");
  TlsProbe mail = {.address = "[::1]:25", .server_name = "mail.test"};
  mail.starttls = StartTlsProtocol::kSmtp;
  mail.expects_chain = true;
  EXPECT_EQ(ProbeSpec{.what = mail}.Describe(), "tls [::1]:25 mail.test starttls smtp chain");
  mail = {.address = "a:1", .server_name = "b", .client = {.certificate_file = "/c.pem", .key = {}}};
  EXPECT_EQ(ProbeSpec{.what = mail}.Describe(), "tls a:1 b client /c.pem");
  HttpProbe http = {.url = "http://a/", .host = "", .status = 404, .body = {BodyPattern::Kind::kContains, "x y"}};
  EXPECT_EQ(ProbeSpec{.what = http}.Describe(), "http http://a/ status 404 body contains x y");
  http.body.kind = BodyPattern::Kind::kMatches;
  EXPECT_EQ(ProbeSpec{.what = http}.Describe(), "http http://a/ status 404 body matches x y");
  EXPECT_EQ((ProbeSpec{.what = HttpProbe{"http://a/", "b"}}).Describe(), "http http://a/ b");
  EXPECT_EQ((ProbeSpec{.what = TcpProbe{"a:1"}}).Describe(), "tcp a:1");
  EXPECT_EQ((ProbeSpec{.what = CommandProbe{{"a", "b c"}}}).Describe(), "command a b c");
}

}  // namespace
}  // namespace certcast
