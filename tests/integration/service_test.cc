// The engine with real servers that are told of a new certificate in other ways than by a command, and with programs
// that read PKCS#12 and Java keystores.
#include <sys/stat.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/clock/clock.h"
#include "common/file/file_system.h"
#include "common/probe/tls_client.h"
#include "common/process/process.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "node/engine/engine.h"
#include "node/engine/local_socket.h"
#include "tests/testing/haproxy.h"
#include "tests/testing/link_messages.h"
#include "tests/testing/nginx.h"
#include "tests/testing/program.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temporary_directory.h"
#include "tests/testing/test_ca.h"
#include "tests/testing/test_fleet.h"

namespace certcast::node {
namespace {

using testing::Haproxy;
using ::testing::HasSubstr;
using testing::IsOk;
using testing::IssuedCertificate;
using testing::Nginx;
using ::testing::Not;
using ::testing::StartsWith;
using v1::Outcome;
using v1::Reason;

constexpr char kServerName[] = "www.example.com";

class ServiceTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(std::filesystem::create_directory(tls));
    const auto port = testing::FreePort("127.0.0.1");
    ASSERT_THAT(port, IsOk());
    address = absl::StrCat("127.0.0.1:", *port);
    service.name = "server";
    service.certificate = "wildcard";
    service.probes = {{.what = TlsProbe{address, kServerName}, .timeout = absl::Seconds(10)}};
  }

  // Of `service`, as it is then.
  void StartEngine() {
    EngineConfig config;
    config.node = "web-01";
    config.state = root.path() + "/state";
    config.allow_names = {"*.example.com"};
    config.fleet = EngineConfig::Fleet{fleet.id(), fleet.key()};
    config.services = {service};
    config.services.insert(config.services.end(), others.begin(), others.end());
    engine.reset();
    auto started = Engine::Start(config, {.files = &FileSystem::Real(),
                                          .processes = &ProcessRunner::Real(),
                                          .prober = &Prober::Real(),
                                          .clock = &Clock::Real()});
    ASSERT_THAT(started, IsOk());
    engine = *std::move(started);
  }

  v1::InstallResult Install(const IssuedCertificate& issued, uint64_t generation) {
    return engine
        ->Handle(testing::InstallCommand(absl::StrCat("install-", ++commands_sent),
                                         fleet.Bundle(issued, "wildcard", generation, Clock::Real().Now()),
                                         absl::Minutes(1)),
                 nullptr)
        .install_result();
  }

  v1::InstallResult Confirm(const IssuedCertificate& issued, uint64_t generation) {
    const v1::Command command = testing::ConfirmCommand(absl::StrCat("confirm-", ++commands_sent), "wildcard",
                                                        generation, issued.certificate.sha256());
    return engine->Handle(command, nullptr).install_result();
  }

  v1::InstallResult Revert(uint64_t generation) {
    const v1::Command command =
        testing::RevertCommand(absl::StrCat("revert-", ++commands_sent), "wildcard", generation);
    return engine->Handle(command, nullptr).install_result();
  }

  IssuedCertificate Issue() const { return ca.Issue({.dns_names = {"*.example.com"}}); }

  const testing::TemporaryDirectory root = testing::TemporaryDirectory::Short();
  const std::string tls = root.path() + "/tls";
  const testing::TestFleet fleet;
  const testing::TestCa ca = testing::TestCa::Root().Intermediate();
  const IssuedCertificate by_hand = Issue();
  const IssuedCertificate issued = Issue();
  std::string address;
  Service service;
  // Beside it.
  std::vector<Service> others;
  int commands_sent = 0;
  std::unique_ptr<Engine> engine;
};

// A client that stays.
class Visitor {
 public:
  explicit Visitor(const std::string& address)
      : stream_(TlsStream::Connect(ParseHostPort(address).value(), kServerName, {}, Deadline::In(absl::Seconds(30)))) {}

  std::string served() const { return stream_.ok() ? (*stream_)->peer().leaf_sha256 : stream_.status().ToString(); }
  // The answer's first line.
  std::string Get() {
    if (!stream_.ok()) return stream_.status().ToString();
    const absl::Status sent = (*stream_)->Write("GET / HTTP/1.1\r\nHost: www.example.com\r\n\r\n");
    if (!sent.ok()) return sent.ToString();
    std::string answer;
    while (!absl::EndsWith(answer, "served")) {
      const absl::StatusOr<std::string> more = (*stream_)->Read();
      if (!more.ok() || more->empty()) return absl::StrCat("the connection has ended: ", more.status().ToString());
      answer += *more;
    }
    return answer.substr(0, answer.find("\r\n"));
  }

