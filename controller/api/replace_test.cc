#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/status/status.h"
#include "controller/api/acme_fixture.h"
#include "controller/store/records.h"
#include "controller/store/replacement_records.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace certcast::controller {
namespace {

using testing::CommandKind;
using ::testing::Contains;
using ::testing::ElementsAre;
using testing::FakeAcmeServer;
using testing::Fault;
using testing::HasCode;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::IsOk;
using ::testing::Not;
using ::testing::SizeIs;
using Kind = Mortality::Kind;
using Response = v1::ReplaceResponse;

// Generation 1 is served everywhere. Whenever the CA is asked to revoke something, no node may serve it any more,
// unless `forced`.
class ReplaceWorld : public AcmeWorld {
 public:
  ReplaceWorld() {
    EXPECT_THAT(Apply(), IsOk());
    old_ = Leaf(1);
    on_request = [this](const HttpRequest& request) {
      if (!absl::StrContains(request.url, "revoke-cert") || forced) return;
      for (const char* node : {"web-1", "web-2", "web-3"}) too_early |= Served(node) == old_;
    };
  }

  absl::StatusOr<Response> Replace(bool force = false, uint64_t generation = 0) {
    v1::ReplaceRequest request;
    request.set_certificate(kName);
    request.set_compromised(true);
    request.set_force(force);
    request.set_generation(generation);
    return controller->Replace(request, OnProgressHere(), stop);
  }
  Response::Phase PhaseOf(const absl::StatusOr<Response>& response) {
    EXPECT_THAT(response, IsOk());
    return response.ok() ? response->phase() : Response::PHASE_UNSPECIFIED;
  }
  bool Done() {
    const auto record = *ReplacementRecords(store).Get(kName);
    return record.has_value() && record->phase() == state::v1::Replacement::DONE;
  }
  bool HasOrder() { return OrderRecords(store).Get(kName)->has_value(); }

  bool too_early = false;
  bool forced = false;

