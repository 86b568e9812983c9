// One rollout over SSH and gRPC together: the programs as they are shipped, real OpenSSH servers, real TLS servers as
// services. Runs as root.
#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/substitute.h"
#include "common/probe/tls_client.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/controller_program.h"
#include "tests/testing/program.h"
#include "tests/testing/reloading_tls_server.h"
#include "tests/testing/sshd.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temporary_directory.h"
#include "tests/testing/test_ca.h"

namespace certcast::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kAgent[] = "node/certcast-node";
constexpr absl::Duration kPlenty = absl::Seconds(30);
constexpr uid_t kDeploy = 2001;  // as sshd.cc's

// A service, and what a machine keeps. Services read through links into the state, so both are where the host and this
// test see them at the same path.
struct Machine {
  std::string name;
  std::string home;
  std::unique_ptr<ReloadingTlsServer> service;
  // One of the two.
  std::unique_ptr<Sshd> sshd;
  std::unique_ptr<Program> agent;
  std::string address;
  // certcast.yaml says what runs there.
  bool is_hosted = true;

  std::string Served() const {
    const auto peer = TlsHandshake(service->address(), "www.example.com", {}, kPlenty);
    return peer.ok() ? peer->leaf_sha256 : peer.status().ToString();
  }
  std::string Installed() const { return LeafInFiles(home + "/fullchain.pem", home + "/privkey.pem"); }
};

class SshFleetTest : public ::testing::Test {
 protected:
  void SetUp() override {
    signal(SIGPIPE, SIG_IGN);
    chmod(home().c_str(), 0755);
    ASSERT_THAT(MakeSshKey(PathOf("key")), IsOk());
  }

  const std::string& home() const { return directory_.path(); }
  std::string PathOf(const std::string& name) const { return absl::StrCat(home(), "/", name); }

  Machine& AddMachine(const std::string& name, uid_t owner) {
    Machine& machine = machines_[name];
    machine.name = name;
    machine.home = PathOf(name);
    std::filesystem::create_directory(machine.home);
    for (const auto& [file, text] : {std::pair{"fullchain.pem", old_.fullchain_pem},
                                     std::pair{"privkey.pem", std::string(old_.key_pem.ExposeSecret())}}) {
      const std::string path = absl::StrCat(machine.home, "/", file);
      EXPECT_THAT(WriteFile(path, text), IsOk());
      EXPECT_EQ(chown(path.c_str(), owner, owner), 0);
    }
    EXPECT_EQ(chown(machine.home.c_str(), owner, owner), 0);
    machine.service =
        std::make_unique<ReloadingTlsServer>(machine.home + "/fullchain.pem", machine.home + "/privkey.pem",
                                             old_.fullchain_pem, old_.key_pem.ExposeSecret());
    // The script may be made to wait.
    EXPECT_THAT(WriteFile(machine.home + "/reload",
                          absl::Substitute("while [ -e $0/hold ]; do touch $0/holds; sleep 0.05; done\n$1\n",
                                           machine.home, machine.service->reload_line()),
                          0755),
                IsOk());
    return machine;
  }

  // By sudo the agent writes where root alone may.
  void AddSshHost(const std::string& name) { StartHost(AddMachine(name, sudo_ ? 0 : kDeploy), ""); }
  // `restriction` goes before the key.
  void StartHost(Machine& machine, const std::string& restriction) {
    SshdOptions options;
    options.authorized_keys = restriction + ReadFile(PathOf("key.pub"));
    if (sudo_) options.sudoers = "deploy ALL=(root) NOPASSWD: /home/deploy/.certcast/bin/certcast-node-* stdio";
    auto sshd = Sshd::Start(options);
    ASSERT_THAT(sshd, IsOk());
    machine.sshd = *std::move(sshd);
    machine.address = absl::StrCat("ssh://deploy@", machine.sshd->endpoint());
    known_hosts_ += machine.sshd->KnownHostsLine();
    ASSERT_THAT(WriteFile(PathOf("known_hosts"), known_hosts_), IsOk());
  }

