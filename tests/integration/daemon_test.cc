// The engine, configured by node.yaml with a preset, and the real server of a Debian package: the first install, a
// renewal, the way back when told to, renewals that go wrong.
#include "tests/testing/daemon.h"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/substitute.h"
#include "common/clock/clock.h"
#include "common/file/file_system.h"
#include "common/probe/tls_client.h"
#include "common/process/process.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "node/config/config.h"
#include "node/engine/engine.h"
#include "tests/testing/debian_server.h"
#include "tests/testing/link_messages.h"
#include "tests/testing/program.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temporary_directory.h"
#include "tests/testing/test_ca.h"
#include "tests/testing/test_fleet.h"

namespace certcast::node {
namespace {

using testing::Conversation;
using testing::Daemon;
using testing::DebianServer;
using ::testing::HasSubstr;
using testing::IsOk;
using testing::IssuedCertificate;
using testing::Refusal;
using testing::ServerPlace;
using testing::WriteFile;
using v1::Outcome;
using v1::Reason;

constexpr char kServerName[] = "www.example.com";
constexpr absl::Duration kHandshakeTimeout = absl::Seconds(5);
constexpr absl::Duration kAnswerTimeout = absl::Seconds(20);

// Runs what the engine asks for, and counts. `systemctl` is played: there are no units of a test's own.
class Commands : public ProcessRunner {
 public:
  explicit Commands(const DebianServer& server) : server_(server) {}

  void Serve(Daemon* daemon) { daemon_ = daemon; }
  int CountOf(const std::vector<std::string>& argv) const {
    return static_cast<int>(std::count(ran_.begin(), ran_.end(), argv));
  }

  absl::StatusOr<ProcessResult> Run(const ProcessRequest& request) override {
    ran_.push_back(request.argv);
    daemon_->Reap();
    if (request.argv[0] != "systemctl") return ProcessRunner::Real().Run(request);
    const std::string& verb = request.argv[1];
    EXPECT_EQ(request.argv[2], server_.name);
    if (verb == "reload") {
      EXPECT_NE(server_.unit_reload_signal, 0) << "systemd does not know how to reload it";
      daemon_->Signal(server_.unit_reload_signal);
      return ProcessResult{.exit_code = 0};
    }
    EXPECT_EQ(verb, "restart");
    const absl::Status restarted = daemon_->Restart();
    if (restarted.ok() || !server_.unit_notifies) return ProcessResult{.exit_code = 0};
    return ProcessResult{.exit_code = 1, .error = absl::StrCat("Job for ", server_.name, ".service failed.")};
  }

 private:
  const DebianServer& server_;
  Daemon* daemon_ = nullptr;
  std::vector<std::vector<std::string>> ran_;
};

// A client that stays.
class Visitor {
 public:
  Visitor(const std::string& address, StartTlsProtocol starttls)
      : stream_(TlsStream::Connect(ParseHostPort(address).value(), kServerName, {.starttls = starttls},
                                   Deadline::In(kAnswerTimeout))) {}

  std::string served() const { return stream_.ok() ? (*stream_)->peer().leaf_sha256 : stream_.status().ToString(); }
  // Empty when the answer came.
  std::string Say(const std::string& what, const std::string& answer) {
    if (!stream_.ok()) return stream_.status().ToString();
    const absl::Status sent = (*stream_)->Write(what);
    if (!sent.ok()) return sent.ToString();
    for (std::string heard; !absl::StrContains(heard, answer);) {
      const absl::StatusOr<std::string> more = (*stream_)->Read();
      if (!more.ok()) return absl::StrCat("after \"", heard, "\": ", more.status().ToString());
      if (more->empty()) return absl::StrCat("after \"", heard, "\": the connection was ended");
      heard += *more;
    }
    return "";
  }

