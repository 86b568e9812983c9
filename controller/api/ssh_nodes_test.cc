// Nodes that are logged in to, as the rest of the controller sees them.
#include <stdio.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "controller/api/controller_fixture.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/program.h"

namespace certcast::controller {
namespace {

using testing::CommandKind;
using testing::Fault;
using testing::HasCode;
using ::testing::HasSubstr;
using testing::IsOk;

class SshNodesTest : public ControllerTest {
 protected:
  void SetUp() override {
    machine_.make_transport = [this](const std::string&, ControllerIdentity identity) {
      manifest_key_pem_ = identity.manifest_key_pem;
      return std::make_unique<TransportView>(transport_);
    };
    transport_.Node("old-1");
    ASSERT_THAT(testing::WriteFile(PathOf("key"), Make().key_pem.ExposeSecret()), IsOk());
    ConfigureText(R"(state: state
master_key: {file: master.key}
certificates:
  - {name: ev, domains: [www.example.com], nodes: all}
ssh: {key: {file: key}, known_hosts: known_hosts, sudo: true}
services:
  - name: web
    certificate: ev
    files: [{path: /etc/tls/a.pem, content: combined}]
    probes: [{tls: {address: "127.0.0.1:443", server_name: www.example.com}}]
nodes:
  - {name: old-1, address: "ssh://deploy@127.0.0.9:2022", services: [web], verify: ["old-1:443"]}
)");
  }
  std::string PathOf(const std::string& name) const { return absl::StrCat(directory_.path(), "/", name); }
  v1::DoctorResponse::Check Doctor() {
    absl::StatusOr<v1::DoctorResponse> response = controller_->Doctor();
    EXPECT_THAT(response, IsOk());
    for (const auto& check : response->checks()) {
      if (check.name() == "node old-1") return check;
    }
    return {};
  }

