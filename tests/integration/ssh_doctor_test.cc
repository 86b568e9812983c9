// `certcast doctor` on hosts that are logged in to, each with something else in the way. Real OpenSSH servers. Runs as
// root.
#include <stdlib.h>

#include <filesystem>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/process/process.h"
#include "tests/testing/local_tcp_server.h"
#include "tests/testing/ssh_hosts.h"

namespace certcast::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class SshDoctorTest : public SshHosts {
 protected:
  // What is said of the node, worst first: `PROBLEM detail / hint`, a line each.
  static std::string SaidOf(const CommandResult& result, const std::string& name) {
    std::string lines;
    for (const auto& check : result.json["checks"]) {
      if (check["name"] != absl::StrCat("node ", name)) continue;
      absl::StrAppend(&lines, check["result"].get<std::string>(), " ", check["detail"].get<std::string>(), " / ",
                      check["hint"].get<std::string>(), "\n");
    }
    return lines;
  }

  // Runs what is printed of the node.
  static ProcessResult TryByHand(const CommandResult& result, const std::string& name) {
    const std::string said = SaidOf(result, name);
    const std::string kTry = "try by hand: ";
    const size_t at = said.find(kTry);
    EXPECT_NE(at, std::string::npos) << said;
    if (at == std::string::npos) return {};
    ProcessRequest request;
    request.argv = {"sh", "-c", said.substr(at + kTry.size(), said.find('\n', at) - at - kTry.size())};
    request.timeout = absl::Seconds(30);
    absl::StatusOr<ProcessResult> tried = ProcessRunner::Real().Run(request);
    EXPECT_THAT(tried, IsOk());
    return tried.ok() ? *std::move(tried) : ProcessResult();
  }
};

TEST_F(SshDoctorTest, SaysOfEachHostWhatIsInTheWayAndWhatToDo) {
  const RefusingPort refusing;
  const SilentServer silent;
  AddHost("good");
  AddNode("gone", absl::StrCat("ssh://deploy@", refusing.address()), ", services: [web]");
  AddNode("silent", absl::StrCat("ssh://deploy@", silent.address()), ", services: [web], ssh: {connect_timeout: 1s}");
  const Sshd& unknown = AddHost("unknown");
  known_hosts_.erase(known_hosts_.find(unknown.KnownHostsLine()), unknown.KnownHostsLine().size());
  const Sshd& changed = AddHost("changed");
  known_hosts_.erase(known_hosts_.find(changed.KnownHostsLine()), changed.KnownHostsLine().size());
  absl::StrAppend(&known_hosts_, "[127.0.0.1]:", changed.port(), " ", unknown.HostKey(), "\n");
  SshdOptions options;
  options.authorized_keys = "# nobody\n";
  AddHost("login", options);
  AddHost("sudo", {}, ", ssh: {sudo: true}");
  options = {};
  options.shell = "/usr/sbin/nologin";
  AddHost("shell", options);
  options = {};
  options.setup = {"mkdir -m 700 /home/deploy/state", "mount -t tmpfs -o ro,uid=2001,mode=700 none /home/deploy/state"};
  AddHost("readonly", options);
  Configure();

  const CommandResult result = controller_.Json({"doctor"});
  EXPECT_EQ(result.exit_code, 1) << result;
  EXPECT_THAT(
      SaidOf(result, "good"),
      AllOf(HasSubstr("OK answers over ssh as deploy@127.0.0.1:"), HasSubstr("/home/deploy/state can be written, "),
            HasSubstr(" MB free, certcast-node "), Not(HasSubstr("PROBLEM")), Not(HasSubstr("clock"))));
  EXPECT_THAT(SaidOf(result, "gone"), AllOf(HasSubstr("PROBLEM NO_ROUTE: "), HasSubstr(refusing.address()),
                                            HasSubstr("try by hand: ssh -F none ")));
  EXPECT_THAT(SaidOf(result, "silent"),
              AllOf(HasSubstr("PROBLEM TIMED_OUT: "), HasSubstr("try by hand: ssh -F none ")));
  EXPECT_THAT(SaidOf(result, "unknown"),
              AllOf(HasSubstr("PROBLEM HOST_KEY_UNKNOWN: "), HasSubstr("SHA256:"),
                    // Whole, and nothing behind it.
                    HasSubstr(absl::StrCat("[127.0.0.1]:", unknown.port(), " ", unknown.HostKey(), "\n"))));
  EXPECT_THAT(SaidOf(result, "changed"),
              AllOf(HasSubstr("PROBLEM HOST_KEY_CHANGED: "), HasSubstr(PathOf("known_hosts") + ":")));
  EXPECT_THAT(SaidOf(result, "login"), AllOf(HasSubstr("PROBLEM AUTH_FAILED: "), HasSubstr(PathOf("key"))));
  EXPECT_THAT(SaidOf(result, "sudo"),
              AllOf(HasSubstr("PROBLEM SUDO_REFUSED: "), HasSubstr("a password is required"),
                    HasSubstr("deploy ALL=(root) NOPASSWD: /home/deploy/.certcast/bin/certcast-node-* stdio")));
  EXPECT_THAT(SaidOf(result, "shell"), AllOf(HasSubstr("PROBLEM PROTOCOL: "), HasSubstr("not available")));
  EXPECT_THAT(SaidOf(result, "readonly"),
              AllOf(HasSubstr("PROBLEM NO_AGENT_BINARY: "), HasSubstr("Read-only file system")));
}