 private:
  absl::StatusOr<std::unique_ptr<TlsStream>> stream_;
};

// Two spaces before each line.
std::string Indent(const std::string& lines, const std::string& by) {
  std::string result;
  for (const absl::string_view line : absl::StrSplit(lines, '\n', absl::SkipEmpty())) {
    absl::StrAppend(&result, by, line, "\n");
  }
  return result;
}

class DaemonTest : public ::testing::TestWithParam<DebianServer> {
 protected:
  void SetUp() override {
    // Servers that are not root pass here.
    ASSERT_EQ(chmod(root.path().c_str(), 0755), 0);
    place.home = root.path() + "/server";
    ASSERT_TRUE(std::filesystem::create_directories(place.home + "/tls"));
    const auto port = testing::FreePort("127.0.0.1");
    ASSERT_THAT(port, IsOk());
    place.port = *port;
    PutByHand();
    auto started = Daemon::Start(server.plan(place), place.home + "/out.log");
    ASSERT_THAT(started, IsOk());
    daemon = *std::move(started);
    commands.Serve(daemon.get());
  }

  void TearDown() override {
    if (HasFailure() && daemon != nullptr) ADD_FAILURE() << "the server said:\n" << daemon->log();
  }

  // From the days of scp.
  void PutByHand() {
    ASSERT_THAT(WriteFile(place.fullchain(), by_hand.fullchain_pem, 0644), IsOk());
    ASSERT_THAT(WriteFile(place.key(), by_hand.key_pem.ExposeSecret(), 0600), IsOk());
    ASSERT_THAT(WriteFile(place.combined(), absl::StrCat(by_hand.key_pem.ExposeSecret(), by_hand.fullchain_pem), 0600),
                IsOk());
    if (server.key_owner.empty()) return;
    const auto changed = ProcessRunner::Real().Run({.argv = {"chown", server.key_owner, place.key()}});
    ASSERT_TRUE(changed.ok() && changed->ok());
  }

  std::string Preset() const {
    if (server.preset == "none") return "";
    return absl::StrCat("    preset: ", server.preset.empty() ? server.name : server.preset, "\n");
  }
  // As an operator writes it.
  std::string NodeYaml() const {
    std::string files = absl::Substitute(
        "- {path: $0, content: fullchain, mode: \"0644\"}\n- {path: $1, content: private_key, owner: $2}\n",
        place.fullchain(), place.key(), server.key_owner.empty() ? "root" : server.key_owner);
    if (server.reads_combined) files = absl::Substitute("- {path: $0, content: combined}\n", place.combined());
    const absl::string_view starttls = NameOf(server.starttls);
    return absl::StrCat("name: web-01\nstate: ", root.path(), "/state\nlisten: 127.0.0.1:7444\n",
                        "allow_names: [\"*.example.com\"]\nservices:\n", "  - name: ", server.name, "\n",
                        "    certificate: wildcard\n", Preset(), "    files:\n", Indent(files, "      "),
                        Indent(server.commands(place), "    "), "    probes:\n      - tls: {", "address: \"",
                        place.address(), "\", server_name: ", kServerName, ", expect: chain",
                        starttls.empty() ? "" : ", starttls: ", starttls, ", timeout: 10s}\n");
  }

  void StartEngine(const std::string& node_yaml) {
    absl::StatusOr<Config> read = ParseConfig(node_yaml, root.path() + "/node.yaml");
    ASSERT_THAT(read, IsOk()) << node_yaml;
    StartEngine(*std::move(read));
  }
  void StartEngine(Config read) {
    EngineConfig config;
    config.node = read.name;
    config.state = read.state;
    config.allow_names = read.allow_names;
    config.fleet = EngineConfig::Fleet{fleet.id(), fleet.key()};
    config.services = read.services;
    service = read.services.front();
    engine.reset();
    auto started = Engine::Start(
        config,
        {.files = &FileSystem::Real(), .processes = &commands, .prober = &Prober::Real(), .clock = &Clock::Real()});
    ASSERT_THAT(started, IsOk());
    engine = *std::move(started);
  }

