// The power goes in the middle of an install, on a host that is logged in to, with everything real: Debian's systemd
// that boots, the units that docs/operations.md gives, Debian's sshd, sudo and nginx. Runs as root.
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/substitute.h"
#include "common/probe/tls_client.h"
#include "common/process/process.h"
#include "common/x509/certificate.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/controller_program.h"
#include "tests/testing/private_network.h"
#include "tests/testing/program.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temporary_directory.h"
#include "tests/testing/test_ca.h"

namespace certcast::testing {
namespace {

using ::testing::HasSubstr;

constexpr char kMachine[] = "ansible/tests/integration/targets/fleet/machine.sh";
constexpr char kOperations[] = "docs/operations.md";
constexpr char kAddress[] = "127.0.0.1";
constexpr absl::Duration kPlenty = absl::Seconds(60);

// Of nginx, which Debian's unit starts.
constexpr char kSite[] = R"(server {
  listen 127.0.0.1:443 ssl;
  ssl_certificate /etc/nginx/tls/fullchain.pem;
  ssl_certificate_key /etc/nginx/tls/privkey.pem;
}
)";

// `gate MOMENT COMMAND...` does not end as long as there is a /run/gate.MOMENT, which a boot takes away.
constexpr char kGate[] = R"(#!/bin/sh
moment=$1; shift
"$@" || exit
[ ! -e /run/gate.$moment ] || : >/run/gate.reached
while [ -e /run/gate.$moment ]; do sleep 0.05; done
)";

// The unit of that name as the page shows it.
std::string UnitOf(const std::string& page, const std::string& name) {
  std::string unit;
  bool found = false;
  for (absl::string_view line : absl::StrSplit(page, '\n')) {
    if (!found) {
      found = absl::EndsWith(line, absl::StrCat("`/etc/systemd/system/", name, "`:"));
    } else if (absl::ConsumePrefix(&line, "      ") || line.empty()) {
      absl::StrAppend(&unit, line, "\n");
    } else {
      break;
    }
  }
  return unit;
}

class BootTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    network_ = new TemporaryDirectory();
    ASSERT_THAT(EnterPrivateNetwork(network_->path()), IsOk());
  }
  static void TearDownTestSuite() { delete network_; }

  void SetUp() override {
    for (const char* key : {"key", "host_key"}) {
      Succeed({"ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", PathOf(key)});
    }
    ASSERT_THAT(WriteFile(PathOf("known_hosts"), absl::StrCat(kAddress, " ", ReadFile(PathOf("host_key.pub")))),
                IsOk());
    Succeed({kMachine, "start", directory_.path(), "host", kAddress});
    ASSERT_NO_FATAL_FAILURE(PrepareHost());
    ASSERT_NO_FATAL_FAILURE(PrepareController());
  }
  void TearDown() override { Succeed({kMachine, "stop", directory_.path(), "host"}); }

  std::string PathOf(const std::string& name) const { return absl::StrCat(directory_.path(), "/", name); }

  // What it prints.
  static std::string Succeed(std::vector<std::string> argv, std::string input = "") {
    const auto result =
        ProcessRunner::Real().Run({.argv = std::move(argv), .input = std::move(input), .timeout = kPlenty});
    EXPECT_THAT(result, IsOk());
    if (!result.ok()) return "";
    EXPECT_EQ(result->exit_code, 0) << result->output << result->error;
    return std::string(absl::StripAsciiWhitespace(result->output));
  }
  // A shell line on the host, as root.
  std::string OnHost(const std::string& line, const std::string& input = "") const {
    return Succeed({"ssh", "-F", "none", "-i", PathOf("key"), "-o", "UserKnownHostsFile=" + PathOf("known_hosts"),
                    absl::StrCat("root@", kAddress), line},
                   input);
  }
  void PutOnHost(const std::string& path, const std::string& text, const std::string& mode = "644") const {
    OnHost(absl::Substitute("mkdir -p $$(dirname $0) && cat >$0 && chmod $1 $0", path, mode), text);
  }

  void PrepareHost() const {
    PutOnHost("/usr/local/sbin/gate", kGate, "755");
    PutOnHost("/etc/nginx/sites-enabled/default", kSite);
    PutOnHost("/etc/nginx/tls/fullchain.pem", by_hand_.fullchain_pem);
    PutOnHost("/etc/nginx/tls/privkey.pem", std::string(by_hand_.key_pem.ExposeSecret()), "600");
    OnHost("systemctl enable --now nginx");
    ASSERT_EQ(Served(), LeafOf(by_hand_));
  }
  // As the page says.
  void AddUnits() const {
    const std::string page = ReadFile(kOperations);
    for (const char* name : {"certcast-files.service", "certcast-recover.service"}) {
      const std::string unit = UnitOf(page, name);
      ASSERT_THAT(unit, HasSubstr("ExecStart=")) << name;
      PutOnHost(absl::StrCat("/etc/systemd/system/", name), unit);
    }
    OnHost("install -m 755 ~deploy/.certcast/bin/certcast-node /usr/local/sbin/");
    OnHost("systemctl enable certcast-files certcast-recover");
  }

  void PrepareController() {
    ASSERT_THAT(WriteFile(PathOf("certcast.yaml"),
                          absl::Substitute(R"(state: controller
master_key: {file: master.key}
certificates:
  - {name: wildcard, domains: ["*.example.com"], nodes: all, rollout: {confirm_timeout: 20s}}
ssh: {key: {file: key}, known_hosts: known_hosts, sudo: true, agent_binary: $0}
nodes:
  - {name: host, address: "ssh://deploy@$1", state: /var/lib/certcast-node, services: [nginx]}
services:
  - name: nginx
    certificate: wildcard
    files:
      - {path: /etc/nginx/tls/fullchain.pem, content: fullchain}
      - {path: /etc/nginx/tls/privkey.pem, content: private_key}
    check: [gate, check, nginx, -t]
    reload: [gate, reload, nginx, -s, reload]
    probes: [{tls: {address: "$1:443", server_name: www.example.com}}]
)",
                                           std::filesystem::absolute("node/certcast-node").string(), kAddress)),
                IsOk());
    ASSERT_EQ(controller_.Run({"init"}).exit_code, 0);
    Import(first_);
    const CommandResult applied = controller_.Run({"apply"});
    ASSERT_EQ(applied.exit_code, 0) << applied;
    ASSERT_EQ(Served(), LeafOf(first_));
  }
  void Import(const IssuedCertificate& issued) const {
    ASSERT_THAT(WriteFile(PathOf("new.pem"), issued.fullchain_pem), IsOk());
    ASSERT_THAT(WriteFile(PathOf("new.key"), issued.key_pem.ExposeSecret()), IsOk());
    const CommandResult imported =
        controller_.Run({"import", "wildcard", "--fullchain", PathOf("new.pem"), "--key", PathOf("new.key")});
    ASSERT_EQ(imported.exit_code, 0) << imported;
  }

  // An install of `second_` that has come to this moment, and stays there.
  std::unique_ptr<RunningCommand> InstallUntil(const std::string& moment) {
    Import(second_);
    OnHost("touch /run/gate." + moment);
    auto apply = controller_.StartJson({"apply"});
    EXPECT_THAT(apply, IsOk());
    EXPECT_THAT(WaitUntil("the install is at " + moment, kPlenty,
                          [this] { return OnHost("ls /run").find("gate.reached") != std::string::npos; }),
                IsOk());
    return apply.ok() ? *std::move(apply) : nullptr;
  }
  // Until all that it starts at boot is up, or has failed.
  void Reset() const {
    Succeed({kMachine, "reset", directory_.path(), "host"});
    OnHost("systemctl is-system-running --wait || true");
  }

  static std::string LeafOf(const IssuedCertificate& issued) { return issued.certificate.sha256(); }
  static std::string Served() {
    const auto peer = TlsHandshake(absl::StrCat(kAddress, ":443"), "www.example.com", {}, kPlenty);
    return peer.ok() ? peer->leaf_sha256 : peer.status().ToString();
  }
  std::string InFiles() const {
    const auto chain = ParseChainPem(OnHost("cat /etc/nginx/tls/fullchain.pem"));
    return chain.ok() ? chain->front().sha256() : chain.status().ToString();
  }
  std::string PropertyOf(const std::string& unit, const std::string& property) const {
    return OnHost(absl::Substitute("systemctl show --value --property $0 $1", property, unit));
  }
  // Microseconds since the kernel started.
  int64_t TimeOf(const std::string& unit, const std::string& property) const {
    int64_t time = 0;
    EXPECT_TRUE(absl::SimpleAtoi(PropertyOf(unit, property + "TimestampMonotonic"), &time)) << unit;
    return time;
  }
  std::string LogOf(const std::string& unit) const { return OnHost("journalctl --output cat --unit " + unit); }
  void ExpectNothingFailed() const {
    EXPECT_EQ(OnHost("systemctl list-units --failed --plain --no-legend 'certcast*' 'nginx*'"), "")
        << OnHost("systemctl status --full 'certcast*' nginx || true");
  }
  void AwaitRecovered() const {
    EXPECT_THAT(WaitUntil("certcast-recover has ended", kPlenty,
                          [this] { return PropertyOf("certcast-recover", "ActiveState") != "active"; }),
                IsOk());
  }
  // The operator's next run brings it there.
  void ExpectNextApplyInstalls() {
    const CommandResult applied = controller_.Run({"apply"});
    EXPECT_EQ(applied.exit_code, 0) << applied;
    EXPECT_EQ(Served(), LeafOf(second_));
    EXPECT_EQ(InFiles(), LeafOf(second_));
  }

  // Before the services start, and the rest after them.
  void ExpectFilesGoBackFirst(const std::string& moment) {
    ASSERT_NO_FATAL_FAILURE(AddUnits());
    const std::unique_ptr<RunningCommand> apply = InstallUntil(moment);
    ASSERT_NE(apply, nullptr);
    ASSERT_EQ(InFiles(), LeafOf(second_));
    Reset();
    // It has lost its connection, and asks the host anew.
    const CommandResult applied = apply->Finish();
    EXPECT_NE(applied.exit_code, 0) << applied;

    EXPECT_LE(TimeOf("certcast-files", "ExecMainExit"), TimeOf("nginx", "ExecMainStart"));
    EXPECT_THAT(LogOf("certcast-files"), HasSubstr("the files are those of generation 1"));
    AwaitRecovered();
    ExpectNothingFailed();
    EXPECT_EQ(InFiles(), LeafOf(first_));
    EXPECT_EQ(Served(), LeafOf(first_));
    ExpectNextApplyInstalls();
  }

  static TemporaryDirectory* network_;
  const TemporaryDirectory directory_;
  const ControllerProgram controller_{directory_.path()};
  const TestCa ca_ = TestCa::Root("public root").Intermediate("public CA");
  const IssuedCertificate by_hand_ = ca_.Issue({.dns_names = {"*.example.com"}});
  const IssuedCertificate first_ = ca_.Issue({.dns_names = {"*.example.com"}});
  const IssuedCertificate second_ = ca_.Issue({.dns_names = {"*.example.com"}});
};
TemporaryDirectory* BootTest::network_ = nullptr;

