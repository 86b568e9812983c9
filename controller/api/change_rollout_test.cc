// What operators do to rollouts, through the controller's API.
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/clock/timestamp.h"
#include "common/status/status.h"
#include "controller/api/controller_fixture.h"
#include "controller/rollout/life_cycle.h"
#include "controller/store/records.h"
#include "controller/store/rollout_records.h"
#include "controller/store/rollout_requests.h"
#include "gmock/gmock.h"

namespace certcast::controller {
namespace {

using Action = v1::ChangeRolloutRequest;
using testing::CommandKind;
using testing::Fault;
using testing::HasCode;
using testing::HasReason;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::IsOk;
using ::testing::Not;
using ::testing::SizeIs;

class ChangeRolloutTest : public ControllerTest {
 protected:
  absl::StatusOr<v1::ChangeRolloutResponse> Change(Action::Action action, const std::string& id = "",
                                                   Action::OnHalt on_halt = Action::AS_PLANNED) {
    Action request;
    request.set_id(id);
    request.set_action(action);
    request.set_on_halt(on_halt);
    request.mutable_by()->set_user("alice");
    return controller_->ChangeRollout(
        request, [this](const v1::ApplyEvent::Progress& progress) { texts_.push_back(progress.text()); }, stop_);
  }
  v1::Rollout Get(const std::string& id = "") {
    v1::GetRolloutRequest request;
    request.set_id(id);
    const auto response = controller_->GetRollout(request);
    EXPECT_THAT(response, IsOk());
    return response.ok() ? response->rollout() : v1::Rollout();
  }
  // Generation `n` of all nodes, which have it when this returns.
  v1::Rollout RollOut() {
    EXPECT_THAT(Import(Make()), IsOk());
    const auto applied = Apply();
    EXPECT_THAT(applied, IsOk());
    if (!applied.ok() || applied->rollouts().empty()) return {};
    EXPECT_EQ(applied->rollouts(0).state(), v1::Rollout::COMPLETED);
    return applied->rollouts(0);
  }
  // A rollout that alice has paused at its first node.
  v1::Rollout RollOutAndPause() {
    EXPECT_THAT(Import(Make()), IsOk());
    bool asked = false;
    transport_.SetOnCommand([&](const std::string&, const v1::Command& command) {
      if (!command.has_install() || asked) return;
      asked = true;
      const auto pending = Change(Action::PAUSE);
      ASSERT_THAT(pending, IsOk());
      // Nobody can answer while this waits.
      EXPECT_TRUE(pending->pending());
      EXPECT_THAT(pending->text(), HasSubstr("does before the next node begins"));
    });
    const auto applied = Apply();
    transport_.SetOnCommand(nullptr);
    EXPECT_THAT(applied, IsOk());
    if (!applied.ok() || applied->rollouts().empty()) return {};
    EXPECT_EQ(applied->rollouts(0).state(), v1::Rollout::PAUSED);
    return applied->rollouts(0);
  }
  std::vector<std::string> Installs() { return transport_.NodesThatGot(CommandKind::kInstall); }
};

TEST_F(ChangeRolloutTest, APauseThatWaitsInVainIsMetAllTheSame) {
  Configure(3);
  const v1::Rollout paused = RollOutAndPause();
  EXPECT_EQ(paused.paused_by().user(), "alice");
  EXPECT_THAT(Installs(), SizeIs(1));
  const auto again = Change(Action::PAUSE);
  ASSERT_THAT(again, IsOk());
  EXPECT_EQ(again->text(), "it was paused already");
  EXPECT_FALSE(again->pending());
}

// Something happens before a record is read.
class WatchedView : public testing::StoreView {
 public:
  using OnGet = std::function<void(absl::string_view key)>;
  WatchedView(testing::MemoryStore& store, const OnGet& on_get) : testing::StoreView(store), on_get_(on_get) {}
  absl::StatusOr<StoredRecord> Get(absl::string_view key) override {
    if (on_get_) on_get_(key);
    return testing::StoreView::Get(key);
  }

