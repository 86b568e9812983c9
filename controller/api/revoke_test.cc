#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/clock/timestamp.h"
#include "common/status/status.h"
#include "common/x509/certificate.h"
#include "controller/acme/issuer.h"
#include "controller/api/acme_fixture.h"
#include "controller/keyring/purposes.h"
#include "controller/store/records.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/fake_sealer.h"
#include "tests/testing/memory_store.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/test_ca.h"

namespace certcast::controller {
namespace {

using ::testing::AllOf;
using testing::CommandKind;
using testing::FakeAcmeServer;
using testing::FakeHttpClient;
using testing::FakeSealer;
using testing::Fault;
using testing::HasCode;
using testing::HasReason;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::IsOk;
using testing::MemoryStore;
using ::testing::SizeIs;
using Holder = v1::Holder;
using Kind = Mortality::Kind;

v1::RevokeRequest Request(uint64_t generation, const std::string& reason = "superseded") {
  v1::RevokeRequest request;
  request.set_certificate(AcmeWorld::kName);
  request.set_generation(generation);
  request.set_reason(reason);
  return request;
}

v1::RevokeRequest Forced(uint64_t generation) {
  v1::RevokeRequest request = Request(generation);
  request.set_force(true);
  return request;
}

// Generation 2 is served everywhere, 1 was before.
class RevokeGenerationTest : public ::testing::Test, public AcmeWorld {
 protected:
  void SetUp() override {
    ASSERT_THAT(Apply(), IsOk());
    ASSERT_THAT(Apply(/*force_renewal=*/true), IsOk());
    ASSERT_EQ(Status().converged(), 3);
  }

