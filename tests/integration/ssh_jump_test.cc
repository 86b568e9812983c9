// Through jump hosts, all of them real OpenSSH servers.
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "controller/transport/ssh/ssh_transport.h"
#include "tests/testing/local_tcp_server.h"
#include "tests/testing/ssh_fixture.h"
#include "tests/testing/tcp_relay.h"

namespace certcast::controller {
namespace {

using ::testing::AllOf;
using testing::HasReason;
using ::testing::HasSubstr;
using testing::IsOk;
using ::testing::Not;
using testing::ReadFile;
using testing::Sshd;

int Count(const std::string& text, const std::string& what) {
  int count = 0;
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++count;
  return count;
}

class SshJumpTest : public testing::SshFixture {
 protected:
  void SetUp() override {
    SshFixture::SetUp();
    jump_ = StartHost();
    host_ = StartHost();
    ASSERT_TRUE(jump_ != nullptr && host_ != nullptr);
  }
  SshTarget Through(std::vector<SshHop> jumps, const Sshd& host) const {
    SshTarget target = TargetOf(host);
    target.jumps = std::move(jumps);
    return target;
  }

  std::unique_ptr<Sshd> jump_;
  std::unique_ptr<Sshd> host_;
};

TEST_F(SshJumpTest, ReachesAHostAndUploadsThroughIt) {
  for (int contact = 0; contact < 2; ++contact) EXPECT_THAT(Ask(Through({HopTo(*jump_)}, *host_)), IsOk());
  // Nothing was run on the jump host, and no shell.
  EXPECT_THAT(jump_->log(), AllOf(HasSubstr("Accepted publickey"), Not(HasSubstr("Starting session"))));
  EXPECT_EQ(jump_->ReadHostFile("/home/deploy/state/bin/certcast-node"), "");
}

TEST_F(SshJumpTest, AnSshConfigThatIsToBeHonouredLeadsThroughIt) {
  const std::string common = absl::StrCat(" HostName 127.0.0.1\n User deploy\n IdentityFile ", key_,
                                          "\n IdentityAgent none\n UserKnownHostsFile ", known_hosts_, "\n");
  ASSERT_THAT(testing::WriteFile(Path("config"),
                                 absl::StrCat("Host web\n", common, " Port ", host_->port(), "\n ProxyJump gate\n",
                                              "Host gate\n", common, " Port ", jump_->port(), "\n")),
              IsOk());
  SshTransportOptions options;
  options.fleet_id = "fleet";
  options.ssh_config_file = Path("config");
  SshTransport transport(options, SystemResolver(), ProcessRunner::Real());
  NodeConfig node;
  node.name = "web-01";
  node.ssh.emplace();
  node.ssh->server = {.user = "", .host = "web", .port = 0};
  node.ssh->options.use_ssh_config = true;
  node.ssh->options.agent_binary = kStandIn;
  node.ssh->state = "/home/deploy/state";
  node.ssh->services = {"web"};
  EXPECT_THAT(transport.Open(node, kTimeout), IsOk());
  EXPECT_THAT(jump_->log(), AllOf(HasSubstr("Accepted publickey"), Not(HasSubstr("Starting session"))));
  // Ignored where it is not asked for: then nothing of that name is known.
  node.ssh->options.use_ssh_config = false;
  node.ssh->server = {.user = "deploy", .host = "web", .port = 22};
  EXPECT_THAT(transport.Open(node, kTimeout), HasReason(Reason::NO_ROUTE, HasSubstr("web")));
}

TEST_F(SshJumpTest, PassesSeveral) {
  const std::unique_ptr<Sshd> second = StartHost();
  ASSERT_NE(second, nullptr);
  EXPECT_THAT(Ask(Through({HopTo(*jump_), HopTo(*second)}, *host_)), IsOk());
  EXPECT_THAT(second->log(), Not(HasSubstr("Starting session")));
}

TEST_F(SshJumpTest, ManyNodesShareOneLogin) {
  constexpr int kNodes = 12;
  std::vector<std::unique_ptr<Link>> links(kNodes);
  std::vector<absl::Status> statuses(kNodes);
  std::vector<std::thread> threads;
  threads.reserve(statuses.size());
  for (int i = 0; i < kNodes; ++i) {
    threads.emplace_back([&, i] {
      absl::StatusOr<std::unique_ptr<Link>> link = dialer_.Open(Through({HopTo(*jump_)}, *host_), kTimeout);
      statuses[i] = link.status();
      if (!link.ok()) return;
      links[i] = *std::move(link);
      for (int call = 0; call < 20 && statuses[i].ok(); ++call) {
        statuses[i] = links[i]->Call(DescribeCommand(absl::StrCat(call)), kTimeout, nullptr).status();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(statuses, ::testing::Each(IsOk()));
  EXPECT_EQ(Count(jump_->log(), "Accepted publickey"), 1);
  EXPECT_EQ(Count(host_->log(), "Accepted publickey"), kNodes);
  // With the last link the jump host is left, and entered anew for the next.
  links.clear();
  EXPECT_THAT(testing::WaitUntil("no connection on the jump host", absl::Seconds(10),
                                 [&] { return jump_->ConnectionProcesses().empty(); }),
              IsOk());
  EXPECT_THAT(Ask(Through({HopTo(*jump_)}, *host_)), IsOk());
}

TEST_F(SshJumpTest, TheKeyOfEachHostIsChecked) {
  Know(host_->KnownHostsLine());
  EXPECT_THAT(
      Ask(Through({HopTo(*jump_)}, *host_)),
      HasReason(Reason::HOST_KEY_UNKNOWN, HasSubstr(absl::StrCat("web-01: jump host deploy@", jump_->endpoint()))));
  EXPECT_THAT(jump_->log(), Not(HasSubstr("Accepted")));
  Know(jump_->KnownHostsLine());
  EXPECT_THAT(Ask(Through({HopTo(*jump_)}, *host_)),
              HasReason(Reason::HOST_KEY_UNKNOWN, HasSubstr(absl::StrCat("web-01 at deploy@", host_->endpoint()))));
  EXPECT_THAT(host_->log(), Not(HasSubstr("Accepted")));
  // A jump host that answers in the host's place shows its own key.
  Know(absl::StrCat(jump_->KnownHostsLine(), "[127.0.0.1]:", host_->port(), " ", jump_->HostKey(), "\n"));
  EXPECT_THAT(Ask(Through({HopTo(*jump_)}, *host_)), HasReason(Reason::HOST_KEY_CHANGED));
}

TEST_F(SshJumpTest, AHostCertificateIsFetchedThroughIt) {
  ASSERT_THAT(testing::MakeSshKey(Path("ca")), IsOk());
  options_.host_ca = Path("ca");
  const std::unique_ptr<Sshd> signed_host = StartHost();
  ASSERT_NE(signed_host, nullptr);
  Know(absl::StrCat("@cert-authority *:", signed_host->port(), " ", ReadFile(Path("ca.pub")), jump_->KnownHostsLine()));
  EXPECT_THAT(Ask(Through({HopTo(*jump_)}, *signed_host)), IsOk());
}

TEST_F(SshJumpTest, SaysWhatTheJumpHostCanNotReach) {
  const testing::RefusingPort refusing;
  SshTarget target = Through({HopTo(*jump_)}, *host_);
  target.host.to.port = static_cast<uint16_t>(refusing.port());
  EXPECT_THAT(Ask(target),
              HasReason(Reason::NO_ROUTE, AllOf(HasSubstr(refusing.address()), HasSubstr("opened no tunnel"))));
  options_.config = {"AllowTcpForwarding no"};
  const std::unique_ptr<Sshd> closed = StartHost();
  ASSERT_NE(closed, nullptr);
  EXPECT_THAT(Ask(Through({HopTo(*closed)}, *host_)), HasReason(Reason::NO_ROUTE, HasSubstr("opened no tunnel")));
  // A refusal of one is not the others' end.
  EXPECT_THAT(Ask(Through({HopTo(*jump_)}, *host_)), IsOk());
}

TEST_F(SshJumpTest, ASilentHostBehindItTimesOut) {
  const testing::SilentServer silent;
  SshTarget target = Through({HopTo(*jump_)}, *host_);
  target.host.to.port = static_cast<uint16_t>(silent.port());
  EXPECT_THAT(Ask(target, absl::Milliseconds(700)), HasReason(Reason::TIMED_OUT));
  EXPECT_THAT(Ask(Through({HopTo(*jump_)}, *host_)), IsOk());
}

TEST_F(SshJumpTest, ADeadJumpHostIsWaitedForByAllTogether) {
  const testing::SilentServer silent;
  SshHop dead = HopTo("127.0.0.1", silent.port());
  dead.connect_timeout = absl::Seconds(2);
  std::vector<absl::Status> statuses(8);
  std::vector<std::thread> threads;
  threads.reserve(statuses.size());
  const absl::Time start = absl::Now();
  for (absl::Status& status : statuses) {
    threads.emplace_back([&] { status = Ask(Through({dead}, *host_)).status(); });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(statuses, ::testing::Each(HasReason(Reason::TIMED_OUT, HasSubstr("jump host"))));
  EXPECT_LT(absl::Now() - start, kInTime);
}

TEST_F(SshJumpTest, WhenItsConnectionIsLostSoAreTheLinksAndTheNextIsNew) {
  testing::TcpRelay relay(jump_->endpoint());
  SshHop by_relay = HopTo("127.0.0.1", relay.port());
  Know(absl::StrCat(host_->KnownHostsLine(), jump_->KnownHostsLine(), "[127.0.0.1]:", relay.port(), " ",
                    jump_->HostKey(), "\n"));
  absl::StatusOr<std::unique_ptr<Link>> link = dialer_.Open(Through({by_relay}, *host_), kTimeout);
  ASSERT_THAT(link, IsOk());
  EXPECT_THAT((*link)->Call(DescribeCommand("a"), kTimeout, nullptr), IsOk());
  relay.Cut();
  EXPECT_THAT((*link)->Call(DescribeCommand("b"), kTimeout, nullptr), HasReason(Reason::LINK_LOST));
  EXPECT_THAT(dialer_.Open(Through({by_relay}, *host_), kTimeout), HasReason(Reason::NO_ROUTE));
  EXPECT_THAT(Ask(Through({HopTo(*jump_)}, *host_)), IsOk());
}

TEST_F(SshJumpTest, AJumpHostThatStandsStillStopsNobodyForEver) {
  absl::StatusOr<std::unique_ptr<Link>> link = dialer_.Open(Through({HopTo(*jump_)}, *host_), kTimeout);
  ASSERT_THAT(link, IsOk());
  for (const pid_t pid : jump_->ConnectionProcesses()) kill(pid, SIGSTOP);
  EXPECT_THAT((*link)->Call(DescribeCommand("a"), absl::Milliseconds(300), nullptr), HasReason(Reason::TIMED_OUT));
  EXPECT_THAT(dialer_.Open(Through({HopTo(*jump_)}, *host_), absl::Milliseconds(300)), HasReason(Reason::TIMED_OUT));
  // What was waited for in vain is not waited for again: a new login finds the jump host as it is now.
  EXPECT_THAT(Ask(Through({HopTo(*jump_)}, *host_)), IsOk());
  const absl::Time start = absl::Now();
  link->reset();
  EXPECT_LT(absl::Now() - start, kInTime);
}

}  // namespace
}  // namespace certcast::controller
