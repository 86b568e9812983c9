// `certcast-node stdio` on a host without a configuration of its own, as over SSH: the shipped program at the ends of
// two pipes. Connections break; installs do not.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/substitute.h"
#include "absl/time/clock.h"
#include "certcast/v1/link.pb.h"
#include "common/file/descriptor.h"
#include "common/link/preface.h"
#include "common/probe/tls_client.h"
#include "common/process/process.h"
#include "gmock/gmock.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"
#include "google/protobuf/util/delimited_message_util.h"
#include "gtest/gtest.h"
#include "tests/testing/program.h"
#include "tests/testing/reloading_tls_server.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temporary_directory.h"
#include "tests/testing/test_ca.h"
#include "tests/testing/test_fleet.h"

namespace certcast {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;
using testing::IsOk;
using v1::Outcome;

constexpr char kAgent[] = "node/certcast-node";
constexpr absl::Duration kPlenty = absl::Seconds(30);
constexpr absl::Duration kLong = absl::Hours(1);
// To confirm, where it is looked at before that is over.
constexpr absl::Duration kToLookMeanwhile = absl::Seconds(4);

std::string Delimited(const google::protobuf::Message& message) {
  std::string bytes;
  google::protobuf::io::StringOutputStream stream(&bytes);
  google::protobuf::util::SerializeDelimitedToZeroCopyStream(message, &stream);
  return bytes;
}

// A `certcast-node stdio` and what an SSH session would be: two pipes. Killed when it is still there at the end.
class Connection {
 public:
  explicit Connection(std::vector<std::string> arguments = {"stdio"}) {
    int in[2] = {-1, -1};
    int out[2] = {-1, -1};
    if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0) ADD_FAILURE() << "pipe";
    commands_ = Descriptor(in[1]);
    reports_ = Descriptor(out[0]);
    Descriptor node_in(in[0]);
    Descriptor node_out(out[1]);
    std::vector<char*> argv = {const_cast<char*>(kAgent)};
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    pid_ = fork();
    if (pid_ != 0) return;
    dup2(node_in.get(), STDIN_FILENO);
    dup2(node_out.get(), STDOUT_FILENO);
    execv(kAgent, argv.data());
    _exit(127);
  }
  ~Connection() {
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  pid_t pid() const { return pid_; }
  int reports() const { return reports_.get(); }

  // False when nobody reads it any more.
  bool Send(absl::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t count = write(commands_.get(), bytes.data(), bytes.size());
      if (count < 0) return false;
      bytes.remove_prefix(static_cast<size_t>(count));
    }
    return true;
  }
  bool Send(const v1::Command& command) { return Send(Delimited(command)); }

  // So many bytes of what it says, fewer at its end.
  std::string Read(size_t size) {
    std::string bytes;
    const absl::Time deadline = absl::Now() + kPlenty;
    while (bytes.size() < size && absl::Now() < deadline) {
      pollfd item{.fd = reports_.get(), .events = POLLIN, .revents = 0};
      if (poll(&item, 1, 1000) <= 0) continue;
      char buffer[4096];
      const ssize_t count = read(reports_.get(), buffer, std::min(sizeof buffer, size - bytes.size()));
      if (count <= 0) break;
      bytes.append(buffer, static_cast<size_t>(count));
    }
    return bytes;
  }
  // The next report; an empty one at the end.
  v1::Report Receive() {
    if (!preface_read_) {
      EXPECT_EQ(Read(sizeof kLinkPreface - 1), kLinkPreface);
      preface_read_ = true;
    }
    size_t length = 0;
    for (int shift = 0; shift < 32; shift += 7) {
      const std::string byte = Read(1);
      if (byte.empty()) return {};
      length |= static_cast<size_t>(byte[0] & 0x7f) << shift;
      if ((byte[0] & 0x80) == 0) break;
    }
    v1::Report report;
    EXPECT_TRUE(report.ParseFromString(Read(length)));
    return report;
  }
  // Through Hello and Progress.
  v1::Report Answer() {
    while (true) {
      v1::Report report = Receive();
      if (!report.has_hello() && !report.has_progress()) return report;
      steps_.push_back(report.progress().step());
    }
  }
  v1::Report Ask(const v1::Command& command) {
    EXPECT_TRUE(Send(command));
    return Answer();
  }
  // Whether it said that it begins this step.
  bool AwaitStep(const std::string& step) {
    while (true) {
      const v1::Report report = Receive();
      if (report.has_progress() && report.progress().step() == step) return true;
      if (!report.has_progress() && !report.has_hello()) return false;
    }
  }
  const std::vector<std::string>& steps() const { return steps_; }