// Here it is the controller's that is wrong, which a host can't tell apart, nor the controller.
TEST_F(SshDoctorTest, SaysHowFarAClockIsOff) {
  AddHost("other");
  Configure();
  setenv("LD_PRELOAD", std::filesystem::absolute("tests/testing/two_hours_ahead.so").c_str(), 1);
  const CommandResult result = controller_.Json({"doctor"});
  unsetenv("LD_PRELOAD");
  EXPECT_THAT(SaidOf(result, "other"), HasSubstr("its clock is off by -2h")) << result;
}

// As certcast.yaml can say it.
TEST_F(SshDoctorTest, LogsInByEveryMeansThatTheConfigurationHas) {
  ASSERT_THAT(MakeSshKey(PathOf("locked"), "ed25519", "correct horse"), IsOk());
  ASSERT_THAT(WriteFile(PathOf("passphrase"), "correct horse\n"), IsOk());
  SshdOptions options;
  options.authorized_keys = ReadFile(PathOf("locked.pub"));
  AddHost("by-file", options, ", ssh: {key: {file: locked, passphrase: {file: passphrase}}}");
  setenv("SSH_DOCTOR_TEST_PASSPHRASE", "correct horse", 1);
  AddHost("by-env", options, ", ssh: {key: {file: locked, passphrase: {env: SSH_DOCTOR_TEST_PASSPHRASE}}}");

  ASSERT_THAT(MakeSshKey(PathOf("ca")), IsOk());
  ASSERT_THAT(RunSshKeygen({"-s", PathOf("ca"), "-I", "me", "-n", "deploy", PathOf("key.pub")}), IsOk());
  options.authorized_keys = absl::StrCat("cert-authority ", ReadFile(PathOf("ca.pub")));
  AddHost("by-certificate", options, ", ssh: {certificate: key-cert.pub}");

  ASSERT_THAT(MakeSshKey(PathOf("held")), IsOk());
  const TemporaryDirectory sockets = TemporaryDirectory::Short();
  ProgramOptions agent;
  agent.argv = {"ssh-agent", "-D", "-a", sockets.path() + "/agent"};
  const auto running = Program::Start(agent);
  ASSERT_THAT(running, IsOk());
  setenv("SSH_AUTH_SOCK", (sockets.path() + "/agent").c_str(), 1);
  ProcessRequest add;
  add.argv = {"ssh-add", "-q", PathOf("held")};
  add.environment = {{"SSH_AUTH_SOCK", sockets.path() + "/agent"}};
  // Its socket is there before it listens.
  ASSERT_THAT(WaitUntil("the agent takes a key", absl::Seconds(10),
                        [&] {
                          const absl::StatusOr<ProcessResult> added = ProcessRunner::Real().Run(add);
                          return added.ok() && added->ok();
                        }),
              IsOk());
  options.authorized_keys = ReadFile(PathOf("held.pub"));
  AddHost("by-agent", options, ", ssh: {agent: true}");

  const Sshd& jump = AddHost("jump");
  AddHost("behind", {}, absl::StrCat(", ssh: {jump: [\"deploy@", jump.endpoint(), "\"]}"));
  // Hashed, as ssh-keygen -H does it; and one that only its authority makes known.
  Configure();
  ASSERT_THAT(RunSshKeygen({"-H", "-f", PathOf("known_hosts")}), IsOk());
  known_hosts_ = ReadFile(PathOf("known_hosts"));
  options = {};
  options.host_ca = PathOf("ca");
  const Sshd& vouched = AddHost("vouched", options);
  known_hosts_.erase(known_hosts_.find(vouched.KnownHostsLine()), vouched.KnownHostsLine().size());
  absl::StrAppend(&known_hosts_, "@cert-authority [127.0.0.1]:", vouched.port(), " ", ReadFile(PathOf("ca.pub")));
  Configure();
  ASSERT_THAT(ReadFile(PathOf("known_hosts")), Not(HasSubstr(jump.KnownHostsLine())));

  const CommandResult result = controller_.Json({"doctor"});
  EXPECT_EQ(result.exit_code, 0) << result;
  for (const char* name : {"by-file", "by-env", "by-certificate", "by-agent", "jump", "behind", "vouched"}) {
    EXPECT_THAT(SaidOf(result, name), HasSubstr("OK answers over ssh as deploy@")) << name;
  }
  EXPECT_THAT(result.out, Not(HasSubstr("correct horse")));
}

