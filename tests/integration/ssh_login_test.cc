// Logging in to real OpenSSH servers: keys, agents, certificates, and which hosts are believed.
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "common/process/process.h"
#include "tests/testing/local_tcp_server.h"
#include "tests/testing/ssh_fixture.h"

namespace certcast::controller {
namespace {

using ::testing::AllOf;
using testing::HasReason;
using ::testing::HasSubstr;
using testing::IsOk;
using testing::MakeSshKey;
using ::testing::Not;
using testing::Program;
using testing::ReadFile;
using testing::RunSshKeygen;
using testing::Sshd;
using testing::WriteFile;

class SshLoginTest : public testing::SshFixture {
 protected:
  // An ssh-agent with these keys; its socket is Path("agent").
  std::unique_ptr<Program> StartAgent(const std::vector<std::string>& keys) {
    testing::ProgramOptions program;
    program.argv = {"ssh-agent", "-D", "-a", socket_};
    absl::StatusOr<std::unique_ptr<Program>> agent = Program::Start(program);
    EXPECT_THAT(agent, IsOk());
    EXPECT_THAT(testing::WaitUntil("the agent's socket", absl::Seconds(10),
                                   [this] { return std::filesystem::exists(socket_); }),
                IsOk());
    ProcessRequest add;
    add.argv = {"ssh-add", "-q"};
    add.argv.insert(add.argv.end(), keys.begin(), keys.end());
    add.environment = {{"SSH_AUTH_SOCK", socket_}};
    const absl::StatusOr<ProcessResult> added = ProcessRunner::Real().Run(add);
    EXPECT_TRUE(added.ok() && (added->ok() || keys.empty())) << (added.ok() ? added->error : "");
    return *std::move(agent);
  }
  // A target whose only way in is the agent.
  SshTarget ByAgent(const Sshd& host) const {
    SshTarget target = TargetOf(host);
    target.host.login = {};
    target.host.login.agent_socket = socket_;
    return target;
  }
  // A certificate authority's key, as host_ca or for users.
  std::string MakeAuthority(const std::string& type = "ed25519") {
    EXPECT_THAT(MakeSshKey(Path("ca"), type), IsOk());
    return Path("ca");
  }
  std::string PublicKey(const std::string& path) const {
    const std::vector<std::string> fields = absl::StrSplit(ReadFile(path + ".pub"), ' ');
    return absl::StrCat(fields[0], " ", fields[1]);
  }