 private:
  std::string old_;
};

class ReplaceTest : public ::testing::Test, public ReplaceWorld {
 protected:
  void TearDown() override { EXPECT_FALSE(too_early) << "revoked while a node served it"; }
};

TEST_F(ReplaceTest, ANewKeyEverywhereThenTheOldOneIsRevoked) {
  const auto response = Replace();
  ASSERT_EQ(PhaseOf(response), Response::DONE);
  EXPECT_EQ(response->certificate().generation(), 2u);
  EXPECT_TRUE(response->certificate().issued());
  ASSERT_THAT(response->rollouts(), SizeIs(1));
  EXPECT_EQ(response->rollouts(0).state(), v1::Rollout::COMPLETED);
  EXPECT_EQ(response->converged(), 3);
  EXPECT_EQ(response->total(), 3);
  EXPECT_EQ(response->endpoints_ok(), 1);
  ASSERT_THAT(response->revocations(), SizeIs(1));
  EXPECT_TRUE(response->revocations(0).revoked());
  EXPECT_EQ(response->revocations(0).generation(), 1u);
  EXPECT_EQ(RevokedFor(1), 1);
  EXPECT_EQ(RevokedFor(2), std::nullopt);
  EXPECT_EQ(Status().converged(), 3);
  EXPECT_THAT(Status().warnings(), IsEmpty());
  const auto generations = Generations();
  EXPECT_NE(generations[0].spki_sha256(), generations[1].spki_sha256());
}

TEST_F(ReplaceTest, WhileANodeIsAwayNothingIsRevokedAndTheNextRunGoesOn) {
  transport.Node("web-2").SetReachable(Fail(Reason::NO_ROUTE, "web-2: connection refused"));
  auto response = Replace();
  ASSERT_EQ(PhaseOf(response), Response::ROLLING_OUT);
  EXPECT_EQ(response->rollouts(0).state(), v1::Rollout::INCOMPLETE);
  EXPECT_EQ(response->converged(), 2);
  ASSERT_THAT(response->nodes(), SizeIs(1));
  EXPECT_EQ(response->nodes(0).name(), "web-2");
  ASSERT_THAT(response->holders(), SizeIs(1));
  EXPECT_EQ(response->holders(0).kind(), v1::Holder::UNKNOWN);
  ASSERT_THAT(response->revocations(), SizeIs(1));
  EXPECT_FALSE(response->revocations(0).revoked());
  EXPECT_EQ(RevokedFor(1), std::nullopt);
  EXPECT_THAT(Status().warnings(), Contains(HasSubstr("certcast replace wildcard --compromised")));
  const auto applied = Apply();
  ASSERT_THAT(applied, IsOk());
  EXPECT_THAT(applied->warnings(), Contains(HasSubstr("replacement is not over (ROLLING_OUT)")));

  transport.Node("web-2").SetReachable(absl::OkStatus());
  texts.clear();
  response = Replace();
  EXPECT_EQ(PhaseOf(response), Response::DONE);
  EXPECT_THAT(Texts(), HasSubstr("going on with the replacement"));
  EXPECT_EQ(RevokedFor(1), 1);
  EXPECT_EQ(ca.issued(), 2);
  EXPECT_EQ(Apply()->warnings_size(), 0);
}

TEST_F(ReplaceTest, AGenerationThatCameMeanwhileIsWhatItGoesOnWith) {
  transport.Node("web-2").SetReachable(Fail(Reason::NO_ROUTE, "web-2: connection refused"));
  ASSERT_EQ(PhaseOf(Replace()), Response::ROLLING_OUT);
  ASSERT_THAT(Apply(/*force_renewal=*/true), IsOk());
  transport.Node("web-2").SetReachable(absl::OkStatus());
  texts.clear();
  const auto response = Replace();
  ASSERT_EQ(PhaseOf(response), Response::DONE);
  EXPECT_THAT(Texts(), HasSubstr("generation 3 has come since"));
  EXPECT_EQ(response->certificate().generation(), 3u);
  EXPECT_EQ(response->converged(), 3);
  EXPECT_EQ(RevokedFor(1), 1);
  EXPECT_EQ(RevokedFor(2), std::nullopt);
  EXPECT_EQ(ca.issued(), 3);
}

TEST_F(ReplaceTest, ForceRevokesAlthoughANodeIsAway) {
  forced = true;
  transport.Node("web-2").SetReachable(Fail(Reason::NO_ROUTE, "web-2: connection refused"));
  const auto response = Replace(/*force=*/true);
  ASSERT_EQ(PhaseOf(response), Response::DONE);
  EXPECT_EQ(response->converged(), 2);
  EXPECT_THAT(response->holders(), SizeIs(1));
  EXPECT_EQ(RevokedFor(1), 1);
}

TEST_F(ReplaceTest, AnEndpointThatStillServesTheOldOneHoldsUpTheRevocation) {
  ASSERT_EQ(PhaseOf(Replace()), Response::DONE);
  const auto first = Generations()[1].leaf_sha256();
  // Behind a load balancer that has not noticed: seen after the node was confirmed.
  int looks = 0;
  prober.Otherwise([&](const ProbeSpec&) { return testing::FakeProber::Serves(++looks == 1 ? Leaf(3) : first); });
  const auto response = Replace();
  ASSERT_EQ(PhaseOf(response), Response::ROLLING_OUT);
  EXPECT_EQ(response->converged(), 3);
  EXPECT_EQ(response->endpoints_ok(), 0);
  EXPECT_THAT(response->endpoints(), SizeIs(1));
  EXPECT_EQ(RevokedFor(2), std::nullopt);
}

TEST_F(ReplaceTest, AHaltPutsNodesBackAndRevokesNothingNotEvenByForce) {
  for (const char* node : {"web-1", "web-2", "web-3"}) {
    transport.Node(node).Inject(CommandKind::kInstall, Fault::Result(v1::Outcome::REVERTED, Reason::PROBE_FAILED),
                                testing::FakeNode::kAlways);
  }
  const auto halted = Replace(/*force=*/true);
  ASSERT_EQ(PhaseOf(halted), Response::ROLLING_OUT);
  EXPECT_EQ(halted->rollouts(0).state(), v1::Rollout::REVERTED);
  EXPECT_EQ(Served("web-1"), Leaf(1));
  EXPECT_THAT(ca.revocations(), IsEmpty());
}

TEST_F(ReplaceTest, APendingOrderIsForgottenWithItsKey) {
  ca.behaviour.processing_looks = 1'000'000;
  ASSERT_THAT(Apply(/*force_renewal=*/true), IsOk());
  ASSERT_TRUE(HasOrder());
  ca.behaviour.processing_looks = 0;
  ASSERT_EQ(PhaseOf(Replace()), Response::DONE);
  EXPECT_EQ(ca.orders(), 3);
  EXPECT_FALSE(HasOrder());
  EXPECT_THAT(Texts(), Not(HasSubstr("going on with the order")));
}

TEST_F(ReplaceTest, AnOrderThatTheCaIsStillAtWorkOnIsGoneOnWithByTheNextRun) {
  ca.behaviour.processing_looks = 100;
  const auto waiting = Replace();
  ASSERT_EQ(PhaseOf(waiting), Response::ISSUING);
  EXPECT_EQ(waiting->certificate().failure().reason(), Reason::ORDER_PENDING);
  EXPECT_THAT(waiting->rollouts(), IsEmpty());
  EXPECT_EQ(ca.orders(), 2);
  ASSERT_EQ(PhaseOf(Replace()), Response::DONE);
  EXPECT_EQ(ca.orders(), 2);
}

TEST_F(ReplaceTest, EveryGenerationWithThatKeyIsRevokedAndNoOther) {
  ASSERT_THAT(Apply(/*force_renewal=*/true), IsOk());
  ASSERT_THAT(Apply(/*force_renewal=*/true), IsOk());
  // As with a CA client that kept its key from 1 to 3.
  auto generations = Generations();
  generations[0].set_spki_sha256(generations[2].spki_sha256());
  Transaction change;
  change.writes.push_back({"certificates/wildcard/generations/1", generations[0].SerializeAsString()});
  ASSERT_THAT(store.Commit(change), IsOk());
  ASSERT_EQ(PhaseOf(Replace()), Response::DONE);
  EXPECT_EQ(RevokedFor(1), 1);
  EXPECT_EQ(RevokedFor(2), std::nullopt);
  EXPECT_EQ(RevokedFor(3), 1);
  EXPECT_EQ(RevokedFor(4), std::nullopt);
}

TEST_F(ReplaceTest, WhatExpiredIsNotAskedFor) {
  clock.Advance(absl::Hours(24 * 91));
  const auto response = Replace();
  ASSERT_EQ(PhaseOf(response), Response::DONE);
  EXPECT_THAT(response->revocations(), IsEmpty());
  EXPECT_THAT(ca.revocations(), IsEmpty());
}

TEST_F(ReplaceTest, WhatTheCaDoesNotRevokeIsLeftAndTheNextRunAsksAgain) {
  ca.behaviour.revocation_reasons = {0, 4};
  const auto refused = Replace();
  ASSERT_EQ(PhaseOf(refused), Response::REVOKING);
  ASSERT_THAT(refused->revocations(), SizeIs(1));
  EXPECT_EQ(refused->revocations(0).failure().reason(), Reason::CA_REFUSED);
  EXPECT_EQ(refused->converged(), 3);
  ca.behaviour.revocation_reasons = {1};
  const auto response = Replace();
  ASSERT_EQ(PhaseOf(response), Response::DONE);
  EXPECT_THAT(response->rollouts(), IsEmpty());
  EXPECT_EQ(ca.issued(), 2);
}

TEST_F(ReplaceTest, BetweenTwoRunsANodeWentBackSoNothingMoreIsRevoked) {
  ca.behaviour.revocation_reasons = {0, 4};
  ASSERT_EQ(PhaseOf(Replace()), Response::REVOKING);
  ca.behaviour.revocation_reasons = {1};
  transport.Node("web-3").SetServed(kName, Leaf(1));
  const auto response = Replace();
  ASSERT_EQ(PhaseOf(response), Response::ROLLING_OUT);
  EXPECT_EQ(response->holders(0).node(), "web-3");
  EXPECT_THAT(ca.revocations(), IsEmpty());
}

TEST_F(ReplaceTest, TheNewKeyIsOutAsWell) {
  transport.Node("web-2").SetReachable(Fail(Reason::NO_ROUTE, "refused"));
  ASSERT_EQ(PhaseOf(Replace()), Response::ROLLING_OUT);
  transport.Node("web-2").SetReachable(absl::OkStatus());
  const auto response = Replace(/*force=*/false, /*generation=*/2);
  ASSERT_EQ(PhaseOf(response), Response::DONE);
  EXPECT_EQ(response->certificate().generation(), 3u);
  EXPECT_EQ(RevokedFor(1), 1);
  EXPECT_EQ(RevokedFor(2), 1);
}

TEST_F(ReplaceTest, ARolloutOfTheOldKeyEndsWhereItIs) {
  mortality.DieAt(Kind::kCommand, 5, /*after=*/false);
  (void)Apply(/*force_renewal=*/true);
  ASSERT_TRUE(mortality.dead());
  mortality.Live();
  const auto old_installs = [this] {
    const auto events = transport.events();
    return std::count_if(events.begin(), events.end(), [](const testing::LinkEvent& event) {
      return event.kind == CommandKind::kInstall && event.generation == 2;
    });
  };
  const auto before = old_installs();
  const auto response = Replace();
  ASSERT_EQ(PhaseOf(response), Response::DONE) << response->DebugString();
  EXPECT_THAT(Texts(), HasSubstr("ends here: generation 3 replaces it, since a key is out"));
  EXPECT_EQ(old_installs(), before);
  EXPECT_EQ(RevokedFor(2), 1);
  EXPECT_EQ(RevokedFor(1), std::nullopt);
}

TEST_F(ReplaceTest, OnceDoneAnotherRunReplacesTheKeyAgain) {
  ASSERT_EQ(PhaseOf(Replace()), Response::DONE);
  const auto again = Replace();
  ASSERT_EQ(PhaseOf(again), Response::DONE);
  EXPECT_EQ(again->certificate().generation(), 3u);
  EXPECT_EQ(RevokedFor(2), 1);
}

TEST_F(ReplaceTest, StoppedInTheMiddleItGoesOn) {
  transport.SetOnCommand([this](const std::string&, const v1::Command& command) {
    if (testing::KindOf(command) == CommandKind::kInstall) stop = true;
  });
  EXPECT_THAT(Replace(), HasCode(absl::StatusCode::kCancelled));
  transport.SetOnCommand(nullptr);
  stop = false;
  EXPECT_EQ(PhaseOf(Replace()), Response::DONE);
  EXPECT_EQ(ca.issued(), 2);
}

TEST_F(ReplaceTest, WrongInputIsSaidBeforeAnythingIsSaved) {
  v1::ReplaceRequest request;
  request.set_certificate(kName);
  const auto unsaid = controller->Replace(request, OnProgressHere(), stop);
  EXPECT_THAT(unsaid, HasCode(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(FailureOf(unsaid.status()).hint(), HasSubstr("--force-renewal"));
  EXPECT_THAT(Replace(false, 9), HasCode(absl::StatusCode::kInvalidArgument));
  more_certificates = "  - {name: ev, domains: [www.example.com], nodes: [web-1]}\n";
  Configure();
  request.set_certificate("ev");
  request.set_compromised(true);
  const auto imported = controller->Replace(request, OnProgressHere(), stop);
  EXPECT_THAT(imported, HasCode(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(FailureOf(imported.status()).hint(), HasSubstr("certcast import"));
  EXPECT_FALSE((*ReplacementRecords(store).Get(kName)).has_value());
}

// --- The process is ended at each exchange with the CA, each write to the store and each command to a node.

void ExpectAllWell(ReplaceWorld& world, const std::string& where) {
  SCOPED_TRACE(where);
  EXPECT_FALSE(world.too_early);
  EXPECT_TRUE(world.Done());
  EXPECT_THAT(world.Generations(), SizeIs(2));
  EXPECT_EQ(world.ca.issued(), 2);
  for (const char* node : {"web-1", "web-2", "web-3"}) EXPECT_EQ(world.Served(node), world.Leaf(2)) << node;
  EXPECT_EQ(world.RevokedFor(1), 1);
  EXPECT_EQ(world.RevokedFor(2), std::nullopt);
  EXPECT_THAT(world.ca.revocations(), SizeIs(1));
  EXPECT_THAT(world.zone, IsEmpty());
  EXPECT_FALSE(world.HasOrder());
  EXPECT_EQ(world.Status().converged(), 3);
}

int KillAtEach(Kind kind, bool after) {
  for (int at = 1;; ++at) {
    ReplaceWorld world;
    const std::string where = absl::StrCat(after ? "after " : "before ", static_cast<int>(kind), " number ", at);
    world.mortality.DieAt(kind, at, after);
    const bool done = world.Replace().ok();
    const bool died = world.mortality.dead();
    world.mortality.Live();
    if (!died) {
      EXPECT_TRUE(done) << where;
      return at - 1;
    }
    // What was begun may take a run for what the crash left of a node, and one more.
    for (int runs = 0; runs < 3 && !world.Done(); ++runs) EXPECT_THAT(world.Replace(), IsOk()) << where;
    // The hook complains when it is to remove what it has removed already, and is believed at last.
    for (int runs = 0; runs < 10 && world.HasOrder(); ++runs) EXPECT_THAT(world.Apply(), IsOk()) << where;
    ExpectAllWell(world, where);
    if (::testing::Test::HasFailure()) return at;
  }
}

TEST(ReplaceCrash, BeforeEachExchangeWithTheCa) {
  EXPECT_GE(KillAtEach(Kind::kExchange, /*after=*/false), 12);
}
TEST(ReplaceCrash, AfterEachExchangeWithTheCa) {
  EXPECT_GE(KillAtEach(Kind::kExchange, /*after=*/true), 12);
}
TEST(ReplaceCrash, BeforeEachWriteToTheStore) {
  EXPECT_GE(KillAtEach(Kind::kCommit, /*after=*/false), 20);
}
TEST(ReplaceCrash, AfterEachWriteToTheStore) {
  EXPECT_GE(KillAtEach(Kind::kCommit, /*after=*/true), 20);
}
TEST(ReplaceCrash, BeforeEachCommandToANode) {
  EXPECT_GE(KillAtEach(Kind::kCommand, /*after=*/false), 12);
}
TEST(ReplaceCrash, AfterEachCommandToANode) {
  EXPECT_GE(KillAtEach(Kind::kCommand, /*after=*/true), 12);
}

}  // namespace
}  // namespace certcast::controller
