// One fleet over SSH and gRPC together: the programs as they are shipped, real OpenSSH servers, real TLS servers as
// services. Tests that use it run as root.
#ifndef CERTCAST_TESTS_TESTING_SSH_FLEET_H_
#define CERTCAST_TESTS_TESTING_SSH_FLEET_H_

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <utility>

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

// A service, and what a machine keeps. Services read through links into the state, so both are where the host and this
// test see them at the same path.
struct SshMachine {
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
    const auto peer = TlsHandshake(service->address(), "www.example.com", {}, absl::Seconds(30));
    return peer.ok() ? peer->leaf_sha256 : peer.status().ToString();
  }
  std::string Installed() const { return LeafInFiles(home + "/fullchain.pem", home + "/privkey.pem"); }
};

class SshFleet : public ::testing::Test {
 protected:
  static constexpr char kAgent[] = "node/certcast-node";
  static constexpr absl::Duration kPlenty = absl::Seconds(30);
  static constexpr uid_t kDeploy = 2001;  // as sshd.cc's

  void SetUp() override {
    signal(SIGPIPE, SIG_IGN);
    chmod(home().c_str(), 0755);
    ASSERT_THAT(MakeSshKey(PathOf("key")), IsOk());
  }

  const std::string& home() const { return directory_.path(); }
  std::string PathOf(const std::string& name) const { return absl::StrCat(home(), "/", name); }

  SshMachine& AddMachine(const std::string& name, uid_t owner) {
    SshMachine& machine = machines_[name];
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
  void StartHost(SshMachine& machine, const std::string& restriction) {
    SshdOptions options;
    options.authorized_keys = restriction + ReadFile(PathOf("key.pub"));
    if (sudo_) {
      // The first line is Debian's own.
      options.sudoers =
          "Defaults use_pty\ndeploy ALL=(root) NOPASSWD: /home/deploy/.certcast/bin/certcast-node-* stdio";
    }
    auto sshd = Sshd::Start(options);
    ASSERT_THAT(sshd, IsOk());
    machine.sshd = *std::move(sshd);
    machine.address = absl::StrCat("ssh://deploy@", machine.sshd->endpoint());
    known_hosts_ += machine.sshd->KnownHostsLine();
    ASSERT_THAT(WriteFile(PathOf("known_hosts"), known_hosts_), IsOk());
  }

  // Of `services:`, at this indentation.
  static std::string ServiceYaml(const SshMachine& machine, const std::string& indent) {
    return absl::Substitute(R"($0- name: $1
$0  certificate: wildcard
$0  files:
$0    - {path: $2/fullchain.pem, content: fullchain}
$0    - {path: $2/privkey.pem, content: private_key}
$0  check: [test, -s, $2/privkey.pem]
$0  reload: {run: [bash, $2/reload], timeout: 60s}
$0  probes: [{tls: {address: "$3", server_name: www.example.com, timeout: 6s}}]
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
ssh: {key: {file: key}, known_hosts: known_hosts, agent_binary: $1, sudo: $4, connect_timeout: $5}
nodes:
$2services:
$3)",
                                                                    rollout, std::filesystem::absolute(kAgent).string(),
                                                                    nodes, services, sudo_, connect_timeout_)),
                IsOk());
    const CommandResult made = controller_.Run({"init"});
    ASSERT_EQ(made.exit_code, 0) << made;
  }

  // A machine with an agent that listens, enrolled. Configure comes before and after it: it must be known to be signed.
  void AddAgent(const std::string& name) {
    SshMachine& machine = AddMachine(name, geteuid());
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

  // Hosts log in as another user, who need not get through to $TEST_TMPDIR.
  const TemporaryDirectory directory_ = TemporaryDirectory::Short();
  const ControllerProgram controller_{directory_.path()};
  const TestCa ca_ = TestCa::Root("public root").Intermediate("public CA");
  const IssuedCertificate old_ = ca_.Issue({.dns_names = {"*.example.com"}});
  bool sudo_ = false;
  std::string connect_timeout_ = "10s";
  std::string known_hosts_;
  std::map<std::string, SshMachine> machines_;
};

}  // namespace certcast::testing

#endif  // CERTCAST_TESTS_TESTING_SSH_FLEET_H_
