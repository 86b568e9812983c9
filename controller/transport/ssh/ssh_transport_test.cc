// How a node's configuration becomes a way to it; with the real `ssh -G`.
#include "controller/transport/ssh/ssh_transport.h"

#include <stdlib.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/probe/system_resolver.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/fake_process_runner.h"
#include "tests/testing/program.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temporary_directory.h"

namespace certcast::controller {
namespace {

using ::testing::ElementsAre;
using testing::HasReason;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::IsOk;
using ::testing::StartsWith;

class SshTransportTest : public ::testing::Test {
 protected:
  SshTransportTest() {
    options_.fleet_id = "fleet";
    options_.manifest_key_pem = "PEM";
    options_.ssh_config_file = directory_.path() + "/config";
    node_.name = "web-01";
    node_.ssh.emplace();
    node_.ssh->server = {.user = "deploy", .host = "10.0.0.9", .port = 2222};
    node_.ssh->options.known_hosts = "/etc/certcast/known_hosts";
    node_.ssh->options.key.file = "/etc/certcast/id";
    node_.ssh->options.agent_binary = "/opt/certcast-node";
    node_.ssh->allow_names = {"a.example", "b.example"};
    node_.ssh->services_yaml = std::make_shared<const std::string>("- {name: nginx}\n");
  }
  // Says that ssh_config is to be honoured, and what it holds.
  void UseConfig(const std::string& text) {
    ASSERT_THAT(testing::WriteFile(options_.ssh_config_file, text), IsOk());
    node_.ssh->options = SshOptions{.use_ssh_config = true};
    node_.ssh->server = {.user = "", .host = "web", .port = 0};
  }
  std::string Path(const std::string& name) const { return absl::StrCat(directory_.path(), "/", name); }
  absl::StatusOr<SshTarget> Make() const { return MakeSshTarget(node_, options_, ProcessRunner::Real()); }