  const testing::TemporaryDirectory short_ = testing::TemporaryDirectory::Short();
  const std::string socket_ = short_.path() + "/agent";
};

TEST_F(SshLoginTest, UploadsTheAgentOnceAndSpeaksWithIt) {
  const std::unique_ptr<Sshd> host = StartHost();
  ASSERT_NE(host, nullptr);
  for (int contact = 0; contact < 3; ++contact) {
    const absl::StatusOr<v1::Inventory> inventory = Ask(TargetOf(*host));
    ASSERT_THAT(inventory, IsOk());
    EXPECT_EQ(inventory->node(), "web-01");
    EXPECT_THAT(inventory->version(), HasSubstr("/home/deploy/state/bin/certcast-node-"));
    EXPECT_EQ(inventory->fleet_id(), "2001");
  }
  EXPECT_THAT(host->Run("stat -c %W-%i /home/deploy/state/bin/certcast-node-*"), IsOk());
  EXPECT_EQ(*host->Run("ls /home/deploy/state/bin | wc -l"), "2\n");
}

class SshLoginByKey : public SshLoginTest, public ::testing::WithParamInterface<const char*> {};

TEST_P(SshLoginByKey, LogsIn) {
  ASSERT_THAT(MakeSshKey(Path("mine"), GetParam()), IsOk());
  options_.authorized_keys = ReadFile(Path("mine.pub"));
  const std::unique_ptr<Sshd> host = StartHost();
  ASSERT_NE(host, nullptr);
  SshTarget target = TargetOf(*host);
  target.host.login.key.name = Path("mine");
  EXPECT_THAT(Ask(target), IsOk());
}

INSTANTIATE_TEST_SUITE_P(Kinds, SshLoginByKey,
                         ::testing::Values("ed25519", "ecdsa:256", "ecdsa:384", "ecdsa:521", "rsa:2048"),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::erase(name, ':');
                           return name;
                         });

TEST_F(SshLoginTest, OpensAKeyWithItsPassphrase) {
  ASSERT_THAT(MakeSshKey(Path("locked"), "ed25519", "correct horse"), IsOk());
  ASSERT_THAT(WriteFile(Path("passphrase"), "correct horse\n"), IsOk());
  ASSERT_THAT(WriteFile(Path("wrong"), "battery staple\n"), IsOk());
  options_.authorized_keys = ReadFile(Path("locked.pub"));
  const std::unique_ptr<Sshd> host = StartHost();
  ASSERT_NE(host, nullptr);
  SshTarget target = TargetOf(*host);
  target.host.login.key.name = Path("locked");

  EXPECT_THAT(Ask(target), HasReason(Reason::AUTH_FAILED, HasSubstr("can't be read")));
  target.host.login.passphrase = {SecretReference::Kind::kFile, Path("wrong")};
  EXPECT_THAT(Ask(target), HasReason(Reason::AUTH_FAILED,
                                     AllOf(HasSubstr("does not open with the passphrase"), Not(HasSubstr("battery")))));
  // What is wrong here is said without troubling the host.
  EXPECT_THAT(host->log(), Not(HasSubstr("Connection from")));
  target.host.login.passphrase.name = Path("passphrase");
  EXPECT_THAT(Ask(target), IsOk());
}

TEST_F(SshLoginTest, AKeyThatOthersMayReadIsNotUsed) {
  const std::unique_ptr<Sshd> host = StartHost();
  ASSERT_NE(host, nullptr);
  std::filesystem::permissions(key_, std::filesystem::perms(0644));
  EXPECT_THAT(Ask(TargetOf(*host)), HasReason(Reason::AUTH_FAILED, HasSubstr("open to group or others")));
}

TEST_F(SshLoginTest, SaysWhatWasTriedAndWhatTheHostOffers) {
  options_.authorized_keys = "";
  const std::unique_ptr<Sshd> host = StartHost();
  ASSERT_NE(host, nullptr);
  const absl::StatusOr<v1::Inventory> refused = Ask(TargetOf(*host));
  EXPECT_THAT(refused,
              HasReason(Reason::AUTH_FAILED, AllOf(HasSubstr("web-01 at deploy@"), HasSubstr("key SHA256:"),
                                                   HasSubstr(key_), HasSubstr("it offers publickey, password"))));
  SshTarget target = TargetOf(*host);
  target.host.user = "nobody-of-that-name";
  EXPECT_THAT(Ask(target), HasReason(Reason::AUTH_FAILED));
}

TEST_F(SshLoginTest, AKeyThatIsLockedMayBeOpenInTheAgent) {
  // With the agent's copy of it opened, as on a desktop.
  ASSERT_THAT(MakeSshKey(Path("locked"), "ed25519", "correct horse"), IsOk());
  std::filesystem::copy_file(Path("locked"), Path("opened"));
  ASSERT_THAT(RunSshKeygen({"-q", "-p", "-P", "correct horse", "-N", "", "-f", Path("opened")}), IsOk());
  options_.authorized_keys = ReadFile(Path("locked.pub"));
  const std::unique_ptr<Sshd> host = StartHost();
  ASSERT_NE(host, nullptr);
  SshTarget target = ByAgent(*host);
  target.host.login.key = {SecretReference::Kind::kFile, Path("locked")};
  target.host.login.agent_may_have_key = true;
  EXPECT_THAT(Ask(target), HasReason(Reason::AUTH_FAILED,
                                     AllOf(HasSubstr("locked can't be read: "), HasSubstr("the ssh-agent at "))));
  {
    const std::unique_ptr<Program> agent = StartAgent({Path("opened")});
    EXPECT_THAT(Ask(target), IsOk());
    // What certcast.yaml names must be read.
    target.host.login.agent_may_have_key = false;
    EXPECT_THAT(Ask(target), HasReason(Reason::AUTH_FAILED, HasSubstr("can't be read")));
  }
  std::filesystem::remove(socket_);
  target.host.login.agent_may_have_key = true;
  const std::unique_ptr<Program> agent = StartAgent({key_});
  EXPECT_THAT(Ask(target), HasReason(Reason::AUTH_FAILED,
                                     AllOf(HasSubstr("the keys of the ssh-agent"), HasSubstr("locked can't be read"))));
}

TEST_F(SshLoginTest, AsksTheAgentForItsKeys) {
  ASSERT_THAT(MakeSshKey(Path("other")), IsOk());
  ASSERT_THAT(MakeSshKey(Path("rsa"), "rsa:2048"), IsOk());
  const std::unique_ptr<Sshd> host = StartHost();
  ASSERT_NE(host, nullptr);
  const std::unique_ptr<Program> agent = StartAgent({Path("other"), Path("rsa"), key_});
  EXPECT_THAT(Ask(ByAgent(*host)), IsOk());
  // A key that the host does not take is tried before.
  SshTarget target = ByAgent(*host);
  target.host.login.key = {SecretReference::Kind::kFile, Path("other")};
  EXPECT_THAT(Ask(target), IsOk());
}

TEST_F(SshLoginTest, AnAgentThatIsGoneOrStuckIsToldOf) {
  const std::unique_ptr<Sshd> host = StartHost();
  ASSERT_NE(host, nullptr);
  EXPECT_THAT(Ask(ByAgent(*host)), HasReason(Reason::AUTH_FAILED, HasSubstr(socket_)));
  const std::unique_ptr<Program> empty = StartAgent({});
  EXPECT_THAT(Ask(ByAgent(*host)), HasReason(Reason::AUTH_FAILED, HasSubstr("the keys of the ssh-agent")));
  empty->Signal(SIGSTOP);
  const absl::Time start = absl::Now();
  EXPECT_THAT(Ask(ByAgent(*host), absl::Seconds(1)), HasReason(Reason::TIMED_OUT));
  EXPECT_LT(absl::Now() - start, kInTime);
}

TEST_F(SshLoginTest, AnAgentWithMoreKeysThanAHostTriesIsToldOf) {
  std::vector<std::string> keys;
  for (int i = 0; i < 8; ++i) {
    keys.push_back(Path(absl::StrCat("other", i)));
    ASSERT_THAT(MakeSshKey(keys.back()), IsOk());
  }
  const std::unique_ptr<Sshd> host = StartHost();
  ASSERT_NE(host, nullptr);
  const std::unique_ptr<Program> agent = StartAgent(keys);
  EXPECT_THAT(Ask(ByAgent(*host)), HasReason(Reason::AUTH_FAILED, HasSubstr("Too many authentication failures")));
}

TEST_F(SshLoginTest, ShowsAUserCertificate) {
  const std::string ca = MakeAuthority();
  options_.authorized_keys = absl::StrCat("cert-authority,principals=\"ops\" ", PublicKey(ca), "\n");
  const std::unique_ptr<Sshd> host = StartHost();
  ASSERT_NE(host, nullptr);
  SshTarget target = TargetOf(*host);
  target.host.login.certificate_file = key_ + "-cert.pub";
  ASSERT_THAT(RunSshKeygen({"-s", ca, "-I", "me", "-n", "ops", key_ + ".pub"}), IsOk());
  EXPECT_THAT(Ask(target), IsOk());

  // Keys are read once: another dialer reads them again.
  SshDialer second(SystemResolver());
  ASSERT_THAT(RunSshKeygen({"-s", ca, "-I", "me", "-n", "ops", "-V", "-2h:-1h", key_ + ".pub"}), IsOk());
  EXPECT_THAT(second.Open(target, kTimeout), HasReason(Reason::AUTH_FAILED, HasSubstr("has expired")));
}

TEST_F(SshLoginTest, ACertificateOfAnotherKeyIsRefusedHere) {
  const std::string ca = MakeAuthority();
  ASSERT_THAT(MakeSshKey(Path("other")), IsOk());
  ASSERT_THAT(RunSshKeygen({"-s", ca, "-I", "me", "-n", "ops", Path("other.pub")}), IsOk());
  const std::unique_ptr<Sshd> host = StartHost();
  ASSERT_NE(host, nullptr);
  SshTarget target = TargetOf(*host);
  target.host.login.certificate_file = Path("other-cert.pub");
  EXPECT_THAT(Ask(target), HasReason(Reason::AUTH_FAILED, HasSubstr("is for another key")));
}

TEST_F(SshLoginTest, ShowsACertificateOfAnRsaKey) {
  const std::string ca = MakeAuthority();
  ASSERT_THAT(MakeSshKey(Path("rsa"), "rsa:2048"), IsOk());
  ASSERT_THAT(RunSshKeygen({"-s", ca, "-I", "me", "-n", "deploy", Path("rsa.pub")}), IsOk());
  options_.authorized_keys = "";
  options_.config = {"TrustedUserCAKeys /run/host/user_ca"};
  options_.setup = {absl::StrCat("cp ", ca, ".pub /run/host/user_ca")};
  const std::unique_ptr<Sshd> host = StartHost();
  ASSERT_NE(host, nullptr);
  SshTarget target = TargetOf(*host);
  target.host.login.key.name = Path("rsa");
  target.host.login.certificate_file = Path("rsa-cert.pub");
  EXPECT_THAT(Ask(target), IsOk());
}

TEST_F(SshLoginTest, AnUnknownHostIsRefusedUntilItsLineIsAdded) {
  const std::unique_ptr<Sshd> host = StartHost();
  ASSERT_NE(host, nullptr);
  Know("# nothing\n");
  const absl::StatusOr<v1::Inventory> refused = Ask(TargetOf(*host));
  EXPECT_THAT(refused, HasReason(Reason::HOST_KEY_UNKNOWN, HasSubstr("SHA256:")));
  const std::string hint = FailureOf(refused.status()).hint();
  const size_t line = hint.find("[127.0.0.1]");
  ASSERT_NE(line, std::string::npos) << hint;
  EXPECT_THAT(host->log(), Not(HasSubstr("Accepted")));
  Know(hint.substr(line) + "\n");
  EXPECT_THAT(Ask(TargetOf(*host)), IsOk());
}

TEST_F(SshLoginTest, AChangedOrRevokedHostKeyIsRefusedBeforeTheLogin) {
  const std::unique_ptr<Sshd> host = StartHost();
  ASSERT_NE(host, nullptr);
  Know(absl::StrCat("\n[127.0.0.1]:", host->port(), " ", PublicKey(key_), "\n"));
  EXPECT_THAT(Ask(TargetOf(*host)),
              HasReason(Reason::HOST_KEY_CHANGED, AllOf(HasSubstr(known_hosts_ + ":2"), HasSubstr("SHA256:"))));
  Know(absl::StrCat(host->KnownHostsLine(), "@revoked * ", host->HostKey(), "\n"));
  EXPECT_THAT(Ask(TargetOf(*host)), HasReason(Reason::HOST_KEY_CHANGED, HasSubstr(known_hosts_ + ":2")));
  EXPECT_THAT(host->log(), Not(HasSubstr("Accepted")));
}

TEST_F(SshLoginTest, AskForTheKindOfHostKeyThatIsKnown) {
  options_.host_key_types = {"ed25519", "rsa:2048", "ecdsa:256"};
  const std::unique_ptr<Sshd> host = StartHost();
  ASSERT_NE(host, nullptr);
  for (size_t i = 0; i < options_.host_key_types.size(); ++i) {
    Know(host->KnownHostsLine(i));
    EXPECT_THAT(Ask(TargetOf(*host)), IsOk()) << options_.host_key_types[i];
  }
}

TEST_F(SshLoginTest, KnowsHostsByHashedNames) {
  const std::unique_ptr<Sshd> host = StartHost();
  ASSERT_NE(host, nullptr);
  ASSERT_THAT(RunSshKeygen({"-H", "-f", known_hosts_}), IsOk());
  ASSERT_THAT(ReadFile(known_hosts_), Not(HasSubstr("127.0.0.1")));
  EXPECT_THAT(Ask(TargetOf(*host)), IsOk());
}

TEST_F(SshLoginTest, NoKnownHostsFileIsAnErrorAndNotTrust) {
  const std::unique_ptr<Sshd> host = StartHost();
  ASSERT_NE(host, nullptr);
  std::filesystem::remove(known_hosts_);
  EXPECT_THAT(Ask(TargetOf(*host)), HasReason(Reason::HOST_KEY_UNKNOWN, HasSubstr(known_hosts_)));
}

class SshHostAuthority : public SshLoginTest, public ::testing::WithParamInterface<const char*> {};

TEST_P(SshHostAuthority, VouchesForAHostThatNoLineNames) {
  options_.host_ca = MakeAuthority(GetParam());
  options_.host_key_types = {GetParam()};
  const std::unique_ptr<Sshd> host = StartHost();
  ASSERT_NE(host, nullptr);
  Know(absl::StrCat("@cert-authority 127.0.0.* ", PublicKey(options_.host_ca), "\n"));
  EXPECT_THAT(Ask(TargetOf(*host)), IsOk());
  Know(absl::StrCat("@cert-authority 127.0.0.* ", PublicKey(options_.host_ca), "\n@revoked * ",
                    PublicKey(options_.host_ca), "\n"));
  EXPECT_THAT(Ask(TargetOf(*host)), HasReason(Reason::HOST_KEY_UNKNOWN, HasSubstr("is revoked")));
}

INSTANTIATE_TEST_SUITE_P(Kinds, SshHostAuthority, ::testing::Values("ed25519", "ecdsa:256", "rsa:2048"),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::erase(name, ':');
                           return name;
                         });

