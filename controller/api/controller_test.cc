#include "controller/api/controller.h"

#include <unistd.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/x509/private_key.h"
#include "controller/api/controller_fixture.h"
#include "controller/store/records.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace certcast::controller {
namespace {

using testing::CommandKind;
using testing::Fault;
using testing::HasCode;
using testing::HasReason;
using ::testing::HasSubstr;
using testing::IsOk;
using testing::IssuedCertificate;
using NodeState = v1::StatusResponse::Node;

TEST_F(ControllerTest, InitTwiceMakesNothingTheSecondTime) {
  Configure(1);
  absl::StatusOr<v1::InitResponse> again = controller_->Init();
  ASSERT_THAT(again, IsOk());
  EXPECT_EQ(again->made_size(), 0);
  EXPECT_EQ(again->fleet_ca_sha256().size(), 64u);
}

TEST_F(ControllerTest, WithoutInitEveryCallSaysSo) {
  absl::StatusOr<Config> config = ParseConfig(
      "state: state\nmaster_key: {file: master.key}\ncertificates: []\nnodes: []\n", directory_.path() + "/c.yaml");
  ASSERT_THAT(config, IsOk());
  Controller controller(*config, machine_);
  const absl::Status status = controller.ListNodes({}).status();
  EXPECT_THAT(FailureOf(status).hint(), HasSubstr("certcast init")) << status;
}

TEST_F(ControllerTest, AnImportedCertificateReachesEveryNodeAndASecondApplyDoesNothing) {
  Configure(3);
  const IssuedCertificate issued = Make();
  ASSERT_THAT(Import(issued), IsOk());

  absl::StatusOr<v1::ApplyResponse> response = Apply();
  ASSERT_THAT(response, IsOk());
  ASSERT_EQ(response->rollouts_size(), 1);
  EXPECT_EQ(response->rollouts(0).state(), v1::Rollout::COMPLETED);
  EXPECT_EQ(response->certificates(0).leaf_sha256(), issued.certificate.sha256());
  EXPECT_FALSE(response->certificates(0).issued());

  const v1::StatusResponse status = Status();
  EXPECT_EQ(status.converged(), 3);
  EXPECT_EQ(status.total(), 3);
  EXPECT_EQ(status.certificates(0).rollout_id(), response->rollouts(0).id());

  absl::StatusOr<v1::ApplyResponse> again = Apply();
  ASSERT_THAT(again, IsOk());
  EXPECT_EQ(again->rollouts_size(), 0);
  EXPECT_EQ(transport_.Node("web-1").reloads(), 1);
}

TEST_F(ControllerTest, NoCaCanBeAskedAgainForAnImportedCertificate) {
  Configure(1);
  ASSERT_THAT(Import(Make()), IsOk());
  v1::ApplyRequest request;
  request.set_force_renewal(true);
  request.add_certificates("ev");
  for (const bool dry_run : {true, false}) {
    request.set_dry_run(dry_run);
    const absl::Status refused = Apply(request).status();
    EXPECT_THAT(refused, HasCode(absl::StatusCode::kInvalidArgument));
    EXPECT_THAT(FailureOf(refused).hint(), HasSubstr("certcast import ev"));
  }
  request.clear_certificates();
  EXPECT_THAT(Apply(request), IsOk()) << "among all there may be one";
}

// Logging in, or shaking hands, twice would be most of the work.
TEST_F(ControllerTest, ANewGenerationIsSentWithoutAskingFirstWhoHasIt) {
  Configure(3);
  ASSERT_THAT(Import(Make()), IsOk());
  ASSERT_THAT(Apply(), IsOk());
  EXPECT_EQ(transport_.opened(), 3);
  EXPECT_THAT(transport_.NodesThatGot(CommandKind::kProbe), ::testing::IsEmpty());
  // It was brought there once: from now on who has it is to be seen.
  ASSERT_THAT(Apply(), IsOk());
  EXPECT_EQ(transport_.NodesThatGot(CommandKind::kProbe).size(), 3u);
  EXPECT_EQ(transport_.Node("web-1").reloads(), 1);
}

TEST_F(ControllerTest, ANodeThatAnsweredInARolloutWasSeenAndOneThatWasSilentWasNot) {
  Configure(3);
  ASSERT_THAT(Import(Make()), IsOk());
  transport_.Node("web-2").SetReachable(Fail(Reason::NO_ROUTE, "web-2: connection refused"));
  ASSERT_THAT(Apply(), IsOk());
  absl::StatusOr<v1::ListNodesResponse> nodes = controller_->ListNodes({});
  ASSERT_THAT(nodes, IsOk());
  for (const auto& node : nodes->nodes()) EXPECT_EQ(node.has_last_seen(), node.name() != "web-2") << node.name();
}

// Who looks for holders of a generation begins with what is known of nodes.
TEST_F(ControllerTest, WhatARolloutBroughtIsKnownOfANodeThatWasNeverAsked) {
  Configure(2);
  ASSERT_THAT(Import(Make()), IsOk());
  transport_.Node("web-2").SetReachable(Fail(Reason::NO_ROUTE, "web-2: connection refused"));
  ASSERT_THAT(Apply(), IsOk());
  const IssuedCertificate second = Make();
  ASSERT_THAT(Import(second), IsOk());
  ASSERT_THAT(Apply(), IsOk());
  const auto reached = NodeRecords(store_).Get("web-1");
  ASSERT_THAT(reached, IsOk());
  ASSERT_EQ((*reached)->inventory().certificates_size(), 1);
  EXPECT_EQ((*reached)->inventory().certificates(0).generation(), 2u);
  EXPECT_EQ((*reached)->inventory().certificates(0).previous_generation(), 1u);
  EXPECT_EQ((*reached)->inventory().certificates(0).leaf_sha256(), second.certificate.sha256());
  const auto silent = NodeRecords(store_).Get("web-2");
  ASSERT_THAT(silent, IsOk());
  EXPECT_FALSE(silent->has_value() && (*silent)->inventory().certificates_size() > 0);
}

TEST_F(ControllerTest, AHaltedGenerationStaysWantedAndTheNextApplyTriesItAgain) {
  Configure(3);
  const IssuedCertificate first = Make();
  ASSERT_THAT(Import(first), IsOk());
  ASSERT_THAT(Apply(), IsOk());
  const IssuedCertificate second = Make();
  ASSERT_THAT(Import(second), IsOk());
  for (const char* node : {"web-1", "web-2", "web-3"}) {
    transport_.Node(node).Inject(CommandKind::kInstall, Fault::Result(v1::Outcome::REVERTED, Reason::PROBE_FAILED));
  }

  absl::StatusOr<v1::ApplyResponse> halted = Apply();
  ASSERT_THAT(halted, IsOk());
  ASSERT_EQ(halted->rollouts_size(), 1);
  EXPECT_EQ(halted->rollouts(0).state(), v1::Rollout::REVERTED);
  EXPECT_EQ(Status().converged(), 0);
  EXPECT_EQ(Status().certificates(0).leaf_sha256(), second.certificate.sha256());

  // Each node still has one failure to give to whoever comes first; by the third try all are used up.
  for (int i = 0; i < 3 && Status().converged() < 3; ++i) ASSERT_THAT(Apply(), IsOk());
  EXPECT_EQ(Status().converged(), 3);
  EXPECT_EQ(Status().certificates(0).generation(), 2u);
}

TEST_F(ControllerTest, AFlappingProbePausesTheRolloutUntilTheNextApply) {
  Configure(3);
  ASSERT_THAT(Import(Make()), IsOk());
  FlapOnce();
  absl::StatusOr<v1::ApplyResponse> response = Apply();
  ASSERT_THAT(response, IsOk());
  ASSERT_EQ(response->rollouts_size(), 1);
  EXPECT_EQ(response->rollouts(0).state(), v1::Rollout::PAUSED);
  EXPECT_THAT(response->rollouts(0).because(), HasSubstr("node web-"));
  EXPECT_EQ(transport_.NodesThatGot(CommandKind::kInstall).size(), 1u);
  const v1::StatusResponse status = Status();
  EXPECT_EQ(status.converged(), 0);
  EXPECT_EQ(status.certificates(0).rollout_state(), v1::Rollout::PAUSED);
  EXPECT_EQ(status.certificates(0).rollout_because(), response->rollouts(0).because());

  response = Apply();
  ASSERT_THAT(response, IsOk());
  ASSERT_EQ(response->rollouts_size(), 1);
  EXPECT_EQ(response->rollouts(0).state(), v1::Rollout::COMPLETED);
  EXPECT_EQ(Status().converged(), 3);
  EXPECT_EQ(Status().certificates(0).rollout_because(), "");
}

TEST_F(ControllerTest, APausedRolloutGivesWayToTheNextGeneration) {
  Configure(3);
  ASSERT_THAT(Import(Make()), IsOk());
  FlapOnce();
  absl::StatusOr<v1::ApplyResponse> response = Apply();
  ASSERT_THAT(response, IsOk());
  const std::string paused = response->rollouts(0).id();
  ASSERT_THAT(Import(Make()), IsOk());
  response = Apply();
  ASSERT_THAT(response, IsOk());
  ASSERT_EQ(response->rollouts_size(), 1);
  EXPECT_EQ(response->rollouts(0).generation(), 2u);
  EXPECT_EQ(response->rollouts(0).state(), v1::Rollout::COMPLETED);
  EXPECT_EQ(Status().converged(), 3);
  EXPECT_THAT(texts_, ::testing::Contains(HasSubstr(paused + " is not gone on with: generation 2 is wanted")));
  EXPECT_EQ(Apply()->rollouts_size(), 0);
}

TEST_F(ControllerTest, AnUnreachableNodeIsPendingWorkForTheNextApply) {
  Configure(3);
  ASSERT_THAT(Import(Make()), IsOk());
  transport_.Node("web-2").SetReachable(Fail(Reason::NO_ROUTE, "web-2: connection refused"));
  absl::StatusOr<v1::ApplyResponse> response = Apply();
  ASSERT_THAT(response, IsOk());
  EXPECT_EQ(response->rollouts(0).state(), v1::Rollout::INCOMPLETE);
  EXPECT_EQ(Status().converged(), 2);

  transport_.Node("web-2").SetReachable(absl::OkStatus());
  response = Apply();
  ASSERT_THAT(response, IsOk());
  EXPECT_EQ(response->rollouts(0).state(), v1::Rollout::COMPLETED);
  EXPECT_EQ(Status().converged(), 3);
  EXPECT_EQ(transport_.Node("web-1").reloads(), 1);
}

TEST_F(ControllerTest, ADryRunSaysTheWavesThatApplyTakesAndTouchesNothing) {
  Configure(5);
  ASSERT_THAT(Import(Make()), IsOk());
  v1::ApplyRequest dry;
  dry.set_dry_run(true);
  absl::StatusOr<v1::ApplyResponse> plan = Apply(dry);
  ASSERT_THAT(plan, IsOk());
  EXPECT_TRUE(plan->changes_pending());
  ASSERT_EQ(plan->rollouts_size(), 1);
  EXPECT_THAT(transport_.NodesThatGot(CommandKind::kInstall), ::testing::IsEmpty());

  absl::StatusOr<v1::ApplyResponse> done = Apply();
  ASSERT_THAT(done, IsOk());
  std::map<std::string, int> planned;
  for (const auto& node : plan->rollouts(0).nodes()) planned[node.name()] = node.wave();
  for (const auto& node : done->rollouts(0).nodes()) EXPECT_EQ(planned[node.name()], node.wave()) << node.name();

  plan = Apply(dry);
  ASSERT_THAT(plan, IsOk());
  EXPECT_FALSE(plan->changes_pending());
}

TEST_F(ControllerTest, ADryRunNamesServicesThatWouldBeRestarted) {
  Configure(2);
  for (const char* node : {"web-1", "web-2"}) transport_.Node(node).Preinstall("ev", 1, "0123");
  transport_.Node("web-2").SetDisruptive();
  ASSERT_THAT(Import(Make()), IsOk());
  ASSERT_THAT(Import(Make()), IsOk());
  v1::ApplyRequest dry;
  dry.set_dry_run(true);
  const absl::StatusOr<v1::ApplyResponse> plan = Apply(dry);
  ASSERT_THAT(plan, IsOk());
  ASSERT_EQ(plan->rollouts_size(), 1);
  for (const v1::Rollout::Node& node : plan->rollouts(0).nodes()) {
    const std::vector<std::string> restarts(node.restarts().begin(), node.restarts().end());
    EXPECT_EQ(restarts, node.name() == "web-2" ? std::vector<std::string>{"service-ev"} : std::vector<std::string>());
  }
}

TEST_F(ControllerTest, ARolloutThatWasStoppedIsTakenUpByTheNextApply) {
  Configure(3);
  ASSERT_THAT(Import(Make()), IsOk());
  StopAtTheFirstInstall();

  v1::ApplyRequest dry;
  dry.set_dry_run(true);
  EXPECT_TRUE(Apply(dry)->changes_pending());
  absl::StatusOr<v1::ApplyResponse> response = Apply();
  ASSERT_THAT(response, IsOk());
  EXPECT_EQ(response->rollouts(0).state(), v1::Rollout::COMPLETED);
  EXPECT_EQ(Status().converged(), 3);
  for (const char* node : {"web-1", "web-2", "web-3"}) EXPECT_EQ(transport_.Node(node).reloads(), 1) << node;
}

TEST_F(ControllerTest, AfterAnEarlierGenerationsRolloutWasTakenUpTheWantedOneFollows) {
  Configure(3);
  ASSERT_THAT(Import(Make()), IsOk());
  StopAtTheFirstInstall();
  const IssuedCertificate second = Make();
  ASSERT_THAT(Import(second), IsOk());

  absl::StatusOr<v1::ApplyResponse> response = Apply();
  ASSERT_THAT(response, IsOk());
  ASSERT_EQ(response->rollouts_size(), 2);
  EXPECT_EQ(response->rollouts(1).generation(), 2u);
  EXPECT_EQ(Status().converged(), 3);
  EXPECT_EQ(Status().certificates(0).leaf_sha256(), second.certificate.sha256());
}

TEST_F(ControllerTest, ANodeThatIsConfiguredLaterGetsItFromTheApplyThatTakesARolloutUp) {
  Configure(2);
  ASSERT_THAT(Import(Make()), IsOk());
  StopAtTheFirstInstall();
  Configure(3);
  ASSERT_THAT(Apply(), IsOk());
  EXPECT_EQ(Status().converged(), 3);
}

TEST_F(ControllerTest, ANodeThatLostTheCertificateInTheConfigurationIsNotSentItByARolloutTakenUp) {
  Configure(3);
  ASSERT_THAT(Import(Make()), IsOk());
  StopAtTheFirstInstall();
  const std::string begun = transport_.NodesThatGot(CommandKind::kInstall).front();
  Configure(3, "", absl::StrCat("[", begun, "]"));

  absl::StatusOr<v1::ApplyResponse> response = Apply();
  ASSERT_THAT(response, IsOk());
  EXPECT_EQ(response->rollouts(0).state(), v1::Rollout::INCOMPLETE);
  EXPECT_THAT(transport_.NodesThatGot(CommandKind::kInstall), ::testing::ElementsAre(begun));
  EXPECT_EQ(Status().converged(), 1);
  EXPECT_EQ(Status().total(), 1);
}

TEST_F(ControllerTest, ImportingTheSameCertificateTwiceIsOneGeneration) {
  Configure(1);
  const IssuedCertificate issued = Make();
  EXPECT_TRUE(Import(issued)->certificates(0).issued());
  absl::StatusOr<v1::ImportResponse> again = Import(issued);
  ASSERT_THAT(again, IsOk());
  EXPECT_FALSE(again->certificates(0).issued());
  EXPECT_EQ(again->certificates(0).generation(), 1u);
}

TEST_F(ControllerTest, AWrongImportIsRefusedWithItsReasonAndLeavesNothing) {
  Configure(1);
  IssuedCertificate mixed = Make();
  mixed.key_pem = Make().key_pem.Clone();
  EXPECT_THAT(Import(mixed), HasReason(Reason::KEY_MISMATCH));
  EXPECT_THAT(Import(Make("mail.example.com")), HasReason(Reason::CERTIFICATE_UNEXPECTED));
  EXPECT_THAT(Import(ca_.Issue({.dns_names = {"www.example.com"},
                                .not_before = clock_.Now() - absl::Hours(48),
                                .not_after = clock_.Now() - absl::Hours(24)})),
              HasReason(Reason::EXPIRED));
  IssuedCertificate alone = Make();
  alone.fullchain_pem = alone.certificate.ToPem();
  EXPECT_THAT(Import(alone), HasReason(Reason::CHAIN_INVALID));
  v1::ListCertificatesRequest request;
  EXPECT_EQ(controller_->ListCertificates(request)->certificates(0).generations_size(), 0);
}

TEST_F(ControllerTest, TheStoreHoldsNoPrivateKeyInTheClear) {
  Configure(1);
  const IssuedCertificate issued = Make();
  ASSERT_THAT(Import(issued), IsOk());
  const std::string key = std::string(issued.key_pem.ExposeSecret());
  // The base64 body's second line is all key.
  const std::string line = key.substr(key.find('\n') + 1, 48);
  const absl::StatusOr<std::vector<StoredRecord>> records = store_.List("");
  ASSERT_THAT(records, IsOk());
  for (const StoredRecord& record : *records) {
    EXPECT_EQ(record.value.find(line), std::string::npos) << record.key;
    EXPECT_EQ(record.value.find("PRIVATE KEY"), std::string::npos) << record.key;
  }
}

TEST_F(ControllerTest, AnUnknownNameIsWrongInputAndTheKnownOnesAreNamed) {
  Configure(1);
  v1::ApplyRequest request;
  request.add_certificates("wildcrad");
  const absl::Status status = Apply(request).status();
  EXPECT_THAT(status, HasCode(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(FailureOf(status).hint(), HasSubstr("ev"));
}

TEST_F(ControllerTest, ASecondControllerIsToldWhoHoldsTheStore) {
  Configure(1);
  absl::StatusOr<std::unique_ptr<Lease>> lease = store_.TakeLease("apply");
  ASSERT_THAT(lease, IsOk());
  const absl::Status status = Apply().status();
  EXPECT_THAT(status, HasCode(absl::StatusCode::kUnavailable));
  EXPECT_THAT(std::string(status.message()), HasSubstr("apply"));
  // Those that only look go on working.
  EXPECT_THAT(controller_->GetStatus({}), IsOk());
}

TEST_F(ControllerTest, ACertificateThatCantBeObtainedLeavesTheOthersTheirRollout) {
  Configure(1,
            "accounts:\n"
            "  - {name: ca, directory: \"https://127.0.0.1:1/dir\", contact: [\"mailto:a@example.com\"],"
            " terms_of_service_agreed: true}\n");
  const std::string text =
      "state: state\nmaster_key: {file: master.key}\n"
      "accounts:\n"
      "  - {name: ca, directory: \"https://127.0.0.1:1/dir\", contact: [\"mailto:a@example.com\"],"
      " terms_of_service_agreed: true}\n"
      "certificates:\n"
      "  - {name: ev, domains: [www.example.com], nodes: all}\n"
      "  - {name: wildcard, account: ca, domains: [\"*.example.com\"], nodes: all,\n"
      "     challenge: {type: dns-01, solver: exec, exec: {command: [/bin/true]}}}\n"
      "nodes:\n"
      "  - {name: web-1, address: \"grpc://127.0.0.1:7001\"}\n";
  ConfigureText(text);
  ASSERT_THAT(Import(Make()), IsOk());
  absl::StatusOr<v1::ApplyResponse> response = Apply();
  ASSERT_THAT(response, IsOk());
  ASSERT_EQ(response->certificates_size(), 2);
  EXPECT_FALSE(response->certificates(0).has_failure());
  EXPECT_EQ(response->certificates(1).failure().reason(), Reason::NO_ROUTE);
  ASSERT_EQ(response->rollouts_size(), 1);
  EXPECT_EQ(response->rollouts(0).state(), v1::Rollout::COMPLETED);
}

TEST_F(ControllerTest, VerifySeesWhatAStrangerIsServed) {
  Configure(2);
  ASSERT_THAT(Import(Make()), IsOk());
  ASSERT_THAT(Apply(), IsOk());
  transport_.Node("web-2").SetServedToController(kName, std::string(64, 'a'));
  absl::StatusOr<v1::VerifyResponse> response = controller_->Verify({});
  ASSERT_THAT(response, IsOk());
  ASSERT_EQ(response->endpoints_size(), 2);
  EXPECT_TRUE(response->endpoints(0).ok());
  EXPECT_EQ(response->endpoints(0).address(), "web-1:443");
  EXPECT_EQ(response->endpoints(0).ip_address(), "192.0.2.1:443");
  EXPECT_EQ(response->endpoints(0).server_name(), "www.example.com");
  EXPECT_FALSE(response->endpoints(1).ok());
  EXPECT_EQ(response->endpoints(1).served_sha256(), std::string(64, 'a'));
  EXPECT_EQ(response->converged(), 1);
  EXPECT_EQ(response->total(), 2);
  ASSERT_EQ(response->certificates_size(), 1);
  EXPECT_EQ(response->certificates(0).generation(), 1u);
  EXPECT_EQ(response->certificates(0).converged(), 1);
  EXPECT_EQ(response->certificates(0).total(), 2);
}

TEST_F(ControllerTest, VerifyNeedsNoAgentNoLeaseAndNoKeyAndSaysHowFarItIs) {
  Configure(30);
  ASSERT_THAT(Import(Make()), IsOk());
  const absl::StatusOr<std::unique_ptr<Lease>> taken = store_.TakeLease("another controller");
  ASSERT_THAT(taken, IsOk());
  ASSERT_EQ(unlink((directory_.path() + "/master.key").c_str()), 0);
  machine_.make_transport = nullptr;
  std::vector<v1::ApplyEvent::Progress> told;
  const absl::StatusOr<v1::VerifyResponse> response =
      controller_->Verify({}, [&](const v1::ApplyEvent::Progress& progress) { told.push_back(progress); });
  ASSERT_THAT(response, IsOk());
  EXPECT_EQ(response->total(), 30);
  EXPECT_EQ(response->converged(), 0);
  ASSERT_EQ(told.size(), 31u);
  EXPECT_EQ(told.front().phase(), v1::ApplyEvent::Progress::LOOKING);
  EXPECT_EQ(told.front().size(), 30);
  EXPECT_EQ(told.back().failed(), 30);
  EXPECT_EQ(told.back().failing_size(), 20);
  EXPECT_EQ(told.back().failing(0), "web-1");
}

TEST_F(ControllerTest, VerifyRefusesATimeoutThatIsNone) {
  Configure(1);
  v1::VerifyRequest request;
  request.mutable_timeout();
  EXPECT_THAT(controller_->Verify(request).status(), HasCode(absl::StatusCode::kInvalidArgument));
}

TEST_F(ControllerTest, AnExpiredCertificateIsNotFineThoughEveryNodeServesIt) {
  Configure(1);
  ASSERT_THAT(Import(ca_.Issue({.dns_names = {"www.example.com"}, .not_after = clock_.Now() + absl::Hours(24)})),
              IsOk());
  ASSERT_THAT(Apply(), IsOk());
  EXPECT_EQ(Status().converged(), 1);
  clock_.Advance(absl::Hours(25));
  const v1::StatusResponse status = Status();
  EXPECT_EQ(status.converged(), 0);
  EXPECT_EQ(status.nodes(0).state(), NodeState::FAILED);
  EXPECT_EQ(status.nodes(0).reason(), Reason::EXPIRED);
  absl::StatusOr<v1::ApplyResponse> response = Apply();
  ASSERT_THAT(response, IsOk());
  EXPECT_EQ(response->certificates(0).failure().reason(), Reason::EXPIRED);
  EXPECT_EQ(response->rollouts_size(), 0);
}

TEST_F(ControllerTest, StatusIsAnsweredAlsoWhenItCantBeSaved) {
  Configure(1);
  ASSERT_THAT(Import(Make()), IsOk());
  ASSERT_THAT(Apply(), IsOk());
  store_.FailCommitsAfter(0, Fail(Reason::NO_SPACE, "the disk is full"));
  const v1::StatusResponse status = Status();
  EXPECT_EQ(status.converged(), 1);
  EXPECT_THAT(status.warnings(), ::testing::ElementsAre(HasSubstr("the disk is full")));
}

TEST_F(ControllerTest, ANodeWhoseClockCantBeRightIsSaid) {
  Configure(2);
  ASSERT_THAT(Import(Make()), IsOk());
  ASSERT_THAT(Apply(), IsOk());
  transport_.Node("web-2").SetClockFailure(
      FailureOf(Fail(Reason::CLOCK_SUSPICIOUS, "this machine's clock says 2040", "set the clock")));
  // It goes on serving.
  const v1::StatusResponse status = Status();
  EXPECT_EQ(status.converged(), 2);
  EXPECT_THAT(status.warnings(),
              ::testing::ElementsAre("node web-2 installs nothing: CLOCK_SUSPICIOUS: this machine's clock says 2040 "
                                     "(set the clock)"));
  absl::StatusOr<v1::DoctorResponse> response = controller_->Doctor();
  ASSERT_THAT(response, IsOk());
  std::vector<std::string> problems;
  for (const auto& check : response->checks()) {
    if (check.result() != v1::DoctorResponse::Check::PROBLEM || check.name() != "node web-2") continue;
    problems.push_back(absl::StrCat(check.detail(), " / ", check.hint()));
  }
  EXPECT_THAT(problems, ::testing::Contains("CLOCK_SUSPICIOUS: this machine's clock says 2040 / set the clock"));
}

TEST_F(ControllerTest, ANodeIsSignedUnderItsConfiguredNameAlone) {
  Configure(1);
  absl::StatusOr<PrivateKey> key = PrivateKey::Generate(KeyType::kEcdsaP256);
  ASSERT_THAT(key, IsOk());
  v1::SignNodeRequest request;
  request.set_name("web-1");
  request.set_csr_pem(CsrDerToPem(*MakeCsr(*key, {"web-9.example.com"})));
  absl::StatusOr<v1::SignNodeResponse> signed_node = controller_->SignNode(request);
  ASSERT_THAT(signed_node, IsOk());
  absl::StatusOr<v1::ListNodesResponse> nodes = controller_->ListNodes({});
  ASSERT_THAT(nodes, IsOk());
  EXPECT_TRUE(nodes->nodes(0).enrolled());

  request.set_name("web-9");
  EXPECT_THAT(controller_->SignNode(request), HasCode(absl::StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace certcast::controller