 private:
  absl::StatusOr<std::unique_ptr<TlsStream>> stream_;
};

// Of three listeners: by the file; by a crt-list; by a crt-list for names that it has alone (strict-sni).
class HaproxyTest : public ServiceTest {
 protected:
  void SetUp() override {
    ServiceTest::SetUp();
    // With the blank line that people leave between the two.
    ASSERT_THAT(testing::WriteFile(combined, absl::StrCat(by_hand.key_pem.ExposeSecret(), "\n", by_hand.fullchain_pem)),
                IsOk());
    ASSERT_THAT(testing::WriteFile(other, absl::StrCat(their.key_pem.ExposeSecret(), their.fullchain_pem)), IsOk());
    ASSERT_THAT(testing::WriteFile(root.path() + "/list", absl::StrCat(combined, "\n", other, " other.test\n")),
                IsOk());
    ASSERT_THAT(testing::WriteFile(root.path() + "/strict", absl::StrCat(combined, "\n")), IsOk());
    service.files = {{.path = combined, .content = FileContent::kCombined, .mode = 0600}};
    for (const std::string list : {"list", "strict"}) {
      const auto port = testing::FreePort("127.0.0.1");
      ASSERT_THAT(port, IsOk());
      const std::string listener = absl::StrCat("127.0.0.1:", *port);
      absl::StrAppend(&more, "  bind ", listener, " ssl crt-list ", root.path(), "/", list,
                      list == "strict" ? " strict-sni\n" : "\n");
      service.probes.push_back({.what = TlsProbe{listener, kServerName}, .timeout = absl::Seconds(2)});
      if (list == "list") address_of_list = listener;
    }
    ASSERT_NO_FATAL_FAILURE(StartHaproxy());
    service.check.argv = {"haproxy", "-c", "-f", haproxy->config_path()};
    service.reload.how = HaproxyReload{.socket = haproxy->socket_path(), .certificate = combined};
    StartEngine();
  }

  // Ends one that runs.
  void StartHaproxy() {
    haproxy.reset();
    auto started = Haproxy::Start(root.path(), address, more);
    ASSERT_THAT(started, IsOk());
    haproxy = *std::move(started);
  }

  // On each listener.
  void ExpectServed(const IssuedCertificate& expected) const {
    for (const ProbeSpec& probe : service.probes) {
      const std::string& at = std::get<TlsProbe>(probe.what).address;
      const auto peer = TlsHandshake(at, kServerName, {}, absl::Seconds(5));
      EXPECT_THAT(peer, IsOk());
      EXPECT_EQ(peer.ok() ? peer->leaf_sha256 : "", expected.certificate.sha256()) << at;
    }
  }
  // Memory and disk are of one mind, and nothing is under way.
  void ExpectServedNowAndAfterARestart(const IssuedCertificate& expected) {
    ExpectServed(expected);
    EXPECT_THAT(Say("show ssl cert\n"), Not(HasSubstr("# transaction")));
    ASSERT_NO_FATAL_FAILURE(StartHaproxy());
    ExpectServed(expected);
  }

  std::string Say(const std::string& request) const {
    const auto answer = LocalSocket::Real().Ask(haproxy->socket_path(), request, absl::Seconds(10));
    return answer.ok() ? *answer : answer.status().ToString();
  }
  // What an agent, or another program, leaves that is ended in the middle.
  void BeginAChangeOfTheOther() const {
    EXPECT_THAT(
        Say(absl::StrCat("set ssl cert ", other, " <<\n", their.key_pem.ExposeSecret(), their.fullchain_pem, "\n")),
        HasSubstr("Transaction created"));
  }
  std::string ServedOfTheOther() const {
    const auto peer = TlsHandshake(address_of_list, "other.test", {}, absl::Seconds(5));
    return peer.ok() ? peer->leaf_sha256 : peer.status().ToString();
  }

