// http-01 with everything real: Pebble looks, through the names' addresses, at what nodes, a web server and certcast
// itself show.
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/substitute.h"
#include "common/file/descriptor.h"
#include "common/probe/probe.h"
#include "gmock/gmock.h"
#include "tests/testing/fleet_fixture.h"
#include "tests/testing/local_tcp_server.h"
#include "tests/testing/program.h"
#include "tests/testing/status_matchers.h"

namespace certcast::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class Http01Test : public FleetTest {
 protected:
  // The names lead to every node.
  void StartHttpFleet(int nodes) {
    ASSERT_NO_FATAL_FAILURE(StartFleet({.nodes = nodes, .http01 = true}));
    std::vector<std::string> addresses;
    for (int i = 1; i <= nodes; ++i) addresses.push_back(absl::StrCat("127.0.20.", i));
    for (const char* name : {"demo.test", "www.demo.test"}) {
      ASSERT_THAT(fleet().pebble().SetAddresses(name, addresses), IsOk());
    }
  }

  // Token files and notes of them, anywhere in the fleet.
  std::vector<std::string> Leftovers() {
    std::vector<std::string> left;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(fleet().home())) {
      const std::string path = entry.path().string();
      const bool is_place = absl::StrContains(path, "/acme-challenge/") || absl::StrContains(path, "/http-challenges/");
      if (is_place && entry.is_regular_file()) left.push_back(path);
    }
    return left;
  }
  // Whether an agent listens for challenges.
  static bool Listens(const FleetNode& node) {
    return Prober::Real().Look({.what = TcpProbe{node.http_address}}, absl::Seconds(5)).ok;
  }
  // In place of the agent's own server.
  void ShowByRedirectingNginx(FleetNode& node) {
    std::string config = ReadFile(node.home() + "/node.yaml");
    const std::string listen = absl::StrCat("listen: \"", node.http_address, "\"");
    const size_t at = config.find(listen);
    ASSERT_NE(at, std::string::npos);
    config.replace(at, listen.size(), absl::StrCat("webroot: ", node.home(), "/www"));
    ASSERT_THAT(WriteFile(node.home() + "/node.yaml", config), IsOk());
    ASSERT_TRUE(std::filesystem::create_directory(node.home() + "/www"));
    node.StopAgent();
    ASSERT_THAT(node.StartAgent(), IsOk());
    // Plain requests, which come to the port of https, are sent to https there: as from port 80 to 443, but on one
    // port, the one at which Pebble looks.
    const std::string redirect = absl::Substitute("error_page 497 =301 https://$$host:$0$$request_uri; root $1/www;",
                                                  fleet().pebble().http_port(), node.home());
    const std::string log = absl::StrCat("log_format seen \"$scheme $status $http_user_agent\"; access_log ",
                                         node.home(), "/redirect.access seen;");
    const std::string nginx = node.home() + "/redirect.conf";
    // Workers that may read below the test's directory, wherever that is.
    const std::string user = geteuid() == 0 ? "user root;\n" : "";
    ASSERT_THAT(WriteFile(nginx, user + absl::StrReplaceAll(ReadFile(node.nginx().config_path()),
                                                            {{"/nginx.pid", "/redirect.pid"},
                                                             {"access_log off;", log},
                                                             {node.nginx().address(), node.http_address},
                                                             {R"(return 200 "served\n";)", redirect}})),
                IsOk());
    auto started =
        Program::Start({.argv = {"nginx", "-e", node.home() + "/redirect.log", "-c", nginx}, .on_death = SIGTERM});
    ASSERT_THAT(started, IsOk());
    redirecting_ = *std::move(started);
    ASSERT_THAT(WaitUntil("nginx listens", absl::Seconds(10), [&] { return Listens(node); }), IsOk());
  }
  void RemoveFromConfig(const std::string& text, const std::string& replacement) {
    std::string config = ReadFile(fleet().controller().config_path());
    const size_t at = config.find(text);
    ASSERT_NE(at, std::string::npos);
    ASSERT_THAT(WriteFile(fleet().controller().config_path(), config.replace(at, text.size(), replacement)), IsOk());
  }

 private:
  std::unique_ptr<Program> redirecting_;
};

TEST_F(Http01Test, EveryNodeShowsItAndNothingIsLeft) {
  ASSERT_NO_FATAL_FAILURE(StartHttpFleet(4));
  const CommandResult applied = Apply();
  ASSERT_EQ(applied.exit_code, 0) << applied << fleet().pebble().Log();
  ExpectAllServe(LeafIn(applied));
  EXPECT_THAT(applied.err, HasSubstr("writing the HTTP token http://demo.test/.well-known/acme-challenge/"));
  EXPECT_THAT(Leftovers(), IsEmpty());
  EXPECT_FALSE(Listens(fleet().node("web-1")));
  EXPECT_THAT(fleet().pebble().Log(), HasSubstr("Attempting to validate w/ HTTP: http://www.demo.test:"));
}

TEST_F(Http01Test, AWebServerThatSendsToHttpsIsFollowedThere) {
  ASSERT_NO_FATAL_FAILURE(StartHttpFleet(1));
  FleetNode& node = fleet().node("web-1");
  ASSERT_NO_FATAL_FAILURE(ShowByRedirectingNginx(node));
  const CommandResult applied = Apply();
  ASSERT_EQ(applied.exit_code, 0) << applied << fleet().pebble().Log();
  // By the controller, and then by Pebble.
  const std::string seen = ReadFile(node.home() + "/redirect.access");
  EXPECT_THAT(seen, HasSubstr("http 301 certcast\nhttps 200 certcast\n"));
  EXPECT_THAT(seen, ::testing::ContainsRegex("https 200 .*[Pp]ebble"));
  EXPECT_THAT(Leftovers(), IsEmpty());
}

