// The agent as it is shipped: the program, its verbs, exit codes and signals.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/clock.h"
#include "common/identity/names.h"
#include "common/process/process.h"
#include "controller/transport/grpc_transport.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/local_tls_server.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temporary_directory.h"
#include "tests/testing/test_ca.h"
#include "tests/testing/test_fleet.h"

namespace certcast {
namespace {

using ::testing::AllOf;
using testing::HasReason;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::IsOk;
using ::testing::Not;
using ::testing::StartsWith;

constexpr char kAgent[] = "node/certcast-node";
constexpr char kFleet[] = "0b9f8a52-6f52-4a55-9d3e-0e5a7d0f9c11";
constexpr absl::Duration kPlenty = absl::Seconds(30);

std::string ReadFile(const std::string& path) {
  std::ifstream file(path);
  return std::string(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
}

void WriteFile(const std::string& path, const std::string& text) {
  std::ofstream(path) << text;
}

// `certcast-node run`, its standard output and error in one pipe. Killed when it is still there at the end.
class RunningAgent {
 public:
  explicit RunningAgent(const std::string& config) {
    int pipe_ends[2];
    if (pipe2(pipe_ends, O_CLOEXEC) != 0) ADD_FAILURE() << "pipe";
    output_ = pipe_ends[0];
    pid_ = fork();
    if (pid_ == 0) {
      dup2(pipe_ends[1], STDOUT_FILENO);
      dup2(pipe_ends[1], STDERR_FILENO);
      execl(kAgent, kAgent, "--config", config.c_str(), "run", nullptr);
      _exit(127);
    }
    close(pipe_ends[1]);
  }
  ~RunningAgent() {
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, 0);
    }
    close(output_);
  }

  // Reads until a line begins with `start`, and gives that line; empty when the agent ended before, or took too long.
  std::string AwaitLine(const std::string& start) {
    const absl::Time deadline = absl::Now() + kPlenty;
    while (absl::Now() < deadline) {
      for (size_t end; (end = pending_.find('\n')) != std::string::npos;) {
        std::string line = pending_.substr(0, end);
        pending_.erase(0, end + 1);
        lines_ += line + "\n";
        if (absl::StartsWith(line, start)) return line;
      }
      pollfd item{.fd = output_, .events = POLLIN, .revents = 0};
      if (poll(&item, 1, 1000) <= 0) continue;
      char buffer[4096];
      const ssize_t count = read(output_, buffer, sizeof buffer);
      if (count <= 0) break;
      pending_.append(buffer, static_cast<size_t>(count));
    }
    ADD_FAILURE() << "no line begins with: " << start << "\nit said:\n" << lines_;
    return "";
  }
  // host:port of its `listening on` line.
  std::string AwaitAddress() {
    const std::string line = AwaitLine("listening on ");
    const size_t begin = sizeof("listening on ") - 1;
    return line.empty() ? "" : line.substr(begin, line.find(' ', begin) - begin);
  }
  // All that were read while something was awaited.
  const std::string& lines() const { return lines_; }
  void Signal(int signal) { kill(pid_, signal); }
  // The exit code; 128 and the signal's number when one ended it.
  int AwaitEnd() {
    int status = 0;
    waitpid(std::exchange(pid_, -1), &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

 private:
  pid_t pid_;
  int output_;
  std::string pending_;
  std::string lines_;
};

class AgentTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directory(directory_.path() + "/tls");
    WriteConfig("web-01");
  }

  void WriteConfig(const std::string& name, const std::string& check = "[\"true\"]") {
    WriteFile(config_, absl::StrCat(R"(name: )", name, R"(
state: )",
                                    directory_.path(), R"(/state
listen: 127.0.0.1:0
allow_names: ["*.example.com"]
services:
  - name: web
    certificate: wildcard
    files:
      - {path: )",
                                    directory_.path(), R"(/tls/fullchain.pem, content: fullchain}
      - {path: )",
                                    directory_.path(), R"(/tls/key.pem, content: private_key}
    check: )",
                                    check, R"(
    reload: ["true"]
    probes:
      - tls: {address: ")",
                                    service_.address(), R"(", server_name: www.example.com, timeout: 5s}
)"));
  }

