// The engine on the machine's own files and programs. What serves is a script that copies on reload what it serves, and
// a prober that reads the copy.
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/clock/clock.h"
#include "common/file/file_system.h"
#include "common/process/process.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "node/engine/engine.h"
#include "tests/testing/fake_prober.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temporary_directory.h"
#include "tests/testing/test_ca.h"
#include "tests/testing/test_fleet.h"

namespace certcast::node {
namespace {

using testing::HasReason;
using ::testing::HasSubstr;
using testing::IsOk;
using v1::Outcome;

std::string Read(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

void Write(const std::string& path, const std::string& text, mode_t mode) {
  std::ofstream(path) << text;
  ASSERT_EQ(chmod(path.c_str(), mode), 0);
}

class RealInstallTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(std::filesystem::create_directory(tls));
    Write(daemon,
          absl::StrCat("#!/bin/sh\nset -e\ncase $1 in\n"
                       "test) openssl x509 -in ",
                       tls, "/fullchain.pem -noout; openssl pkey -in ", tls,
                       "/privkey.pem -noout; echo tested >&2;;\n"
                       "reload) cp ",
                       tls, "/fullchain.pem ", served, ";;\nesac\n"),
          0755);
    Service service;
    service.name = "daemon";
    service.certificate = "wildcard";
    service.files = {{.path = tls + "/fullchain.pem", .content = FileContent::kFullchain, .mode = 0644},
                     {.path = tls + "/privkey.pem", .content = FileContent::kPrivateKey, .mode = 0600}};
    service.check.argv = {daemon, "test"};
    service.reload.how = CommandReload{.argv = {daemon, "reload"}};
    service.probes = {{.what = TlsProbe{"127.0.0.1:443", "www.example.com"}, .timeout = absl::Milliseconds(300)}};
    prober.Otherwise([this](const ProbeSpec&) {
      const auto chain = ParseChainPem(Read(served));
      return chain.ok() ? testing::FakeProber::Serves(chain->front().sha256())
                        : testing::FakeProber::Fails("connection refused");
    });
    config.node = "web-01";
    config.state = root.path() + "/state";
    config.allow_names = {"*.example.com"};
    config.fleet = EngineConfig::Fleet{fleet.id(), fleet.key()};
    config.services = {service};
  }

  absl::StatusOr<std::unique_ptr<Engine>> Start() {
    return Engine::Start(config, {.files = &FileSystem::Real(),
                                  .processes = &ProcessRunner::Real(),
                                  .prober = &prober,
                                  .clock = &Clock::Real()});
  }

  v1::InstallResult Install(Engine& engine, const testing::IssuedCertificate& issued, uint64_t generation) {
    v1::Command command;
    command.set_id(absl::StrCat("install-", generation));
    *command.mutable_install()->mutable_bundle() = fleet.Bundle(issued, "wildcard", generation, Clock::Real().Now());
    command.mutable_install()->mutable_confirm_timeout()->set_seconds(60);
    return engine.Handle(command, nullptr).install_result();
  }

  v1::InstallResult Confirm(Engine& engine, const testing::IssuedCertificate& issued, uint64_t generation) {
    v1::Command command;
    command.set_id(absl::StrCat("confirm-", generation));
    command.mutable_confirm()->set_certificate("wildcard");
    command.mutable_confirm()->set_generation(generation);
    command.mutable_confirm()->set_leaf_sha256(issued.certificate.sha256());
    return engine.Handle(command, nullptr).install_result();
  }

  const testing::TemporaryDirectory root;
  const std::string tls = root.path() + "/tls";
  const std::string daemon = root.path() + "/daemon";
  const std::string served = root.path() + "/served.pem";
  const testing::TestFleet fleet;
  const testing::TestCa ca = testing::TestCa::Root().Intermediate();
  const testing::IssuedCertificate by_hand = ca.Issue({.dns_names = {"*.example.com"}});
  const testing::IssuedCertificate first = ca.Issue({.dns_names = {"*.example.com"}});
  const testing::IssuedCertificate second = ca.Issue({.dns_names = {"*.example.com"}});
  testing::FakeProber prober;
  EngineConfig config;
};

TEST_F(RealInstallTest, TakesInWhatIsThereAndInstallsTwice) {
  Write(tls + "/fullchain.pem", by_hand.fullchain_pem, 0640);
  Write(tls + "/privkey.pem", std::string(by_hand.key_pem.ExposeSecret()), 0400);
  const auto engine = Start();
  ASSERT_THAT(engine, IsOk());

  const v1::InstallResult installed = Install(**engine, first, 1);
  ASSERT_EQ(installed.outcome(), Outcome::INSTALLED) << installed.ShortDebugString();
  EXPECT_EQ(Confirm(**engine, first, 1).outcome(), Outcome::INSTALLED);
  EXPECT_EQ(Read(served), Read(tls + "/fullchain.pem"));
  EXPECT_EQ(std::filesystem::read_symlink(tls + "/privkey.pem"),
            config.state + "/certificates/wildcard/current/daemon/privkey.pem");
  struct stat key;
  ASSERT_EQ(stat((tls + "/privkey.pem").c_str(), &key), 0);
  EXPECT_EQ(key.st_mode & 07777, 0600u);
  EXPECT_EQ(key.st_uid, geteuid());
  // As it was, with its mode.
  const std::string taken_in = config.state + "/certificates/wildcard/generations/0/daemon/privkey.pem";
  ASSERT_EQ(stat(taken_in.c_str(), &key), 0);
  EXPECT_EQ(key.st_mode & 07777, 0400u);

  const v1::InstallResult next = Install(**engine, second, 2);
  EXPECT_EQ(next.outcome(), Outcome::INSTALLED) << next.ShortDebugString();
  EXPECT_EQ(next.probes(0).served_before_sha256(), first.certificate.sha256());
  EXPECT_EQ(next.probes(0).served_sha256(), second.certificate.sha256());
}

TEST_F(RealInstallTest, CopiesAreRegularFilesAndComeAndGoAsASet) {
  for (ServiceFile& file : config.services[0].files) file.install = FileInstall::kCopy;
  const auto engine = Start();
  ASSERT_THAT(engine, IsOk());
  ASSERT_EQ(Install(**engine, first, 1).outcome(), Outcome::INSTALLED);
  ASSERT_EQ(Confirm(**engine, first, 1).outcome(), Outcome::INSTALLED);
  struct stat key;
  ASSERT_EQ(lstat((tls + "/privkey.pem").c_str(), &key), 0);
  EXPECT_TRUE(S_ISREG(key.st_mode));
  EXPECT_EQ(key.st_mode & 07777, 0600u);
  EXPECT_EQ(key.st_nlink, 1u);
  EXPECT_EQ(Read(served), Read(tls + "/fullchain.pem"));

  // The reload does nothing, so the old ones come back.
  Write(daemon, "#!/bin/sh\nexit 0\n", 0755);
  const v1::InstallResult result = Install(**engine, second, 2);
  EXPECT_EQ(result.outcome(), Outcome::REVERTED) << result.ShortDebugString();
  EXPECT_EQ(Read(tls + "/fullchain.pem"), first.fullchain_pem);
  EXPECT_EQ(Read(tls + "/privkey.pem"), first.key_pem.ExposeSecret());
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(tls)) names.push_back(entry.path().filename());
  EXPECT_THAT(names, ::testing::UnorderedElementsAre("fullchain.pem", "privkey.pem"));
}

