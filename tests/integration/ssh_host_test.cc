// What hosts are like: shells, profiles, sudo, restricted logins, disks. Real OpenSSH servers.
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/testing/ssh_fixture.h"

namespace certcast::controller {
namespace {

using ::testing::AllOf;
using testing::HasReason;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::IsOk;
using ::testing::Not;
using testing::ReadFile;
using testing::Sshd;

class SshHostTest : public testing::SshFixture {
 protected:
  // On hosts; for what is copied there.
  const std::string stand_in_ = std::filesystem::absolute(kStandIn).string();
};

class SshLoginShell : public SshHostTest, public ::testing::WithParamInterface<const char*> {};

TEST_P(SshLoginShell, PassesTheCommandOn) {
  options_.shell = GetParam();
  const std::unique_ptr<Sshd> host = StartHost();
  ASSERT_NE(host, nullptr);
  EXPECT_THAT(Ask(TargetOf(*host)), IsOk());
  EXPECT_THAT(Ask(TargetOf(*host)), IsOk());
}

INSTANTIATE_TEST_SUITE_P(Shells, SshLoginShell, ::testing::Values("/bin/sh", "/bin/bash", "/usr/bin/fish", "/bin/csh"),
                         [](const auto& info) { return std::filesystem::path(info.param).filename().string(); });

TEST_F(SshHostTest, ALoginThatRunsNothingIsToldOf) {
  for (const char* shell : {"/bin/false", "/usr/sbin/nologin"}) {
    options_.shell = shell;
    const std::unique_ptr<Sshd> host = StartHost();
    ASSERT_NE(host, nullptr);
    EXPECT_THAT(Ask(TargetOf(*host)),
                HasReason(Reason::PROTOCOL, AllOf(HasSubstr("logged in, but its shell"), HasSubstr("exited with 1"))));
  }
}

TEST_F(SshHostTest, AnSftpOnlyLoginIsToldOf) {
  options_.config = {"ForceCommand internal-sftp"};
  const std::unique_ptr<Sshd> host = StartHost();
  ASSERT_NE(host, nullptr);
  EXPECT_THAT(Ask(TargetOf(*host)),
              HasReason(Reason::PROTOCOL, HasSubstr("This service allows sftp connections only")));
}

TEST_F(SshHostTest, ANoisyProfileAndOddLocalesDoNoHarm) {
  options_.shell = "/bin/bash";
  options_.setup = {
      "cat >/home/deploy/.bashrc <<'END'\n"
      "echo Welcome to the machine\n"
      "printf 'no line end'\n"
      "echo a warning >&2\n"
      "export LC_ALL=xx_YY.latin1 LANG=de_DE.UTF-8 LC_MESSAGES=tlh\n"
      "head -c 20000 /dev/urandom\n"
      "END"};
  const std::unique_ptr<Sshd> host = StartHost();
  ASSERT_NE(host, nullptr);
  for (int contact = 0; contact < 5; ++contact) EXPECT_THAT(Ask(TargetOf(*host)), IsOk());
}

TEST_F(SshHostTest, AProfileThatNeverEndsIsGivenUp) {
  options_.shell = "/bin/bash";
  options_.setup = {"echo 'echo please wait; exec sleep 1000' >/home/deploy/.bashrc"};
  const std::unique_ptr<Sshd> host = StartHost();
  ASSERT_NE(host, nullptr);
  EXPECT_THAT(Ask(TargetOf(*host), absl::Seconds(5)), HasReason(Reason::TIMED_OUT, HasSubstr("please wait")));
}

TEST_F(SshHostTest, ARestrictedLoginSpeaksToItsAgentAlone) {
  options_.setup = {absl::StrCat("cp ", stand_in_, " /run/host/certcast-node"), "chmod 755 /run/host/certcast-node"};
  const std::string command = "command=\"STAND_IN_NODE=web-01 /run/host/certcast-node stdio\",restrict,from=\"";
  options_.authorized_keys = absl::StrCat(command, "127.0.0.1\" ", ReadFile(key_ + ".pub"));
  const std::unique_ptr<Sshd> host = StartHost();
  ASSERT_NE(host, nullptr);
  SshTarget target = TargetOf(*host);
  // It is not even read.
  target.agent_binary = "/nonexistent";
  const absl::StatusOr<v1::Inventory> inventory = Ask(target);
  ASSERT_THAT(inventory, IsOk());
  EXPECT_THAT(inventory->version(), HasSubstr("certcast-node"));
  EXPECT_THAT(host->Run("ls /home/deploy"), testing::IsOkAndHolds(IsEmpty()));
  target.definition.set_node("web-02");
  EXPECT_THAT(Ask(target), HasReason(Reason::AUTH_FAILED, HasSubstr("which is web-01, not web-02")));

  options_.authorized_keys = absl::StrCat(command, "192.0.2.1\" ", ReadFile(key_ + ".pub"));
  const std::unique_ptr<Sshd> elsewhere = StartHost();
  ASSERT_NE(elsewhere, nullptr);
  EXPECT_THAT(Ask(TargetOf(*elsewhere)), HasReason(Reason::AUTH_FAILED));
}

TEST_F(SshHostTest, SudoRunsTheAgentAsRoot) {
  options_.sudoers = "deploy ALL=(root) NOPASSWD: /home/deploy/.certcast/bin/certcast-node-* stdio";
  const std::unique_ptr<Sshd> host = StartHost();
  ASSERT_NE(host, nullptr);
  SshTarget target = TargetOf(*host);
  target.sudo = true;
  target.binary_directory = ".certcast/bin";
  for (int contact = 0; contact < 2; ++contact) {
    const absl::StatusOr<v1::Inventory> inventory = Ask(target);
    ASSERT_THAT(inventory, IsOk());
    EXPECT_EQ(inventory->fleet_id(), "0");
  }
}

TEST_F(SshHostTest, ServicesGetThroughTheStateAndOthersNotToTheAgent) {
  const std::unique_ptr<Sshd> host = StartHost();
  ASSERT_NE(host, nullptr);
  ASSERT_THAT(Ask(TargetOf(*host)), IsOk());
  EXPECT_THAT(host->Run("stat -c %a /home/deploy/state /home/deploy/state/bin"), testing::IsOkAndHolds("755\n700\n"));
}

TEST_F(SshHostTest, SudoThatRefusesIsToldOfWithTheLineThatHelps) {
  const std::unique_ptr<Sshd> host = StartHost();
  ASSERT_NE(host, nullptr);
  SshTarget target = TargetOf(*host);
  target.sudo = true;
  target.binary_directory = ".certcast/bin";
  const absl::StatusOr<v1::Inventory> refused = Ask(target);
  EXPECT_THAT(refused, HasReason(Reason::SUDO_REFUSED, HasSubstr("web-01 at deploy@")));
  EXPECT_THAT(FailureOf(refused.status()).stderr(), HasSubstr("sudo: a password is required"));
  EXPECT_THAT(FailureOf(refused.status()).hint(),
              HasSubstr("deploy ALL=(root) NOPASSWD: /home/deploy/.certcast/bin/certcast-node-* stdio"));
}

TEST_F(SshHostTest, ADamagedAgentIsReplacedAtTheNextContact) {
  options_.sudoers = "Defaults use_pty\ndeploy ALL=(root) NOPASSWD: /home/deploy/.certcast/bin/certcast-node-* stdio";
  const std::unique_ptr<Sshd> host = StartHost();
  ASSERT_NE(host, nullptr);
  for (const bool sudo : {false, true}) {
    SshTarget target = TargetOf(*host);
    target.sudo = sudo;
    if (sudo) target.binary_directory = ".certcast/bin";
    ASSERT_THAT(Ask(target), IsOk());
    const std::string damage = absl::StrCat(
        "cd /home/deploy/", target.binary_directory, " && f=$(readlink certcast-node) && n=$(stat -c %s $f) && ",
        "cp -p $f new && dd if=/dev/zero of=new bs=4096 seek=1 count=$((n / 4096 - 1)) conv=notrunc status=none && ",
        "[ $(stat -c %s new) = $n ] && chown 2001 new && mv new $f");
    ASSERT_THAT(host->Run(damage), IsOk());
    EXPECT_THAT(Ask(target), IsOk()) << sudo;
    // One that only lies there is looked at, too, by who puts agents there.
    ASSERT_THAT(host->Run(damage), IsOk());
    const absl::StatusOr<AgentOnHost> missing = dialer_.PutAgent(target, /*only_look=*/true, kTimeout);
    ASSERT_THAT(missing, IsOk());
    EXPECT_EQ(missing->state, AgentOnHost::State::kMissing);
    const absl::StatusOr<AgentOnHost> put = dialer_.PutAgent(target, /*only_look=*/false, kTimeout);
    ASSERT_THAT(put, IsOk());
    EXPECT_EQ(put->state, AgentOnHost::State::kUploaded);
  }
}

TEST_F(SshHostTest, ARestrictedLoginWhoseSudoOrAgentIsMissingIsToldOf) {
  options_.authorized_keys =
      absl::StrCat("command=\"sudo -n /usr/local/sbin/certcast-node stdio\",restrict ", ReadFile(key_ + ".pub"));
  std::unique_ptr<Sshd> host = StartHost();
  ASSERT_NE(host, nullptr);
  const absl::Status refused = Ask(TargetOf(*host)).status();
  EXPECT_THAT(refused, HasReason(Reason::SUDO_REFUSED, HasSubstr("is tied to a command by sudo")));
  EXPECT_THAT(FailureOf(refused).stderr(), HasSubstr("sudo: a password is required"));
  EXPECT_THAT(FailureOf(refused).hint(), HasSubstr("deploy ALL=(root) NOPASSWD: /usr/local/sbin/certcast-node stdio"));

  // Allowed, but there is none.
  options_.sudoers = "deploy ALL=(root) NOPASSWD: ALL";
  host = StartHost();
  ASSERT_NE(host, nullptr);
  const absl::Status missing = Ask(TargetOf(*host)).status();
  EXPECT_THAT(missing, HasReason(Reason::NO_AGENT_BINARY, HasSubstr("is tied to a command that is not there")));
  EXPECT_THAT(FailureOf(missing).stderr(), HasSubstr("command not found"));

  options_.authorized_keys =
      absl::StrCat("command=\"/usr/local/sbin/certcast-node stdio\",restrict ", ReadFile(key_ + ".pub"));
  host = StartHost();
  ASSERT_NE(host, nullptr);
  EXPECT_THAT(Ask(TargetOf(*host)), HasReason(Reason::NO_AGENT_BINARY, HasSubstr("exited with 127")));
}

TEST_F(SshHostTest, WhereNothingMayRunInTheHomeAnotherDirectoryWillDo) {
  options_.sudoers = "deploy ALL=(root) NOPASSWD: /var/lib/certcast-agent/certcast-node-* stdio";
  options_.setup = {"mkdir /home/deploy/.certcast",
                    "mount -t tmpfs -o noexec,uid=2001,mode=700 none /home/deploy/.certcast",
                    "install -d -o 2001 -m 700 /var/lib/certcast-agent"};
  const std::unique_ptr<Sshd> host = StartHost();
  ASSERT_NE(host, nullptr);
  SshTarget target = TargetOf(*host);
  target.sudo = true;
  target.binary_directory = ".certcast/bin";
  const absl::Status refused = Ask(target).status();
  EXPECT_THAT(refused,
              HasReason(Reason::NO_AGENT_BINARY, HasSubstr("programs may not run in /home/deploy/.certcast/bin")));
  EXPECT_THAT(FailureOf(refused).hint(), HasSubstr("ssh: {agent_directory: ...}"));
  target.binary_directory = "/var/lib/certcast-agent";
  EXPECT_THAT(Ask(target), IsOk());
}

TEST_F(SshHostTest, SaysWhyTheAgentCanNotBePutThere) {
  const struct {
    std::string setup;
    std::string says;
  } cases[] = {
      {"mount -t tmpfs -o size=16k,uid=2001,mode=700 none /home/deploy/state", "No space left on device"},
      {"mount -t tmpfs -o noexec,uid=2001,mode=700 none /home/deploy/state", "programs may not run in"},
      {"mount -t tmpfs -o ro,uid=2001,mode=700 none /home/deploy/state", "Read-only file system"},
      {"chown 0 /home/deploy/state", "Permission denied"},
      {"mkdir /home/deploy/state/bin && chown 2002 /home/deploy/state/bin && chmod 755 /home/deploy/state/bin",
       "belongs to another user"},
  };
  for (const auto& each : cases) {
    options_.setup = {"mkdir -m 700 /home/deploy/state", "chown 2001 /home/deploy/state", each.setup};
    const std::unique_ptr<Sshd> host = StartHost();
    ASSERT_NE(host, nullptr);
    EXPECT_THAT(Ask(TargetOf(*host)),
                HasReason(Reason::NO_AGENT_BINARY, AllOf(HasSubstr("web-01 at deploy@"), HasSubstr(each.says))));
  }
}

TEST_F(SshHostTest, ManyHostsAreServedAtOnce) {
  constexpr int kHosts = 6;
  std::vector<std::unique_ptr<Sshd>> hosts(kHosts);
  std::string known;
  for (std::unique_ptr<Sshd>& host : hosts) {
    host = StartHost();
    ASSERT_NE(host, nullptr);
  }
  std::vector<absl::Status> statuses(static_cast<size_t>(kHosts) * 3);
  std::vector<std::thread> threads;
  threads.reserve(statuses.size());
  for (size_t i = 0; i < statuses.size(); ++i) {
    threads.emplace_back([&, i] { statuses[i] = Ask(TargetOf(*hosts[i % kHosts])).status(); });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(statuses, ::testing::Each(IsOk()));
  for (const std::unique_ptr<Sshd>& host : hosts) {
    EXPECT_THAT(host->Run("ls /home/deploy/state/bin | wc -l"), testing::IsOkAndHolds("2\n"));
  }
}

TEST_F(SshHostTest, TheCommandIsAConstantAndHoldsNoSecret) {
  const std::unique_ptr<Sshd> host = StartHost();
  ASSERT_NE(host, nullptr);
  SshTarget target = TargetOf(*host);
  target.definition.set_services_yaml("the-definition");
  absl::StatusOr<std::unique_ptr<Link>> link = dialer_.Open(target, kTimeout);
  ASSERT_THAT(link, IsOk());
  v1::Command install = DescribeCommand("install");
  install.mutable_install()->mutable_bundle()->set_private_key_pem("the-private-key");
  EXPECT_THAT((*link)->Call(install, absl::Milliseconds(200), nullptr), HasReason(Reason::TIMED_OUT));
  const absl::StatusOr<std::string> seen =
      host->Run("for p in /proc/[0-9]*; do tr '\\0' ' ' <$p/cmdline; tr '\\0' ' ' <$p/environ; echo; done 2>/dev/null");
  ASSERT_THAT(seen, IsOk());
  EXPECT_THAT(*seen, AllOf(HasSubstr("certcast-node-"), Not(HasSubstr("the-private-key")),
                           Not(HasSubstr("the-definition")), Not(HasSubstr("web-01"))));
  EXPECT_THAT(host->log(), Not(HasSubstr("the-private-key")));
}

}  // namespace
}  // namespace certcast::controller