  v1::InstallResult Install(const IssuedCertificate& issued, uint64_t generation) {
    return engine
        ->Handle(testing::InstallCommand(absl::StrCat("install-", ++commands_sent),
                                         fleet.Bundle(issued, "wildcard", generation, signed_at), absl::Minutes(1)),
                 nullptr)
        .install_result();
  }
  void Confirm(const IssuedCertificate& issued, uint64_t generation) {
    const v1::Command command = testing::ConfirmCommand(absl::StrCat("confirm-", ++commands_sent), "wildcard",
                                                        generation, issued.certificate.sha256());
    const v1::InstallResult result = engine->Handle(command, nullptr).install_result();
    ASSERT_EQ(result.outcome(), Outcome::INSTALLED) << result.ShortDebugString();
  }
  v1::InstallResult Revert(uint64_t generation) {
    const v1::Command command =
        testing::RevertCommand(absl::StrCat("revert-", ++commands_sent), "wildcard", generation);
    return engine->Handle(command, nullptr).install_result();
  }
  void InstallAndConfirm(const IssuedCertificate& issued, uint64_t generation) {
    const v1::InstallResult result = Install(issued, generation);
    ASSERT_EQ(result.outcome(), Outcome::INSTALLED) << result.ShortDebugString();
    ExpectServes(issued);
    Confirm(issued, generation);
  }

  // What a stranger is shown.
  std::string Served() const {
    const auto peer = TlsHandshake(place.address(), kServerName, {.starttls = server.starttls}, kHandshakeTimeout);
    return peer.ok() ? peer->leaf_sha256 : peer.status().ToString();
  }
  // Old workers of nginx and apache, which have not heard of the reload yet, may take a connection or two.
  void ExpectServes(const IssuedCertificate& issued) const {
    EXPECT_THAT(testing::WaitUntil("the new certificate is served", absl::Seconds(5),
                                   [&] { return Served() == issued.certificate.sha256(); }),
                IsOk())
        << Served();
  }
  int Reloads() const {
    const auto* command = std::get_if<CommandReload>(&service.reload.how);
    return command == nullptr ? 0 : commands.CountOf(command->argv);
  }
  // Signals are not counted.
  int one_reload() const { return std::holds_alternative<CommandReload>(service.reload.how) ? 1 : 0; }

  // From files that it can't use.
  void ExpectGoesBack(const v1::InstallResult& result, const IssuedCertificate& to) const {
    EXPECT_EQ(result.outcome(), Outcome::REVERTED) << result.ShortDebugString();
    const Reason::Code expected = server.refusal == Refusal::kCheckFails    ? Reason::CHECK_FAILED
                                  : server.refusal == Refusal::kReloadFails ? Reason::RELOAD_FAILED
                                                                            : Reason::PROBE_FAILED;
    EXPECT_EQ(result.failure().reason(), expected) << result.ShortDebugString();
    // Where the check fails nothing is reloaded at all, and where nothing is told neither.
    EXPECT_EQ(result.reloaded().empty(), expected == Reason::CHECK_FAILED || service.reload.is_none())
        << result.ShortDebugString();
    ExpectServes(to);
  }

  IssuedCertificate Issue() const { return ca.Issue({.dns_names = {"*.example.com"}}); }

