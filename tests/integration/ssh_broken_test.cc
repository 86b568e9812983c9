// Connections that are cut, slow or stand still, at every place. Real OpenSSH servers.
#include <signal.h>

#include <memory>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/testing/ssh_fixture.h"
#include "tests/testing/tcp_relay.h"

namespace certcast::controller {
namespace {

using testing::HasReason;
using ::testing::HasSubstr;
using testing::IsOk;
using testing::Sshd;
using testing::TcpRelay;
using testing::TcpRelayOptions;

class SshBrokenTest : public testing::SshFixture {
 protected:
  void SetUp() override {
    SshFixture::SetUp();
    host_ = StartHost();
    ASSERT_NE(host_, nullptr);
  }
  // The host by way of the relay.
  SshTarget By(const TcpRelay& relay) {
    Know(absl::StrCat(host_->KnownHostsLine(), "[127.0.0.1]:", relay.port(), " ", host_->HostKey(), "\n"));
    return TargetAt(HopTo("127.0.0.1", relay.port()));
  }
  // As much as a whole contact takes.
  long MeasureContact() {
    TcpRelay relay(host_->endpoint());
    EXPECT_THAT(Ask(By(relay)), IsOk());
    return relay.forwarded();
  }
  void ExpectNothingButTheAgent() const {
    EXPECT_THAT(host_->Run("ls /home/deploy/state/bin | grep -vc upload"), testing::IsOkAndHolds("2\n"));
  }