  void EndInput() { commands_.Close(); }
  // Both directions at once, as when sshd is gone.
  void Cut() {
    commands_.Close();
    reports_.Close();
  }
  void Kill() {
    kill(pid_, SIGKILL);
    waitpid(std::exchange(pid_, -1), nullptr, 0);
  }
  // The exit code, once it has ended by itself.
  int AwaitEnd() {
    int status = -1;
    EXPECT_THAT(
        testing::WaitUntil("the agent has ended", kPlenty, [&] { return waitpid(pid_, &status, WNOHANG) == pid_; }),
        IsOk());
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

 private:
  pid_t pid_ = -1;
  Descriptor commands_;
  Descriptor reports_;
  bool preface_read_ = false;
  std::vector<std::string> steps_;
};

class StdioTest : public ::testing::Test {
 protected:
  StdioTest() {
    signal(SIGPIPE, SIG_IGN);
    // With one this would be another kind of host.
    EXPECT_FALSE(std::filesystem::exists("/etc/certcast/node.yaml"));
    PutByHand();
  }

  std::string PathOf(const std::string& name) const { return absl::StrCat(directory_.path(), "/", name); }
  std::string state() const { return PathOf("state"); }
  void PutByHand() {
    for (const char* name : {"fullchain.pem", "privkey.pem"}) std::filesystem::remove(PathOf(name));
    EXPECT_THAT(testing::WriteFile(PathOf("fullchain.pem"), old_.fullchain_pem, 0644), IsOk());
    EXPECT_THAT(testing::WriteFile(PathOf("privkey.pem"), old_.key_pem.ExposeSecret()), IsOk());
    EXPECT_TRUE(service_.Reload());
  }
  // As it was before the first contact.
  void StartAnew() {
    std::filesystem::remove_all(state());
    PutByHand();
  }

  v1::NodeDefinition Definition() const {
    v1::NodeDefinition definition;
    definition.set_node("old-01");
    definition.set_state(state());
    definition.set_fleet_id(fleet_.id());
    definition.set_manifest_key_pem(fleet_.key().ToPem());
    definition.add_allow_names("*.example.com");
    definition.set_keep(2);
    definition.set_services_yaml(absl::Substitute(
        R"(- name: web
  certificate: wildcard
  files:
    - {path: $0/fullchain.pem, content: fullchain}
    - {path: $0/privkey.pem, content: private_key}
  check: [test, -s, $0/privkey.pem]
  reload: [bash, -c, "$1"]
  probes: [{tls: {address: "$2", server_name: www.example.com, timeout: 5s}}]
)",
        directory_.path(), service_.reload_line(), service_.address()));
    return definition;
  }
  v1::Command Install(absl::Duration confirm_timeout) {
    v1::Command command;
    command.set_id(NewId());
    command.set_epoch(1);
    *command.mutable_definition() = Definition();
    *command.mutable_install()->mutable_bundle() = fleet_.Bundle(new_, "wildcard", 1, absl::Now());
    command.mutable_install()->mutable_confirm_timeout()->set_seconds(absl::ToInt64Seconds(confirm_timeout));
    return command;
  }
  v1::Command Confirm() {
    v1::Command command;
    command.set_id(NewId());
    command.set_epoch(1);
    *command.mutable_definition() = Definition();
    command.mutable_confirm()->set_certificate("wildcard");
    command.mutable_confirm()->set_generation(1);
    command.mutable_confirm()->set_leaf_sha256(new_.certificate.sha256());
    return command;
  }
  v1::Command Describe() {
    v1::Command command;
    command.set_id(NewId());
    *command.mutable_definition() = Definition();
    command.mutable_describe();
    return command;
  }
  std::string NewId() { return absl::StrCat("c-", ++last_command_); }