  ProcessResult Run(std::vector<std::string> arguments, const std::string& input = "") {
    ProcessRequest request{.argv = {kAgent, "--config", config_}};
    request.argv.insert(request.argv.end(), arguments.begin(), arguments.end());
    request.input = input;
    request.timeout = kPlenty;
    auto result = ProcessRunner::Real().Run(request);
    EXPECT_THAT(result, IsOk());
    return result.ok() ? *std::move(result) : ProcessResult();
  }

  // As `certcast nodes sign` does, for the key that `csr` made.
  std::string Sign(const std::string& fleet_id = kFleet, absl::Time not_after = testing::CertificateSpec().not_after) {
    const PrivateKey key = *PrivateKey::FromPem(ReadFile(directory_.path() + "/state/identity/key.pem"));
    return fleet_.Identity(ca_, "web-01", key, fleet_id, not_after);
  }
  void Enrol() {
    ASSERT_EQ(Run({"csr"}).exit_code, 0);
    ASSERT_EQ(Run({"accept"}, Sign()).exit_code, 0);
  }

  // Generation 1: what new_ is.
  v1::Command Install(const std::string& id, absl::Duration confirm_timeout) {
    v1::Command command;
    command.set_id(id);
    *command.mutable_install()->mutable_bundle() = fleet_.Bundle(new_, "wildcard", 1, absl::Now());
    command.mutable_install()->mutable_confirm_timeout()->set_seconds(absl::ToInt64Seconds(confirm_timeout));
    return command;
  }

  absl::StatusOr<std::unique_ptr<controller::Link>> Open(const std::string& address) {
    testing::IssuedCertificate issued =
        ca_.Issue({.dns_names = {ControllerDnsName()}, .uris = {ControllerUri(kFleet)}});
    controller::GrpcTransport transport({.fleet_id = kFleet,
                                         .chain_pem = issued.fullchain_pem,
                                         .private_key_pem = std::move(issued.key_pem),
                                         .fleet_ca_pem = ca_.root_pem()});
    return transport.Open({.name = "web-01", .address = address}, kPlenty);
  }

  // What the node's service would be: serves what the test says.
  const testing::TestCa public_ca_ = testing::TestCa::Root("public root").Intermediate("public CA");
  const testing::IssuedCertificate old_ = public_ca_.Issue({.dns_names = {"*.example.com"}});
  const testing::IssuedCertificate new_ = public_ca_.Issue({.dns_names = {"*.example.com"}});
  testing::LocalTlsServer service_{old_.fullchain_pem, old_.key_pem.ExposeSecret()};

  const testing::TemporaryDirectory directory_;
  const std::string config_ = directory_.path() + "/node.yaml";
  const testing::TestCa ca_ = testing::TestCa::Root("fleet CA");
  const testing::TestFleet fleet_{kFleet};
};

TEST_F(AgentTest, EveryVerbHasAPageOfHelp) {
  for (const char* verb : {"run", "stdio", "csr", "accept", "status", "recover", "check-config", "test"}) {
    const ProcessResult result = Run({verb, "--help"});
    EXPECT_EQ(result.exit_code, 0) << verb;
    EXPECT_THAT(result.output, AllOf(HasSubstr("Usage: certcast-node"), HasSubstr(verb), HasSubstr("Exit codes:")))
        << verb;
    EXPECT_GT(result.output.size(), 400u) << verb;
    EXPECT_THAT(result.error, IsEmpty()) << verb;
  }
  EXPECT_THAT(Run({"--help"}).output, HasSubstr("certcast-node accept < identity.pem"));
}

TEST_F(AgentTest, WrongArgumentsExitWithTwo) {
  for (const std::vector<std::string>& arguments : {std::vector<std::string>{},
                                                    {"frobnicate"},
                                                    {"test"},
                                                    {"status", "-o", "xml"},
                                                    {"run", "extra"},
                                                    {"--frob", "run"}}) {
    const ProcessResult result = Run(arguments);
    EXPECT_EQ(result.exit_code, 2);
    EXPECT_THAT(result.output, IsEmpty());
    EXPECT_FALSE(result.error.empty());
  }
}

