// What tests of the shipped `certcast` against hosts that are logged in to begin with, where it is not what is
// installed that they are about.
#ifndef CERTCAST_TESTS_TESTING_SSH_HOSTS_H_
#define CERTCAST_TESTS_TESTING_SSH_HOSTS_H_

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/substitute.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/controller_program.h"
#include "tests/testing/program.h"
#include "tests/testing/sshd.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temporary_directory.h"

namespace certcast::testing {

// A controller, and real OpenSSH servers that take its key. Their state is /home/deploy/state, or below `sudo`
// /var/lib's.
class SshHosts : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_THAT(MakeSshKey(PathOf("key")), IsOk()); }

  std::string PathOf(const std::string& name) const { return absl::StrCat(directory_.path(), "/", name); }
  // `more` goes into its entry in certcast.yaml: ", ssh: {sudo: true}".
  Sshd& AddHost(const std::string& name, SshdOptions options = {}, const std::string& more = "") {
    options.setup.insert(options.setup.begin(), "install -d -o 2001 -g 2001 /home/deploy/tls");
    if (options.authorized_keys.empty()) options.authorized_keys = ReadFile(PathOf("key.pub"));
    absl::StatusOr<std::unique_ptr<Sshd>> sshd = Sshd::Start(options);
    EXPECT_THAT(sshd, IsOk());
    Sshd& host = *(hosts_[name] = *std::move(sshd));
    known_hosts_ += host.KnownHostsLine();
    AddNode(name, absl::StrCat("ssh://deploy@", host.endpoint()),
            absl::StrCat(", state: /home/deploy/state, services: [web]", more));
    return host;
  }
  void AddNode(const std::string& name, const std::string& address, const std::string& more) {
    absl::StrAppend(&nodes_, "  - {name: ", name, ", address: \"", address, "\"", more, "}\n");
  }

  // certcast.yaml and known_hosts for what was added; then `init`.
  void Configure(const std::string& agent = kAgent, const std::string& for_nodes = "all") {
    ASSERT_THAT(WriteFile(PathOf("known_hosts"), known_hosts_), IsOk());
    ASSERT_THAT(WriteFile(PathOf("certcast.yaml"),
                          absl::Substitute(R"(state: controller
master_key: {file: master.key}
certificates:
  - {name: wildcard, domains: ["*.example.com"], nodes: $0}
ssh: {key: {file: key}, known_hosts: known_hosts, agent_binary: $1}
nodes:
$2services:
  - name: web
    certificate: wildcard
    files: [{path: /home/deploy/tls/both.pem, content: combined}]
    reload: none
    probes: [{tls: {address: "127.0.0.1:9", server_name: www.example.com, timeout: 1s}}]
)",
                                           for_nodes, std::filesystem::absolute(agent).string(), nodes_)),
                IsOk());
    const CommandResult made = controller_.Run({"init"});
    ASSERT_EQ(made.exit_code, 0) << made;
  }

  static constexpr char kAgent[] = "node/certcast-node";
  const TemporaryDirectory directory_;
  const ControllerProgram controller_{directory_.path()};
  std::map<std::string, std::unique_ptr<Sshd>> hosts_;
  std::string nodes_;
  std::string known_hosts_;
};

}  // namespace certcast::testing

#endif  // CERTCAST_TESTS_TESTING_SSH_HOSTS_H_
