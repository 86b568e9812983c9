// `certcast nodes upgrade`: the programs as they are shipped, real OpenSSH servers. Runs as root.
#include <sys/stat.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/testing/local_tcp_server.h"
#include "tests/testing/ssh_hosts.h"

namespace certcast::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;

class SshUpgradeTest : public SshHosts {
 protected:
  // The agent of a later day: the same with another digest.
  std::string MakeNextAgent() const {
    std::string path = PathOf("certcast-node-next");
    std::filesystem::copy_file(kAgent, path);
    chmod(path.c_str(), 0755);
    EXPECT_THAT(WriteFile(path, ReadFile(path) + "next", 0755), IsOk());
    return path;
  }
  static std::string StateOf(const CommandResult& result, const std::string& name) {
    for (const auto& node : result.json["nodes"]) {
      if (node["name"] == name) return node["state"].get<std::string>();
    }
    return "none";
  }
  static std::string AgentsOn(const Sshd& host) {
    return host.Run("ls -A /home/deploy/state/bin 2>/dev/null | grep -c '^certcast-node-' || true").value_or("?");
  }
};

TEST_F(SshUpgradeTest, EachHostGetsTheAgentOnceAndTheNextOneInItsPlace) {
  for (const char* name : {"old-1", "old-2", "old-3"}) AddHost(name);
  AddNode("web-1", "grpc://127.0.0.1:1", "");
  Configure(kAgent, "[old-1]");

  CommandResult result = controller_.Run({"nodes", "upgrade", "--dry-run"});
  EXPECT_EQ(result.exit_code, 5) << result;
  EXPECT_THAT(result.out, AllOf(HasSubstr("old-1: would upload "), HasSubstr("old-3: would upload "),
                                HasSubstr("web-1: not ours to upgrade: its agent listens at 127.0.0.1:1"),
                                HasSubstr("0 of 3 hosts have this certcast-node")));
  for (const auto& [name, host] : hosts_) EXPECT_EQ(AgentsOn(*host), "0\n") << name;

  result = controller_.Run({"nodes", "upgrade"});
  EXPECT_EQ(result.exit_code, 0) << result;
  EXPECT_THAT(result.out, AllOf(HasSubstr("old-1: uploaded "), HasSubstr("old-2: uploaded "),
                                HasSubstr("3 of 3 hosts have this certcast-node")));
  EXPECT_THAT(result.err, AllOf(HasSubstr("[3/4] "), HasSubstr("old-2: uploaded")));
  for (const auto& [name, host] : hosts_) EXPECT_EQ(AgentsOn(*host), "1\n") << name;

  result = controller_.Run({"nodes", "upgrade"});
  EXPECT_EQ(result.exit_code, 0) << result;
  for (const char* name : {"old-1", "old-2", "old-3"}) {
    EXPECT_THAT(result.out, HasSubstr(absl::StrCat(name, ": is up to date")));
  }
  EXPECT_EQ(result.err, "");

  Configure(MakeNextAgent(), "[old-1]");
  result = controller_.Json({"nodes", "upgrade", "old-2", "--dry-run"});
  EXPECT_EQ(result.exit_code, 5) << result;
  EXPECT_EQ(StateOf(result, "old-2"), "OUTDATED") << result;
  EXPECT_EQ(result.json["changesPending"], true) << result;
  const std::string before = result.json["nodes"][0]["previousSha256"];
  EXPECT_THAT(before, MatchesRegex("[0-9a-f]{64}"));

  result = controller_.Json({"nodes", "upgrade", "old-2"});
  EXPECT_EQ(result.exit_code, 0) << result;
  EXPECT_EQ(StateOf(result, "old-2"), "UPLOADED") << result;
  EXPECT_EQ(result.json["nodes"].size(), 1u) << result;
  EXPECT_EQ(result.json["nodes"][0]["previousSha256"], before) << result;
  const std::string next = result.json["nodes"][0]["sha256"];
  EXPECT_THAT(hosts_["old-2"]->Run("cd /home/deploy/state/bin && ls -A && sha256sum <certcast-node"),
              IsOkAndHolds(absl::StrCat("certcast-node\ncertcast-node-", next, "\n", next, "  -\n")));
  EXPECT_THAT(hosts_["old-1"]->Run("ls /home/deploy/state/bin"), IsOkAndHolds(HasSubstr(before)));

  result = controller_.Json({"nodes", "upgrade"});
  EXPECT_EQ(result.exit_code, 0) << result;
  EXPECT_EQ(StateOf(result, "old-1"), "UPLOADED") << result;
  EXPECT_EQ(StateOf(result, "old-2"), "UP_TO_DATE") << result;
  EXPECT_EQ(StateOf(result, "web-1"), "NOT_OURS") << result;
  for (const auto& [name, host] : hosts_) EXPECT_EQ(AgentsOn(*host), "1\n") << name;
}