TEST_F(BootTest, BeforeTheReloadTheFilesGoBackAndTheServiceStartsWithThem) {
  ExpectFilesGoBackFirst("check");
}

TEST_F(BootTest, AfterTheReloadAsWell) {
  ExpectFilesGoBackFirst("reload");
}

TEST_F(BootTest, WhatWaitsForConfirmGoesBackWhenItsTimeIsOver) {
  ASSERT_NO_FATAL_FAILURE(AddUnits());
  const std::unique_ptr<RunningCommand> apply = InstallUntil("reload");
  ASSERT_NE(apply, nullptr);
  // Nobody will confirm it.
  apply->program().Kill();
  OnHost("rm /run/gate.reload");
  EXPECT_THAT(WaitUntil("it waits for Confirm", kPlenty,
                        [this] {
                          return absl::StrContains(OnHost("certcast-node status --state /var/lib/certcast-node"),
                                                   "to confirm by");
                        }),
              IsOk());
  Reset();
  EXPECT_THAT(LogOf("certcast-files"), HasSubstr("waits for Confirm"));
  AwaitRecovered();
  EXPECT_THAT(LogOf("certcast-recover"), HasSubstr("generation 1 of wildcard is in force"));
  ExpectNothingFailed();
  EXPECT_EQ(Served(), LeafOf(first_));
  ExpectNextApplyInstalls();
}

// What the units are for: without them nginx comes up with what was never proven, until somebody logs in.
TEST_F(BootTest, WithoutTheUnitsTheNextContactPutsItRight) {
  const std::unique_ptr<RunningCommand> apply = InstallUntil("check");
  ASSERT_NE(apply, nullptr);
  apply->program().Kill();
  Reset();
  EXPECT_EQ(Served(), LeafOf(second_));
  ExpectNextApplyInstalls();
}

// Nothing was under way.
TEST_F(BootTest, ABootInPeaceChangesNothing) {
  ASSERT_NO_FATAL_FAILURE(AddUnits());
  Reset();
  for (const char* unit : {"certcast-files", "certcast-recover"}) {
    EXPECT_THAT(LogOf(unit), HasSubstr("nothing to recover"));
  }
  ExpectNothingFailed();
  EXPECT_EQ(Served(), LeafOf(first_));
}

}  // namespace
}  // namespace certcast::testing