 private:
  const OnGet& on_get_;
};

TEST_F(ChangeRolloutTest, SaysOfAPauseHowTheRolloutStandsOnceItWasTakenUp) {
  WatchedView::OnGet on_get;
  machine_.open_store = [&](const std::string&, bool) { return std::make_unique<WatchedView>(store_, on_get); };
  Configure(3);
  ASSERT_THAT(Import(Make()), IsOk());
  transport_.SetOnCommand([this](const std::string&, const v1::Command&) { stop_ = true; });
  ASSERT_THAT(Apply(), HasCode(absl::StatusCode::kCancelled));
  transport_.SetOnCommand(nullptr);
  stop_ = false;
  const std::string id = Get().id();
  const auto lease = store_.TakeLease("apply");
  ASSERT_THAT(lease, IsOk());
  RolloutRequests requests(store_);
  RolloutRecords records(store_);
  // What `apply` does, between who waits reading the rollout and reading its own request.
  on_get = [&](absl::string_view key) {
    if (key != absl::StrCat("rollout-requests/", id)) return;
    const auto pending = requests.Get(id);
    ASSERT_THAT(pending, IsOk());
    if (!pending->has_value()) return;
    auto rollout = records.Get(id);
    ASSERT_THAT(rollout, IsOk());
    ASSERT_TRUE(TakeRequest((*pending)->request, **rollout));
    ASSERT_THAT(records.PutHead(**rollout, (*lease)->epoch()), IsOk());
    ASSERT_THAT(requests.Remove(id, (*pending)->revision), IsOk());
  };
  const auto paused = Change(Action::PAUSE);
  ASSERT_THAT(paused, IsOk());
  EXPECT_FALSE(paused->pending());
  EXPECT_EQ(paused->rollout().state(), v1::Rollout::PAUSED);
  EXPECT_EQ(paused->text(), "it is PAUSED");
}

TEST_F(ChangeRolloutTest, ApplyLeavesAloneWhatAnOperatorPaused) {
  Configure(3);
  const v1::Rollout paused = RollOutAndPause();
  const auto applied = Apply();
  ASSERT_THAT(applied, IsOk());
  ASSERT_EQ(applied->rollouts_size(), 1);
  EXPECT_EQ(applied->rollouts(0).state(), v1::Rollout::PAUSED);
  ASSERT_THAT(applied->warnings(), Not(IsEmpty()));
  EXPECT_THAT(applied->warnings(0), HasSubstr(absl::StrCat("certcast rollout resume ", paused.id())));
  EXPECT_THAT(Installs(), SizeIs(1));

  const auto resumed = Change(Action::RESUME);
  ASSERT_THAT(resumed, IsOk());
  EXPECT_EQ(resumed->rollout().state(), v1::Rollout::COMPLETED);
  EXPECT_EQ(resumed->rollout().id(), paused.id());
  EXPECT_THAT(Installs(), SizeIs(3));
}

TEST_F(ChangeRolloutTest, OneWhoseGenerationIsNotWantedAnyMoreIsEndedByAnAbort) {
  Configure(3);
  const v1::Rollout paused = RollOutAndPause();
  ASSERT_THAT(Import(Make()), IsOk());
  ASSERT_THAT(Apply(), IsOk());
  EXPECT_THAT(Installs(), SizeIs(1));
  const auto refused = Change(Action::RESUME);
  EXPECT_THAT(refused, HasCode(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(FailureOf(refused.status()).hint(), HasSubstr("--keep"));
  EXPECT_EQ(Get(paused.id()).state(), v1::Rollout::PAUSED);

  const auto aborted = Change(Action::ABORT, paused.id(), Action::KEEP);
  ASSERT_THAT(aborted, IsOk());
  EXPECT_EQ(aborted->rollout().state(), v1::Rollout::HALTED);
  EXPECT_EQ(aborted->rollout().because(), "aborted by alice");
  const auto applied = Apply();
  ASSERT_THAT(applied, IsOk());
  ASSERT_EQ(applied->rollouts_size(), 1);
  EXPECT_EQ(applied->rollouts(0).generation(), 2u);
  EXPECT_EQ(applied->rollouts(0).state(), v1::Rollout::COMPLETED);
}

TEST_F(ChangeRolloutTest, AnAbortOfOneThatIsPausedPutsBackHere) {
  Configure(3);
  RollOut();
  const v1::Rollout paused = RollOutAndPause();
  ASSERT_EQ(paused.generation(), 2u);
  const auto aborted = Change(Action::ABORT);
  ASSERT_THAT(aborted, IsOk());
  EXPECT_EQ(aborted->rollout().state(), v1::Rollout::REVERTED);
  for (int i = 1; i <= 3; ++i) EXPECT_EQ(transport_.Node(absl::StrCat("web-", i)).installed(kName).generation, 1u);
  const auto again = Change(Action::ABORT);
  ASSERT_THAT(again, IsOk());
  EXPECT_EQ(again->text(), "it is REVERTED");
}

TEST_F(ChangeRolloutTest, WhatHasEndedIsNeitherPausedNorAborted) {
  Configure(1);
  RollOut();
  EXPECT_THAT(Change(Action::PAUSE), HasCode(absl::StatusCode::kFailedPrecondition));
  const auto aborted = Change(Action::ABORT);
  EXPECT_THAT(aborted, HasCode(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(FailureOf(aborted.status()).hint(), HasSubstr("certcast rollout undo"));
  const auto resumed = Change(Action::RESUME);
  ASSERT_THAT(resumed, IsOk());
  EXPECT_THAT(resumed->text(), HasSubstr("it has ended"));
}

TEST_F(ChangeRolloutTest, AnUndoneGenerationStaysWantedAndIsRolledOutByTheNextApply) {
  Configure(3);
  RollOut();
  const v1::Rollout second = RollOut();
  const auto undone = Change(Action::UNDO);
  ASSERT_THAT(undone, IsOk());
  EXPECT_EQ(undone->rollout().id(), second.id());
  EXPECT_EQ(undone->rollout().state(), v1::Rollout::REVERTED);
  EXPECT_THAT(undone->text(), HasSubstr("stays the wanted one"));
  EXPECT_EQ(Status().converged(), 0);
  const auto again = Change(Action::UNDO);
  ASSERT_THAT(again, IsOk());
  EXPECT_THAT(again->text(), HasSubstr("nothing to undo"));
  const auto applied = Apply();
  ASSERT_THAT(applied, IsOk());
  EXPECT_EQ(Status().converged(), 3);
}

// Who asks whether nodes may go back, or who has what is to be revoked, begins with what is known of them.
TEST_F(ChangeRolloutTest, WhatWentBackIsKnownOfANodeThatWasNotAskedSince) {
  Configure(2);
  RollOut();
  RollOut();
  clock_.Advance(absl::Hours(1));
  ASSERT_THAT(Change(Action::UNDO), IsOk());
  for (const char* name : {"web-1", "web-2"}) {
    const auto node = NodeRecords(store_).Get(name);
    ASSERT_THAT(node, IsOk());
    ASSERT_EQ((*node)->inventory().certificates_size(), 1) << name;
    EXPECT_EQ((*node)->inventory().certificates(0).generation(), 1u) << name;
    EXPECT_EQ((*node)->inventory().certificates(0).previous_generation(), 0u) << name;
    EXPECT_EQ(FromTimestamp((*node)->last_seen()), clock_.Now()) << name;
  }
}

TEST_F(ChangeRolloutTest, TheLaterRolloutIsUndoneFirst) {
  Configure(2);
  const v1::Rollout first = RollOut();
  const v1::Rollout second = RollOut();
  const auto refused = Change(Action::UNDO, first.id());
  EXPECT_THAT(refused, HasCode(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(FailureOf(refused.status()).hint(), HasSubstr(second.id()));
  EXPECT_EQ(Status().converged(), 2);
}

TEST_F(ChangeRolloutTest, RetriesTheNodesThatEndedWithoutIt) {
  rollout_ = ", max_failures: 1";
  Configure(4);
  ASSERT_THAT(Import(Make()), IsOk());
  transport_.Node("web-2").Inject(CommandKind::kInstall, Fault::Result(v1::Outcome::FAILED, Reason::NO_SPACE), 1);
  transport_.Node("web-3").SetReachable(Fail(Reason::NO_ROUTE, "connection refused"));
  const auto applied = Apply();
  ASSERT_THAT(applied, IsOk());
  ASSERT_EQ(applied->rollouts(0).state(), v1::Rollout::INCOMPLETE);
  EXPECT_EQ(applied->rollouts(0).counts().good(), 2);
  transport_.Node("web-3").SetReachable(absl::OkStatus());

  const auto retried = Change(Action::RETRY);
  ASSERT_THAT(retried, IsOk());
  EXPECT_EQ(retried->rollout().state(), v1::Rollout::COMPLETED);
  EXPECT_NE(retried->rollout().id(), applied->rollouts(0).id());
  EXPECT_EQ(retried->rollout().nodes_size(), 2);
  EXPECT_EQ(Status().converged(), 4);
  const auto nothing = Change(Action::RETRY);
  ASSERT_THAT(nothing, IsOk());
  EXPECT_THAT(nothing->text(), HasSubstr("nothing to retry"));
  ASSERT_THAT(Import(Make()), IsOk());
  EXPECT_THAT(Change(Action::RETRY), HasCode(absl::StatusCode::kFailedPrecondition));
}

TEST_F(ChangeRolloutTest, WhatWasUndoneAndRetriedCanBeUndoneAgain) {
  Configure(2);
  RollOut();
  RollOut();
  ASSERT_THAT(Change(Action::UNDO), IsOk());
  const auto retried = Change(Action::RETRY);
  ASSERT_THAT(retried, IsOk());
  EXPECT_EQ(retried->rollout().state(), v1::Rollout::COMPLETED);
  EXPECT_EQ(Status().converged(), 2);
  const auto undone = Change(Action::UNDO);
  ASSERT_THAT(undone, IsOk());
  EXPECT_EQ(undone->rollout().id(), retried->rollout().id());
  EXPECT_EQ(undone->rollout().state(), v1::Rollout::REVERTED);
  EXPECT_EQ(Status().converged(), 0);
}

TEST_F(ChangeRolloutTest, RetryWaitsForWhatIsUnfinished) {
  Configure(3);
  const v1::Rollout paused = RollOutAndPause();
  const auto refused = Change(Action::RETRY);
  EXPECT_THAT(refused, HasCode(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(FailureOf(refused.status()).hint(), HasSubstr(absl::StrCat("certcast rollout resume ", paused.id())));
}

TEST_F(ChangeRolloutTest, TheirLeaseIsNeeded) {
  Configure(2);
  RollOut();
  const auto lease = store_.TakeLease("apply");
  ASSERT_THAT(lease, IsOk());
  for (const Action::Action action : {Action::RESUME, Action::UNDO, Action::RETRY}) {
    EXPECT_THAT(Change(action), HasReason(Reason::BUSY)) << Action::Action_Name(action);
  }
}

TEST_F(ChangeRolloutTest, ShowsWhatWasAskedForAndListsWhatThereWas) {
  Configure(2);
  const v1::Rollout first = RollOut();
  const v1::Rollout second = RollOut();
  v1::ListRolloutsRequest request;
  const auto all = controller_->ListRollouts(request);
  ASSERT_THAT(all, IsOk());
  ASSERT_EQ(all->rollouts_size(), 2);
  EXPECT_EQ(all->rollouts(0).id(), second.id());
  EXPECT_EQ(all->rollouts(0).counts().good(), 2);
  EXPECT_EQ(all->rollouts(0).nodes_size(), 0);
  EXPECT_EQ(Get(kName).nodes_size(), 2);
  EXPECT_EQ(Get(first.id()).generation(), 1u);
}

}  // namespace
}  // namespace certcast::controller
