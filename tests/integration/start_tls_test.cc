// Real servers that change to TLS in the middle: what probes see of them before and after a reload.
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/substitute.h"
#include "common/probe/probe.h"
#include "common/process/process.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/daemon.h"
#include "tests/testing/debian_server.h"
#include "tests/testing/program.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temporary_directory.h"
#include "tests/testing/test_ca.h"

namespace certcast {
namespace {

using ::certcast::testing::Daemon;
using ::certcast::testing::DebianServer;
using ::certcast::testing::FreePort;
using ::certcast::testing::IsOk;
using ::certcast::testing::IssuedCertificate;
using ::certcast::testing::Program;
using ::certcast::testing::ReadFile;
using ::certcast::testing::ServerPlace;
using ::certcast::testing::TemporaryDirectory;
using ::certcast::testing::TestCa;
using ::certcast::testing::WaitUntil;
using ::certcast::testing::WriteFile;
using ::testing::HasSubstr;

constexpr absl::Duration kStartTimeout = absl::Seconds(20);
constexpr absl::Duration kReloadTimeout = absl::Seconds(20);
constexpr absl::Duration kLook = absl::Seconds(5);

// It does not run as root. The test's directory is below directories that its own user alone may pass.
std::vector<std::string> AsUser(const std::string& user, std::vector<std::string> argv) {
  if (geteuid() != 0) return argv;
  std::vector<std::string> whole = {"setpriv",        "--reuid=" + user,          "--regid=" + user,
                                    "--clear-groups", "--inh-caps=+dac_override", "--ambient-caps=+dac_override"};
  whole.insert(whole.end(), argv.begin(), argv.end());
  return whole;
}

class RealServerTest : public ::testing::Test {
 protected:
  RealServerTest() { Put(old_); }

  // As certcast leaves it: one rename a file would do as well, here nobody reads in between.
  void Put(const IssuedCertificate& issued) {
    ASSERT_THAT(WriteFile(home() + "/cert.pem", issued.fullchain_pem, 0644), IsOk());
    ASSERT_THAT(WriteFile(home() + "/key.pem", issued.key_pem.ExposeSecret(), 0600), IsOk());
  }
  void ChangeOwner(const std::string& user, const std::string& path) {
    if (geteuid() != 0) return;
    const auto changed = ProcessRunner::Real().Run({.argv = {"chown", "-R", user, path}});
    ASSERT_TRUE(changed.ok() && changed->ok()) << changed->error;
  }

  Observation Look(int port, StartTlsProtocol protocol) {
    TlsProbe probe = {.address = absl::StrCat("127.0.0.1:", port), .server_name = "mail.test"};
    probe.starttls = protocol;
    return Prober::Real().Look({.what = probe}, kLook);
  }
  void ExpectServes(int port, StartTlsProtocol protocol, const IssuedCertificate& expected) {
    const absl::Status serves = WaitUntil("the certificate is served", kReloadTimeout, [&] {
      return Look(port, protocol).served_sha256 == expected.certificate.sha256();
    });
    EXPECT_THAT(serves, IsOk()) << NameOf(protocol) << ": " << Look(port, protocol).detail << "\n"
                                << ReadFile(home() + "/log");
  }

  const std::string& home() const { return directory_.path(); }
  std::string log() const { return home() + "/log"; }

  TemporaryDirectory directory_;
  TestCa root_ = TestCa::Root();
  TestCa intermediate_ = root_.Intermediate();
  IssuedCertificate old_ = intermediate_.Issue({.dns_names = {"mail.test"}});
  IssuedCertificate new_ = intermediate_.Issue({.dns_names = {"mail.test"}});
};

constexpr absl::string_view kDovecot = R"(
base_dir = $6
state_dir = $0/state
log_path = $0/log
protocols = imap pop3 lmtp
listen = 127.0.0.1
ssl = $5
ssl_cert = <$0/cert.pem
ssl_key = <$0/key.pem
default_internal_user = $1
default_login_user = $1
default_internal_group = $1
passdb {
  driver = static
  args = nopassword=y
}
userdb {
  driver = static
  args = home=/nonexistent
}
service imap-login {
  chroot =
  inet_listener imap {
    port = $2
  }
  inet_listener imaps {
    port = 0
  }
}
service pop3-login {
  chroot =
  inet_listener pop3 {
    port = $3
  }
  inet_listener pop3s {
    port = 0
  }
}
service lmtp {
  user = $1
  inet_listener lmtp {
    port = $4
  }
}
service anvil {
  chroot =
}
)";

class DovecotTest : public RealServerTest {
 protected:
  DovecotTest() {
    // Sockets have short names: the test's own directory may be too far down.
    char name[] = "/tmp/certcast.XXXXXX";
    EXPECT_NE(mkdtemp(name), nullptr);
    run_ = name;
  }
  ~DovecotTest() override {
    server_.reset();
    std::filesystem::remove_all(run_);
  }

