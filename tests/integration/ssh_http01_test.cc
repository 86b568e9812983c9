// http-01 on hosts that are reached over SSH: one with a web server, one that answers from the process at the login's
// end. Pebble really looks. Runs as root.
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/substitute.h"
#include "common/probe/probe.h"
#include "tests/testing/pebble.h"
#include "tests/testing/ssh_fleet.h"

namespace certcast::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

class SshHttp01Test : public SshFleet {
 protected:
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(SshFleet::SetUp());
    std::filesystem::create_directory(PathOf("pebble"));
    auto pebble = Pebble::Start(PathOf("pebble"), {});
    ASSERT_THAT(pebble, IsOk());
    pebble_ = *std::move(pebble);
  }

  std::string HttpAddress(int host) const { return absl::StrCat("127.0.21.", host, ":", pebble_->http_port()); }

  // `places`: of each node's http_challenge; empty: it has none.
  void ConfigureHttp(const std::vector<std::pair<std::string, std::string>>& places) {
    std::string nodes;
    std::string services;
    int number = 0;
    for (const auto& [name, place] : places) {
      const SshMachine& machine = machines_[name];
      absl::StrAppend(&nodes, "  - {name: ", name, ", address: \"", machine.address, "\", state: ", machine.home,
                      "/state, services: [", name, "], http_address: \"", HttpAddress(++number), "\"",
                      place.empty() ? "" : absl::StrCat(", http_challenge: {", place, "}"), "}\n");
      absl::StrAppend(&services, ServiceYaml(machine, "  "));
    }
    ASSERT_THAT(WriteFile(PathOf("certcast.yaml"),
                          absl::Substitute(R"(state: controller
master_key: {file: master.key}
accounts:
  - {name: pebble, directory: "$0", ca_file: $1, terms_of_service_agreed: true}
certificates:
  - name: wildcard
    account: pebble
    domains: [www.example.com]
    challenge: {type: http-01, solver: fleet, fleet: {timeout: 10s}}
    nodes: all
ssh: {key: {file: key}, known_hosts: known_hosts, agent_binary: $2}
nodes:
$3services:
$4)",
                                           pebble_->directory_url(), pebble_->ca_file(),
                                           std::filesystem::absolute(kAgent).string(), nodes, services)),
                IsOk());
  }
  // The document root of a web server on this host's address.
  std::string StartWebServer(const std::string& name, int host) {
    std::string root = machines_[name].home + "/www";
    std::filesystem::create_directory(root);
    EXPECT_EQ(chown(root.c_str(), kDeploy, kDeploy), 0);
    auto server = Program::Start({.argv = {"busybox", "httpd", "-f", "-p", HttpAddress(host), "-h", root}});
    EXPECT_THAT(server, IsOk());
    web_server_ = *std::move(server);
    return root;
  }

  std::unique_ptr<Pebble> pebble_;
  std::unique_ptr<Program> web_server_;
};

TEST_F(SshHttp01Test, HostsShowItAndKeepNothing) {
  AddSshHost("old-1");
  AddSshHost("old-2");
  const std::string root = StartWebServer("old-1", 1);
  ConfigureHttp(
      {{"old-1", absl::StrCat("webroot: ", root)}, {"old-2", absl::StrCat("listen: \"", HttpAddress(2), "\"")}});
  ASSERT_EQ(controller_.Run({"init"}).exit_code, 0);
  // Each of them in turn, so that both are looked at.
  for (const char* address : {"127.0.21.1", "127.0.21.2"}) {
    ASSERT_THAT(pebble_->SetAddresses("www.example.com", {address}), IsOk());
    const CommandResult issued = controller_.Run({"issue", "wildcard", "--force-renewal"});
    ASSERT_EQ(issued.exit_code, 0) << address << issued << pebble_->Log();
  }
  std::vector<std::string> left;
  for (const std::string& folder :
       {root + "/.well-known/acme-challenge", machines_["old-1"].home + "/state/http-challenges"}) {
    ASSERT_TRUE(std::filesystem::is_directory(folder)) << folder;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) left.push_back(entry.path().string());
  }
  EXPECT_THAT(left, IsEmpty());
  EXPECT_FALSE(Prober::Real().Look({.what = TcpProbe{HttpAddress(2)}}, absl::Seconds(5)).ok);
}

TEST_F(SshHttp01Test, AHostWithoutAPlaceIsFoundInTheConfiguration) {
  AddSshHost("old-1");
  ConfigureHttp({{"old-1", ""}});
  const CommandResult refused = controller_.Run({"init"});
  EXPECT_EQ(refused.exit_code, 2) << refused;
  EXPECT_THAT(refused.err, HasSubstr("old-1 has no http_challenge"));
}

}  // namespace
}  // namespace certcast::testing
