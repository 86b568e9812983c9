// The engine with a real nginx that serves two names with two certificates.
#include <filesystem>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/substitute.h"
#include "common/clock/clock.h"
#include "common/file/file_system.h"
#include "common/probe/tls_client.h"
#include "common/process/process.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "node/engine/engine.h"
#include "tests/testing/nginx.h"
#include "tests/testing/program.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temporary_directory.h"
#include "tests/testing/test_ca.h"
#include "tests/testing/test_fleet.h"

namespace certcast::node {
namespace {

using testing::IsOk;
using testing::IssuedCertificate;
using v1::Outcome;

// In place of the one that testing::Nginx starts with; read at the first reload.
constexpr absl::string_view kTwoServers = R"(pid $0/nginx.pid;
error_log $0/nginx.log;
worker_processes 1;
daemon off;
events {}
http {
  access_log off;
  client_body_temp_path $0/tmp; proxy_temp_path $0/tmp; fastcgi_temp_path $0/tmp;
  uwsgi_temp_path $0/tmp; scgi_temp_path $0/tmp;
  server {
    listen $1 ssl;
    server_name www.example.com;
    ssl_certificate $0/tls/fullchain.pem;
    ssl_certificate_key $0/tls/privkey.pem;
    return 200 "served\n";
  }
  server {
    listen $1 ssl;
    server_name shop.example.com;
    ssl_certificate $0/tls/shop.pem;
    ssl_certificate_key $0/tls/shop.key;
    return 200 "served\n";
  }
}
)";

class TwoCertificatesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(std::filesystem::create_directory(tls));
    const auto port = testing::FreePort("127.0.0.1");
    ASSERT_THAT(port, IsOk());
    address = absl::StrCat("127.0.0.1:", *port);
    ASSERT_THAT(testing::WriteFile(tls + "/fullchain.pem", by_hand.fullchain_pem), IsOk());
    ASSERT_THAT(testing::WriteFile(tls + "/privkey.pem", std::string(by_hand.key_pem.ExposeSecret())), IsOk());
    auto started = testing::Nginx::Start(root.path(), address);
    ASSERT_THAT(started, IsOk());
    nginx = *std::move(started);
    ASSERT_THAT(testing::WriteFile(nginx->config_path(), absl::Substitute(kTwoServers, root.path(), address)), IsOk());
    StartEngine();
  }

  void StartEngine() {
    const std::string log = root.path() + "/nginx.log";
    Service service;
    service.name = "nginx";
    service.certificate = "wildcard";
    service.files = {
        {.path = tls + "/fullchain.pem", .content = FileContent::kFullchain, .mode = 0644},
        {.path = tls + "/privkey.pem", .content = FileContent::kPrivateKey},
        {.path = tls + "/shop.pem", .certificate = "shop", .content = FileContent::kFullchain, .mode = 0644},
        {.path = tls + "/shop.key", .certificate = "shop", .content = FileContent::kPrivateKey}};
    service.check.argv = {"nginx", "-e", log, "-c", nginx->config_path(), "-t"};
    service.reload.how = CommandReload{.argv = {"sh", "-c", "echo >> \"$0\"; exec nginx -e \"$1\" -c \"$2\" -s reload",
                                                reloads, log, nginx->config_path()}};
    service.probes = {
        {.what = TlsProbe{address, "www.example.com"}, .timeout = absl::Seconds(20)},
        {.what = TlsProbe{address, "shop.example.com"}, .timeout = absl::Seconds(20), .certificate = "shop"}};
    EngineConfig config;
    config.node = "web-01";
    config.state = root.path() + "/state";
    config.allow_names = {"*.example.com"};
    config.fleet = EngineConfig::Fleet{fleet.id(), fleet.key()};
    config.services = {service};
    auto started = Engine::Start(config, {.files = &FileSystem::Real(),
                                          .processes = &ProcessRunner::Real(),
                                          .prober = &Prober::Real(),
                                          .clock = &Clock::Real()});
    ASSERT_THAT(started, IsOk());
    engine = *std::move(started);
  }

  v1::InstallResult Send(const std::string& name, v1::Command command) {
    command.set_id(absl::StrCat(name, "-", ++commands));
    return engine->Handle(command, nullptr).install_result();
  }

  // Both ways through: Install and Confirm.
  void Bring(const std::string& certificate, uint64_t generation, const IssuedCertificate& issued) {
    v1::Command install;
    *install.mutable_install()->mutable_bundle() = fleet.Bundle(issued, certificate, generation, Clock::Real().Now());
    install.mutable_install()->mutable_confirm_timeout()->set_seconds(60);
    const v1::InstallResult installed = Send("install", install);
    ASSERT_EQ(installed.outcome(), Outcome::INSTALLED) << installed.ShortDebugString();
    v1::Command confirm;
    confirm.mutable_confirm()->set_certificate(certificate);
    confirm.mutable_confirm()->set_generation(generation);
    confirm.mutable_confirm()->set_leaf_sha256(issued.certificate.sha256());
    const v1::InstallResult confirmed = Send("confirm", confirm);
    ASSERT_EQ(confirmed.outcome(), Outcome::INSTALLED) << confirmed.ShortDebugString();
  }

  std::string Served(const std::string& name) const {
    const auto peer = TlsHandshake(address, name, {}, absl::Seconds(5));
    return peer.ok() ? peer->leaf_sha256 : std::string(peer.status().message());
  }
  // A line is written for each.
  size_t Reloads() const { return testing::ReadFile(reloads).size(); }

  IssuedCertificate Issue(const std::string& name) const { return ca.Issue({.dns_names = {name}}); }

  const testing::TemporaryDirectory root = testing::TemporaryDirectory::Short();
  const std::string tls = root.path() + "/tls";
  const std::string reloads = root.path() + "/reloads";
  const testing::TestFleet fleet;
  const testing::TestCa ca = testing::TestCa::Root().Intermediate();
  const IssuedCertificate by_hand = Issue("*.example.com");
  std::string address;
  std::unique_ptr<testing::Nginx> nginx;
  std::unique_ptr<Engine> engine;
  int commands = 0;
};

