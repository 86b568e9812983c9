// The line as it is printed; that it goes the same way is seen in tests/integration/ssh_doctor_test.cc.
#include "controller/transport/ssh/by_hand.h"

#include <stdlib.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/fake_process_runner.h"
#include "tests/testing/program.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temporary_directory.h"

namespace certcast::controller {
namespace {

using ::testing::HasSubstr;
using testing::IsOk;
using ::testing::Not;

SshHop HopTo(const std::string& host, uint16_t port) {
  SshHop hop;
  hop.user = "deploy";
  hop.to = {host, port};
  hop.known_hosts = {"/etc/certcast/known_hosts"};
  hop.login.key = {SecretReference::Kind::kFile, "/etc/certcast/id"};
  return hop;
}

TEST(SshLineTest, HasWhatIsConfiguredAndNothingElse) {
  SshTarget target;
  target.host = HopTo("10.0.0.9", 22);
  EXPECT_EQ(SshLine(target, "true"),
            "ssh -F none -o StrictHostKeyChecking=yes -o GlobalKnownHostsFile=none "
            "-o UserKnownHostsFile=/etc/certcast/known_hosts -o PreferredAuthentications=publickey "
            "-o IdentityAgent=none -o IdentityFile=/etc/certcast/id -o IdentitiesOnly=yes deploy@10.0.0.9 true");
}

TEST(SshLineTest, HasTheCertificateTheAliasAndThePort) {
  SshTarget target;
  target.host = HopTo("::1", 2222);
  target.host.known_as = "web";
  target.host.login.certificate_file = "/etc/certcast/id-cert.pub";
  EXPECT_THAT(SshLine(target, "sudo -n -l"),
              AllOf(HasSubstr(" -o HostKeyAlias=web "), HasSubstr(" -o CertificateFile=/etc/certcast/id-cert.pub "),
                    ::testing::EndsWith(" -p 2222 deploy@::1 sudo -n -l")));
}

TEST(SshLineTest, AnAgentIsAskedForAllItHas) {
  SshTarget target;
  target.host = HopTo("10.0.0.9", 22);
  target.host.login.key = {};
  target.host.login.agent_socket = "/run/agent";
  EXPECT_THAT(SshLine(target, "true"),
              AllOf(HasSubstr(" -o IdentityAgent=/run/agent -o IdentityFile=none "), Not(HasSubstr("IdentitiesOnly"))));
}

TEST(SshLineTest, EachJumpHostHasItsOwnOptions) {
  SshTarget target;
  target.host = HopTo("10.0.0.9", 2222);
  target.jumps = {HopTo("fd00::7", 22)};
  target.jumps[0].known_hosts = {"/etc/other"};
  EXPECT_THAT(SshLine(target, "true"),
              HasSubstr(" -o 'ProxyCommand=ssh -F none -o StrictHostKeyChecking=yes -o GlobalKnownHostsFile=none "
                        "-o UserKnownHostsFile=/etc/other -o PreferredAuthentications=publickey -o IdentityAgent=none "
                        "-o IdentityFile=/etc/certcast/id -o IdentitiesOnly=yes -W 10.0.0.9:2222 deploy@fd00::7' "
                        "-p 2222 deploy@10.0.0.9 true"));
}

// `-G` says what ssh makes of it, and the shell what it hands to ssh.
TEST(SshLineTest, PathsOfAnyKindGetThrough) {
  SshTarget target;
  target.host = HopTo("10.0.0.9", 22);
  target.host.known_hosts = {"/tmp/a b/it's", "/tmp/100%h"};
  target.host.login.key.name = "/tmp/$HOME/%u key";
  ProcessRequest request;
  request.argv = {"sh", "-c", absl::StrCat("set -- ", SshLine(target, "true"), "; shift; exec ssh -G \"$@\"")};
  const absl::StatusOr<ProcessResult> said = ProcessRunner::Real().Run(request);
  ASSERT_THAT(said, IsOk());
  EXPECT_THAT(said->output, AllOf(HasSubstr("\nidentityfile /tmp/$HOME/%%u key\n"),
                                  HasSubstr("\nuserknownhostsfile /tmp/a b/it's /tmp/100%h\n")))
      << said->error;
}

class SshByHandTest : public ::testing::Test {
 protected:
  SshByHandTest() {
    node_.name = "web-01";
    node_.ssh.emplace();
    node_.ssh->server = {.user = "deploy", .host = "10.0.0.9", .port = 22};
    node_.ssh->options.known_hosts = "/etc/certcast/known_hosts";
    node_.ssh->options.key.file = directory_.path() + "/key";
  }
  std::string Line() { return SshByHand(ProcessRunner::Real()).LineFor(node_, "true"); }

  testing::TemporaryDirectory directory_;
  NodeConfig node_;
};

TEST_F(SshByHandTest, NoneWhereTheKeyCanNotBeRead) {
  EXPECT_EQ(Line(), "");
  ASSERT_THAT(testing::WriteFile(node_.ssh->options.key.file, "no key\n"), IsOk());
  EXPECT_EQ(Line(), "");
  ProcessRequest keygen;
  keygen.argv = {"sh", "-c",
                 absl::StrCat("rm ", node_.ssh->options.key.file, "; ssh-keygen -q -t ed25519 -N '' -f ",
                              node_.ssh->options.key.file)};
  ASSERT_THAT(ProcessRunner::Real().Run(keygen), IsOk());
  EXPECT_THAT(Line(), HasSubstr(" deploy@10.0.0.9 true"));
  node_.ssh->options.certificate = directory_.path() + "/none-cert.pub";
  EXPECT_EQ(Line(), "");
}

TEST_F(SshByHandTest, NoneWhereThereIsNothingToLogInWith) {
  node_.ssh->options.key.file = "";
  EXPECT_EQ(Line(), "");
  setenv("SSH_AUTH_SOCK", (directory_.path() + "/agent").c_str(), 1);
  node_.ssh->options.agent = true;
  EXPECT_EQ(Line(), "");
  ASSERT_THAT(testing::WriteFile(directory_.path() + "/agent", ""), IsOk());
  EXPECT_THAT(Line(), HasSubstr(" deploy@10.0.0.9 true"));
}

TEST_F(SshByHandTest, NoneWhereSshConfigIsWrong) {
  node_.ssh->options.use_ssh_config = true;
  testing::FakeProcessRunner ssh;
  ssh.Otherwise([](const ProcessRequest&) { return testing::FakeProcessRunner::Exits(255, "Bad configuration"); });
  EXPECT_EQ(SshByHand(ssh).LineFor(node_, "true"), "");
}

}  // namespace
}  // namespace certcast::controller