  std::string InFiles() const { return testing::LeafInFiles(PathOf("fullchain.pem"), PathOf("privkey.pem")); }
  std::string Served() const {
    const auto peer = TlsHandshake(service_.address(), "www.example.com", {}, kPlenty);
    return peer.ok() ? peer->leaf_sha256 : peer.status().ToString();
  }
  std::string old_leaf() const { return old_.certificate.sha256(); }
  std::string new_leaf() const { return new_.certificate.sha256(); }
  void ExpectInForce(const std::string& leaf, const std::string& when) const {
    EXPECT_EQ(InFiles(), leaf) << when;
    EXPECT_EQ(Served(), leaf) << when;
  }
  // A new connection says Confirm, and what the one before left is confirmed.
  void ExpectConfirmable(const std::string& when) {
    Connection next;
    const v1::Report report = next.Ask(Confirm());
    EXPECT_EQ(report.install_result().outcome(), Outcome::INSTALLED) << when << ": " << report.ShortDebugString();
    ExpectInForce(new_leaf(), when);
  }
  ProcessResult Run(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), kAgent);
    ProcessRequest request;
    request.argv = std::move(arguments);
    request.timeout = kPlenty;
    auto result = ProcessRunner::Real().Run(request);
    EXPECT_THAT(result, IsOk());
    return result.ok() ? *std::move(result) : ProcessResult();
  }

  const testing::TemporaryDirectory directory_;
  const testing::TestFleet fleet_{"0b9f8a52-6f52-4a55-9d3e-0e5a7d0f9c11"};
  const testing::TestCa ca_ = testing::TestCa::Root("public root").Intermediate("public CA");
  const testing::IssuedCertificate old_ = ca_.Issue({.dns_names = {"*.example.com"}});
  const testing::IssuedCertificate new_ = ca_.Issue({.dns_names = {"*.example.com"}});
  testing::ReloadingTlsServer service_{PathOf("fullchain.pem"), PathOf("privkey.pem"), old_.fullchain_pem,
                                       old_.key_pem.ExposeSecret()};
  int last_command_ = 0;
};

TEST_F(StdioTest, SaysThatItWaitsForADefinitionAndTouchesNothing) {
  Connection connection;
  const v1::Report hello = connection.Receive();
  EXPECT_TRUE(hello.hello().hosted());
  EXPECT_EQ(hello.hello().node(), "");
  EXPECT_EQ(hello.hello().fleet_id(), "");
  EXPECT_NE(hello.hello().machine(), "");
  EXPECT_NE(hello.hello().version(), "");
  v1::Command undefined = Describe();
  undefined.clear_definition();
  EXPECT_EQ(connection.Ask(undefined).refusal().failure().reason(), v1::Reason::DEFINITION_REFUSED);
  connection.EndInput();
  EXPECT_EQ(connection.AwaitEnd(), 0);
  EXPECT_FALSE(std::filesystem::exists(state()));
}

TEST_F(StdioTest, InstallsAndConfirms) {
  Connection connection;
  EXPECT_EQ(connection.Ask(Install(kLong)).install_result().outcome(), Outcome::INSTALLED);
  EXPECT_EQ(connection.Ask(Confirm()).install_result().outcome(), Outcome::INSTALLED);
  connection.EndInput();
  EXPECT_EQ(connection.AwaitEnd(), 0);
  ExpectInForce(new_leaf(), "after Confirm");
}

TEST_F(StdioTest, ACommandThatIsCutIsNone) {
  const std::string install = Delimited(Install(kLong));
  std::vector<size_t> cuts;
  for (size_t cut = 0; cut < install.size(); ++cut) {
    if (cut < 8 || cut + 8 >= install.size() || cut % 400 == 0) cuts.push_back(cut);
  }
  ASSERT_GT(cuts.size(), 20u);
  for (const size_t cut : cuts) {
    Connection connection;
    ASSERT_TRUE(connection.Send(absl::string_view(install).substr(0, cut)));
    connection.EndInput();
    EXPECT_EQ(connection.AwaitEnd(), cut == 0 ? 0 : 1) << "cut after byte " << cut;
    ASSERT_FALSE(std::filesystem::exists(state())) << "cut after byte " << cut;
  }
  ExpectInForce(old_leaf(), "after all of them");
}