TEST_F(AgentTest, AWrongConfigurationExitsWithTwoAndThePlace) {
  WriteFile(config_, "name: web 01\nfrob: 1\n");
  for (const char* verb : {"check-config", "run", "status", "csr", "recover"}) {
    const ProcessResult result = Run({verb});
    EXPECT_EQ(result.exit_code, 2) << verb;
    EXPECT_THAT(result.error, AllOf(HasSubstr("node.yaml:1:7: "), HasSubstr("node.yaml:2:1: "))) << verb;
  }
  EXPECT_FALSE(std::filesystem::exists(directory_.path() + "/state"));
}

TEST_F(AgentTest, TheConfigurationMayComeFromTheEnvironment) {
  auto result =
      ProcessRunner::Real().Run({.argv = {kAgent, "check-config"}, .environment = {{"CERTCAST_NODE_CONFIG", config_}}});
  ASSERT_THAT(result, IsOk());
  EXPECT_EQ(result->output, config_ + ": ok: node web-01, services web\n");
  EXPECT_EQ(result->exit_code, 0);
}

TEST_F(AgentTest, BelongsToAFleetAfterCsrAndAccept) {
  const ProcessResult request = Run({"csr"});
  EXPECT_EQ(request.exit_code, 0);
  EXPECT_THAT(request.output, StartsWith("-----BEGIN CERTIFICATE REQUEST-----\n"));
  const std::string key_path = directory_.path() + "/state/identity/key.pem";
  struct stat info;
  ASSERT_EQ(stat(key_path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  const std::string key = ReadFile(key_path);
  EXPECT_EQ(Run({"csr"}).exit_code, 0);
  EXPECT_EQ(ReadFile(key_path), key);

  const ProcessResult accepted = Run({"accept"}, Sign());
  EXPECT_EQ(accepted.exit_code, 0) << accepted.error;
  EXPECT_THAT(accepted.output, StartsWith(absl::StrCat("web-01 belongs to fleet ", kFleet)));

  const ProcessResult foreign = Run({"accept"}, Sign("another"));
  EXPECT_EQ(foreign.exit_code, 1);
  EXPECT_THAT(foreign.error, AllOf(HasSubstr(kFleet), HasSubstr("--force")));
  EXPECT_EQ(Run({"accept", "--force"}, Sign("another")).exit_code, 0);
}

TEST_F(AgentTest, AcceptWithoutInputSaysWhatItWants) {
  const ProcessResult result = Run({"accept"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.error, HasSubstr("certcast nodes sign"));
}

TEST_F(AgentTest, RunWithoutAnIdentitySaysHowToJoin) {
  const ProcessResult result = Run({"run"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.error, AllOf(HasSubstr("no identity"), HasSubstr("certcast nodes sign web-01")));
}

TEST_F(AgentTest, ServesUntilItIsToldToEnd) {
  Enrol();
  RunningAgent agent(config_);
  const std::string line = agent.AwaitLine("listening on ");
  EXPECT_THAT(line,
              ::testing::MatchesRegex(absl::StrCat("listening on 127\\.0\\.0\\.1:[0-9]+ as web-01, fleet ", kFleet)));
  const std::string address = line.substr(13, line.find(" as ") - 13);
  auto link = Open(address);
  ASSERT_THAT(link, IsOk());
  v1::Command command;
  command.set_id("c-1");
  command.mutable_describe();
  auto report = (*link)->Call(command, kPlenty, nullptr);
  ASSERT_THAT(report, IsOk());
  EXPECT_EQ(report->inventory().node(), "web-01");
  EXPECT_EQ(report->inventory().fleet_id(), kFleet);

  // Beside it: what only looks works, what would change something is told that it runs.
  const ProcessResult status = Run({"status"});
  EXPECT_EQ(status.exit_code, 0) << status.error;
  EXPECT_THAT(status.output, AllOf(HasSubstr("web-01, fleet"), HasSubstr("wildcard")));
  EXPECT_THAT(Run({"status", "-o", "json"}).output, AllOf(HasSubstr("\"fleetId\""), HasSubstr("\"services\"")));
  for (const char* verb : {"recover", "run"}) {
    const ProcessResult refused = Run({verb});
    EXPECT_EQ(refused.exit_code, 1) << verb;
    EXPECT_THAT(refused.error, HasSubstr("certcast-node: ")) << verb;
  }
  // Nobody is told to stop it for that.
  EXPECT_THAT(Run({"recover"}).error,
              AllOf(HasSubstr("has recovered at its start"), ::testing::Not(HasSubstr("stop it"))));

  agent.Signal(SIGTERM);
  EXPECT_EQ(agent.AwaitEnd(), 0);
  EXPECT_THAT(Open(address), HasReason(Reason::NO_ROUTE));
}

TEST_F(AgentTest, InstallsConfirmsAndSaysSoAfterARestart) {
  Enrol();
  auto agent = std::make_unique<RunningAgent>(config_);
  auto link = Open(agent->AwaitAddress());
  ASSERT_THAT(link, IsOk());
  service_.Serve(new_.fullchain_pem, new_.key_pem.ExposeSecret());
  auto installed = (*link)->Call(Install("c-1", absl::Minutes(5)), kPlenty, nullptr);
  ASSERT_THAT(installed, IsOk());
  EXPECT_EQ(installed->install_result().outcome(), v1::Outcome::INSTALLED) << installed->DebugString();
  EXPECT_EQ(ReadFile(directory_.path() + "/tls/fullchain.pem"), new_.fullchain_pem);
  EXPECT_THAT(Run({"status"}).output, HasSubstr("to confirm by"));

  // kill -9 while it waits: the next one still knows, and takes the Confirm.
  agent = nullptr;
  agent = std::make_unique<RunningAgent>(config_);
  link = Open(agent->AwaitAddress());
  ASSERT_THAT(link, IsOk());
  v1::Command confirm;
  confirm.set_id("c-2");
  confirm.mutable_confirm()->set_certificate("wildcard");
  confirm.mutable_confirm()->set_generation(1);
  confirm.mutable_confirm()->set_leaf_sha256(new_.certificate.sha256());
  auto confirmed = (*link)->Call(confirm, kPlenty, nullptr);
  ASSERT_THAT(confirmed, IsOk());
  EXPECT_EQ(confirmed->install_result().outcome(), v1::Outcome::INSTALLED) << confirmed->DebugString();

  const ProcessResult status = Run({"status", "--probe"});
  EXPECT_EQ(status.exit_code, 0) << status.output;
  EXPECT_THAT(status.output, AllOf(HasSubstr("confirmed"), HasSubstr(new_.certificate.sha256().substr(0, 16))));
  EXPECT_EQ(Run({"test", "web"}).exit_code, 0);
  service_.Serve(old_.fullchain_pem, old_.key_pem.ExposeSecret());
  EXPECT_EQ(Run({"status", "--probe"}).exit_code, 1);
  EXPECT_EQ(Run({"test", "web"}).exit_code, 1);
}

TEST_F(AgentTest, GoesBackByItselfWhenNobodyConfirms) {
  Enrol();
  RunningAgent agent(config_);
  auto link = Open(agent.AwaitAddress());
  ASSERT_THAT(link, IsOk());
  service_.Serve(new_.fullchain_pem, new_.key_pem.ExposeSecret());
  auto installed = (*link)->Call(Install("c-1", absl::Seconds(1)), kPlenty, nullptr);
  ASSERT_THAT(installed, IsOk());
  ASSERT_EQ(installed->install_result().outcome(), v1::Outcome::INSTALLED) << installed->DebugString();
  service_.Serve(old_.fullchain_pem, old_.key_pem.ExposeSecret());
  const absl::Time deadline = absl::Now() + kPlenty;
  const std::string path = directory_.path() + "/tls/fullchain.pem";
  uint64_t in_force = 1;
  // The links of files that were not there before go last.
  for (int i = 0; (in_force == 1 || std::filesystem::exists(path)) && absl::Now() < deadline; ++i) {
    v1::Command describe;
    describe.set_id(absl::StrCat("look-", i));
    describe.mutable_describe();
    auto report = (*link)->Call(describe, kPlenty, nullptr);
    ASSERT_THAT(report, IsOk());
    ASSERT_EQ(report->inventory().certificates_size(), 1);
    in_force = report->inventory().certificates(0).generation();
  }
  EXPECT_EQ(in_force, 0u);
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST_F(AgentTest, TakesUpAnotherConfigurationAtSighupButNotAWrongOne) {
  Enrol();
  RunningAgent agent(config_);
  const std::string first = agent.AwaitAddress();
  const std::string good = ReadFile(config_);
  WriteFile(config_, "name: web-01\n");
  agent.Signal(SIGHUP);
  EXPECT_THAT(agent.AwaitLine("certcast-node: going on as before"), HasSubstr("node.yaml:"));
  EXPECT_THAT(Open(first), IsOk());
  WriteFile(config_, good);
  agent.Signal(SIGHUP);
  EXPECT_THAT(Open(agent.AwaitAddress()), IsOk());
  // Nobody has this address (RFC 5737), which shows only when it is tried.
  WriteFile(config_, absl::StrReplaceAll(good, {{"127.0.0.1:0", "192.0.2.1:0"}}));
  agent.Signal(SIGHUP);
  EXPECT_THAT(agent.AwaitLine("certcast-node: going on as before"), HasSubstr("192.0.2.1"));
  EXPECT_THAT(Open(agent.AwaitAddress()), IsOk());
  agent.Signal(SIGINT);
  EXPECT_EQ(agent.AwaitEnd(), 0);
}

TEST_F(AgentTest, AReloadDoesNotLeaveAnInstallBehindInAnotherState) {
  Enrol();
  service_.Serve(new_.fullchain_pem, new_.key_pem.ExposeSecret());
  RunningAgent agent(config_);
  const std::string address = agent.AwaitAddress();
  {
    auto link = Open(address);
    ASSERT_THAT(link, IsOk());
    auto installed = (*link)->Call(Install("install-1", absl::Seconds(60)), kPlenty, nullptr);
    ASSERT_THAT(installed, IsOk());
    ASSERT_EQ(installed->install_result().outcome(), v1::Outcome::INSTALLED) << installed->ShortDebugString();
  }
  const std::string good = ReadFile(config_);
  const std::string other = directory_.path() + "/other";
  std::filesystem::create_directory(other);
  std::filesystem::copy(directory_.path() + "/state/identity", other + "/identity");
  WriteFile(config_, absl::StrReplaceAll(good, {{directory_.path() + "/state", other}}));
  agent.Signal(SIGHUP);
  EXPECT_THAT(agent.AwaitLine("certcast-node: going on as before"),
              AllOf(HasSubstr(other), HasSubstr(directory_.path() + "/state")));
  EXPECT_THAT(agent.AwaitLine("  hint: "), HasSubstr("restart the agent"));

  auto link = Open(address);
  ASSERT_THAT(link, IsOk());
  v1::Command confirm;
  confirm.set_id("confirm-1");
  confirm.mutable_confirm()->set_certificate("wildcard");
  confirm.mutable_confirm()->set_generation(1);
  confirm.mutable_confirm()->set_leaf_sha256(new_.certificate.sha256());
  auto confirmed = (*link)->Call(confirm, kPlenty, nullptr);
  ASSERT_THAT(confirmed, IsOk());
  EXPECT_EQ(confirmed->install_result().outcome(), v1::Outcome::INSTALLED);
  EXPECT_FALSE(std::filesystem::exists(other + "/journal.0"));
}

TEST_F(AgentTest, SaysWhomItRefuses) {
  Enrol();
  RunningAgent agent(config_);
  const std::string address = agent.AwaitAddress();
  testing::IssuedCertificate node =
      ca_.Issue({.dns_names = {NodeDnsName("web-02")}, .uris = {NodeUri(kFleet, "web-02")}});
  controller::GrpcTransport other_node({.fleet_id = kFleet,
                                        .chain_pem = node.fullchain_pem,
                                        .private_key_pem = std::move(node.key_pem),
                                        .fleet_ca_pem = ca_.root_pem()});
  EXPECT_THAT(other_node.Open({.name = "web-01", .address = address}, kPlenty), HasReason(Reason::AUTH_FAILED));
  EXPECT_THAT(agent.AwaitLine("refused a link from "), HasSubstr("web-02.node.certcast"));

  testing::IssuedCertificate stranger = testing::TestCa::Root("stranger").Issue({.dns_names = {ControllerDnsName()}});
  controller::GrpcTransport foreign({.fleet_id = kFleet,
                                     .chain_pem = stranger.fullchain_pem,
                                     .private_key_pem = std::move(stranger.key_pem),
                                     .fleet_ca_pem = ca_.root_pem()});
  EXPECT_THAT(foreign.Open({.name = "web-01", .address = address}, kPlenty), HasReason(Reason::AUTH_FAILED));
  EXPECT_EQ(
      agent.AwaitLine("refused a connection: "),
      "refused a connection: peer did not present a certificate of this fleet: unable to get local issuer certificate");
}

TEST_F(AgentTest, StdioEndsWithItsInput) {
  const ProcessResult result = Run({"stdio"});
  EXPECT_EQ(result.exit_code, 0) << result.error;
  EXPECT_THAT(result.output, HasSubstr("web-01"));  // Hello
  EXPECT_EQ(Run({"stdio"}, "\xff\xff\xff\xff\x0f").exit_code, 1);
}

TEST_F(AgentTest, StdioSaysOnceThatACommandIsNotUtf8) {
  // A Command whose id is one byte that is no text.
  const ProcessResult result = Run({"stdio"}, "\x03\x0a\x01\xff");
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.error, AllOf(HasSubstr("a command does not parse"), Not(HasSubstr("protobuf"))));
}

TEST_F(AgentTest, RecoverWithNothingToDoSaysSo) {
  const ProcessResult result = Run({"recover"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.output, "nothing to recover\n");
}

TEST_F(AgentTest, SaysThatItsClockCantBeRightUntilItIsTrusted) {
  Enrol();
  EXPECT_THAT(Run({"status"}).output, Not(HasSubstr("CLOCK_SUSPICIOUS")));
  // As a clock that is years ahead sees an identity.
  WriteFile(directory_.path() + "/state/identity/identity.pem", Sign(kFleet, absl::FromUnixSeconds(1600000000)));
  const ProcessResult status = Run({"status"});
  EXPECT_EQ(status.exit_code, 0);
  EXPECT_THAT(status.output, AllOf(HasSubstr("CLOCK_SUSPICIOUS"), HasSubstr("valid until 2020-09-13"),
                                   HasSubstr("recover --trust-clock")));
  {
    RunningAgent agent(config_);
    EXPECT_NE(agent.AwaitAddress(), "");
    EXPECT_EQ(Run({"recover", "--trust-clock"}).exit_code, 1);
    EXPECT_THAT(agent.lines(), AllOf(HasSubstr("certcast-node: this machine's clock says"), HasSubstr("2020-09-13"),
                                     HasSubstr("recover --trust-clock")));
  }
  const ProcessResult trusted = Run({"recover", "--trust-clock"});
  EXPECT_EQ(trusted.exit_code, 0);
  EXPECT_THAT(trusted.output, HasSubstr("the clock is taken for right"));
  EXPECT_THAT(Run({"status"}).output, Not(HasSubstr("CLOCK_SUSPICIOUS")));
  // What is left is an identity that has expired.
  RunningAgent agent(config_);
  EXPECT_THAT(agent.AwaitLine("certcast-node: the identity of node web-01"), HasSubstr("expired"));
}

TEST_F(AgentTest, ADamagedIdentityKeepsNobodyFromRecoveringOrLooking) {
  Enrol();
  WriteFile(directory_.path() + "/state/identity/identity.pem", "damaged");
  EXPECT_EQ(Run({"recover"}).exit_code, 0);
  const ProcessResult status = Run({"status"});
  EXPECT_EQ(status.exit_code, 0);
  EXPECT_THAT(status.output, HasSubstr("not enrolled"));
  EXPECT_THAT(status.error, HasSubstr("identity.pem"));
  for (const char* verb : {"run", "stdio"}) {
    const ProcessResult refused = Run({verb});
    EXPECT_EQ(refused.exit_code, 1) << verb;
    EXPECT_THAT(refused.error, HasSubstr("identity.pem")) << verb;
  }
}

TEST_F(AgentTest, TestSaysWhichServiceFails) {
  const ProcessResult unknown = Run({"test", "mail"});
  EXPECT_EQ(unknown.exit_code, 2);
  EXPECT_THAT(unknown.error, AllOf(HasSubstr("`mail`"), HasSubstr("web")));
  WriteConfig("web-01", R"([sh, -c, "echo wrong directive >&2; exit 1"])");
  const ProcessResult failed = Run({"test", "web"});
  EXPECT_EQ(failed.exit_code, 1);
  EXPECT_THAT(failed.error, HasSubstr("wrong directive"));
}

}  // namespace
}  // namespace certcast
