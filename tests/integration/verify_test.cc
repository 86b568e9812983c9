// `certcast verify` as operators run it: from outside, without any agent, and no more content than a stranger would be.
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "tests/testing/fleet_fixture.h"
#include "tests/testing/local_tcp_server.h"
#include "tests/testing/local_tls_server.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/test_ca.h"

namespace certcast::testing {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::SizeIs;

class VerifyTest : public FleetTest {
 protected:
  // Two nodes that serve the first generation, and whose agents are gone.
  void StartConverged() {
    ASSERT_NO_FATAL_FAILURE(StartFleet({.nodes = 2}));
    leaf_ = ApplyFirst();
    for (FleetNode& node : fleet().nodes()) node.StopAgent();
  }
  void LookAtInstead(const std::string& address) {
    fleet().node("web-2").verify_address = address;
    ASSERT_THAT(fleet().WriteConfig(), IsOk());
  }

  std::string leaf_;
};

TEST_F(VerifyTest, SaysNOfNInWordsWithoutAnyAgent) {
  ASSERT_NO_FATAL_FAILURE(StartConverged());

  const CommandResult shown = fleet().controller().Run({"verify"});

  EXPECT_EQ(shown.exit_code, 0) << shown;
  EXPECT_THAT(shown.out, HasSubstr(absl::StrCat("wildcard: 2 of 2 endpoints serve generation 1, SHA-256 ", leaf_)));
  EXPECT_THAT(shown.err, HasSubstr("looking at the endpoints: 2/2"));
  const CommandResult answer = fleet().controller().Json({"verify", "wildcard"});
  EXPECT_EQ(answer.exit_code, 0) << answer;
  EXPECT_EQ(answer.json.at("converged"), 2);
  EXPECT_EQ(answer.json.at("total"), 2);
  EXPECT_EQ(answer.json.at("certificates").at(0).at("leafSha256"), leaf_);
}

TEST_F(VerifyTest, FindsTheOldCertificateBehindAnIpv6Address) {
  ASSERT_NO_FATAL_FAILURE(StartConverged());
  const IssuedCertificate old = TestCa::SelfSigned({.dns_names = {"*.demo.test"}});
  const LocalTlsServer server(old.fullchain_pem, old.key_pem.ExposeSecret(), /*is_v6=*/true);
  ASSERT_NO_FATAL_FAILURE(LookAtInstead(server.address()));

  const CommandResult answer = fleet().controller().Json({"verify"});

  EXPECT_EQ(answer.exit_code, 3) << answer;
  EXPECT_EQ(answer.json.at("converged"), 1);
  const json& endpoint = answer.json.at("endpoints").at(1);
  EXPECT_EQ(endpoint.at("address"), server.address());
  EXPECT_EQ(endpoint.at("ok"), false);
  EXPECT_EQ(endpoint.at("servedSha256"), old.certificate.sha256());
  EXPECT_EQ(endpoint.at("expectedSha256"), leaf_);
  const CommandResult shown = fleet().controller().Run({"verify"});
  EXPECT_EQ(shown.exit_code, 3) << shown;
  EXPECT_THAT(shown.out, AllOf(HasSubstr("1 of 2 endpoints serve generation 1"), HasSubstr(server.address())));
  EXPECT_THAT(shown.err, HasSubstr("failed or unreachable: web-2"));
}

// What the system knows localhost by: 127.0.0.1 as a rule, ::1 as well where it has it.
TEST_F(VerifyTest, HasALineForEachAddressOfAName) {
  ASSERT_NO_FATAL_FAILURE(StartConverged());
  const IssuedCertificate old = TestCa::SelfSigned({.dns_names = {"*.demo.test"}});
  const LocalTlsServer server(old.fullchain_pem, old.key_pem.ExposeSecret());
  ASSERT_NO_FATAL_FAILURE(LookAtInstead(absl::StrCat("localhost:", server.port())));

  const CommandResult answer = fleet().controller().Json({"verify"});

  EXPECT_EQ(answer.exit_code, 3) << answer;
  bool found = false;
  for (const json& endpoint : answer.json.at("endpoints")) {
    if (endpoint.at("node") != "web-2") continue;
    EXPECT_EQ(endpoint.at("address"), absl::StrCat("localhost:", server.port()));
    EXPECT_EQ(endpoint.at("ok"), false) << endpoint;
    if (endpoint.at("ipAddress") == server.address()) {
      found = endpoint.at("servedSha256") == old.certificate.sha256();
    }
  }
  EXPECT_TRUE(found) << answer;
}

TEST_F(VerifyTest, WaitsNoLongerThanItIsTold) {
  ASSERT_NO_FATAL_FAILURE(StartConverged());
  const SilentServer silent;
  ASSERT_NO_FATAL_FAILURE(LookAtInstead(silent.address()));

  const CommandResult answer = fleet().controller().Json({"verify", "--timeout", "300ms"});

  EXPECT_EQ(answer.exit_code, 3) << answer;
  ASSERT_THAT(answer.json.at("endpoints"), SizeIs(2));
  EXPECT_EQ(answer.json.at("endpoints").at(1).at("servedSha256"), "");
  EXPECT_THAT(answer.json.at("endpoints").at(1).at("detail").get<std::string>(), HasSubstr(silent.address()));
  for (const char* wrong : {"soon", "0s", "-1s", "1h"}) {
    const CommandResult refused = fleet().controller().Run({"verify", absl::StrCat("--timeout=", wrong)});
    EXPECT_EQ(refused.exit_code, 2) << refused;
    EXPECT_EQ(refused.out, "");
  }
}

}  // namespace
}  // namespace certcast::testing