TEST_F(StdioTest, AConfirmThatIsCutIsNoneAndMayComeAgain) {
  const size_t size = Delimited(Confirm()).size();
  for (const size_t cut : {size_t{0}, size_t{1}, size_t{2}, size / 2, size - 1}) {
    StartAnew();
    Connection connection;
    ASSERT_EQ(connection.Ask(Install(kLong)).install_result().outcome(), Outcome::INSTALLED);
    ASSERT_TRUE(connection.Send(Delimited(Confirm()).substr(0, cut)));
    connection.Cut();
    ExpectConfirmable(absl::StrCat("Confirm cut after byte ", cut));
  }
}

// Whatever was read of the reports when the connection broke, before the command was taken up or after.
TEST_F(StdioTest, AnInstallWhoseReportsAreCutMayComeAgain) {
  size_t all = 0;
  {
    Connection whole;
    ASSERT_TRUE(whole.Send(Install(kLong)));
    whole.EndInput();
    // It closes its output, and waits on.
    all = whole.Read(1 << 20).size();
    ASSERT_GT(all, 500u);
  }
  for (size_t cut = 0; cut < all; cut += cut < 40 ? 13 : 70) {
    StartAnew();
    const v1::Command install = Install(kLong);
    Connection connection;
    ASSERT_TRUE(connection.Send(install));
    (void)connection.Read(cut);
    connection.Cut();
    const std::string when = absl::StrCat("reports cut after byte ", cut);
    {
      Connection next;
      EXPECT_EQ(next.Ask(install).install_result().outcome(), Outcome::INSTALLED) << when;
    }
    ExpectConfirmable(when);
  }
}

class StdioStep : public StdioTest, public ::testing::WithParamInterface<const char*> {};

TEST_P(StdioStep, BeganWhenTheConnectionBrokeAndIsConfirmedOverTheNext) {
  Connection connection;
  const v1::Command install = Install(kLong);
  ASSERT_TRUE(connection.Send(install));
  ASSERT_TRUE(connection.AwaitStep(GetParam()));
  connection.Cut();
  kill(connection.pid(), SIGHUP);
  // The controller asks again: it gets the result of the install that goes on.
  Connection next;
  const v1::Report report = next.Ask(install);
  EXPECT_EQ(report.install_result().outcome(), Outcome::INSTALLED) << report.ShortDebugString();
  EXPECT_EQ(next.Ask(Confirm()).install_result().outcome(), Outcome::INSTALLED);
  ExpectInForce(new_leaf(), GetParam());
}

TEST_P(StdioStep, BeganWhenItWasKilledAndIsRecoveredAtBoot) {
  Connection connection;
  ASSERT_TRUE(connection.Send(Install(kLong)));
  ASSERT_TRUE(connection.AwaitStep(GetParam()));
  connection.Kill();
  const ProcessResult recovered = Run({"recover", "--state", state()});
  EXPECT_EQ(recovered.exit_code, 0) << recovered.error;
  const std::string first = InFiles();
  // Killed some time after the step began: it may have come as far as waiting for Confirm.
  EXPECT_THAT(first, AnyOf(old_leaf(), new_leaf()));
  EXPECT_EQ(Served(), first);
  if (first == new_leaf()) {
    EXPECT_THAT(recovered.output, HasSubstr("waits for the controller until"));
    ExpectConfirmable(GetParam());
  }
}

INSTANTIATE_TEST_SUITE_P(All, StdioStep,
                         ::testing::Values("verify", "stage", "activate", "check", "reload", "probe", "confirm"),
                         [](const ::testing::TestParamInfo<const char*>& info) { return info.param; });

