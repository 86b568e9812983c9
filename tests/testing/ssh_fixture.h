// What tests of the SSH transport against real servers begin with.
#ifndef CERTCAST_TESTS_TESTING_SSH_FIXTURE_H_
#define CERTCAST_TESTS_TESTING_SSH_FIXTURE_H_

#include <signal.h>

#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/probe/system_resolver.h"
#include "controller/transport/ssh/ssh_dialer.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/program.h"
#include "tests/testing/sshd.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temporary_directory.h"

namespace certcast::testing {

// Hosts that take one key, and a dialer that knows them. The agent is stdio_stand_in.
class SshFixture : public ::testing::Test {
 protected:
  static constexpr absl::Duration kTimeout = absl::Seconds(30);
  // Of what was given less than a second or two, on a busy machine.
  static constexpr absl::Duration kInTime = absl::Seconds(10);

  void SetUp() override {
    signal(SIGPIPE, SIG_IGN);
    ASSERT_THAT(MakeSshKey(key_), IsOk());
    options_.authorized_keys = ReadFile(key_ + ".pub");
  }

  // A host as `options_` says, which known_hosts then has.
  std::unique_ptr<Sshd> StartHost() {
    absl::StatusOr<std::unique_ptr<Sshd>> sshd = Sshd::Start(options_);
    EXPECT_THAT(sshd, IsOk());
    if (!sshd.ok()) return nullptr;
    Know(known_ + (*sshd)->KnownHostsLine());
    return *std::move(sshd);
  }
  // Replaces known_hosts.
  void Know(const std::string& lines) {
    known_ = lines;
    ASSERT_THAT(WriteFile(known_hosts_, lines), IsOk());
  }
  std::string Path(const std::string& name) const { return absl::StrCat(directory_.path(), "/", name); }

  controller::SshHop HopTo(const std::string& address, int port) const {
    controller::SshHop hop;
    hop.user = "deploy";
    hop.to = {address, static_cast<uint16_t>(port)};
    hop.login.key = {SecretReference::Kind::kFile, key_};
    hop.known_hosts = {known_hosts_};
    return hop;
  }
  controller::SshHop HopTo(const Sshd& sshd) const { return HopTo(sshd.address(), sshd.port()); }
  controller::SshTarget TargetAt(controller::SshHop hop) const {
    controller::SshTarget target;
    target.host = std::move(hop);
    target.binary_directory = "state/bin";
    target.agent_binary = kStandIn;
    target.definition.set_node("web-01");
    return target;
  }
  controller::SshTarget TargetOf(const Sshd& sshd) const { return TargetAt(HopTo(sshd)); }

  static v1::Command DescribeCommand(const std::string& id = "describe") {
    v1::Command command;
    command.set_id(id);
    command.mutable_describe();
    return command;
  }
  // Opens a link, asks what is there, and gives the answer.
  absl::StatusOr<v1::Inventory> Ask(const controller::SshTarget& target, absl::Duration timeout = kTimeout) {
    ASSIGN_OR_RETURN(const std::unique_ptr<controller::Link> link, dialer_.Open(target, timeout));
    ASSIGN_OR_RETURN(v1::Report report, link->Call(DescribeCommand(), timeout, nullptr));
    return std::move(*report.mutable_inventory());
  }

  static constexpr char kStandIn[] = "tests/testing/stdio_stand_in";
  TemporaryDirectory directory_;
  const std::string key_ = directory_.path() + "/key";
  const std::string known_hosts_ = directory_.path() + "/known_hosts";
  std::string known_;
  SshdOptions options_;
  controller::SshDialer dialer_{SystemResolver()};
};

}  // namespace certcast::testing

#endif  // CERTCAST_TESTS_TESTING_SSH_FIXTURE_H_
