// What `doctor` finds wrong.

#include <sys/types.h>

#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "controller/api/controller_fixture.h"
#include "controller/store/records.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/program.h"

namespace certcast::controller {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::IsOk;
using ::testing::Not;

TEST_F(ControllerTest, DoctorSaysWhichNodesClockDiffers) {
  Configure(3);
  transport_.Node("web-2").SetClockOff(absl::Minutes(61));
  transport_.Node("web-3").SetClockOff(-absl::Seconds(59));
  absl::StatusOr<v1::DoctorResponse> response = controller_->Doctor();
  ASSERT_THAT(response, IsOk());
  std::vector<std::string> warnings;
  for (const auto& check : response->checks()) {
    if (check.detail().find("clock") == std::string::npos) continue;
    warnings.push_back(absl::StrCat(check.name(), ": ", check.detail()));
  }
  EXPECT_THAT(warnings, ElementsAre("node web-2: its clock is off by 1h1m"));
}

TEST_F(ControllerTest, DoctorNamesTheProblemAndWhatToDo) {
  Configure(2);
  transport_.Node("web-2").SetReachable(Fail(Reason::AUTH_FAILED, "web-2 refused the controller's certificate"));
  absl::StatusOr<v1::DoctorResponse> response = controller_->Doctor();
  ASSERT_THAT(response, IsOk());
  std::map<std::string, v1::DoctorResponse::Check> checks;
  for (const auto& check : response->checks()) {
    auto& worst = checks[check.name()];
    if (check.result() > worst.result()) worst = check;
  }
  EXPECT_EQ(checks["configuration"].result(), v1::DoctorResponse::Check::OK);
  EXPECT_EQ(checks["state"].result(), v1::DoctorResponse::Check::OK);
  EXPECT_EQ(checks["node web-2"].result(), v1::DoctorResponse::Check::PROBLEM);
  EXPECT_THAT(checks["node web-2"].detail(), HasSubstr("AUTH_FAILED"));
  EXPECT_THAT(checks["node web-2"].hint(), HasSubstr("certcast-node"));
}

TEST_F(ControllerTest, DoctorNamesWhatANodeWouldRefuseAnInstallFor) {
  Configure(1);
  transport_.Node("web-1").Preinstall("wildcard", 1, std::string(64, 'a'));
  transport_.Node("web-1").SetObstacle("/etc/nginx may be written to by every user (chmod o-w /etc/nginx)");
  absl::StatusOr<v1::DoctorResponse> response = controller_->Doctor();
  ASSERT_THAT(response, IsOk());
  std::string problems;
  for (const auto& check : response->checks()) {
    if (check.result() == v1::DoctorResponse::Check::PROBLEM) problems += check.name() + ": " + check.detail() + "\n";
  }
  EXPECT_THAT(problems, HasSubstr("node web-1: service-wildcard: /etc/nginx may be written to by every user"));
}

TEST_F(ControllerTest, DoctorNamesWhatIsNotServedAsItShouldBe) {
  Configure(2);
  for (const char* node : {"web-1", "web-2"}) transport_.Node(node).Preinstall("wildcard", 1, std::string(64, 'a'));
  transport_.Node("web-2").SetServed("wildcard", std::string(64, 'b'));
  absl::StatusOr<v1::DoctorResponse> response = controller_->Doctor();
  ASSERT_THAT(response, IsOk());
  std::vector<std::string> warnings;
  for (const auto& check : response->checks()) {
    if (check.result() != v1::DoctorResponse::Check::WARNING) continue;
    warnings.push_back(absl::StrCat(check.name(), ": ", check.detail(), " -> ", check.hint()));
  }
  EXPECT_THAT(warnings,
              ElementsAre(AllOf(HasSubstr("node web-2: service-wildcard: "),
                                HasSubstr("serves " + std::string(64, 'b')), HasSubstr("`certcast status`"))));
}

// Of those that are worse than OK: "NAME: DETAIL -> HINT".
std::vector<std::string> FindingsAbout(const v1::DoctorResponse& response, const std::string& name) {
  std::vector<std::string> lines;
  for (const auto& check : response.checks()) {
    if (check.name() != name || check.result() == v1::DoctorResponse::Check::OK) continue;
    lines.push_back(absl::StrCat(check.detail(), " -> ", check.hint()));
  }
  return lines;
}

TEST_F(ControllerTest, DoctorOpensTheSecretsThatRecordsAreWrittenWith) {
  const auto put = [&](const std::string& name, const std::string& text, mode_t mode) {
    ASSERT_THAT(testing::WriteFile(absl::StrCat(directory_.path(), "/", name), text, mode), IsOk());
  };
  put("password", "canary-1", 0644);
  put("accounts", R"({"a.test": {"username": "u", "password": "canary-2", "fulldomain": "f", "subdomain": "s"},
                      "b.test": {"username": "u"}})",
      0600);
  put("token", "canary-3", 0600);
  ConfigureText(R"(state: state
master_key: {file: master.key}
accounts:
  - {name: ca, directory: "https://127.0.0.1:1/dir", contact: ["mailto:a@example.com"], terms_of_service_agreed: true}
certificates:
  - {name: posted, account: ca, domains: [a.test], nodes: all, challenge: {type: dns-01, solver: httpreq,
     propagation: {skip: true}, httpreq: {endpoint: "https://dns.test", username: u, password: {file: password}}}}
  - {name: registered, account: ca, domains: [a.test, "*.a.test", b.test, "*.c.test"], nodes: all, challenge: {type: dns-01,
     solver: acme-dns, propagation: {skip: true}, acme-dns: {endpoint: "https://auth.test", accounts: {file: accounts}}}}
  - {name: lost, account: ca, domains: [a.test, b.test], nodes: all, challenge: {type: dns-01, solver: acme-dns,
     propagation: {skip: true}, acme-dns: {endpoint: "https://auth.test", accounts: {file: nowhere}}}}
  - {name: scripted, account: ca, domains: [a.test], nodes: all, challenge: {type: dns-01, solver: acme-sh,
     propagation: {skip: true}, acme-sh: {script: /opt/acme.sh, api: dns_cf,
     variables: {CF_Token: {file: token}, CF_Zone: {file: zone}}}}}
nodes:
  - {name: web-1, address: "grpc://127.0.0.1:7001"}
)");
  const absl::StatusOr<v1::DoctorResponse> response = controller_->Doctor();
  ASSERT_THAT(response, IsOk());
  EXPECT_THAT(FindingsAbout(*response, "challenge of posted"),
              ElementsAre(AllOf(HasSubstr("challenge.httpreq.password"), HasSubstr("chmod"))));
  EXPECT_THAT(FindingsAbout(*response, "challenge of registered"),
              ElementsAre(HasSubstr("b.test"), AllOf(HasSubstr("have no c.test"), HasSubstr("POST /register"))));
  EXPECT_THAT(FindingsAbout(*response, "challenge of lost"), ElementsAre(HasSubstr("nowhere")));
  EXPECT_THAT(FindingsAbout(*response, "challenge of scripted"),
              ElementsAre(HasSubstr("/opt/acme.sh can't be read"), HasSubstr("challenge.acme-sh.variables.CF_Zone")));
  EXPECT_THAT(response->DebugString(), Not(HasSubstr("canary")));
}

TEST_F(ControllerTest, DoctorTellsOfAnOrderWhoseCertificateWasTakenOutOfTheConfiguration) {
  Configure(1);
  state::v1::Order order;
  order.set_order_url("https://ca.test/order/1");
  order.add_presented()->set_fqdn("_acme-challenge.gone.test.");
  order.add_presented()->set_domain("www.gone.test");
  for (const char* name : {kName, "gone"}) {
    order.set_certificate(name);
    ASSERT_THAT(OrderRecords(store_).Put(order, 0), IsOk());
  }
  const absl::StatusOr<v1::DoctorResponse> response = controller_->Doctor();
  ASSERT_THAT(response, IsOk());
  EXPECT_THAT(FindingsAbout(*response, "certificate gone"),
              ElementsAre(AllOf(HasSubstr("any more, and this is left of it: the order https://ca.test/order/1, a TXT "
                                          "record at _acme-challenge.gone.test., an HTTP token for www.gone.test"),
                                HasSubstr("`certcast apply gone`"))));
  EXPECT_THAT(FindingsAbout(*response, absl::StrCat("certificate ", kName)), IsEmpty());
}

}  // namespace
}  // namespace certcast::controller
