// One rollout over SSH and gRPC together. Runs as root.
#include "tests/testing/ssh_fleet.h"

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/substitute.h"

namespace certcast::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

using SshFleetTest = SshFleet;

TEST_F(SshFleetTest, OneWaveReachesBothKindsOfNodes) {
  AddSshHost("old-1");
  AddSshHost("old-2");
  AddAgent("web-1");
  Configure();
  const std::string leaf = Import();
  const CommandResult applied = controller_.Json({"apply"});
  EXPECT_EQ(applied.exit_code, 0) << applied;
  for (const char* name : {"old-1", "old-2", "web-1"}) EXPECT_EQ(OutcomeOf(applied, name), "INSTALLED") << applied;
  ExpectAllServe(leaf);

  const CommandResult again = controller_.Json({"apply"});
  EXPECT_EQ(again.exit_code, 0) << again;
  EXPECT_EQ(again.json["rollouts"].size(), 0u) << again;
  const CommandResult status = controller_.Json({"status"});
  EXPECT_EQ(status.exit_code, 0) << status;
  EXPECT_EQ(status.json["converged"], 3) << status;

  const CommandResult nodes = controller_.Run({"nodes"});
  EXPECT_THAT(nodes.out, HasSubstr(machines_["old-1"].address));
  EXPECT_THAT(nodes.out, HasSubstr("by login"));
  const CommandResult doctor = controller_.Run({"doctor"});
  EXPECT_EQ(doctor.exit_code, 0) << doctor;
  EXPECT_THAT(doctor.out, HasSubstr("answers over ssh as deploy@"));
  EXPECT_THAT(doctor.out, Not(HasSubstr("does the service run")));
  machines_["old-2"].service.reset();
  EXPECT_THAT(controller_.Run({"doctor"}).out, HasSubstr("does the service run, and listen there?"));
  const CommandResult refused = controller_.Run({"nodes", "sign", "old-1"}, "x");
  EXPECT_EQ(refused.exit_code, 2) << refused;
  EXPECT_THAT(refused.err, HasSubstr("there is nothing to sign"));
  // The host keeps no secret that others may read.
  EXPECT_THAT(
      machines_["old-1"]
          .sshd->Run(absl::StrCat("find ", machines_["old-1"].home, "/state -type f -perm /077 -not -name '.record'"))
          .value_or("?"),
      Not(HasSubstr("privkey")));
}

TEST_F(SshFleetTest, OneSshNodeThatServesTheOldCertificateTakesAllBack) {
  AddSshHost("old-1");
  AddSshHost("old-2");
  AddAgent("web-1");
  Configure();
  const std::string first = Import();
  ASSERT_EQ(controller_.Run({"apply"}).exit_code, 0);
  ExpectAllServe(first);

  Import();
  machines_["old-2"].service->IgnoreReloads(true);
  const CommandResult applied = controller_.Json({"apply"});
  EXPECT_EQ(applied.exit_code, 4) << applied;
  for (const char* name : {"old-1", "old-2", "web-1"}) EXPECT_EQ(OutcomeOf(applied, name), "REVERTED") << applied;
  machines_["old-2"].service->IgnoreReloads(false);
  ExpectAllServe(first);
}

TEST_F(SshFleetTest, NoMoreHostsThanParallelSaysAreLoggedInToAtOnce) {
  constexpr int kHosts = 5;
  constexpr int kParallel = 2;
  for (int i = 1; i <= kHosts; ++i) AddSshHost(absl::StrCat("old-", i));
  Configure(absl::StrCat("{waves: [\"100%\"], parallel: ", kParallel, "}"));
  const std::string leaf = Import();
  for (const auto& [name, machine] : machines_) ASSERT_THAT(WriteFile(machine.home + "/hold", ""), IsOk());

  auto apply = controller_.StartJson({"apply"});
  ASSERT_THAT(apply, IsOk());
  const auto told = [&] {
    std::vector<std::string> names;
    for (const auto& [name, machine] : machines_) {
      const bool holds = std::filesystem::exists(machine.home + "/holds");
      if (holds && std::filesystem::exists(machine.home + "/hold")) names.push_back(name);
    }
    return names;
  };
  const auto logged_in = [&] {
    return std::count_if(machines_.begin(), machines_.end(),
                         [](const auto& entry) { return !entry.second.sshd->ConnectionProcesses().empty(); });
  };
  for (int done = 0; done < kHosts; ++done) {
    const int expected = std::min(kParallel, kHosts - done);
    // The session of one that was done with may still be ending.
    ASSERT_THAT(WaitUntil("as many are told as may be, and no other is logged in to", kPlenty,
                          [&] { return logged_in() == expected && told().size() == static_cast<size_t>(expected); }),
                IsOk());
    // Its place is the next one's.
    std::filesystem::remove(machines_[told().front()].home + "/hold");
  }
  const CommandResult applied = (*apply)->Finish();
  EXPECT_EQ(applied.exit_code, 0) << applied;
  ExpectAllServe(leaf);
}