TEST_F(SshLoginTest, AHostCertificateIsHeldToItsNamesAndTimes) {
  options_.host_ca = MakeAuthority();
  const std::string known = absl::StrCat("@cert-authority * ", PublicKey(options_.host_ca), "\n");
  options_.host_principals = "db.example.com";
  std::unique_ptr<Sshd> host = StartHost();
  ASSERT_NE(host, nullptr);
  Know(known);
  EXPECT_THAT(Ask(TargetOf(*host)),
              HasReason(Reason::HOST_KEY_UNKNOWN, HasSubstr("is for db.example.com, not for 127.0.0.1")));
  options_.host_principals = "127.0.0.1";
  options_.host_certificate_arguments = {"-V", "-2h:-1h"};
  host = StartHost();
  ASSERT_NE(host, nullptr);
  Know(known);
  EXPECT_THAT(Ask(TargetOf(*host)), HasReason(Reason::HOST_KEY_UNKNOWN, HasSubstr("expired")));
  // Where the key itself is known, it does not matter.
  Know(known + host->KnownHostsLine());
  EXPECT_THAT(Ask(TargetOf(*host)), IsOk());
}

TEST_F(SshLoginTest, AHostWithoutACertificateIsNotItsAuthoritys) {
  const std::string ca = MakeAuthority();
  const std::unique_ptr<Sshd> host = StartHost();
  ASSERT_NE(host, nullptr);
  Know(absl::StrCat("@cert-authority * ", PublicKey(ca), "\n"));
  EXPECT_THAT(Ask(TargetOf(*host)), HasReason(Reason::HOST_KEY_UNKNOWN, HasSubstr("it has no host certificate")));
}