  void InstallAndConfirm(const IssuedCertificate& certificate, uint64_t generation) {
    const v1::InstallResult result = Install(certificate, generation);
    ASSERT_EQ(result.outcome(), Outcome::INSTALLED) << result.ShortDebugString();
    ExpectServed(certificate);
    ASSERT_EQ(Confirm(certificate, generation).outcome(), Outcome::INSTALLED);
  }

  const std::string combined = tls + "/combined.pem";
  const std::string other = tls + "/other.pem";
  const IssuedCertificate their = ca.Issue({.dns_names = {"other.test"}});
  const IssuedCertificate next = Issue();
  std::string more;
  std::string address_of_list;
  std::unique_ptr<Haproxy> haproxy;
};

TEST_F(HaproxyTest, IsSwitchedOverItsSocketWhileAConnectionStaysOpen) {
  Visitor visitor(address);
  EXPECT_EQ(visitor.served(), by_hand.certificate.sha256());
  EXPECT_EQ(visitor.Get(), "HTTP/1.1 200 OK");

  const v1::InstallResult installed = Install(issued, 1);
  EXPECT_EQ(installed.outcome(), Outcome::INSTALLED) << installed.ShortDebugString();
  EXPECT_EQ(installed.probes(0).served_before_sha256(), by_hand.certificate.sha256());
  ExpectServed(issued);
  EXPECT_EQ(visitor.Get(), "HTTP/1.1 200 OK");

  const v1::InstallResult reverted = Revert(1);
  EXPECT_EQ(reverted.outcome(), Outcome::REVERTED) << reverted.ShortDebugString();
  ExpectServed(by_hand);
  EXPECT_EQ(visitor.Get(), "HTTP/1.1 200 OK");
  EXPECT_TRUE(haproxy->Running());
  ExpectServedNowAndAfterARestart(by_hand);
}

TEST_F(HaproxyTest, IsRenewedOverItsSocketWhileAConnectionStaysOpen) {
  ASSERT_NO_FATAL_FAILURE(InstallAndConfirm(issued, 1));
  Visitor visitor(address);
  EXPECT_EQ(visitor.served(), issued.certificate.sha256());
  ASSERT_NO_FATAL_FAILURE(InstallAndConfirm(next, 2));
  EXPECT_EQ(visitor.Get(), "HTTP/1.1 200 OK");

  EXPECT_EQ(Revert(2).outcome(), Outcome::REVERTED);
  ExpectServed(issued);
  EXPECT_EQ(visitor.Get(), "HTTP/1.1 200 OK");
  ExpectServedNowAndAfterARestart(issued);
}

// haproxy takes it, and one listener does not serve it: it has no name that is asked for.
TEST_F(HaproxyTest, GoesBackFromARenewalThatAProbeDoesNotSee) {
  ASSERT_NO_FATAL_FAILURE(InstallAndConfirm(issued, 1));
  Visitor visitor(address);
  const v1::InstallResult result = Install(ca.Issue({.dns_names = {"api.example.com"}}), 2);
  EXPECT_EQ(result.outcome(), Outcome::REVERTED) << result.ShortDebugString();
  EXPECT_EQ(result.failure().reason(), Reason::PROBE_FAILED);
  EXPECT_EQ(visitor.served(), issued.certificate.sha256());
  EXPECT_EQ(visitor.Get(), "HTTP/1.1 200 OK");
  ExpectServedNowAndAfterARestart(issued);
}

// What a hook made of the file: the key of another certificate.
TEST_F(HaproxyTest, GoesBackFromARenewalThatItRefusesToCommit) {
  ASSERT_NO_FATAL_FAILURE(InstallAndConfirm(issued, 1));
  Visitor visitor(address);
  const std::string wrong = root.path() + "/wrong.pem";
  ASSERT_THAT(testing::WriteFile(wrong, absl::StrCat(by_hand.key_pem.ExposeSecret(), next.fullchain_pem)), IsOk());
  const std::vector<std::string> check = service.check.argv;
  service.check.argv = {"sh", "-c", "cat \"$0\" > \"$1\"", wrong, combined};
  StartEngine();
  const v1::InstallResult result = Install(next, 2);
  EXPECT_EQ(result.outcome(), Outcome::REVERTED) << result.ShortDebugString();
  EXPECT_EQ(result.failure().reason(), Reason::RELOAD_FAILED);
  EXPECT_THAT(result.failure().detail(), HasSubstr("commit ssl cert was refused"));
  EXPECT_THAT(result.failure().stderr(), HasSubstr("inconsistencies between private key and certificate"));
  EXPECT_EQ(visitor.Get(), "HTTP/1.1 200 OK");
  ExpectServedNowAndAfterARestart(issued);

  // The retry.
  service.check.argv = check;
  StartEngine();
  ASSERT_NO_FATAL_FAILURE(InstallAndConfirm(next, 2));
}