  std::string Holders(const absl::StatusOr<v1::RevokeResponse>& response) {
    EXPECT_THAT(response, IsOk());
    std::string text;
    if (!response.ok()) return text;
    for (const Holder& holder : response->holders()) {
      absl::StrAppend(&text, holder.node(), holder.address().empty() ? "" : "@" + holder.address(), " ",
                      Holder::Kind_Name(holder.kind()), " ", holder.generation(), "\n");
    }
    return text;
  }
};

TEST_F(RevokeGenerationTest, OneThatNoNodeHasIsRevokedOnce) {
  const auto response = controller->Revoke(Request(1));
  ASSERT_THAT(response, IsOk());
  EXPECT_TRUE(response->revoked());
  EXPECT_FALSE(response->already_revoked());
  EXPECT_EQ(response->reason(), "superseded");
  EXPECT_EQ(response->leaf_sha256(), Leaf(1));
  EXPECT_THAT(response->holders(), IsEmpty());
  EXPECT_EQ(RevokedFor(1), 4);
  EXPECT_EQ(ShownState(1), "REVOKED");
  EXPECT_EQ(ShownState(2), "WANTED");
  EXPECT_EQ(Status().converged(), 3);

  clock.Advance(absl::Hours(1));
  const int exchanges = http.exchanges();
  const auto again = controller->Revoke(Request(1, "keyCompromise"));
  ASSERT_THAT(again, IsOk());
  EXPECT_TRUE(again->already_revoked());
  EXPECT_EQ(again->reason(), "superseded");
  EXPECT_EQ(again->revoked_at().seconds(), response->revoked_at().seconds());
  EXPECT_EQ(http.exchanges(), exchanges);
}

TEST_F(RevokeGenerationTest, WhileNodesServeItNothingIsAskedOfTheCa) {
  const int exchanges = http.exchanges();
  const auto response = controller->Revoke(Request(2));
  EXPECT_EQ(Holders(response), "web-1 SERVES 2\nweb-2 SERVES 2\nweb-3 SERVES 2\nweb-1@web-1:443 SERVES 2\n");
  EXPECT_FALSE(response->revoked());
  EXPECT_EQ(http.exchanges(), exchanges);
  EXPECT_EQ(ShownState(2), "WANTED");
}

TEST_F(RevokeGenerationTest, TheLatestIsMeantWhenNoneIsNamed) {
  const auto response = controller->Revoke(Request(0));
  ASSERT_THAT(response, IsOk());
  EXPECT_EQ(response->generation(), 2u);
}

TEST_F(RevokeGenerationTest, AnUnreachableNodeMayServeIt) {
  transport.Node("web-2").SetReachable(WithHint(Fail(Reason::NO_ROUTE, "web-2: connection refused"), "is it up?"));
  const auto response = controller->Revoke(Request(1));
  EXPECT_EQ(Holders(response), "web-2 UNKNOWN 0\n");
  EXPECT_FALSE(response->revoked());
  EXPECT_EQ(response->holders(0).detail(), "NO_ROUTE: web-2: connection refused (is it up?)");

  EXPECT_TRUE(controller->Revoke(Forced(1))->revoked());
  EXPECT_EQ(RevokedFor(1), 4);
}

TEST_F(RevokeGenerationTest, AnEndpointThatStillServesItOrDoesNotAnswerCounts) {
  transport.Node("web-1").SetServedToController(kName, Leaf(1));
  EXPECT_EQ(Holders(controller->Revoke(Request(1))), "web-1@web-1:443 SERVES 1\n");
  prober.Otherwise([](const ProbeSpec&) { return testing::FakeProber::Fails("connection refused"); });
  const auto response = controller->Revoke(Request(1));
  EXPECT_EQ(Holders(response), "web-1@web-1:443 UNKNOWN 0\n");
  EXPECT_EQ(response->holders(0).detail(), "connection refused");
}

TEST_F(RevokeGenerationTest, AServiceThatWasRestartedWithOldFilesCounts) {
  transport.Node("web-3").SetServed(kName, Leaf(1));
  EXPECT_EQ(Holders(controller->Revoke(Request(1))), "web-3 SERVES 1\n");
}

TEST_F(RevokeGenerationTest, ANodeThatTheConfigurationNoLongerGivesItToIsAskedToo) {
  Configure("[web-1, web-2]");
  transport.Node("web-3").SetServed(kName, Leaf(1));
  EXPECT_EQ(Holders(controller->Revoke(Request(1))), "web-3 SERVES 1\n");
}

TEST_F(RevokeGenerationTest, ANodeThatWouldGoBackToItCounts) {
  // The controller ends between Install and Confirm: the node goes back when its time is over.
  bool seen = false;
  for (int at = 4; at < 9 && !seen; ++at) {
    AcmeWorld world;
    ASSERT_THAT(world.Apply(), IsOk());
    world.mortality.DieAt(Kind::kCommand, at, /*after=*/false);
    (void)world.Apply(/*force_renewal=*/true);
    ASSERT_TRUE(world.mortality.dead());
    world.mortality.Live();
    seen = absl::StrContains(Holders(world.controller->Revoke(Request(1))), "RETURNS 1");
  }
  EXPECT_TRUE(seen);
}

TEST_F(RevokeGenerationTest, AfterForceTheNextOneIsDueAndTheRevokedOneIsNotCalledConverged) {
  ASSERT_THAT(controller->Revoke(Forced(2)), IsOk());
  v1::StatusResponse status = Status();
  EXPECT_EQ(status.converged(), 0);
  EXPECT_EQ(status.nodes(0).state(), v1::StatusResponse::Node::FAILED);
  EXPECT_EQ(status.nodes(0).reason(), Reason::REVOKED);
  EXPECT_EQ(ShownState(2), "REVOKED");
  EXPECT_THAT(status.certificates(0).renew_reason(), HasSubstr("revoked on"));
  EXPECT_LE(FromTimestamp(status.certificates(0).renew_at()), clock.Now());

  const auto applied = Apply();
  ASSERT_THAT(applied, IsOk());
  EXPECT_TRUE(applied->certificates(0).issued());
  EXPECT_THAT(applied->certificates(0).renew_reason(), HasSubstr("revoked on"));
  status = Status();
  EXPECT_EQ(status.converged(), 3);
  EXPECT_EQ(status.certificates(0).renew_reason(), "");
  EXPECT_GT(FromTimestamp(status.certificates(0).renew_at()), clock.Now());
  EXPECT_EQ(Served("web-2"), Leaf(3));
}

TEST_F(RevokeGenerationTest, ARevokedGenerationReachesNoNodeWhileTheNextCantBeObtained) {
  Configure("[web-1, web-2]");
  v1::RevokeRequest request = Forced(2);
  ASSERT_TRUE(controller->Revoke(request)->revoked());
  Configure("all");
  transport.Node("web-3").Preinstall(kName, 1, Leaf(1));
  ca.AnswerOnce("new-order", FakeAcmeServer::ProblemAnswer(403, "rejectedIdentifier", "not today"));
  const auto applied = Apply();
  ASSERT_THAT(applied, IsOk());
  EXPECT_THAT(applied->rollouts(), IsEmpty());
  EXPECT_EQ(applied->certificates(0).failure().reason(), Reason::CA_REFUSED);
  EXPECT_EQ(Served("web-3"), Leaf(1));
}

TEST_F(RevokeGenerationTest, ADryRunPlansNoRolloutOfARevokedGeneration) {
  more_certificates = "  - {name: ev, domains: [www.example.com], nodes: [web-2]}\n";
  Configure("[web-1]");
  const testing::IssuedCertificate issued =
      testing::TestCa::Root().Intermediate().Issue({.dns_names = {"www.example.com"}});
  v1::ImportRequest import;
  import.set_certificate("ev");
  import.set_fullchain_pem(issued.fullchain_pem);
  import.set_private_key_pem(std::string(issued.key_pem.ExposeSecret()));
  ASSERT_THAT(controller->Import(import), IsOk());
  v1::ApplyRequest dry;
  dry.set_dry_run(true);
  EXPECT_THAT(controller->Apply(dry, OnProgressHere(), stop)->rollouts(), SizeIs(1));
  ASSERT_THAT(GenerationRecords(store).MarkRevoked("ev", 1, clock.Now(), 0), IsOk());
  EXPECT_THAT(controller->Apply(dry, OnProgressHere(), stop)->rollouts(), IsEmpty());
  const auto applied = Apply();
  ASSERT_THAT(applied, IsOk());
  EXPECT_THAT(applied->rollouts(), IsEmpty());
  EXPECT_EQ(applied->certificates(1).failure().reason(), Reason::REVOKED);
  EXPECT_THAT(applied->certificates(1).renew_reason(), HasSubstr("certcast import"));
}

TEST_F(RevokeGenerationTest, ARolloutOfARevokedGenerationEndsWhereItIs) {
  mortality.DieAt(Kind::kCommand, 5, /*after=*/false);
  (void)Apply(/*force_renewal=*/true);
  ASSERT_TRUE(mortality.dead());
  mortality.Live();
  ASSERT_EQ(Generations().size(), 3u);
  ASSERT_TRUE(controller->Revoke(Forced(3))->revoked());
  texts.clear();
  const auto applied = Apply();
  ASSERT_THAT(applied, IsOk());
  EXPECT_THAT(Texts(), HasSubstr("ends here: generation 3 is revoked"));
  EXPECT_EQ(applied->rollouts(0).state(), v1::Rollout::COMPLETED) << applied->DebugString();
  EXPECT_EQ(Status().converged(), 3);
  EXPECT_EQ(Served("web-1"), Leaf(4));
}

TEST_F(RevokeGenerationTest, AHaltDoesNotPutNodesBackToARevokedGeneration) {
  ASSERT_TRUE(controller->Revoke(Forced(2))->revoked());
  // The last of them fails; the others have changed by then.
  Configure("all", R"({waves: ["1", "2", "100%"], parallel: 1})");
  int installs = 0;
  transport.SetOnCommand([&](const std::string& node, const v1::Command& command) {
    if (testing::KindOf(command) != CommandKind::kInstall || ++installs != 3) return;
    transport.Node(node).Inject(CommandKind::kInstall, Fault::Result(v1::Outcome::REVERTED, Reason::PROBE_FAILED));
  });
  texts.clear();
  const auto applied = Apply();
  ASSERT_THAT(applied, IsOk());
  ASSERT_THAT(applied->rollouts(), SizeIs(1));
  EXPECT_EQ(applied->rollouts(0).state(), v1::Rollout::HALTED);
  EXPECT_THAT(Texts(), AllOf(HasSubstr("a halt will not put nodes back: node web-"),
                             HasSubstr("would go back to generation 2, which is revoked")));
  EXPECT_EQ(std::count_if(applied->rollouts(0).nodes().begin(), applied->rollouts(0).nodes().end(),
                          [](const auto& node) { return node.outcome() == v1::Outcome::INSTALLED; }),
            2);
}

TEST_F(RevokeGenerationTest, AnAbortDoesNotEither) {
  ASSERT_TRUE(controller->Revoke(Forced(2))->revoked());
  Configure("all", R"({waves: ["1", "2", "100%"], parallel: 1})");
  int installs = 0;
  transport.SetOnCommand([&](const std::string&, const v1::Command& command) {
    if (testing::KindOf(command) != CommandKind::kInstall || ++installs != 2) return;
    v1::ChangeRolloutRequest request;
    request.set_action(v1::ChangeRolloutRequest::ABORT);
    request.set_on_halt(v1::ChangeRolloutRequest::REVERT);
    request.mutable_by()->set_user("alice");
    const auto asked = controller->ChangeRollout(request, OnProgressHere(), stop);
    ASSERT_THAT(asked, IsOk());
    EXPECT_TRUE(asked->pending());
  });
  texts.clear();
  const auto applied = Apply();
  ASSERT_THAT(applied, IsOk());
  EXPECT_EQ(applied->rollouts(0).state(), v1::Rollout::HALTED);
  EXPECT_THAT(Texts(), AllOf(HasSubstr("halted: aborted by alice"), HasSubstr("nodes are not put back: node web-")));
  EXPECT_THAT(transport.NodesThatGot(CommandKind::kRevert), IsEmpty());
}

TEST_F(RevokeGenerationTest, UndoDoesNotLeadBackToARevokedGeneration) {
  ASSERT_TRUE(controller->Revoke(Request(1))->revoked());
  v1::ChangeRolloutRequest request;
  request.set_action(v1::ChangeRolloutRequest::UNDO);
  const auto undone = controller->ChangeRollout(request, OnProgressHere(), stop);
  EXPECT_THAT(undone, HasReason(Reason::REVOKED, HasSubstr("would go back to generation 1, which is revoked")));
  EXPECT_THAT(transport.NodesThatGot(CommandKind::kRevert), IsEmpty());
  EXPECT_EQ(Status().converged(), 3);
}

TEST_F(RevokeGenerationTest, ARevokedGenerationIsNotResumedByHand) {
  transport.SetOnCommand([this](const std::string&, const v1::Command& command) {
    if (testing::KindOf(command) == CommandKind::kInstall) stop = true;
  });
  EXPECT_FALSE(Apply(/*force_renewal=*/true).ok());
  transport.SetOnCommand(nullptr);
  stop = false;
  ASSERT_TRUE(controller->Revoke(Forced(3))->revoked());
  v1::ChangeRolloutRequest request;
  request.set_action(v1::ChangeRolloutRequest::RESUME);
  const size_t installs = transport.NodesThatGot(CommandKind::kInstall).size();
  const auto resumed = controller->ChangeRollout(request, OnProgressHere(), stop);
  EXPECT_THAT(resumed, HasReason(Reason::REVOKED, HasSubstr("is not gone on with: generation 3 is revoked")));
  EXPECT_EQ(transport.NodesThatGot(CommandKind::kInstall).size(), installs);
}

TEST_F(RevokeGenerationTest, WithoutAnAnswerItIsPerhapsRevokedUntilTheNextRunFinishesIt) {
  const int before = http.exchanges();
  for (int i = 2; i < 20; ++i)
    http.FailAt(before + i, FakeHttpClient::Fault::kAnswerLost, Fail(Reason::LINK_LOST, "reset"));
  const auto lost = controller->Revoke(Request(1));
  EXPECT_THAT(lost, HasReason(Reason::LINK_LOST, HasSubstr("may have revoked it")));
  EXPECT_THAT(FailureOf(lost.status()).hint(), HasSubstr("same command again"));
  EXPECT_EQ(ShownState(1), "REVOKING");
  for (int i = 2; i < 20; ++i) http.FailAt(before + i, FakeHttpClient::Fault::kAnswerLost, absl::OkStatus());
  const auto response = controller->Revoke(Request(1));
  ASSERT_THAT(response, IsOk());
  EXPECT_TRUE(response->revoked());
  EXPECT_EQ(ShownState(1), "REVOKED");
}

TEST_F(RevokeGenerationTest, WhatTheCaRefusesIsShownAndNotRevoked) {
  const auto refused = controller->Revoke(Request(1, "certificateHold"));
  EXPECT_THAT(refused, HasReason(Reason::CA_REFUSED, HasSubstr("badRevocationReason")));
  EXPECT_EQ(ShownState(1), "SUPERSEDED");
  EXPECT_EQ(Status().converged(), 3);
}

TEST_F(RevokeGenerationTest, ThatTheCaCantBeReachedChangesNothing) {
  http.FailAt(http.exchanges() + 1, FakeHttpClient::Fault::kRequestLost, Fail(Reason::NO_ROUTE, "refused"));
  http.FailAt(http.exchanges() + 2, FakeHttpClient::Fault::kRequestLost, Fail(Reason::NO_ROUTE, "refused"));
  http.FailAt(http.exchanges() + 3, FakeHttpClient::Fault::kRequestLost, Fail(Reason::NO_ROUTE, "refused"));
  EXPECT_THAT(controller->Revoke(Request(1)), HasReason(Reason::NO_ROUTE));
  EXPECT_EQ(ShownState(1), "SUPERSEDED");
}

TEST_F(RevokeGenerationTest, KilledAnywhereTheSecondRunFinishesItAndOneRevocationIsMade) {
  int points = 0;
  for (const Kind kind : {Kind::kExchange, Kind::kCommit}) {
    for (const bool after : {false, true}) {
      for (int at = 1;; ++at) {
        AcmeWorld world;
        ASSERT_THAT(world.Apply(), IsOk());
        ASSERT_THAT(world.Apply(/*force_renewal=*/true), IsOk());
        world.mortality.DieAt(kind, at, after);
        const bool done = world.controller->Revoke(Request(1)).ok();
        const bool died = world.mortality.dead();
        world.mortality.Live();
        ASSERT_NE(done, died) << at;
        if (!died) break;
        ++points;
        // Whatever the CA knows, certcast does not take it for good.
        const bool ca_revoked = world.RevokedFor(1).has_value();
        EXPECT_FALSE(ca_revoked && world.ShownState(1) == "SUPERSEDED") << at;
        ASSERT_THAT(world.controller->Revoke(Request(1)), IsOk()) << at;
        EXPECT_EQ(world.RevokedFor(1), 4);
        EXPECT_THAT(world.ca.revocations(), SizeIs(1));
        EXPECT_EQ(world.ShownState(1), "REVOKED");
      }
    }
  }
  // Directory, nonce, request; asked for, done.
  EXPECT_GE(points, 8);
}

// --- Files and wrong input.

TEST_F(RevokeGenerationTest, AFileThatIsAGenerationIsThatGeneration) {
  v1::RevokeRequest request = Request(0);
  request.set_certificate_pem(Generations()[0].fullchain_pem());
  const auto response = controller->Revoke(request);
  ASSERT_THAT(response, IsOk());
  EXPECT_EQ(response->generation(), 1u);
  EXPECT_EQ(ShownState(1), "REVOKED");
}

// A request for what another client obtained from that account's CA, and its key.
struct Theirs {
  v1::RevokeRequest request;
  std::string key_pem;
};
Theirs ObtainElsewhere(AcmeWorld& world, size_t account) {
  MemoryStore their_store;
  FakeSealer sealer;
  const absl::StatusOr<Config> config = world.ReadBack();
  EXPECT_THAT(config, IsOk());
  Issuer issuer(world.http, world.dns, world.processes, world.clock, their_store, sealer);
  const auto issued =
      issuer.Issue(config->certificates[0], config->accounts.at(account), /*epoch=*/0, [](absl::string_view) {});
  EXPECT_THAT(issued, IsOk());
  Theirs theirs{.request = Request(0, "keyCompromise")};
  theirs.request.set_certificate_pem(issued->fullchain_pem());
  theirs.key_pem =
      std::string(sealer.Open(GenerationKeyPurpose(AcmeWorld::kName, 1), issued->private_key())->ExposeSecret());
  return theirs;
}

TEST_F(RevokeGenerationTest, AFileOfAnotherAccountNeedsItsKey) {
  auto [request, key_pem] = ObtainElsewhere(*this, 0);
  const auto refused = controller->Revoke(request);
  EXPECT_THAT(refused, HasReason(Reason::CA_REFUSED, HasSubstr("unauthorized")));
  EXPECT_THAT(FailureOf(refused.status()).hint(), HasSubstr("--key FILE"));

  request.set_private_key_pem(key_pem);
  const auto response = controller->Revoke(request);
  ASSERT_THAT(response, IsOk());
  EXPECT_TRUE(response->revoked());
  EXPECT_EQ(response->generation(), 0u);
  EXPECT_THAT(ca.revocations(), SizeIs(1));
  EXPECT_TRUE(controller->Revoke(request)->already_revoked());
  // None of ours.
  EXPECT_EQ(ShownState(2), "WANTED");
}

// Two CAs.
class RevokeAtTheRightCaTest : public RevokeGenerationTest {
 protected:
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(RevokeGenerationTest::SetUp());
    second_.set_origin("https://second.test");
    other_ca = &second_;
    more_accounts = absl::StrCat("  - {name: second, directory: \"", second_.directory_url(),
                                 "\", terms_of_service_agreed: true}\n");
    more_certificates = absl::StrCat(
        "  - {name: mail, account: second, domains: [mail.example.com], nodes: [web-3], challenge: {type: dns-01, "
        "solver: exec, exec: {command: [/hook]}, propagation: {resolvers: [\"",
        kDnsServer, "\"]}}}\n");
    Configure();
  }