TEST_F(StdioTest, ASecondConnectionLooksWhileTheFirstInstalls) {
  service_.IgnoreReloads(true);  // so that the probe goes on until its time is over
  Connection first;
  ASSERT_TRUE(first.Send(Install(kLong)));
  ASSERT_TRUE(first.AwaitStep("probe"));
  Connection second;
  const v1::Report report = second.Ask(Describe());
  ASSERT_EQ(report.inventory().certificates_size(), 1) << report.ShortDebugString();
  // And a third one waits for the end of it.
  Connection third;
  const v1::Report waited = third.Ask(Install(kLong));
  EXPECT_EQ(first.Answer().install_result().outcome(), Outcome::REVERTED);
  EXPECT_EQ(waited.install_result().outcome(), Outcome::REVERTED) << waited.ShortDebugString();
  EXPECT_THAT(third.steps(), ::testing::Contains("lock"));
  ExpectInForce(old_leaf(), "after both");
}

TEST_F(StdioTest, GoesBackByItselfWhenNobodyComesInTime) {
  Connection connection;
  ASSERT_EQ(connection.Ask(Install(kToLookMeanwhile)).install_result().outcome(), Outcome::INSTALLED);
  ExpectInForce(new_leaf(), "while it waits");
  connection.Cut();
  EXPECT_EQ(connection.AwaitEnd(), 0);
  ExpectInForce(old_leaf(), "after the time is over");
}

TEST_F(StdioTest, GoesBackAfterARestartWhenNobodyComesInTime) {
  Connection connection;
  ASSERT_EQ(connection.Ask(Install(kToLookMeanwhile)).install_result().outcome(), Outcome::INSTALLED);
  connection.Kill();
  const ProcessResult recovered = Run({"recover", "--state", state(), "--wait"});
  EXPECT_EQ(recovered.exit_code, 0) << recovered.error;
  EXPECT_THAT(recovered.output, HasSubstr("waits for the controller until"));
  ExpectInForce(old_leaf(), "after recover");
}

TEST_F(StdioTest, AtBootTheFilesGoBackBeforeTheServicesAndTheRestAfterThem) {
  service_.IgnoreReloads(true);  // so that the probe goes on until its time is over
  Connection connection;
  ASSERT_TRUE(connection.Send(Install(kLong)));
  ASSERT_TRUE(connection.AwaitStep("probe"));
  connection.Kill();
  ASSERT_EQ(InFiles(), new_leaf());
  for (int again = 0; again < 2; ++again) {
    const ProcessResult files = Run({"recover", "--state", state(), "--before-services"});
    EXPECT_EQ(files.exit_code, 0) << files.error;
    EXPECT_THAT(files.output, HasSubstr("reload and proof are for `certcast-node recover`"));
    EXPECT_EQ(InFiles(), old_leaf());
  }
  service_.IgnoreReloads(false);
  const ProcessResult rest = Run({"recover", "--state", state(), "--wait"});
  EXPECT_EQ(rest.exit_code, 0) << rest.error;
  EXPECT_THAT(rest.output, HasSubstr("REVERTED INTERRUPTED"));
  ExpectInForce(old_leaf(), "after both");
  EXPECT_EQ(Run({"recover", "--state", state(), "--before-services"}).output, "nothing to recover\n");
  EXPECT_EQ(Run({"recover", "--state", state(), "--before-services", "--wait"}).exit_code, 2);
}

TEST_F(StdioTest, RecoverFailsWhereTheServiceIsNotAsItWas) {
  service_.IgnoreReloads(true);
  Connection connection;
  ASSERT_TRUE(connection.Send(Install(kLong)));
  ASSERT_TRUE(connection.AwaitStep("probe"));
  connection.Kill();
  // It has read the new files behind our back, and does not read the old ones again.
  EXPECT_TRUE(service_.Reload());
  const ProcessResult recovered = Run({"recover", "--state", state()});
  EXPECT_EQ(recovered.exit_code, 1);
  EXPECT_THAT(recovered.output, HasSubstr("FAILED REVERT_FAILED"));
  EXPECT_THAT(recovered.error, ::testing::AllOf(HasSubstr("ended as REVERT_FAILED"), HasSubstr("status --probe")));
}

