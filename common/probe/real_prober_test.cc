#include <string>

#include "absl/strings/str_cat.h"
#include "common/probe/probe.h"
#include "common/probe/resolver.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/fake_process_runner.h"
#include "tests/testing/local_tcp_server.h"
#include "tests/testing/local_tls_server.h"
#include "tests/testing/test_ca.h"

namespace certcast {
namespace {

using ::certcast::testing::FakeProcessRunner;
using ::certcast::testing::IssuedCertificate;
using ::certcast::testing::LocalTlsServer;
using ::certcast::testing::RefusingPort;
using ::certcast::testing::SilentServer;
using ::certcast::testing::TalkingServer;
using ::certcast::testing::TestCa;
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
  EXPECT_EQ((ProbeSpec{.what = HttpProbe{"http://a/", "b"}}).Describe(), "http http://a/ b");
  EXPECT_EQ((ProbeSpec{.what = TcpProbe{"a:1"}}).Describe(), "tcp a:1");
  EXPECT_EQ((ProbeSpec{.what = CommandProbe{{"a", "b c"}}}).Describe(), "command a b c");
}

}  // namespace
}  // namespace certcast