TEST_F(Http01Test, ARehearsalShowsAndTakesAway) {
  ASSERT_NO_FATAL_FAILURE(StartHttpFleet(2));
  const CommandResult rehearsed = fleet().controller().Run({"doctor", "--dns", "wildcard"});
  EXPECT_EQ(rehearsed.exit_code, 0) << rehearsed;
  EXPECT_THAT(rehearsed.out, AllOf(HasSubstr("HTTP token http://www.demo.test/.well-known/acme-challenge/"),
                                   HasSubstr("was written and seen"), HasSubstr("all of it was removed again")));
  EXPECT_THAT(Leftovers(), IsEmpty());
  EXPECT_EQ(fleet().Orders(), 0);
}

TEST_F(Http01Test, ANodeThatAnswersSomethingElseIsNamedBeforeTheCaIsAsked) {
  ASSERT_NO_FATAL_FAILURE(StartHttpFleet(2));
  // Its web server's root is elsewhere.
  FleetNode& node = fleet().node("web-2");
  std::string config = ReadFile(node.home() + "/node.yaml");
  const size_t at = config.find("/www}");
  ASSERT_NE(at, std::string::npos);
  ASSERT_THAT(WriteFile(node.home() + "/node.yaml", config.erase(at, 4)), IsOk());
  node.StopAgent();
  ASSERT_THAT(node.StartAgent(), IsOk());
  const CommandResult applied = Apply();
  EXPECT_EQ(applied.exit_code, 1) << applied;
  EXPECT_THAT(applied.err, AllOf(HasSubstr("1 of 2 nodes do not answer as the CA wants"), HasSubstr("node web-2"),
                                 HasSubstr("404")));
  EXPECT_THAT(Leftovers(), IsEmpty());
}

TEST_F(Http01Test, ANodeWithoutAPlaceRefusesAndSaysWhatToDo) {
  ASSERT_NO_FATAL_FAILURE(StartHttpFleet(1));
  FleetNode& node = fleet().node("web-1");
  const std::string config = ReadFile(node.home() + "/node.yaml");
  ASSERT_THAT(WriteFile(node.home() + "/node.yaml", config.substr(0, config.find("http_challenge"))), IsOk());
  node.StopAgent();
  ASSERT_THAT(node.StartAgent(), IsOk());
  const CommandResult applied = Apply();
  EXPECT_EQ(applied.exit_code, 1) << applied;
  EXPECT_THAT(applied.err, AllOf(HasSubstr("node web-1 declares no place for HTTP challenges"),
                                 HasSubstr("http_challenge: {webroot: DIRECTORY}")));
  const CommandResult doctor = fleet().controller().Run({"doctor"});
  EXPECT_EQ(doctor.exit_code, 1) << doctor;
  EXPECT_THAT(doctor.out,
              AllOf(HasSubstr(": 1 certificate, 1 node\n"), HasSubstr("it shows no HTTP challenges, as wildcard needs"),
                    HasSubstr("\n1 problem\n")));
}

TEST_F(Http01Test, ANodeThatIsOutOfReachMayBeLeftOut) {
  ASSERT_NO_FATAL_FAILURE(StartHttpFleet(3));
  fleet().node("web-3").KillAgent();
  for (const char* name : {"demo.test", "www.demo.test"}) {
    ASSERT_THAT(fleet().pebble().SetAddresses(name, {"127.0.20.1", "127.0.20.2"}), IsOk());
  }
  const CommandResult refused = fleet().controller().Run({"issue", "wildcard"});
  EXPECT_EQ(refused.exit_code, 1) << refused;
  EXPECT_THAT(refused.err, HasSubstr("node web-3"));
  ASSERT_NO_FATAL_FAILURE(RemoveFromConfig("fleet: {timeout: 10s}", "fleet: {timeout: 10s, max_unreachable: 1}"));
  const CommandResult issued = fleet().controller().Run({"issue", "wildcard"});
  EXPECT_EQ(issued.exit_code, 0) << issued << fleet().pebble().Log();
  EXPECT_THAT(Leftovers(), IsEmpty());
}

// Killed while its tokens are there: the next run takes them away.
TEST_F(Http01Test, AControllerThatIsKilledLeavesNothingToTheNext) {
  ASSERT_NO_FATAL_FAILURE(StartHttpFleet(2));
  // The controller looks here, and gets no answer.
  const LocalSocket endpoint;
  endpoint.Listen();
  FleetNode& node = fleet().node("web-1");
  const std::string real_address = std::exchange(node.http_address, endpoint.address());
  ASSERT_THAT(fleet().WriteConfig(), IsOk());
  auto killed = fleet().controller().StartJson({"apply"});
  ASSERT_THAT(killed, IsOk());
  const Descriptor look(endpoint.Accept());
  EXPECT_THAT(Leftovers(), SizeIs(4)) << "two names on web-2, a file and a note of each";
  node.http_address = real_address;
  EXPECT_TRUE(Listens(node));
  (*killed)->program().Kill();

  ASSERT_THAT(fleet().WriteConfig(), IsOk());
  const CommandResult applied = Apply();
  EXPECT_EQ(applied.exit_code, 0) << applied << fleet().pebble().Log();
  EXPECT_EQ(fleet().Orders(), 1);
  EXPECT_THAT(Leftovers(), IsEmpty());
  EXPECT_FALSE(Listens(node));
}

}  // namespace
}  // namespace certcast::testing