TEST_F(StdioTest, StatusShowsWhatIsKept) {
  EXPECT_EQ(Run({"status", "--state", state()}).exit_code, 2);
  Connection connection;
  ASSERT_EQ(connection.Ask(Install(kLong)).install_result().outcome(), Outcome::INSTALLED);
  const ProcessResult shown = Run({"status", "--state", state() + "/", "--probe"});
  EXPECT_EQ(shown.exit_code, 0) << shown.error;
  EXPECT_THAT(shown.output, HasSubstr("old-01"));
  EXPECT_THAT(shown.output, HasSubstr("to confirm by"));
}

TEST_F(StdioTest, RecoverHasNothingToDoWhereNoControllerCame) {
  const ProcessResult recovered = Run({"recover", "--state", state()});
  EXPECT_EQ(recovered.exit_code, 0) << recovered.error;
  EXPECT_EQ(recovered.output, "nothing to recover\n");
  EXPECT_FALSE(std::filesystem::exists(state()));
  EXPECT_EQ(Run({"recover", "--state", "relative"}).exit_code, 2);
}

// A client that was stopped, with the pipe full: its reader takes nothing, and is not gone either.
TEST_F(StdioTest, APeerThatTakesNothingHoldsUpNoInstall) {
  Connection connection;
  ASSERT_TRUE(connection.Ask(Describe()).has_inventory());
  // Another description of the same pipe, so that the agent's stays as it is.
  const std::string pipe = absl::StrCat("/proc/", connection.pid(), "/fd/1");
  Descriptor filler(open(pipe.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC));
  ASSERT_TRUE(filler.valid());
  for (size_t size = 4096; size > 0; size /= 2) {
    while (write(filler.get(), std::string(size, 'x').data(), size) > 0) {
    }
  }
  filler.Close();
  ASSERT_TRUE(connection.Send(Install(kLong)));
  EXPECT_THAT(testing::WaitUntil("the service has the new one", kPlenty, [&] { return Served() == new_leaf(); }),
              IsOk());
  ExpectConfirmable("over another connection");
}

TEST_F(StdioTest, AnotherFleetFindsTheHostTaken) {
  {
    Connection connection;
    ASSERT_TRUE(connection.Ask(Describe()).has_inventory());
  }
  const testing::TestFleet other("c0ffee00-6f52-4a55-9d3e-0e5a7d0f9c11");
  v1::Command command = Install(kLong);
  command.mutable_definition()->set_fleet_id(other.id());
  command.mutable_definition()->set_manifest_key_pem(other.key().ToPem());
  *command.mutable_install()->mutable_bundle() = other.Bundle(new_, "wildcard", 1, absl::Now());
  Connection connection;
  const v1::Report report = connection.Ask(command);
  EXPECT_EQ(report.refusal().failure().reason(), v1::Reason::FOREIGN_FLEET) << report.ShortDebugString();
  EXPECT_THAT(report.refusal().failure().hint(), HasSubstr("pinned-fleet"));
  ExpectInForce(old_leaf(), "after that");
}

TEST_F(StdioTest, AHostWithANodeYamlRefusesADefinition) {
  const std::string config = PathOf("node.yaml");
  EXPECT_THAT(testing::WriteFile(config, absl::Substitute(R"(name: web-01
state: $0
allow_names: ["*.example.com"]
services:
  - name: web
    certificate: wildcard
    files: [{path: $1/fullchain.pem, content: fullchain}]
    probes: [{tls: {address: "$2", server_name: www.example.com}}]
)",
                                                          state(), directory_.path(), service_.address())),
              IsOk());
  Connection connection({"--config", config, "stdio"});
  const v1::Report hello = connection.Receive();
  EXPECT_FALSE(hello.hello().hosted());
  EXPECT_EQ(hello.hello().node(), "web-01");
  EXPECT_EQ(connection.Ask(Describe()).refusal().failure().reason(), v1::Reason::DEFINITION_REFUSED);
  v1::Command describe = Describe();
  describe.clear_definition();
  EXPECT_EQ(connection.Ask(describe).inventory().node(), "web-01");
}

TEST_F(StdioTest, AConfigurationThatIsNamedAndMissingIsAnError) {
  const ProcessResult result = Run({"--config", PathOf("none.yaml"), "stdio"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.error, HasSubstr("none.yaml"));
  EXPECT_EQ(result.output, "");
}

}  // namespace
}  // namespace certcast