  std::unique_ptr<Sshd> host_;
};

TEST_F(SshBrokenTest, CutAtAnyByteOfAContactItEndsAtOnceAndTheNextIsWhole) {
  ASSERT_THAT(Ask(TargetOf(*host_)), IsOk());
  const long whole = MeasureContact();
  int cuts = 0;
  for (long cut = 0; cut < whole; cut += 61) {
    TcpRelay relay(host_->endpoint(), TcpRelayOptions{.cut_after = cut});
    const absl::Time start = absl::Now();
    const absl::Status status = Ask(By(relay)).status();
    // What is not there any more is not waited for.
    EXPECT_LT(absl::Now() - start, absl::Seconds(10)) << cut;
    // The last bytes only take leave.
    if (status.ok() && cut > whole - 400) continue;
    const Reason::Code reason = ReasonOf(status);
    EXPECT_TRUE(reason == Reason::PROTOCOL || reason == Reason::LINK_LOST) << cut << " of " << whole << ": " << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("web-01 at deploy@127.0.0.1")) << cut;
    ++cuts;
  }
  EXPECT_GT(cuts, 60);
  EXPECT_THAT(Ask(TargetOf(*host_)), IsOk());
}

TEST_F(SshBrokenTest, CutAtAnyPartOfAnUploadItLeavesNoHalfAgent) {
  const long whole = MeasureContact();
  for (int tenth = 1; tenth < 10; ++tenth) {
    ASSERT_THAT(host_->Run("rm -rf /home/deploy/state"), IsOk());
    TcpRelay relay(host_->endpoint(), TcpRelayOptions{.cut_after = whole * tenth / 10});
    EXPECT_THAT(Ask(By(relay)), HasReason(Reason::LINK_LOST)) << tenth;
    EXPECT_THAT(testing::WaitUntil("the rest is cleared away", absl::Seconds(10),
                                   [this] { return host_->ConnectionProcesses().empty(); }),
                IsOk());
    EXPECT_THAT(host_->Run("ls -A /home/deploy/state/bin"), testing::IsOkAndHolds(""));
  }
  EXPECT_THAT(Ask(TargetOf(*host_)), IsOk());
  ExpectNothingButTheAgent();
}

TEST_F(SshBrokenTest, ASlowLinkIsOnlySlow) {
  ASSERT_THAT(Ask(TargetOf(*host_)), IsOk());
  TcpRelay relay(host_->endpoint(), TcpRelayOptions{.bytes_per_second = 20000});
  EXPECT_THAT(Ask(By(relay)), IsOk());
}

TEST_F(SshBrokenTest, AnUploadMayTakeLongerThanTheTimeToConnect) {
  // Twice the time to connect for the stand-in.
  constexpr absl::Duration kToConnect = absl::Seconds(4);
  const long whole = MeasureContact();
  ASSERT_THAT(host_->Run("rm -rf /home/deploy/state"), IsOk());
  TcpRelay relay(host_->endpoint(), TcpRelayOptions{.bytes_per_second = whole / 8});
  const absl::Time start = absl::Now();
  EXPECT_THAT(dialer_.Open(By(relay), kToConnect), IsOk());
  EXPECT_GT(absl::Now() - start, kToConnect);
}

TEST_F(SshBrokenTest, WhoeverStandsStillIsGivenUpInTime) {
  absl::StatusOr<std::unique_ptr<Link>> link = dialer_.Open(TargetOf(*host_), kTimeout);
  ASSERT_THAT(link, IsOk());
  for (const pid_t pid : host_->ConnectionProcesses()) kill(pid, SIGSTOP);
  absl::Time start = absl::Now();
  EXPECT_THAT((*link)->Call(DescribeCommand("a"), absl::Milliseconds(300), nullptr), HasReason(Reason::TIMED_OUT));
  // As much as no buffer takes.
  v1::Command large = DescribeCommand("b");
  large.mutable_install()->mutable_bundle()->set_fullchain_pem(std::string(900000, 'x'));
  for (int i = 0; i < 8; ++i) {
    large.set_id(absl::StrCat(i));
    EXPECT_THAT((*link)->Call(large, absl::Milliseconds(100), nullptr), HasReason(Reason::TIMED_OUT));
  }
  link->reset();
  EXPECT_LT(absl::Now() - start, kInTime);
}

TEST_F(SshBrokenTest, AServerThatStandsStillBeforeTheLoginIsGivenUpInTime) {
  kill(host_->server(), SIGSTOP);
  const absl::Time start = absl::Now();
  EXPECT_THAT(Ask(TargetOf(*host_), absl::Milliseconds(500)), HasReason(Reason::TIMED_OUT));
  EXPECT_LT(absl::Now() - start, kInTime);
}

TEST_F(SshBrokenTest, WhoeverOnlyTalksIsGivenUpInTime) {
  const std::string key = options_.authorized_keys;
  for (const char* command : {"yes >&2", "yes; yes >&2"}) {
    options_.authorized_keys = absl::StrCat("command=\"", command, "\" ", key);
    const std::unique_ptr<Sshd> talker = StartHost();
    ASSERT_NE(talker, nullptr);
    const absl::Time start = absl::Now();
    EXPECT_THAT(Ask(TargetOf(*talker), absl::Seconds(1)), ::testing::Not(IsOk())) << command;
    EXPECT_LT(absl::Now() - start, kInTime) << command;
  }
}

TEST_F(SshBrokenTest, WhenTheServersProcessIsKilledTheLinkIsLost) {
  absl::StatusOr<std::unique_ptr<Link>> link = dialer_.Open(TargetOf(*host_), kTimeout);
  ASSERT_THAT(link, IsOk());
  for (const pid_t pid : host_->ConnectionProcesses()) kill(pid, SIGKILL);
  const absl::StatusOr<v1::Report> report = (*link)->Call(DescribeCommand("a"), kTimeout, nullptr);
  EXPECT_THAT(report, HasReason(Reason::LINK_LOST, HasSubstr("web-01 at deploy@")));
  EXPECT_THAT((*link)->Call(DescribeCommand("b"), kTimeout, nullptr), HasReason(Reason::LINK_LOST));
}

TEST_F(SshBrokenTest, WhenTheAgentIsKilledTheLinkIsLost) {
  absl::StatusOr<std::unique_ptr<Link>> link = dialer_.Open(TargetOf(*host_), kTimeout);
  ASSERT_THAT(link, IsOk());
  ASSERT_THAT(host_->Run("pkill -KILL certcast-node"), IsOk());
  EXPECT_THAT((*link)->Call(DescribeCommand("a"), kTimeout, nullptr),
              HasReason(Reason::LINK_LOST, HasSubstr("ended before it had answered")));
}

TEST_F(SshBrokenTest, CallsOfManyThreadsOnOneLinkDoNotMix) {
  absl::StatusOr<std::unique_ptr<Link>> link = dialer_.Open(TargetOf(*host_), kTimeout);
  ASSERT_THAT(link, IsOk());
  std::vector<absl::Status> statuses(8);
  std::vector<std::thread> threads;
  threads.reserve(statuses.size());
  for (size_t i = 0; i < statuses.size(); ++i) {
    threads.emplace_back([&, i] {
      for (int call = 0; call < 20 && statuses[i].ok(); ++call) {
        statuses[i] = (*link)->Call(DescribeCommand(absl::StrCat(i, "-", call)), kTimeout, nullptr).status();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(statuses, ::testing::Each(IsOk()));
}

}  // namespace
}  // namespace certcast::controller