  // Of an issuer that is known from then on.
  void ObtainMail() {
    v1::IssueRequest request;
    request.set_certificate("mail");
    const auto issued = controller->Issue(request, OnProgressHere());
    ASSERT_THAT(issued, IsOk());
    ASSERT_TRUE(issued->certificates(0).issued()) << issued->ShortDebugString();
  }

  FakeAcmeServer second_{clock, [this](const std::string& fqdn) { return hook.Txt(fqdn); }};
};

TEST_F(RevokeAtTheRightCaTest, AFileIsItsIssuersAffairWhicheverCertificateIsNamed) {
  ASSERT_NO_FATAL_FAILURE(ObtainMail());
  auto [request, key_pem] = ObtainElsewhere(*this, 1);
  request.set_private_key_pem(key_pem);
  const auto response = controller->Revoke(request);
  ASSERT_THAT(response, IsOk());
  EXPECT_TRUE(response->revoked());
  EXPECT_EQ(response->account(), "second");
  EXPECT_THAT(second_.revocations(), SizeIs(1));
  EXPECT_THAT(ca.revocations(), IsEmpty());
}

TEST_F(RevokeAtTheRightCaTest, AnIssuerThatNobodyKnowsIsToBeNamed) {
  const testing::IssuedCertificate found = testing::TestCa::Root("Some CA").Issue({.dns_names = {"www.example.com"}});
  v1::RevokeRequest request = Request(0);
  request.set_certificate_pem(found.fullchain_pem);
  const auto refused = controller->Revoke(request);
  EXPECT_THAT(refused, HasCode(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("nothing was obtained yet from `Some CA`"));
  EXPECT_THAT(FailureOf(refused.status()).hint(), HasSubstr("--account NAME says which: ca, second"));
  EXPECT_THAT(second_.revocations(), IsEmpty());

  request.set_account("third");
  EXPECT_THAT(controller->Revoke(request), HasCode(absl::StatusCode::kInvalidArgument));
  request.set_account("second");
  EXPECT_THAT(controller->Revoke(request), HasReason(Reason::CA_REFUSED)) << "it is asked, and did not issue it";
}

TEST_F(RevokeAtTheRightCaTest, AGenerationsAccountIsNotTheOperatorsToChoose) {
  v1::RevokeRequest request = Request(1);
  request.set_account("second");
  const auto refused = controller->Revoke(request);
  EXPECT_THAT(refused, HasCode(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("was obtained from the account `ca`"));
  request.set_account("ca");
  EXPECT_TRUE(controller->Revoke(request)->revoked());
}

TEST_F(RevokeAtTheRightCaTest, AnImportedOneIsRevokedByItsOwnKeyWhereItsCaIsKnown) {
  ASSERT_NO_FATAL_FAILURE(ObtainMail());
  const Theirs theirs = ObtainElsewhere(*this, 1);
  more_certificates += "  - {name: ev, domains: [\"*.example.com\"], nodes: [web-1]}\n";
  Configure();
  v1::ImportRequest import;
  import.set_certificate("ev");
  import.set_fullchain_pem(theirs.request.certificate_pem());
  import.set_private_key_pem(theirs.key_pem);
  ASSERT_THAT(controller->Import(import), IsOk());
  v1::RevokeRequest request = Request(1);
  request.set_certificate("ev");
  const auto response = controller->Revoke(request);
  ASSERT_THAT(response, IsOk());
  EXPECT_TRUE(response->revoked());
  EXPECT_EQ(response->account(), "second");
  ASSERT_THAT(second_.revocations(), SizeIs(1));
  EXPECT_TRUE(second_.revocations()[0].by_certificate_key);
}

TEST_F(RevokeGenerationTest, AFileThatIsServedIsNotRevoked) {
  const testing::IssuedCertificate old = testing::TestCa::Root().Issue({.dns_names = {"www.example.com"}});
  transport.Node("web-1").SetServed(kName, old.certificate.sha256());
  v1::RevokeRequest request = Request(0);
  request.set_certificate_pem(old.fullchain_pem);
  EXPECT_EQ(Holders(controller->Revoke(request)), "web-1 SERVES 0\nweb-1@web-1:443 SERVES 0\n");
}

TEST_F(RevokeGenerationTest, AKeyThatIsNotTheFilesIsRefused) {
  v1::RevokeRequest request = Request(0);
  request.set_certificate_pem(Generations()[0].fullchain_pem());
  request.set_private_key_pem(
      std::string(testing::TestCa::Root().Issue({.dns_names = {"a.example.com"}}).key_pem.ExposeSecret()));
  EXPECT_THAT(controller->Revoke(request), HasReason(Reason::KEY_MISMATCH));
}

TEST_F(RevokeGenerationTest, WrongInputIsSaidBeforeAnybodyIsAsked) {
  const int opened = transport.opened();
  EXPECT_THAT(controller->Revoke(Request(1, "7")), HasCode(absl::StatusCode::kInvalidArgument));
  const auto unknown = controller->Revoke(Request(9));
  EXPECT_THAT(unknown, HasCode(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(FailureOf(unknown.status()).hint(), HasSubstr("1 to 2"));
  v1::RevokeRequest both = Request(1);
  both.set_certificate_pem("x");
  EXPECT_THAT(controller->Revoke(both), HasCode(absl::StatusCode::kInvalidArgument));
  v1::RevokeRequest key_alone = Request(0);
  key_alone.set_private_key_pem("x");
  EXPECT_THAT(controller->Revoke(key_alone), HasCode(absl::StatusCode::kInvalidArgument));
  EXPECT_EQ(transport.opened(), opened);
}

TEST_F(RevokeGenerationTest, AnImportedOneIsItsCasAffairAndThatIsSaid) {
  more_certificates = "  - {name: ev, domains: [www.example.com], nodes: [web-1]}\n";
  Configure();
  const testing::IssuedCertificate issued =
      testing::TestCa::Root().Intermediate().Issue({.dns_names = {"www.example.com"}});
  v1::ImportRequest import;
  import.set_certificate("ev");
  import.set_fullchain_pem(issued.fullchain_pem);
  import.set_private_key_pem(std::string(issued.key_pem.ExposeSecret()));
  ASSERT_THAT(controller->Import(import), IsOk());
  v1::RevokeRequest request = Request(1);
  request.set_certificate("ev");
  const auto refused = controller->Revoke(request);
  EXPECT_THAT(refused, HasCode(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("was imported"));
  EXPECT_THAT(FailureOf(refused.status()).hint(), HasSubstr(issued.certificate.sha256()));
  // Under another name it is found out.
  v1::RevokeRequest file = Request(0);
  file.set_certificate_pem(issued.fullchain_pem);
  const auto misnamed = controller->Revoke(file);
  EXPECT_THAT(misnamed, HasCode(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(FailureOf(misnamed.status()).hint(), HasSubstr("certcast revoke ev --generation 1"));
}

}  // namespace
}  // namespace certcast::controller
