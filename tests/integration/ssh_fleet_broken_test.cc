// Rollouts over connections to hosts that break or stand still. Real OpenSSH servers. Runs as root.
#include <signal.h>

#include <filesystem>
#include <string>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/testing/ssh_fleet.h"
#include "tests/testing/tcp_relay.h"

namespace certcast::testing {
namespace {

using ::testing::AnyOf;

class SshFleetBroken : public SshFleet {
 protected:
  // From now on the controller reaches the machine by way of that.
  void LeadThrough(const TcpRelay& relay, SshMachine& machine) {
    machine.address = absl::StrCat("ssh://deploy@", relay.address());
    absl::StrAppend(&known_hosts_, "[127.0.0.1]:", relay.port(), " ", machine.sshd->HostKey(), "\n");
    ASSERT_THAT(WriteFile(PathOf("known_hosts"), known_hosts_), IsOk());
    Configure(kPolicy);
  }
  void LeadDirectly(SshMachine& machine) {
    machine.address = absl::StrCat("ssh://deploy@", machine.sshd->endpoint());
    Configure(kPolicy);
  }

  // Whoever stands still is given up within seconds.
  static constexpr char kPolicy[] = R"({waves: ["100%"], confirm_timeout: 5s, node_timeout: 8s})";
};

// From the first byte of the login to the last of the answer to Confirm: the real thing, at as many places as there is
// time for. //controller/transport/ssh:contact_test takes every byte, without an sshd.
TEST_F(SshFleetBroken, CutAnywhereARolloutLeavesOldOrNewAndTheNextOneEndsIt) {
  constexpr int kCuts = 16;
  AddSshHost("old-1");
  SshMachine& machine = machines_["old-1"];
  Configure(kPolicy);
  std::string before = Import();
  ASSERT_EQ(controller_.Run({"apply"}).exit_code, 0);
  long whole = 0;
  {
    const TcpRelay relay(machine.sshd->endpoint());
    LeadThrough(relay, machine);
    before = Import();
    const CommandResult applied = controller_.Run({"apply"});
    ASSERT_EQ(applied.exit_code, 0) << applied;
    whole = relay.forwarded();
  }
  int ended_old = 0;
  int ended_new = 0;
  for (int i = 1; i <= kCuts; ++i) {
    // The last one with the answer to Confirm almost whole: the host has confirmed.
    const long cut_after = whole * i / kCuts - 1;
    const std::string at = absl::StrCat("cut after ", cut_after, " of ", whole, " bytes");
    const TcpRelay relay(machine.sshd->endpoint(), TcpRelayOptions{.cut_after = cut_after});
    LeadThrough(relay, machine);
    const std::string next = Import();
    const CommandResult applied = controller_.Json({"apply"});
    const std::string served = machine.Served();
    EXPECT_THAT(served, AnyOf(before, next)) << at << applied;
    EXPECT_EQ(machine.Installed(), served) << at << applied;
    EXPECT_TRUE(applied.exit_code != 0 || served == next) << at << applied;
    ++(served == next ? ended_new : ended_old);
    LeadDirectly(machine);
    const CommandResult again = controller_.Json({"apply"});
    EXPECT_EQ(again.exit_code, 0) << at << again;
    ExpectAllServe(next);
    before = next;
  }
  // Both sides of the switch were met.
  EXPECT_GT(ended_old, 0);
  EXPECT_GT(ended_new, 0);
}

struct Breaking {
  const char* name;
  // A shell line on the host; empty: the relay is cut.
  const char* line;
};

// And whether the agent runs by sudo, which stands between it and the connection.
class SshFleetBreaking : public SshFleetBroken, public ::testing::WithParamInterface<std::tuple<Breaking, bool>> {};

// While the service is told, with the certificate switched already.
TEST_P(SshFleetBreaking, InTheMiddleOfAnInstallLeavesNothingHalf) {
  sudo_ = std::get<bool>(GetParam());
  AddSshHost("old-1");
  SshMachine& machine = machines_["old-1"];
  Configure(kPolicy);
  const std::string first = Import();
  ASSERT_EQ(controller_.Run({"apply"}).exit_code, 0);

  TcpRelay relay(machine.sshd->endpoint());
  LeadThrough(relay, machine);
  ASSERT_THAT(WriteFile(machine.home + "/hold", ""), IsOk());
  const std::string second = Import();
  auto apply = controller_.StartJson({"apply"});
  ASSERT_THAT(apply, IsOk());
  ASSERT_THAT(
      WaitUntil("the service is told", kPlenty, [&] { return std::filesystem::exists(machine.home + "/holds"); }),
      IsOk());
  const std::string line = std::get<Breaking>(GetParam()).line;
  if (line.empty()) {
    relay.Cut();
  } else {
    ASSERT_THAT(machine.sshd->Run(line), IsOk());
  }
  std::filesystem::remove(machine.home + "/hold");
  const absl::Time start = absl::Now();
  const CommandResult applied = (*apply)->Finish();
  EXPECT_LT(absl::Now() - start, absl::Seconds(30)) << applied;
  const std::string served = machine.Served();
  EXPECT_THAT(served, AnyOf(first, second)) << applied;
  // A second connection may have ended it well.
  EXPECT_TRUE(applied.exit_code != 0 || served == second) << applied;
  // Whatever became of it, the next one ends it.
  LeadDirectly(machine);
  const CommandResult next = controller_.Json({"apply"});
  EXPECT_EQ(next.exit_code, 0) << next;
  ExpectAllServe(second);
}

INSTANTIATE_TEST_SUITE_P(
    Ways, SshFleetBreaking,
    ::testing::Combine(::testing::Values(Breaking{"TheConnectionIsReset", ""},
                                         Breaking{"TheServersProcessIsKilled", "pkill -KILL -f '^sshd: deploy'"},
                                         Breaking{"TheServersProcessStandsStill", "pkill -STOP -f '^sshd: deploy'"},
                                         Breaking{"TheAgentIsKilled", "pkill -KILL -f '[c]ertcast-node-.* stdio'"}),
                       ::testing::Bool()),
    [](const auto& info) {
      return absl::StrCat(std::get<Breaking>(info.param).name, std::get<bool>(info.param) ? "BySudo" : "");
    });

TEST_F(SshFleetBroken, AHostThatHangsHoldsUpNobody) {
  connect_timeout_ = "5s";
  for (const char* name : {"old-1", "old-2", "old-3"}) AddSshHost(name);
  Configure(kPolicy);
  const std::string first = Import();
  kill(machines_["old-2"].sshd->server(), SIGSTOP);
  const absl::Time start = absl::Now();
  const CommandResult applied = controller_.Json({"apply"});
  EXPECT_EQ(applied.exit_code, 3) << applied;
  EXPECT_LT(absl::Now() - start, absl::Seconds(30));
  EXPECT_EQ(OutcomeOf(applied, "old-2"), "UNREACHABLE") << applied;
  EXPECT_THAT(applied.out, ::testing::HasSubstr("TIMED_OUT"));
  for (const char* name : {"old-1", "old-3"}) {
    EXPECT_EQ(OutcomeOf(applied, name), "INSTALLED") << applied;
    EXPECT_EQ(machines_[name].Served(), first);
  }
  kill(machines_["old-2"].sshd->server(), SIGCONT);
  const CommandResult next = controller_.Json({"apply"});
  EXPECT_EQ(next.exit_code, 0) << next;
  ExpectAllServe(first);
}

}  // namespace
}  // namespace certcast::testing
