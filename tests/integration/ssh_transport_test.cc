// The SSH transport against real OpenSSH servers.
#include "controller/transport/ssh/ssh_transport.h"

#include <signal.h>

#include <iostream>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/probe/system_resolver.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/program.h"
#include "tests/testing/sshd.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temporary_directory.h"

namespace certcast::controller {
namespace {

using testing::HasReason;
using ::testing::HasSubstr;
using testing::IsOk;
using testing::Sshd;
using testing::SshdOptions;
using testing::WriteFile;

constexpr absl::Duration kTimeout = absl::Seconds(20);

class SshTransportTest : public ::testing::Test {
 protected:
  void SetUp() override {
    signal(SIGPIPE, SIG_IGN);
    ASSERT_THAT(testing::MakeSshKey(key_), IsOk());
    options_.authorized_keys = testing::ReadFile(key_ + ".pub");
  }

  std::unique_ptr<Sshd> StartHost() {
    absl::StatusOr<std::unique_ptr<Sshd>> sshd = Sshd::Start(options_);
    EXPECT_THAT(sshd, IsOk());
    return sshd.ok() ? *std::move(sshd) : nullptr;
  }
  void Know(const std::string& lines) { ASSERT_THAT(WriteFile(known_hosts_, lines), IsOk()); }

  SshHop HopTo(const Sshd& sshd) const {
    SshHop hop;
    hop.user = "deploy";
    hop.to = {sshd.address(), static_cast<uint16_t>(sshd.port())};
    hop.login.key = {SecretReference::Kind::kFile, key_};
    hop.known_hosts = {known_hosts_};
    return hop;
  }
  SshTarget TargetOf(const Sshd& sshd) const {
    SshTarget target;
    target.host = HopTo(sshd);
    target.binary_directory = "state/bin";
    target.agent_binary = "tests/testing/stdio_stand_in";
    target.definition.set_node("web-01");
    return target;
  }
  static absl::StatusOr<v1::Inventory> Describe(Link& link) {
    v1::Command command;
    command.set_id("describe");
    command.mutable_describe();
    ASSIGN_OR_RETURN(v1::Report report, link.Call(command, kTimeout, nullptr));
    return std::move(*report.mutable_inventory());
  }

  testing::TemporaryDirectory directory_;
  const std::string key_ = directory_.path() + "/key";
  const std::string known_hosts_ = directory_.path() + "/known_hosts";
  SshdOptions options_;
  SshTransport transport_{SystemResolver()};
};

TEST_F(SshTransportTest, UploadsTheAgentOnceAndSpeaksWithIt) {
  const std::unique_ptr<Sshd> host = StartHost();
  ASSERT_NE(host, nullptr);
  Know(host->KnownHostsLine());
  for (int contact = 0; contact < 3; ++contact) {
    const absl::Time start = absl::Now();
    absl::StatusOr<std::unique_ptr<Link>> link = transport_.Open(TargetOf(*host), kTimeout);
    ASSERT_THAT(link, IsOk()) << host->log();
    std::cerr << "contact " << contact << " " << absl::Now() - start << "\n";
    EXPECT_TRUE((*link)->hello().hosted());
    const absl::StatusOr<v1::Inventory> inventory = Describe(**link);
    ASSERT_THAT(inventory, IsOk());
    EXPECT_EQ(inventory->node(), "web-01");
  }
}

}  // namespace
}  // namespace certcast::controller
