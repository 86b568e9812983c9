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
#include "tests/testing/haproxy.h"
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
using ::testing::StartsWith;
using v1::Outcome;

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
    engine.reset();
    auto started = Engine::Start(config, {.files = &FileSystem::Real(),
                                          .processes = &ProcessRunner::Real(),
                                          .prober = &Prober::Real(),
                                          .clock = &Clock::Real()});
    ASSERT_THAT(started, IsOk());
    engine = *std::move(started);
  }

  v1::InstallResult Install(const IssuedCertificate& issued, uint64_t generation) {
    v1::Command command;
    command.set_id(absl::StrCat("install-", generation));
    *command.mutable_install()->mutable_bundle() = fleet.Bundle(issued, "wildcard", generation, Clock::Real().Now());
    command.mutable_install()->mutable_confirm_timeout()->set_seconds(60);
    return engine->Handle(command, nullptr).install_result();
  }

  v1::InstallResult Confirm(const IssuedCertificate& issued, uint64_t generation) {
    v1::Command command;
    command.set_id(absl::StrCat("confirm-", generation));
    command.mutable_confirm()->set_certificate("wildcard");
    command.mutable_confirm()->set_generation(generation);
    command.mutable_confirm()->set_leaf_sha256(issued.certificate.sha256());
    return engine->Handle(command, nullptr).install_result();
  }

  v1::InstallResult Revert(uint64_t generation) {
    v1::Command command;
    command.set_id(absl::StrCat("revert-", generation));
    command.mutable_revert()->set_certificate("wildcard");
    command.mutable_revert()->set_generation(generation);
    command.mutable_revert()->set_because(Reason::ROLLOUT_HALTED);
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

class HaproxyTest : public ServiceTest {
 protected:
  void SetUp() override {
    ServiceTest::SetUp();
    const std::string combined = tls + "/combined.pem";
    // With the blank line that people leave between the two.
    ASSERT_THAT(testing::WriteFile(combined, absl::StrCat(by_hand.key_pem.ExposeSecret(), "\n", by_hand.fullchain_pem)),
                IsOk());
    auto started = Haproxy::Start(root.path(), address);
    ASSERT_THAT(started, IsOk());
    haproxy = *std::move(started);
    service.files = {{.path = combined, .content = FileContent::kCombined, .mode = 0600}};
    service.check.argv = {"haproxy", "-c", "-f", haproxy->config_path()};
    service.reload.how = HaproxyReload{.socket = haproxy->socket_path(), .certificate = combined};
    StartEngine();
  }

  std::unique_ptr<Haproxy> haproxy;
};

TEST_F(HaproxyTest, IsSwitchedOverItsSocketWhileAConnectionStaysOpen) {
  Visitor visitor(address);
  EXPECT_EQ(visitor.served(), by_hand.certificate.sha256());
  EXPECT_EQ(visitor.Get(), "HTTP/1.1 200 OK");

  const v1::InstallResult installed = Install(issued, 1);
  EXPECT_EQ(installed.outcome(), Outcome::INSTALLED) << installed.ShortDebugString();
  EXPECT_EQ(installed.probes(0).served_before_sha256(), by_hand.certificate.sha256());
  EXPECT_EQ(haproxy->Served(), issued.certificate.sha256());
  EXPECT_EQ(visitor.Get(), "HTTP/1.1 200 OK");

  const v1::InstallResult reverted = Revert(1);
  EXPECT_EQ(reverted.outcome(), Outcome::REVERTED) << reverted.ShortDebugString();
  EXPECT_EQ(haproxy->Served(), by_hand.certificate.sha256());
  EXPECT_EQ(visitor.Get(), "HTTP/1.1 200 OK");
  EXPECT_TRUE(haproxy->Running());
}

TEST_F(HaproxyTest, ReadsTheSameFromDiskWhenItIsStartedAgain) {
  ASSERT_EQ(Install(issued, 1).outcome(), Outcome::INSTALLED);
  haproxy.reset();
  const auto again = Haproxy::Start(root.path(), address);
  ASSERT_THAT(again, IsOk());
  EXPECT_EQ((*again)->Served(), issued.certificate.sha256());
}

TEST_F(HaproxyTest, SaysWhatItDoesNotKnow) {
  service.files.push_back({.path = tls + "/other.pem", .content = FileContent::kCombined, .mode = 0600});
  service.reload.how = HaproxyReload{.socket = haproxy->socket_path(), .certificate = tls + "/other.pem"};
  StartEngine();
  const v1::InstallResult result = Install(issued, 1);
  EXPECT_EQ(result.outcome(), Outcome::FAILED) << result.ShortDebugString();
  EXPECT_THAT(result.failure().stderr(), HasSubstr("not referenced by the configuration"));
  EXPECT_EQ(haproxy->Served(), by_hand.certificate.sha256());
  EXPECT_FALSE(std::filesystem::exists(std::filesystem::symlink_status(tls + "/other.pem")));
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