// What is printed is run. A host that refuses sudo shows in its own words whether the line got there.
TEST_F(SshDoctorTest, WhatToTryByHandGoesTheSameWay) {
  const Sshd& first = AddHost("first");
  const Sshd& second = AddHost("second");
  const auto behind = [](const std::string& jumps) { return absl::StrCat(", ssh: {sudo: true, jump: [", jumps, "]}"); };
  AddHost("direct", {}, ", ssh: {sudo: true}");
  AddHost("one-jump", {}, behind(absl::StrCat("\"deploy@", first.endpoint(), "\"")));
  AddHost("two-jumps", {},
          behind(absl::StrCat("\"deploy@", first.endpoint(), "\", \"deploy@", second.endpoint(), "\"")));
  ASSERT_THAT(MakeSshKey(PathOf("ca")), IsOk());
  ASSERT_THAT(RunSshKeygen({"-s", PathOf("ca"), "-I", "me", "-n", "deploy", PathOf("key.pub")}), IsOk());
  // Not where ssh would look by itself.
  std::filesystem::rename(PathOf("key-cert.pub"), PathOf("a certificate"));
  SshdOptions options;
  options.authorized_keys = absl::StrCat("cert-authority ", ReadFile(PathOf("ca.pub")));
  AddHost("by-certificate", options, ", ssh: {sudo: true, certificate: a certificate}");
  options.authorized_keys = "# nobody\n";
  AddHost("refused", options);
  AddHost("no-key", {}, ", ssh: {key: {file: not-there}}");
  Configure();

  const CommandResult result = controller_.Json({"doctor"});
  EXPECT_EQ(result.exit_code, 1) << result;
  for (const char* name : {"direct", "one-jump", "two-jumps", "by-certificate"}) {
    EXPECT_THAT(SaidOf(result, name), HasSubstr("PROBLEM SUDO_REFUSED")) << name;
    const ProcessResult tried = TryByHand(result, name);
    EXPECT_EQ(tried.exit_code, 1) << name << ": " << tried.error;
    EXPECT_THAT(tried.error, HasSubstr("sudo: a password is required")) << name;
  }
  const ProcessResult refused = TryByHand(result, "refused");
  EXPECT_EQ(refused.exit_code, 255);
  EXPECT_THAT(refused.error, HasSubstr("deploy@127.0.0.1: Permission denied (publickey"));
  EXPECT_THAT(SaidOf(result, "no-key"), AllOf(HasSubstr("PROBLEM AUTH_FAILED"), Not(HasSubstr("try by hand"))));

  // What certcast does not trust, the line does not either: here the first jump host.
  const std::string known = ReadFile(PathOf("known_hosts"));
  ASSERT_THAT(WriteFile(PathOf("known_hosts"), known.substr(first.KnownHostsLine().size())), IsOk());
  EXPECT_THAT(TryByHand(result, "two-jumps").error, HasSubstr("Host key verification failed"));
}