TEST_F(RealInstallTest, AFailingCheckIsQuotedAndPutBack) {
  config.services[0].check.argv = {"/bin/sh", "-c", "echo 'line 7: no such directive' >&2; exit 3"};
  const auto engine = Start();
  ASSERT_THAT(engine, IsOk());
  const v1::InstallResult result = Install(**engine, first, 1);
  EXPECT_EQ(result.outcome(), Outcome::REVERTED) << result.ShortDebugString();
  EXPECT_EQ(result.failure().reason(), Reason::CHECK_FAILED);
  EXPECT_THAT(result.failure().detail(), HasSubstr("exited with 3"));
  EXPECT_EQ(result.failure().stderr(), "line 7: no such directive\n");
  EXPECT_FALSE(std::filesystem::exists(std::filesystem::symlink_status(tls + "/fullchain.pem")));
}

TEST_F(RealInstallTest, AReloadThatDoesNothingIsSeenAndPutBack) {
  const auto engine = Start();
  ASSERT_THAT(engine, IsOk());
  ASSERT_EQ(Install(**engine, first, 1).outcome(), Outcome::INSTALLED);
  ASSERT_EQ(Confirm(**engine, first, 1).outcome(), Outcome::INSTALLED);
  Write(daemon, "#!/bin/sh\nexit 0\n", 0755);
  const v1::InstallResult result = Install(**engine, second, 2);
  EXPECT_EQ(result.outcome(), Outcome::REVERTED) << result.ShortDebugString();
  EXPECT_EQ(result.failure().reason(), Reason::PROBE_FAILED);
  EXPECT_EQ(ParseChainPem(Read(tls + "/fullchain.pem"))->front().sha256(), first.certificate.sha256());
}

TEST_F(RealInstallTest, AProgramThatIsNotThereIsACheckThatFailed) {
  config.services[0].check.argv = {root.path() + "/missing"};
  const auto engine = Start();
  ASSERT_THAT(engine, IsOk());
  const v1::InstallResult result = Install(**engine, first, 1);
  EXPECT_EQ(result.failure().reason(), Reason::CHECK_FAILED);
  EXPECT_THAT(result.failure().detail(), HasSubstr(root.path() + "/missing"));
}

TEST_F(RealInstallTest, TheStateIsOfOneEngineAtATime) {
  auto engine = Start();
  ASSERT_THAT(engine, IsOk());
  EXPECT_THAT(Start(), HasReason(Reason::BUSY));
  engine->reset();
  EXPECT_THAT(Start(), IsOk());
}

TEST_F(RealInstallTest, NobodyElseMayReadWhatTheEngineKeeps) {
  const auto engine = Start();
  ASSERT_THAT(engine, IsOk());
  ASSERT_EQ(Install(**engine, first, 1).outcome(), Outcome::INSTALLED);
  for (const char* name :
       {"lock", "journal.0", "journal.1", "state.0", "state.1", "certificates/wildcard/generations/1/.record"}) {
    struct stat found;
    ASSERT_EQ(stat(absl::StrCat(config.state, "/", name).c_str(), &found), 0) << name;
    EXPECT_EQ(found.st_mode & 07777, 0600u) << name;
  }
  // And it holds no key.
  const std::string key_line(first.key_pem.ExposeSecret().substr(40, 40));
  for (const char* name : {"journal.0", "journal.1", "state.0", "state.1"}) {
    EXPECT_EQ(Read(absl::StrCat(config.state, "/", name)).find(key_line), std::string::npos) << name;
  }
}

}  // namespace
}  // namespace certcast::node