TEST_F(HaproxyTest, ARenewalThatItsBufferDoesNotHoldIsNamedAndTakenBack) {
  ASSERT_NO_FATAL_FAILURE(InstallAndConfirm(issued, 1));
  Visitor visitor(address);
  std::vector<std::string> names = {"*.example.com"};
  for (int i = 100; i < 250; ++i) names.push_back(absl::StrCat(std::string(60, 'a'), i, ".example.com"));
  const v1::InstallResult result = Install(ca.Issue({.dns_names = names, .common_name = ""}), 2);
  EXPECT_EQ(result.outcome(), Outcome::REVERTED) << result.ShortDebugString();
  EXPECT_EQ(result.failure().reason(), Reason::RELOAD_FAILED);
  EXPECT_THAT(result.failure().hint(), HasSubstr("tune.bufsize"));
  EXPECT_EQ(visitor.Get(), "HTTP/1.1 200 OK");
  ExpectServedNowAndAfterARestart(issued);
}

// The files go back; that haproxy was told to is what can't be said.
TEST_F(HaproxyTest, ServesTheOldOneWhereItsSocketIsGone) {
  ASSERT_NO_FATAL_FAILURE(InstallAndConfirm(issued, 1));
  Visitor visitor(address);
  ASSERT_TRUE(std::filesystem::remove(haproxy->socket_path()));
  const v1::InstallResult result = Install(next, 2);
  EXPECT_EQ(result.outcome(), Outcome::FAILED) << result.ShortDebugString();
  EXPECT_EQ(result.failure().reason(), Reason::REVERT_FAILED);
  EXPECT_THAT(result.failure().detail(), HasSubstr("admin.sock: connecting"));
  EXPECT_EQ(result.generation_in_force(), 1u);
  EXPECT_EQ(visitor.Get(), "HTTP/1.1 200 OK");
  ExpectServed(issued);
  ASSERT_NO_FATAL_FAILURE(StartHaproxy());
  ExpectServed(issued);
  ASSERT_NO_FATAL_FAILURE(InstallAndConfirm(next, 2));
}

TEST_F(HaproxyTest, ASocketThatMayNotChangeCertificatesIsNamed) {
  service.reload.how = HaproxyReload{.socket = haproxy->operator_socket_path(), .certificate = combined};
  StartEngine();
  const v1::InstallResult result = Install(issued, 1);
  EXPECT_THAT(result.failure().detail(), HasSubstr("set ssl cert was refused"));
  EXPECT_THAT(result.failure().stderr(), HasSubstr("Permission denied"));
  EXPECT_THAT(result.failure().hint(), HasSubstr("`level admin`"));
  ExpectServedNowAndAfterARestart(by_hand);
}

TEST_F(HaproxyTest, SaysWhatItDoesNotKnow) {
  service.files.push_back({.path = tls + "/unknown.pem", .content = FileContent::kCombined, .mode = 0600});
  service.reload.how = HaproxyReload{.socket = haproxy->socket_path(), .certificate = tls + "/unknown.pem"};
  StartEngine();
  const v1::InstallResult result = Install(issued, 1);
  EXPECT_EQ(result.outcome(), Outcome::FAILED) << result.ShortDebugString();
  EXPECT_THAT(result.failure().stderr(), HasSubstr("not referenced by the configuration"));
  EXPECT_THAT(result.failure().hint(), HasSubstr("by this very path"));
  ExpectServed(by_hand);
  EXPECT_FALSE(std::filesystem::exists(std::filesystem::symlink_status(tls + "/unknown.pem")));
}