  testing::TemporaryDirectory directory_;
  SshTransportOptions options_;
  NodeConfig node_;
};

TEST_F(SshTransportTest, TellsTheHostWhatItIs) {
  const absl::StatusOr<SshTarget> target = Make();
  ASSERT_THAT(target, IsOk());
  EXPECT_EQ(target->host.ToString(), "deploy@10.0.0.9:2222");
  EXPECT_EQ(target->host.login.key.name, "/etc/certcast/id");
  EXPECT_THAT(target->host.known_hosts, ElementsAre("/etc/certcast/known_hosts"));
  EXPECT_EQ(target->binary_directory, "/var/lib/certcast-node/bin");
  EXPECT_EQ(target->agent_binary, "/opt/certcast-node");
  const v1::NodeDefinition& definition = target->definition;
  EXPECT_EQ(definition.node(), "web-01");
  EXPECT_EQ(definition.state(), "/var/lib/certcast-node");
  EXPECT_EQ(definition.fleet_id(), "fleet");
  EXPECT_EQ(definition.manifest_key_pem(), "PEM");
  EXPECT_THAT(definition.allow_names(), ElementsAre("a.example", "b.example"));
  EXPECT_EQ(definition.keep(), 2);
  EXPECT_EQ(definition.services_yaml(), "- {name: nginx}\n");
}

TEST_F(SshTransportTest, WithSudoTheBinaryIsTheLogins) {
  node_.ssh->options.sudo = true;
  const absl::StatusOr<SshTarget> target = Make();
  ASSERT_THAT(target, IsOk());
  EXPECT_TRUE(target->sudo);
  EXPECT_EQ(target->binary_directory, ".certcast/bin");
}

TEST_F(SshTransportTest, TheBinaryIsWhereItIsToldToBe) {
  node_.ssh->options.agent_directory = "/opt/certcast";
  for (const bool sudo : {false, true}) {
    node_.ssh->options.sudo = sudo;
    const absl::StatusOr<SshTarget> target = Make();
    ASSERT_THAT(target, IsOk());
    EXPECT_EQ(target->binary_directory, "/opt/certcast");
    EXPECT_EQ(target->definition.state(), "/var/lib/certcast-node");
  }
}

TEST_F(SshTransportTest, JumpsHaveTheSameLogin) {
  node_.ssh->options.jump = {{.user = "a", .host = "one", .port = 22}, {.user = "b", .host = "two", .port = 23}};
  const absl::StatusOr<SshTarget> target = Make();
  ASSERT_THAT(target, IsOk());
  ASSERT_EQ(target->jumps.size(), 2);
  EXPECT_EQ(target->jumps[0].ToString(), "a@one:22");
  EXPECT_EQ(target->jumps[1].ToString(), "b@two:23");
  EXPECT_EQ(target->jumps[1].login.Identity(), target->host.login.Identity());
}

TEST_F(SshTransportTest, WithoutUseSshConfigNobodyIsAsked) {
  testing::FakeProcessRunner processes;
  EXPECT_THAT(MakeSshTarget(node_, options_, processes), IsOk());
  EXPECT_THAT(processes.requests(), IsEmpty());
}

TEST_F(SshTransportTest, TakesFromSshConfigWhatIsLeftOpen) {
  ASSERT_THAT(testing::WriteFile(Path("id"), "key"), IsOk());
  UseConfig(absl::StrCat("Host web\n HostName 10.1.2.3\n Port 2200\n User ops\n HostKeyAlias web-alias\n IdentityFile ",
                         Path("missing"), "\n IdentityFile ", Path("id"), "\n IdentityAgent none\n UserKnownHostsFile ",
                         Path("known"), "\n GlobalKnownHostsFile /etc/known\n"));
  const absl::StatusOr<SshTarget> target = Make();
  ASSERT_THAT(target, IsOk());
  EXPECT_EQ(target->host.ToString(), "ops@10.1.2.3:2200");
  EXPECT_EQ(target->host.known_as, "web-alias");
  EXPECT_EQ(target->host.login.key.name, Path("id"));
  EXPECT_TRUE(target->host.login.agent_may_have_key);
  EXPECT_EQ(target->host.login.agent_socket, "");
  EXPECT_THAT(target->host.known_hosts, ElementsAre(Path("known"), "/etc/known"));
  EXPECT_THAT(target->jumps, IsEmpty());
}

TEST_F(SshTransportTest, WhatTheNodeSaysComesBeforeSshConfig) {
  UseConfig(absl::StrCat("Host *\n User other\n Port 9\n IdentityFile ", Path("id"), "\n UserKnownHostsFile ",
                         Path("k"), "\n"));
  ASSERT_THAT(testing::WriteFile(Path("id"), "key"), IsOk());
  node_.ssh->server = {.user = "deploy", .host = "web", .port = 2222};
  node_.ssh->options.key.file = "/mine";
  node_.ssh->options.known_hosts = "/known";
  const absl::StatusOr<SshTarget> target = Make();
  ASSERT_THAT(target, IsOk());
  EXPECT_EQ(target->host.ToString(), "deploy@web:2222");
  EXPECT_EQ(target->host.login.key.name, "/mine");
  EXPECT_FALSE(target->host.login.agent_may_have_key);
  EXPECT_THAT(target->host.known_hosts, ElementsAre("/known"));
}

TEST_F(SshTransportTest, ProxyJumpIsFollowedHopByHop) {
  UseConfig(
      "Host web\n ProxyJump ops@inner:2022,last\n"
      "Host inner\n HostName 10.9.9.9\n ProxyJump outer\n"
      "Host last\n User me\n"
      "Host outer\n User gate\n Port 443\n");
  absl::StatusOr<SshTarget> target = Make();
  ASSERT_THAT(target, IsOk());
  std::vector<std::string> hops;
  for (const SshHop& hop : target->jumps) hops.push_back(hop.ToString());
  EXPECT_THAT(hops, ElementsAre("gate@outer:443", "ops@10.9.9.9:2022", "me@last:22"));
  // The node's own list replaces it.
  node_.ssh->options.jump = {{.user = "", .host = "last", .port = 0}};
  target = Make();
  ASSERT_THAT(target, IsOk());
  ASSERT_EQ(target->jumps.size(), 1);
  EXPECT_EQ(target->jumps[0].ToString(), "me@last:22");
}

TEST_F(SshTransportTest, AProxyJumpInCirclesIsRefused) {
  UseConfig("Host web\n ProxyJump a\nHost a\n ProxyJump b\nHost b\n ProxyJump a\n");
  EXPECT_THAT(Make().status(), testing::HasCode(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(std::string(Make().status().message()), HasSubstr("web-01: the way has more than 8 jump hosts"));
}

TEST_F(SshTransportTest, AProxyCommandIsNotRunButToldOf) {
  UseConfig(absl::StrCat("Host web\n ProxyCommand touch ", Path("ran"), "\n"));
  SshTransport transport(options_, SystemResolver(), ProcessRunner::Real());
  EXPECT_THAT(transport.Open(node_, absl::Seconds(1)), HasReason(Reason::NO_ROUTE, HasSubstr("ProxyCommand")));
  EXPECT_EQ(testing::ReadFile(Path("ran")), "");
}

TEST_F(SshTransportTest, WhatSshDoesNotTakeIsToldOf) {
  UseConfig("Host web\n NoSuchOption yes\n");
  const absl::StatusOr<SshTarget> target = Make();
  EXPECT_THAT(std::string(target.status().message()), StartsWith("web-01: web: `ssh -G web` exited with 255"));
  EXPECT_THAT(FailureOf(target.status()).stderr(), HasSubstr("nosuchoption"));
}

TEST_F(SshTransportTest, AsksTheAgentOnlyWhereItIsToldTo) {
  setenv("SSH_AUTH_SOCK", "/run/agent", 1);
  EXPECT_EQ(Make()->host.login.agent_socket, "");
  node_.ssh->options.agent = true;
  EXPECT_EQ(Make()->host.login.agent_socket, "/run/agent");
  unsetenv("SSH_AUTH_SOCK");
  EXPECT_EQ(Make()->host.login.agent_socket, "");
}

}  // namespace
}  // namespace certcast::controller
