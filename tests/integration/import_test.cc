// A certificate that was bought by hand, on a real fleet.
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "tests/testing/fleet_fixture.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/test_ca.h"

namespace certcast::testing {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

class ImportTest : public FleetTest {
 protected:
  CommandResult Import(const IssuedCertificate& certificate) {
    const std::string chain = fleet().home() + "/bought.pem";
    const std::string key = fleet().home() + "/bought-key.pem";
    EXPECT_THAT(WriteFile(chain, certificate.fullchain_pem, 0644), IsOk());
    EXPECT_THAT(WriteFile(key, certificate.key_pem.ExposeSecret()), IsOk());
    return fleet().controller().Json({"import", "wildcard", "--fullchain", chain, "--key", key});
  }
};

TEST_F(ImportTest, ABoughtCertificateReachesEveryNodeAndIsVerified) {
  ASSERT_NO_FATAL_FAILURE(StartFleet({.nodes = 2, .imported = true}));
  const TestCa intermediate = TestCa::Root().Intermediate();
  const IssuedCertificate bought = intermediate.Issue({.dns_names = {"*.demo.test", "demo.test"}});

  const CommandResult imported = Import(bought);
  ASSERT_EQ(imported.exit_code, 0) << imported;
  EXPECT_TRUE(IssuedIn(imported));
  EXPECT_EQ(LeafIn(imported), bought.certificate.sha256());
  EXPECT_EQ(ApplyFirst(), bought.certificate.sha256());
  const std::string& home = fleet().nodes().front().home();
  EXPECT_EQ(ReadFile(home + "/tls/fullchain.pem"), bought.fullchain_pem);

  const CommandResult again = Import(bought);
  EXPECT_EQ(again.exit_code, 0) << again;
  EXPECT_FALSE(IssuedIn(again));

  const CommandResult verified = fleet().controller().Json({"verify"});
  EXPECT_EQ(verified.exit_code, 0) << verified;
  for (const json& endpoint : verified.json.at("endpoints")) {
    EXPECT_EQ(endpoint.at("ok"), true);
    EXPECT_EQ(endpoint.at("servedSha256"), bought.certificate.sha256());
  }
}

TEST_F(ImportTest, VerifyNamesTheServerThatIsDown) {
  ASSERT_NO_FATAL_FAILURE(StartFleet({.nodes = 2, .imported = true}));
  ASSERT_EQ(Import(TestCa::Root().Intermediate().Issue({.dns_names = {"*.demo.test", "demo.test"}})).exit_code, 0);
  ApplyFirst();
  FleetNode& down = fleet().nodes().front();
  down.nginx().Stop();

  const CommandResult verified = fleet().controller().Json({"verify"});

  EXPECT_EQ(verified.exit_code, 3) << verified;
  for (const json& endpoint : verified.json.at("endpoints")) {
    const bool is_down = endpoint.at("node") == down.name();
    EXPECT_EQ(endpoint.at("ok"), !is_down) << endpoint;
    EXPECT_THAT(endpoint.at("detail").get<std::string>(), HasSubstr(is_down ? "refused" : ""));
  }
}

TEST_F(ImportTest, AKeyOfAnotherCertificateIsRefusedAndNothingIsKept) {
  ASSERT_NO_FATAL_FAILURE(StartFleet({.nodes = 1, .imported = true}));
  const TestCa intermediate = TestCa::Root().Intermediate();
  IssuedCertificate bought = intermediate.Issue({.dns_names = {"*.demo.test", "demo.test"}});
  const IssuedCertificate other = intermediate.Issue({.dns_names = {"*.demo.test", "demo.test"}});
  bought.key_pem = Secret(other.key_pem.ExposeSecret());

  const CommandResult refused = Import(bought);

  EXPECT_EQ(refused.exit_code, 1) << refused;
  EXPECT_THAT(refused.err, HasSubstr("wildcard was not imported"));
  json certificates = fleet().controller().Json({"certificates"}).json;
  EXPECT_EQ(certificates["certificates"][0]["generation"], "0");
}

}  // namespace
}  // namespace certcast::testing
