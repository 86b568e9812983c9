// What `doctor` finds wrong.

#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "controller/api/controller_fixture.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace certcast::controller {
namespace {

using ::testing::HasSubstr;
using testing::IsOk;

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
  EXPECT_THAT(warnings, ::testing::ElementsAre("node web-2: its clock is off by 1h1m"));
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
  EXPECT_THAT(warnings, ::testing::ElementsAre(::testing::AllOf(HasSubstr("node web-2: service-wildcard: "),
                                                                HasSubstr("serves " + std::string(64, 'b')),
                                                                HasSubstr("`certcast status`"))));
}

}  // namespace
}  // namespace certcast::controller