  std::string manifest_key_pem_;
};

TEST_F(SshNodesTest, TakePartInARollout) {
  ASSERT_THAT(Import(Make()), IsOk());
  absl::StatusOr<v1::ApplyResponse> response = Apply();
  ASSERT_THAT(response, IsOk());
  ASSERT_EQ(response->rollouts_size(), 1);
  EXPECT_EQ(response->rollouts(0).state(), v1::Rollout::COMPLETED);
  EXPECT_THAT(manifest_key_pem_, HasSubstr("BEGIN PUBLIC KEY"));
}

TEST_F(SshNodesTest, AreKnownByTheirLoginAndNotSigned) {
  absl::StatusOr<v1::ListNodesResponse> nodes = controller_->ListNodes({});
  ASSERT_THAT(nodes, IsOk());
  EXPECT_EQ(nodes->nodes(0).address(), "ssh://deploy@127.0.0.9:2022");
  EXPECT_FALSE(nodes->nodes(0).enrolled());
  EXPECT_TRUE(nodes->nodes(0).hosted());
  v1::SignNodeRequest request;
  request.set_name("old-1");
  const absl::Status refused = controller_->SignNode(request).status();
  EXPECT_THAT(refused, HasCode(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(FailureOf(refused).detail(), HasSubstr("there is nothing to sign"));
  EXPECT_THAT(FailureOf(refused).hint(), HasSubstr("certcast doctor"));
}

TEST_F(SshNodesTest, DoctorSaysWhatWorksAndWhatToTryByHand) {
  v1::DoctorResponse::Check check = Doctor();
  EXPECT_EQ(check.result(), v1::DoctorResponse::Check::OK);
  EXPECT_THAT(check.detail(),
              HasSubstr("over ssh as deploy@127.0.0.9:2022, sudo, /var/lib/certcast-node can be written, 1073.7 MB"));

  transport_.Node("old-1").SetReachable(Fail(Reason::SUDO_REFUSED, "sudo: a password is required"));
  check = Doctor();
  EXPECT_EQ(check.result(), v1::DoctorResponse::Check::PROBLEM);
  EXPECT_THAT(check.detail(), HasSubstr("SUDO_REFUSED: sudo: a password is required"));
  EXPECT_EQ(check.hint(),
            absl::StrCat("try by hand: ssh -F none -o StrictHostKeyChecking=yes -o GlobalKnownHostsFile=none "
                         "-o UserKnownHostsFile=",
                         PathOf("known_hosts"),
                         " -o PreferredAuthentications=publickey -o IdentityAgent=none -o IdentityFile=", PathOf("key"),
                         " -o IdentitiesOnly=yes -p 2022 deploy@127.0.0.9 sudo -n -l"));
}

// By hand ssh would try another one, and may get in.
TEST_F(SshNodesTest, DoctorSaysNothingToTryByHandWhereTheKeyIsNotThere) {
  ASSERT_EQ(remove(PathOf("key").c_str()), 0);
  transport_.Node("old-1").SetReachable(Fail(Reason::AUTH_FAILED, "no such key", "make one"));
  EXPECT_EQ(Doctor().hint(), "make one");
}

TEST_F(SshNodesTest, DoctorCallsNoFullStateWritable) {
  transport_.Node("old-1").SetFreeBytes(0);
  absl::StatusOr<v1::DoctorResponse> response = controller_->Doctor();
  ASSERT_THAT(response, IsOk());
  std::vector<std::string> lines;
  for (const auto& check : response->checks()) {
    if (check.name() == "node old-1") lines.push_back(check.detail());
  }
  ASSERT_GE(lines.size(), 2u);
  EXPECT_EQ(lines[0], "answers over ssh as deploy@127.0.0.9:2022, sudo, certcast-node fake");
  EXPECT_EQ(lines[1], "only 0.0 MB are free where it keeps its state");
}

TEST_F(SshNodesTest, DoctorNamesTheFileThatSaysWhatRunsThere) {
  absl::StatusOr<v1::DoctorResponse> response = controller_->Doctor();
  ASSERT_THAT(response, IsOk());
  std::string said;
  for (const auto& check : response->checks()) absl::StrAppend(&said, check.detail(), check.hint(), "\n");
  EXPECT_THAT(said, HasSubstr("; add to `allow_names` in certcast.yaml"));
  EXPECT_THAT(said, ::testing::Not(HasSubstr("node.yaml")));
}

TEST_F(SshNodesTest, DoctorSaysWhatTheHostSaidAndWhatBothSuggest) {
  absl::Status why = Fail(Reason::AUTH_FAILED, "the login was refused", "is the key in authorized_keys?");
  transport_.Node("old-1").SetReachable(WithStderr(std::move(why), "line one\nline two\n"));
  const v1::DoctorResponse::Check check = Doctor();
  EXPECT_EQ(check.detail(), "AUTH_FAILED: the login was refused: line one; line two");
  EXPECT_THAT(check.hint(), HasSubstr("is the key in authorized_keys?; try by hand: ssh -F none "));
}

TEST_F(SshNodesTest, DoctorSaysThatTheClocksDiffer) {
  transport_.Node("old-1").SetClockOff(-absl::Minutes(5));
  absl::StatusOr<v1::DoctorResponse> response = controller_->Doctor();
  ASSERT_THAT(response, IsOk());
  std::vector<std::string> warnings;
  for (const auto& check : response->checks()) {
    if (check.result() != v1::DoctorResponse::Check::WARNING) continue;
    warnings.push_back(absl::StrCat(check.name(), ": ", check.detail()));
  }
  EXPECT_THAT(warnings, ::testing::ElementsAre("node old-1: its clock is off by -5m"));
}

TEST_F(SshNodesTest, DoctorSaysWhatANodeRefused) {
  transport_.Node("old-1").Inject(testing::CommandKind::kProbe,
                                  testing::Fault::Refused(Reason::PERMISSION_DENIED, "making /var/lib/certcast-node"));
  const v1::DoctorResponse::Check check = Doctor();
  EXPECT_EQ(check.result(), v1::DoctorResponse::Check::PROBLEM);
  EXPECT_THAT(check.detail(), HasSubstr("PERMISSION_DENIED: "));
  EXPECT_THAT(check.hint(), HasSubstr("is /var/lib/certcast-node on old-1 the login's own"));
}

}  // namespace
}  // namespace certcast::controller