  // Of `services:`, at this indentation.
  static std::string ServiceYaml(const Machine& machine, const std::string& indent) {
    return absl::Substitute(R"($0- name: $1
$0  certificate: wildcard
$0  files:
$0    - {path: $2/fullchain.pem, content: fullchain}
$0    - {path: $2/privkey.pem, content: private_key}
$0  check: [test, -s, $2/privkey.pem]
$0  reload: {run: [bash, $2/reload], timeout: 60s}
$0  probes: [{tls: {address: "$3", server_name: www.example.com, timeout: 3s}}]
)",
                            indent, machine.name, machine.home, machine.service->address());
  }

  // certcast.yaml for all machines; then `init`.
  void Configure(const std::string& rollout = R"({waves: ["100%"]})") {
    std::string nodes;
    std::string services;
    for (const auto& [name, machine] : machines_) {
      absl::StrAppend(&nodes, "  - {name: ", name, ", address: \"", machine.address, "\", verify: [\"",
                      machine.service->address(), "\"]");
      if (machine.sshd != nullptr) {
        absl::StrAppend(&nodes, ", state: ", machine.home, "/state");
        if (machine.is_hosted) absl::StrAppend(&nodes, ", services: [", name, "]");
        absl::StrAppend(&services, ServiceYaml(machine, "  "));
      }
      absl::StrAppend(&nodes, "}\n");
    }
    ASSERT_THAT(WriteFile(PathOf("certcast.yaml"), absl::Substitute(R"(state: controller
master_key: {file: master.key}
certificates:
  - {name: wildcard, domains: ["*.example.com"], nodes: all, rollout: $0}
ssh: {key: {file: key}, known_hosts: known_hosts, agent_binary: $1, sudo: $4}
nodes:
$2services:
$3)",
                                                                    rollout, std::filesystem::absolute(kAgent).string(),
                                                                    nodes, services, sudo_)),
                IsOk());
    const CommandResult made = controller_.Run({"init"});
    ASSERT_EQ(made.exit_code, 0) << made;
  }

  // A machine with an agent that listens, enrolled. Configure comes before and after it: it must be known to be signed.
  void AddAgent(const std::string& name) {
    Machine& machine = AddMachine(name, geteuid());
    const absl::StatusOr<int> port = FreePort("127.0.0.1");
    ASSERT_THAT(port, IsOk());
    machine.address = absl::StrCat("grpc://127.0.0.1:", *port);
    ASSERT_THAT(
        WriteFile(machine.home + "/node.yaml",
                  absl::Substitute("name: $0\nstate: $1/state\nlisten: 127.0.0.1:$2\nallow_names: [\"*.example.com\"]\n"
                                   "services:\n$3",
                                   name, machine.home, *port, ServiceYaml(machine, "  "))),
        IsOk());
    Configure();
    const std::string config = machine.home + "/node.yaml";
    const CommandResult request = RunCaptured(controller_.captured(), kAgent, {"--config", config, "csr"});
    const CommandResult identity = controller_.Run({"nodes", "sign", name}, request.out);
    ASSERT_EQ(identity.exit_code, 0) << identity;
    const CommandResult accepted =
        RunCaptured(controller_.captured(), kAgent, {"--config", config, "accept"}, identity.out);
    ASSERT_EQ(accepted.exit_code, 0) << accepted;
    ProgramOptions options;
    options.argv = {kAgent, "--config", config, "run"};
    options.output = machine.home + "/agent.log";
    options.error = options.output;
    auto agent = Program::Start(options);
    ASSERT_THAT(agent, IsOk());
    machine.agent = *std::move(agent);
    ASSERT_THAT(WaitUntil("the agent listens", kPlenty,
                          [&] { return absl::StrContains(ReadFile(options.output), "listening on "); }),
                IsOk());
  }

  // A new generation; its leaf.
  std::string Import() {
    const IssuedCertificate issued = ca_.Issue({.dns_names = {"*.example.com"}});
    EXPECT_THAT(WriteFile(PathOf("new.pem"), issued.fullchain_pem), IsOk());
    EXPECT_THAT(WriteFile(PathOf("new.key"), issued.key_pem.ExposeSecret()), IsOk());
    const CommandResult imported =
        controller_.Run({"import", "wildcard", "--fullchain", PathOf("new.pem"), "--key", PathOf("new.key")});
    EXPECT_EQ(imported.exit_code, 0) << imported;
    return issued.certificate.sha256();
  }

  static std::string OutcomeOf(const CommandResult& applied, const std::string& name) {
    for (const auto& node : applied.json["rollouts"][0]["nodes"]) {
      if (node["name"] == name) return node["outcome"].get<std::string>();
    }
    return "none";
  }
  void ExpectAllServe(const std::string& leaf) const {
    for (const auto& [name, machine] : machines_) {
      EXPECT_EQ(machine.Served(), leaf) << name;
      EXPECT_EQ(machine.Installed(), leaf) << name;
    }
  }

  const TemporaryDirectory directory_;
  const ControllerProgram controller_{directory_.path()};
  const TestCa ca_ = TestCa::Root("public root").Intermediate("public CA");
  const IssuedCertificate old_ = ca_.Issue({.dns_names = {"*.example.com"}});
  bool sudo_ = false;
  std::string known_hosts_;
  std::map<std::string, Machine> machines_;
};

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

// While the service is told, with the certificate switched already.
TEST_F(SshFleetTest, AConnectionThatBreaksInTheMiddleLeavesNothingHalf) {
  AddSshHost("old-1");
  Configure();
  const std::string first = Import();
  ASSERT_EQ(controller_.Run({"apply"}).exit_code, 0);

  Machine& machine = machines_["old-1"];
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
  const Machine& machine = machines_["old-1"];
  EXPECT_THAT(machine.sshd->Run(absl::StrCat("stat -L -c '%u %a' ", machine.home, "/privkey.pem ", machine.home,
                                             "/state/pinned-fleet")),
              IsOkAndHolds("0 600\n0 600\n"));
}

// The key can run the agent and nothing else, and node.yaml decides what that does.
TEST_F(SshFleetTest, ARestrictedLoginWithANodeYamlIsAnAgent) {
  Machine& machine = AddMachine("old-1", kDeploy);
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