// While the service is told, with the certificate switched already.
TEST_F(SshFleetTest, AConnectionThatBreaksInTheMiddleLeavesNothingHalf) {
  AddSshHost("old-1");
  Configure();
  const std::string first = Import();
  ASSERT_EQ(controller_.Run({"apply"}).exit_code, 0);

  SshMachine& machine = machines_["old-1"];
  ASSERT_THAT(WriteFile(machine.home + "/hold", ""), IsOk());
  const std::string second = Import();
  auto apply = controller_.StartJson({"apply"});
  ASSERT_THAT(apply, IsOk());
  ASSERT_THAT(
      WaitUntil("the service is told", kPlenty, [&] { return std::filesystem::exists(machine.home + "/holds"); }),
      IsOk());
  // sshd's side of the connection, not what it runs.
  ASSERT_THAT(machine.sshd->Run("pkill -KILL -f '^sshd: deploy'"), IsOk());
  std::filesystem::remove(machine.home + "/hold");
  const CommandResult applied = (*apply)->Finish();
  const std::string served = machine.Served();
  EXPECT_THAT(served, ::testing::AnyOf(first, second)) << applied;
  EXPECT_EQ(machine.Installed(), served) << applied;
  EXPECT_EQ(served == second, applied.exit_code == 0) << applied;
  // Whatever became of it, the next one ends it.
  const CommandResult next = controller_.Json({"apply"});
  EXPECT_EQ(next.exit_code, 0) << next;
  ExpectAllServe(second);
}

TEST_F(SshFleetTest, BySudoTheFilesAndTheStateAreRoots) {
  sudo_ = true;
  AddSshHost("old-1");
  Configure();
  const std::string leaf = Import();
  const CommandResult applied = controller_.Json({"apply"});
  EXPECT_EQ(applied.exit_code, 0) << applied;
  ExpectAllServe(leaf);
  const SshMachine& machine = machines_["old-1"];
  EXPECT_THAT(machine.sshd->Run(absl::StrCat("stat -L -c '%u %a' ", machine.home, "/privkey.pem ", machine.home,
                                             "/state/pinned-fleet")),
              IsOkAndHolds("0 600\n0 600\n"));
}

// The key can run the agent and nothing else, and node.yaml decides what that does.
TEST_F(SshFleetTest, ARestrictedLoginWithANodeYamlIsAnAgent) {
  SshMachine& machine = AddMachine("old-1", kDeploy);
  const std::string agent = machine.home + "/certcast-node";
  std::filesystem::copy_file(kAgent, agent);
  ASSERT_THAT(
      WriteFile(machine.home + "/node.yaml",
                absl::Substitute("name: old-1\nstate: $0/state\nallow_names: [\"*.example.com\"]\nservices:\n$1",
                                 machine.home, ServiceYaml(machine, "  ")),
                0644),
      IsOk());
  const std::string run = absl::StrCat(agent, " --config ", machine.home, "/node.yaml ");
  StartHost(machine, absl::StrCat("command=\"", run, "stdio\",restrict "));
  machine.is_hosted = false;
  Configure();
  const std::string leaf = Import();
  // Who is not of the fleet yet installs nothing.
  const CommandResult stranger = controller_.Json({"apply"});
  EXPECT_EQ(stranger.exit_code, 4) << stranger;
  EXPECT_THAT(stranger.out, HasSubstr("NOT_ENROLLED"));

  const std::string as_deploy = absl::StrCat("setpriv --reuid=2001 --regid=2001 --clear-groups ", run);
  const auto request = machine.sshd->Run(as_deploy + "csr");
  ASSERT_THAT(request, IsOk());
  const CommandResult identity = controller_.Run({"nodes", "sign", "old-1"}, *request);
  ASSERT_EQ(identity.exit_code, 0) << identity;
  ASSERT_THAT(WriteFile(machine.home + "/identity.pem", identity.out, 0644), IsOk());
  ASSERT_THAT(machine.sshd->Run(absl::StrCat(as_deploy, "accept < ", machine.home, "/identity.pem")), IsOk());
  const CommandResult applied = controller_.Json({"apply"});
  EXPECT_EQ(applied.exit_code, 0) << applied;
  ExpectAllServe(leaf);
  EXPECT_FALSE(std::filesystem::exists(machine.home + "/state/bin"));
  EXPECT_FALSE(std::filesystem::exists(machine.home + "/state/pinned-fleet"));
}

TEST_F(SshFleetTest, AHostThatNobodySaysAnythingOfIsToldOf) {
  AddSshHost("old-1");
  machines_["old-1"].is_hosted = false;
  Configure();
  Import();
  const CommandResult applied = controller_.Json({"apply"});
  EXPECT_EQ(applied.exit_code, 3) << applied;
  EXPECT_THAT(applied.out, HasSubstr("DEFINITION_REFUSED"));
  EXPECT_EQ(machines_["old-1"].Served(), old_.certificate.sha256());
}

}  // namespace
}  // namespace certcast::testing