TEST_F(TwoCertificatesTest, AreInstalledRenewedAndServedEachForItself) {
  const IssuedCertificate wildcard = Issue("*.example.com");
  const IssuedCertificate shop = Issue("shop.example.com");
  const IssuedCertificate renewed = Issue("*.example.com");

  // nginx could not load its configuration yet.
  Bring("wildcard", 1, wildcard);
  EXPECT_EQ(Reloads(), 0u);
  EXPECT_EQ(Served("www.example.com"), by_hand.certificate.sha256());

  Bring("shop", 1, shop);
  EXPECT_EQ(Reloads(), 1u);
  EXPECT_EQ(Served("www.example.com"), wildcard.certificate.sha256());
  EXPECT_EQ(Served("shop.example.com"), shop.certificate.sha256());

  Bring("wildcard", 2, renewed);
  EXPECT_EQ(Reloads(), 2u);
  EXPECT_EQ(Served("www.example.com"), renewed.certificate.sha256());
  EXPECT_EQ(Served("shop.example.com"), shop.certificate.sha256());

  // One goes back, the other stays.
  v1::Command revert;
  revert.mutable_revert()->set_certificate("wildcard");
  revert.mutable_revert()->set_generation(2);
  revert.mutable_revert()->set_because(Reason::ROLLOUT_HALTED);
  const v1::InstallResult reverted = Send("revert", revert);
  EXPECT_EQ(reverted.outcome(), Outcome::REVERTED) << reverted.ShortDebugString();
  EXPECT_EQ(Reloads(), 3u);
  EXPECT_EQ(Served("www.example.com"), wildcard.certificate.sha256());
  EXPECT_EQ(Served("shop.example.com"), shop.certificate.sha256());
}

}  // namespace
}  // namespace certcast::node