// haproxy has one transaction, and would put this certificate into it.
TEST_F(HaproxyTest, GivesUpWhatAnAgentThatWasEndedHasBegunForAnotherService) {
  Service second;
  second.name = "second";
  second.certificate = "another";
  second.files = {{.path = other, .content = FileContent::kCombined, .mode = 0600}};
  second.reload.how = HaproxyReload{.socket = haproxy->socket_path(), .certificate = other};
  others = {second};
  StartEngine();
  BeginAChangeOfTheOther();
  ASSERT_NO_FATAL_FAILURE(InstallAndConfirm(issued, 1));
  EXPECT_EQ(ServedOfTheOther(), their.certificate.sha256());
  ExpectServedNowAndAfterARestart(issued);
}

TEST_F(HaproxyTest, LeavesAloneWhatAnotherProgramHasBegun) {
  ASSERT_NO_FATAL_FAILURE(InstallAndConfirm(issued, 1));
  BeginAChangeOfTheOther();
  const v1::InstallResult result = Install(next, 2);
  EXPECT_THAT(result.failure().detail(), HasSubstr(absl::StrCat("in the middle of a change of ", other)));
  EXPECT_THAT(result.failure().hint(), HasSubstr(absl::StrCat("`abort ssl cert ", other, "`")));
  ExpectServed(issued);
  EXPECT_THAT(Say(absl::StrCat("commit ssl cert ", other, "\n")), HasSubstr("Success!"));
  EXPECT_EQ(ServedOfTheOther(), their.certificate.sha256());
  ASSERT_NO_FATAL_FAILURE(InstallAndConfirm(next, 2));
}

TEST_F(ServiceTest, NginxIsToldByASignalToItsPidFile) {
  ASSERT_THAT(testing::WriteFile(tls + "/fullchain.pem", by_hand.fullchain_pem), IsOk());
  ASSERT_THAT(testing::WriteFile(tls + "/privkey.pem", by_hand.key_pem.ExposeSecret()), IsOk());
  const auto nginx = Nginx::Start(root.path(), address);
  ASSERT_THAT(nginx, IsOk());
  service.files = {{.path = tls + "/fullchain.pem", .content = FileContent::kFullchain, .mode = 0644},
                   {.path = tls + "/privkey.pem", .content = FileContent::kPrivateKey, .mode = 0600}};
  service.reload.how = SignalReload{.signal = SIGHUP, .pid_file = root.path() + "/nginx.pid"};
  StartEngine();
  const v1::InstallResult installed = Install(issued, 1);
  EXPECT_EQ(installed.outcome(), Outcome::INSTALLED) << installed.ShortDebugString();
  EXPECT_EQ((*nginx)->Served(), issued.certificate.sha256());

  EXPECT_EQ(Revert(1).outcome(), Outcome::REVERTED);
  EXPECT_EQ((*nginx)->Served(), by_hand.certificate.sha256());
}

// --- PKCS#12 and Java. What serves is nginx, from its own files; beside them lies what a Java server would read.

class KeystoreTest : public ServiceTest, public ::testing::WithParamInterface<Pkcs12Encryption> {
 protected:
  void SetUp() override {
    ServiceTest::SetUp();
    ASSERT_THAT(testing::WriteFile(tls + "/fullchain.pem", by_hand.fullchain_pem), IsOk());
    ASSERT_THAT(testing::WriteFile(tls + "/privkey.pem", by_hand.key_pem.ExposeSecret()), IsOk());
    ASSERT_THAT(testing::WriteFile(password, "correct-horse\n", 0600), IsOk());
    auto started = Nginx::Start(root.path(), address);
    ASSERT_THAT(started, IsOk());
    nginx = *std::move(started);
    service.files = {
        {.path = tls + "/fullchain.pem", .content = FileContent::kFullchain, .mode = 0644},
        {.path = tls + "/privkey.pem", .content = FileContent::kPrivateKey, .mode = 0600},
        {.path = p12,
         .content = FileContent::kPkcs12,
         .mode = 0600,
         .pkcs12 = {
             .password = {SecretReference::Kind::kFile, password}, .encryption = GetParam(), .alias = "wildcard"}}};
    service.reload.timeout = absl::Minutes(2);
  }

  std::string Run(const std::vector<std::string>& argv) {
    const auto result = ProcessRunner::Real().Run({.argv = argv, .timeout = absl::Minutes(2)});
    if (!result.ok()) return std::string(result.status().message());
    EXPECT_TRUE(result->ok()) << absl::StrJoin(argv, " ") << result->output << result->error;
    return result->output;
  }