  void Start(bool with_tls) {
    for (int* port : {&imap_, &pop3_, &lmtp_}) {
      const auto free = FreePort("127.0.0.1");
      ASSERT_THAT(free.status(), IsOk());
      *port = *free;
    }
    const auto user = ProcessRunner::Real().Run({.argv = {"id", "-un"}});
    ASSERT_TRUE(user.ok() && user->ok());
    const std::string name = geteuid() == 0 ? "dovecot" : user->output.substr(0, user->output.find('\n'));
    ASSERT_THAT(WriteFile(home() + "/dovecot.conf",
                          absl::Substitute(kDovecot, home(), name, imap_, pop3_, lmtp_, with_tls ? "yes" : "no", run_)),
                IsOk());
    ChangeOwner("dovecot", home());
    ChangeOwner("dovecot", run_);
    auto started = Program::Start({.argv = AsUser("dovecot", {"dovecot", "-F", "-c", home() + "/dovecot.conf"}),
                                   .output = home() + "/out",
                                   .error = home() + "/out",
                                   .on_death = SIGTERM});
    ASSERT_THAT(started.status(), IsOk());
    server_ = *std::move(started);
    const absl::Status listens = WaitUntil("dovecot listens", kStartTimeout, [&] {
      return Prober::Real().Look({.what = TcpProbe{absl::StrCat("127.0.0.1:", imap_)}}, kLook).ok;
    });
    ASSERT_THAT(listens, IsOk()) << ReadFile(home() + "/out") << ReadFile(log());
  }

  int imap_ = 0;
  int pop3_ = 0;
  int lmtp_ = 0;
  std::string run_;
  std::unique_ptr<Program> server_;
};

TEST_F(DovecotTest, ServesTheNewCertificateOnEveryPortAfterAReload) {
  ASSERT_NO_FATAL_FAILURE(Start(/*with_tls=*/true));
  const std::vector<std::pair<int, StartTlsProtocol>> ports = {
      {imap_, StartTlsProtocol::kImap}, {pop3_, StartTlsProtocol::kPop3}, {lmtp_, StartTlsProtocol::kLmtp}};
  for (const auto& [port, protocol] : ports) {
    ExpectServes(port, protocol, old_);
    EXPECT_EQ(Look(port, protocol).chain_sha256.size(), 2u);
  }
  Put(new_);
  server_->Signal(SIGHUP);
  for (const auto& [port, protocol] : ports) ExpectServes(port, protocol, new_);
}

TEST_F(DovecotTest, WithoutTlsOffersNone) {
  ASSERT_NO_FATAL_FAILURE(Start(/*with_tls=*/false));
  EXPECT_THAT(Look(imap_, StartTlsProtocol::kImap).detail,
              HasSubstr("imap CAPABILITY: the server does not offer STARTTLS"));
  EXPECT_THAT(Look(pop3_, StartTlsProtocol::kPop3).detail, HasSubstr("pop3 CAPA: the server does not offer STLS"));
  EXPECT_THAT(Look(lmtp_, StartTlsProtocol::kLmtp).detail, HasSubstr("lmtp LHLO: the server does not offer STARTTLS"));
  EXPECT_THAT(Look(imap_, StartTlsProtocol::kSmtp).detail,
              HasSubstr("smtp greeting: the server answered with something that is not smtp: \"* OK"));
}

// How each of Debian's servers says that it has no TLS to change to. With TLS: daemon_test.cc.
class WithoutTlsTest : public ::testing::TestWithParam<DebianServer> {};

TEST_P(WithoutTlsTest, OffersNone) {
  const TemporaryDirectory root = TemporaryDirectory::Short();
  ASSERT_EQ(chmod(root.path().c_str(), 0755), 0);
  const auto port = FreePort("127.0.0.1");
  ASSERT_THAT(port, IsOk());
  const ServerPlace place = {.home = root.path() + "/server", .port = *port, .with_tls = false};
  ASSERT_TRUE(std::filesystem::create_directory(place.home));
  const auto daemon = Daemon::Start(GetParam().plan(place), place.home + "/out.log");
  ASSERT_THAT(daemon, IsOk());
  TlsProbe probe = {.address = place.address(), .server_name = "www.example.com"};
  probe.starttls = GetParam().starttls;
  const Observation seen = Prober::Real().Look({.what = probe}, kLook);
  EXPECT_FALSE(seen.ok);
  EXPECT_EQ(seen.served_sha256, "");
  EXPECT_THAT(seen.detail, HasSubstr(GetParam().without_tls));
}

std::vector<DebianServer> ThoseWithStartTls() {
  std::vector<DebianServer> some;
  for (const DebianServer& server : ::certcast::testing::DebianServers()) {
    if (server.starttls != StartTlsProtocol::kNone) some.push_back(server);
  }
  return some;
}

INSTANTIATE_TEST_SUITE_P(Debian12, WithoutTlsTest, ::testing::ValuesIn(ThoseWithStartTls()),
                         [](const ::testing::TestParamInfo<DebianServer>& info) { return info.param.name; });

}  // namespace
}  // namespace certcast