TEST_F(SshLoginTest, OfSeveralHostKeysTheOneWithACertificateIsAskedFor) {
  options_.host_ca = MakeAuthority();
  options_.host_key_types = {"rsa:2048", "ed25519"};
  const std::unique_ptr<Sshd> host = StartHost();
  ASSERT_NE(host, nullptr);
  Know(absl::StrCat("@cert-authority * ", PublicKey(options_.host_ca), "\n"));
  EXPECT_THAT(Ask(TargetOf(*host)), IsOk());
}

TEST_F(SshLoginTest, WhoDoesNotSpeakSshIsToldOf) {
  Know("");
  const testing::RefusingPort refusing;
  EXPECT_THAT(Ask(TargetAt(HopTo("127.0.0.1", refusing.port()))),
              HasReason(Reason::NO_ROUTE, AllOf(HasSubstr("web-01 at deploy@127.0.0.1"), HasSubstr("refused"))));
  const testing::SilentServer silent;
  const absl::Time start = absl::Now();
  EXPECT_THAT(Ask(TargetAt(HopTo("127.0.0.1", silent.port())), absl::Milliseconds(300)),
              HasReason(Reason::TIMED_OUT, HasSubstr("SSH handshake")));
  EXPECT_LT(absl::Now() - start, kInTime);
  const testing::TalkingServer web("HTTP/1.1 400 Bad Request\r\n\r\n");
  EXPECT_THAT(Ask(TargetAt(HopTo("127.0.0.1", web.port()))), HasReason(Reason::PROTOCOL, HasSubstr("SSH handshake")));
  const testing::TalkingServer old("SSH-1.5-old\r\n");
  EXPECT_THAT(Ask(TargetAt(HopTo("127.0.0.1", old.port()))), HasReason(Reason::PROTOCOL, HasSubstr("SSH handshake")));
}

}  // namespace
}  // namespace certcast::controller