  // The chain below an alias, as keytool sees it: SHA-256 fingerprints.
  std::vector<std::string> KeytoolSees(const std::string& keystore) {
    const std::string listed =
        Run({"keytool", "-list", "-v", "-keystore", keystore, "-storepass:file", password, "-alias", "wildcard"});
    EXPECT_THAT(listed, HasSubstr("Entry type: PrivateKeyEntry"));
    std::vector<std::string> fingerprints;
    const std::string label = "SHA256: ";
    for (size_t at = listed.find(label); at != std::string::npos; at = listed.find(label, at + 1)) {
      std::string hex = absl::AsciiStrToLower(listed.substr(at + label.size(), 95));
      hex.erase(std::remove(hex.begin(), hex.end(), ':'), hex.end());
      fingerprints.push_back(std::move(hex));
    }
    return fingerprints;
  }

  std::vector<std::string> ChainOf(const IssuedCertificate& certificate) const {
    return {certificate.certificate.sha256(), ca.certificate().sha256()};
  }

  const std::string p12 = tls + "/wildcard.p12";
  const std::string jks = tls + "/wildcard.jks";
  const std::string password = root.path() + "/p12.password";
  std::unique_ptr<Nginx> nginx;
};

TEST_P(KeystoreTest, OpensslAndKeytoolOpenWhatIsInstalled) {
  service.reload.how = CommandReload{.argv = {"nginx", "-c", nginx->config_path(), "-s", "reload"}};
  StartEngine();
  const v1::InstallResult installed = Install(issued, 1);
  ASSERT_EQ(installed.outcome(), Outcome::INSTALLED) << installed.ShortDebugString();
  EXPECT_THAT(Run({"openssl", "pkcs12", "-in", p12, "-passin", "file:" + password, "-noenc"}),
              HasSubstr("-----BEGIN PRIVATE KEY-----"));
  EXPECT_EQ(KeytoolSees(p12), ChainOf(issued));
}

// As in docs/operations.md.
TEST_P(KeystoreTest, KeytoolMakesAJavaKeystoreWithTheReload) {
  const std::string script = root.path() + "/app-keystore";
  ASSERT_THAT(testing::WriteFile(script,
                                 absl::StrCat("#!/bin/sh\nset -eu\numask 077\nrm -f ", jks,
                                              ".new\nkeytool -importkeystore -noprompt -srckeystore ", p12,
                                              " -srcstoretype PKCS12 -srcstorepass:file ", password, " -destkeystore ",
                                              jks, ".new -deststoretype JKS -deststorepass:file ", password, "\nmv ",
                                              jks, ".new ", jks, "\nnginx -c ", nginx->config_path(), " -s reload\n"),
                                 0700),
              IsOk());
  service.reload.how = CommandReload{.argv = {script}, .disruptive = true};
  StartEngine();
  const v1::InstallResult installed = Install(issued, 1);
  ASSERT_EQ(installed.outcome(), Outcome::INSTALLED) << installed.ShortDebugString();
  EXPECT_THAT(testing::ReadFile(jks), StartsWith("\xfe\xed\xfe\xed"));
  EXPECT_EQ(KeytoolSees(jks), ChainOf(issued));
  struct stat found;
  ASSERT_EQ(stat(jks.c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 07777, 0600u);

  ASSERT_EQ(Confirm(issued, 1).outcome(), Outcome::INSTALLED);
  const IssuedCertificate next = Issue();
  ASSERT_EQ(Install(next, 2).outcome(), Outcome::INSTALLED);
  EXPECT_EQ(KeytoolSees(jks), ChainOf(next));
  EXPECT_EQ(Revert(2).outcome(), Outcome::REVERTED);
  EXPECT_EQ(KeytoolSees(jks), ChainOf(issued));
}

INSTANTIATE_TEST_SUITE_P(All, KeystoreTest, ::testing::Values(Pkcs12Encryption::kModern, Pkcs12Encryption::kLegacy),
                         [](const ::testing::TestParamInfo<Pkcs12Encryption>& info) {
                           return info.param == Pkcs12Encryption::kModern ? "Modern" : "Legacy";
                         });

}  // namespace
}  // namespace certcast::node