  const DebianServer& server = GetParam();
  const testing::TemporaryDirectory root = testing::TemporaryDirectory::Short();
  const testing::TestFleet fleet;
  const testing::TestCa ca = testing::TestCa::Root().Intermediate();
  const absl::Time signed_at = Clock::Real().Now();
  const IssuedCertificate by_hand = Issue();
  const IssuedCertificate first = Issue();
  const IssuedCertificate second = Issue();
  int commands_sent = 0;
  ServerPlace place;
  Commands commands{server};
  std::unique_ptr<Daemon> daemon;
  Service service;
  std::unique_ptr<Engine> engine;
};

TEST_P(DaemonTest, ServesEachRenewalAndKeepsWhoIsConnected) {
  ASSERT_NO_FATAL_FAILURE(StartEngine(NodeYaml()));
  ASSERT_EQ(Served(), by_hand.certificate.sha256());
  ASSERT_NO_FATAL_FAILURE(InstallAndConfirm(first, 1));

  const Conversation& talk = server.conversation;
  Visitor visitor(place.address(), server.starttls);
  EXPECT_EQ(visitor.served(), first.certificate.sha256());
  EXPECT_EQ(visitor.Say(talk.before_reload, talk.answer_before), "");
  const int reloads = Reloads();
  ASSERT_NO_FATAL_FAILURE(InstallAndConfirm(second, 2));
  EXPECT_EQ(Reloads(), reloads + one_reload());
  if (service.reload.is_disruptive()) {
    EXPECT_TRUE(talk.after_reload.empty());
  } else {
    EXPECT_EQ(visitor.Say(talk.after_reload, talk.answer_after), "");
  }

  // The same again is not an occasion to reload.
  const v1::InstallResult again = Install(second, 2);
  EXPECT_EQ(again.outcome(), Outcome::UNCHANGED) << again.ShortDebugString();
  EXPECT_TRUE(again.reloaded().empty());
  EXPECT_EQ(Reloads(), reloads + one_reload());
  ExpectServes(second);

  // Another node's trouble.
  const v1::InstallResult back = Revert(2);
  EXPECT_EQ(back.outcome(), Outcome::REVERTED) << back.ShortDebugString();
  EXPECT_EQ(back.generation_in_force(), 1u);
  EXPECT_EQ(Reloads(), reloads + 2 * one_reload());
  ExpectServes(first);
  EXPECT_TRUE(daemon->Running());
}

// What node.yaml puts where the server expects its key is not a key: first in place of what lay there by hand, then in
// place of what certcast installed.
TEST_P(DaemonTest, GoesBackFromFilesThatItCanNotUse) {
  const std::string wrong = absl::StrReplaceAll(NodeYaml(), {{"content: private_key", "content: chain"},
                                                             {"content: combined", "content: fullchain"},
                                                             {"timeout: 10s", "timeout: 1s"}});
  if (server.refusal == Refusal::kNodeYamlFails) {
    EXPECT_THAT(ParseConfig(wrong, "node.yaml").status().message(), HasSubstr("files with content combined"));
    return;
  }
  ASSERT_NO_FATAL_FAILURE(StartEngine(wrong));
  ExpectGoesBack(Install(first, 1), by_hand);

  // The retry, after node.yaml was mended.
  ASSERT_NO_FATAL_FAILURE(StartEngine(NodeYaml()));
  ASSERT_NO_FATAL_FAILURE(InstallAndConfirm(first, 1));

  ASSERT_NO_FATAL_FAILURE(StartEngine(wrong));
  const v1::InstallResult result = Install(second, 2);
  ExpectGoesBack(result, first);
  EXPECT_EQ(result.generation_in_force(), 1u);
}

TEST_P(DaemonTest, GoesBackWhereNothingNewIsRead) {
  if (server.name == "postfix") {
    // Else it starts another smtpd where the first is not back from its last client, and that one reads the files.
    const std::string services = place.home + "/etc/master.cf";
    ASSERT_THAT(testing::WriteFile(
                    services, absl::StrReplaceAll(testing::ReadFile(services), {{"- - smtpd", "- 1 smtpd"}}), 0644),
                IsOk());
    ASSERT_THAT(daemon->Restart(), IsOk());
  }
  ASSERT_NO_FATAL_FAILURE(StartEngine(NodeYaml()));
  ASSERT_NO_FATAL_FAILURE(InstallAndConfirm(first, 1));

  absl::StatusOr<Config> deaf =
      ParseConfig(absl::StrReplaceAll(NodeYaml(), {{"timeout: 10s", "timeout: 1s"}}), root.path() + "/node.yaml");
  ASSERT_THAT(deaf, IsOk());
  if (server.stop_reading != nullptr) {
    ASSERT_THAT(server.stop_reading(place), IsOk());
  } else {
    deaf->services.front().reload = {.how = CommandReload{.argv = {"true"}}};
  }
  ASSERT_NO_FATAL_FAILURE(StartEngine(*deaf));
  const v1::InstallResult result = Install(second, 2);
  EXPECT_EQ(result.outcome(), Outcome::REVERTED) << result.ShortDebugString();
  EXPECT_EQ(result.failure().reason(), Reason::PROBE_FAILED) << result.ShortDebugString();
  EXPECT_THAT(result.failure().detail(), HasSubstr(absl::StrCat("serves ", first.certificate.sha256())));
  ExpectServes(first);
  EXPECT_TRUE(daemon->Running());
}

INSTANTIATE_TEST_SUITE_P(Debian12, DaemonTest, ::testing::ValuesIn(testing::DebianServers()),
                         [](const ::testing::TestParamInfo<DebianServer>& info) {
                           return absl::StrReplaceAll(info.param.name, {{"-", "_"}});
                         });

}  // namespace
}  // namespace certcast::node