TEST_F(SshUpgradeTest, HostsThatAreNotReachedAreNamedWithWhyAndTheOthersAreDone) {
  AddHost("good");
  SshdOptions full;
  full.setup = {"mkdir -m 700 /home/deploy/state",
                "mount -t tmpfs -o size=1m,uid=2001,mode=700 none /home/deploy/state"};
  AddHost("full", full);
  AddHost("sudo", {}, ", ssh: {sudo: true}");
  const RefusingPort refusing;
  AddNode("gone", absl::StrCat("ssh://deploy@", refusing.address()), ", services: [web]");
  Configure();
  const CommandResult result = controller_.Run({"nodes", "upgrade"});
  EXPECT_EQ(result.exit_code, 3) << result;
  EXPECT_THAT(result.out,
              AllOf(HasSubstr("good: uploaded"), HasSubstr("full: UNREACHABLE NO_AGENT_BINARY: "),
                    HasSubstr("No space left on device"), HasSubstr("sudo: UNREACHABLE SUDO_REFUSED: "),
                    HasSubstr("    | sudo: a password is required"), HasSubstr("NOPASSWD: /home/deploy/.certcast/bin/"),
                    HasSubstr("gone: UNREACHABLE NO_ROUTE: "), HasSubstr("1 of 4 hosts have this certcast-node")));
  // A dry run looks as far.
  const CommandResult again = controller_.Run({"nodes", "upgrade", "--dry-run", "good", "gone"});
  EXPECT_EQ(again.exit_code, 3) << again;
  EXPECT_THAT(again.out, HasSubstr("good: is up to date"));
}

TEST_F(SshUpgradeTest, ARestrictedLoginsAgentIsNotOurs) {
  SshdOptions options;
  options.setup = {absl::StrCat("cp ", std::filesystem::absolute(kAgent).string(), " /run/host/certcast-node")};
  options.authorized_keys =
      absl::StrCat("command=\"/run/host/certcast-node stdio\",restrict ", ReadFile(PathOf("key.pub")));
  AddHost("old-1", options);
  Configure();
  const CommandResult result = controller_.Run({"nodes", "upgrade"});
  EXPECT_EQ(result.exit_code, 0) << result;
  EXPECT_THAT(result.out, AllOf(HasSubstr("old-1: not ours to upgrade: the login leads to an agent"),
                                HasSubstr("no host gets its agent from here")));
}

TEST_F(SshUpgradeTest, WrongUseIsToldOf) {
  AddNode("web-1", "grpc://127.0.0.1:1", "");
  Configure();
  const struct {
    std::vector<std::string> arguments;
    std::string says;
  } cases[] = {
      {{"nowhere"}, "there is no node nowhere"},
      {{"web-1"}, "the agent of web-1 is not ours to upgrade"},
      {{"--parallel", "0"}, "--parallel"},
      {{"--force"}, "--force"},
  };
  for (const auto& each : cases) {
    std::vector<std::string> arguments = {"nodes", "upgrade"};
    arguments.insert(arguments.end(), each.arguments.begin(), each.arguments.end());
    const CommandResult result = controller_.Run(arguments);
    EXPECT_EQ(result.exit_code, 2) << result;
    EXPECT_THAT(result.err, HasSubstr(each.says));
  }
  const CommandResult nothing = controller_.Run({"nodes", "upgrade"});
  EXPECT_EQ(nothing.exit_code, 0) << nothing;
  EXPECT_THAT(nothing.out, HasSubstr("no host gets its agent from here"));
  EXPECT_THAT(nothing.out, Not(HasSubstr("0 of 0")));
  const CommandResult help = controller_.Run({"nodes", "upgrade", "--help"});
  EXPECT_EQ(help.exit_code, 0) << help;
  EXPECT_THAT(help.out, AllOf(HasSubstr("--dry-run"), HasSubstr("Exit codes: 0 done or nothing to do")));
  // What else puts it there says so.
  for (const char* verb : {"apply", "status", "doctor"}) {
    EXPECT_THAT(controller_.Run({verb, "--help"}).out, HasSubstr("reached over SSH gets the agent that it lacks"))
        << verb;
  }
}

}  // namespace
}  // namespace certcast::testing