// The agent is there; what it needs is not.
TEST_F(SshDoctorTest, SaysWhatTheAgentLacks) {
  SshdOptions small;
  small.setup = {"mkdir -m 700 /home/deploy/state",
                 "mount -t tmpfs -o size=40m,uid=2001,mode=755 none /home/deploy/state"};
  const Sshd& full = AddHost("full", small);
  const Sshd& foreign = AddHost("foreign");
  const Sshd& readonly = AddHost("readonly", small);
  const Sshd& closed = AddHost("closed");
  Configure();
  CommandResult result = controller_.Json({"doctor"});
  EXPECT_EQ(result.exit_code, 0) << result;

  const auto kilobytes = full.Run("df -k --output=avail /home/deploy/state | tail -1");
  ASSERT_THAT(kilobytes, IsOk());
  ASSERT_THAT(full.Run(absl::StrCat("head -c $((", absl::StripAsciiWhitespace(*kilobytes),
                                    " - 1000))k /dev/zero >/home/deploy/state/rubbish")),
              IsOk());
  ASSERT_THAT(foreign.Run("chown -R 0:0 /home/deploy/state && chown 2001 /home/deploy/state/bin && "
                          "chown -h 2001 /home/deploy/state/bin/*"),
              IsOk());
  ASSERT_THAT(readonly.Run("mount -o remount,ro /home/deploy/state"), IsOk());
  ASSERT_THAT(closed.Run("chown 0:0 /home/deploy/tls"), IsOk());
  result = controller_.Json({"doctor"});
  EXPECT_EQ(result.exit_code, 1) << result;
  EXPECT_THAT(SaidOf(result, "full"),
              AllOf(HasSubstr("PROBLEM only "), HasSubstr(" MB are free"), HasSubstr("make room there")));
  EXPECT_THAT(SaidOf(result, "foreign"), HasSubstr("PROBLEM PERMISSION_DENIED: ")) << result;
  EXPECT_THAT(SaidOf(result, "readonly"), HasSubstr("PROBLEM ")) << result;
  EXPECT_THAT(SaidOf(result, "closed"), HasSubstr("PROBLEM web: /home/deploy/tls")) << result;
}

TEST_F(SshDoctorTest, AHostThatNoCertificateIsForIsLookedAtAllTheSame) {
  AddHost("busy");
  AddHost("idle");
  SshdOptions options;
  options.authorized_keys = "# nobody\n";
  AddHost("idle-too", options);
  Configure(kAgent, "[busy]");
  const CommandResult result = controller_.Json({"doctor"});
  EXPECT_EQ(result.exit_code, 1) << result;
  EXPECT_THAT(SaidOf(result, "busy"), Not(HasSubstr("no certificate")));
  EXPECT_THAT(SaidOf(result, "idle"),
              AllOf(HasSubstr("WARNING no certificate is for it"), HasSubstr("OK answers over ssh")));
  EXPECT_THAT(SaidOf(result, "idle-too"), HasSubstr("PROBLEM AUTH_FAILED"));
}

}  // namespace
}  // namespace certcast::testing
