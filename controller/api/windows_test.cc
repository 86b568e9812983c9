// Windows as operators meet them: apply outside of one, in one, with --wait and --now, and windows that come too late.
#include <atomic>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "controller/api/controller_fixture.h"
#include "controller/store/rollout_requests.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace certcast::controller {
namespace {

using testing::CommandKind;
using ::testing::Contains;
using testing::HasCode;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::IsOk;
using ::testing::SizeIs;

// The clock stands at 01:00 on Tuesday 2030-01-01 in Berlin.
class WindowsTest : public ControllerTest {
 protected:
  void SetUp() override {
    rollout_ = R"(, windows: {time_zone: Europe/Berlin, start: "06:00", end: "08:00"})";
    Configure(4);
    ASSERT_THAT(Import(Make()), IsOk());
  }

  testing::IssuedCertificate MakeUntil(absl::Time not_after) {
    testing::CertificateSpec spec;
    spec.dns_names = {"www.example.com"};
    spec.not_after = not_after;
    return ca_.Issue(spec);
  }

  absl::StatusOr<v1::ApplyResponse> ApplyNow() {
    v1::ApplyRequest request;
    request.set_now(true);
    request.mutable_by()->set_user("alice");
    request.mutable_by()->set_pid(7);
    return Apply(request);
  }

  absl::StatusOr<v1::ApplyResponse> ApplyAndWait() {
    v1::ApplyRequest request;
    request.set_wait(true);
    return Apply(request);
  }

  absl::StatusOr<v1::ApplyResponse> DryRun() {
    v1::ApplyRequest request;
    request.set_dry_run(true);
    return Apply(request);
  }

  absl::StatusOr<v1::ChangeRolloutResponse> ChangeNow(v1::ChangeRolloutRequest::Action action, bool now) {
    v1::ChangeRolloutRequest request;
    request.set_action(action);
    request.set_now(now);
    request.mutable_by()->set_user("alice");
    return controller_->ChangeRollout(
        request, [](const v1::ApplyEvent::Progress&) {}, stop_);
  }

  std::vector<std::string> Installs() { return transport_.NodesThatGot(CommandKind::kInstall); }

  const absl::Time opens_ = absl::FromUnixSeconds(1893474000);
};

TEST_F(WindowsTest, OutsideNoNodeIsTouchedAndItIsSaidWhenItOpens) {
  const auto waiting = Apply();
  ASSERT_THAT(waiting, IsOk());
  ASSERT_EQ(waiting->rollouts_size(), 1);
  const v1::Rollout& rollout = waiting->rollouts(0);
  EXPECT_EQ(rollout.state(), v1::Rollout::WAITING_FOR_WINDOW);
  EXPECT_EQ(rollout.because(), "its window opens Tue 2030-01-01 06:00 CET (Europe/Berlin)");
  EXPECT_EQ(rollout.window_opens(), "Tue 2030-01-01 06:00 CET (Europe/Berlin)");
  EXPECT_EQ(rollout.window_opens_at().seconds(), absl::ToUnixSeconds(opens_));
  EXPECT_THAT(Installs(), IsEmpty());
  EXPECT_FALSE(waiting->certificates(0).has_failure());
  const v1::StatusResponse status = Status();
  EXPECT_EQ(status.certificates(0).rollout_state(), v1::Rollout::WAITING_FOR_WINDOW);
  EXPECT_EQ(status.certificates(0).rollout_because(), rollout.because());
}

TEST_F(WindowsTest, TheNextApplyInItGoesOnWithTheSameRollout) {
  const std::string id = Apply()->rollouts(0).id();
  const auto again = Apply();
  ASSERT_EQ(again->rollouts_size(), 1);
  EXPECT_EQ(again->rollouts(0).id(), id);
  EXPECT_EQ(again->rollouts(0).state(), v1::Rollout::WAITING_FOR_WINDOW);
  clock_.JumpTo(opens_);
  EXPECT_EQ(Status().certificates(0).rollout_because(), "its window is open: `certcast apply` goes on with it");
  const auto done = Apply();
  ASSERT_EQ(done->rollouts_size(), 1);
  EXPECT_EQ(done->rollouts(0).id(), id);
  EXPECT_EQ(done->rollouts(0).state(), v1::Rollout::COMPLETED);
  EXPECT_EQ(done->rollouts(0).because(), "");
  EXPECT_EQ(Status().converged(), 4);
}

TEST_F(WindowsTest, WhenItClosesTheRestWaitsForTheNextOne) {
  clock_.JumpTo(opens_);
  transport_.SetOnCommand([this](const std::string&, const v1::Command& command) {
    if (testing::KindOf(command) == CommandKind::kInstall) clock_.JumpTo(opens_ + absl::Hours(2));
  });
  const auto waiting = Apply();
  ASSERT_THAT(waiting, IsOk());
  EXPECT_EQ(waiting->rollouts(0).state(), v1::Rollout::WAITING_FOR_WINDOW);
  EXPECT_EQ(waiting->rollouts(0).window_opens(), "Wed 2030-01-02 06:00 CET (Europe/Berlin)");
  EXPECT_THAT(Installs(), SizeIs(1));
  EXPECT_EQ(Status().converged(), 1);
}

TEST_F(WindowsTest, WaitStaysUntilItOpens) {
  const auto done = ApplyAndWait();
  ASSERT_THAT(done, IsOk());
  ASSERT_EQ(done->rollouts_size(), 1);
  EXPECT_EQ(done->rollouts(0).state(), v1::Rollout::COMPLETED);
  EXPECT_EQ(Status().converged(), 4);
  EXPECT_GE(clock_.Now(), opens_);
  EXPECT_THAT(texts_, Contains("waits for its window, which opens Tue 2030-01-01 06:00 CET (Europe/Berlin)"));
}

TEST_F(WindowsTest, WaitStaysForAsManyWindowsAsItTakes) {
  std::atomic<int> installs = 0;
  transport_.SetOnCommand([&](const std::string&, const v1::Command& command) {
    if (testing::KindOf(command) == CommandKind::kInstall && ++installs == 1) clock_.JumpTo(opens_ + absl::Hours(2));
  });
  const auto done = ApplyAndWait();
  ASSERT_THAT(done, IsOk());
  ASSERT_EQ(done->rollouts_size(), 1);
  EXPECT_EQ(done->rollouts(0).state(), v1::Rollout::COMPLETED);
  EXPECT_GE(clock_.Now(), opens_ + absl::Hours(24));
}

TEST_F(WindowsTest, AfterAWaitOfWeeksTheControllersCertificateIsOneOfThen) {
  std::vector<absl::Time> ends;
  const auto make_transport = machine_.make_transport;
  machine_.make_transport = [&](const std::string& fleet, ControllerIdentity identity) {
    ends.push_back(identity.not_after);
    return make_transport(fleet, std::move(identity));
  };
  rollout_ = R"(, windows: {time_zone: Europe/Berlin, blackout: [{from: 2030-01-01, to: 2030-01-31}]})";
  Configure(4);
  // It is of 30 days, and renewed after 20.
  clock_.Advance(absl::Hours(24 * 19));
  const auto done = ApplyAndWait();
  ASSERT_THAT(done, IsOk());
  EXPECT_EQ(done->rollouts(0).state(), v1::Rollout::COMPLETED);
  EXPECT_GT(ends.back(), clock_.Now());
}

TEST_F(WindowsTest, WaitIsStoppedAtOnce) {
  v1::ApplyRequest request;
  request.set_wait(true);
  const auto stopped = controller_->Apply(
      request,
      [this](const v1::ApplyEvent::Progress& progress) {
        if (progress.text().find("waits for its window") == 0) stop_ = true;
      },
      stop_);
  EXPECT_THAT(stopped, HasCode(absl::StatusCode::kCancelled));
  EXPECT_LT(clock_.Now(), opens_);
  EXPECT_THAT(Installs(), IsEmpty());
  stop_ = false;
  EXPECT_EQ(Status().certificates(0).rollout_state(), v1::Rollout::WAITING_FOR_WINDOW);
}

TEST_F(WindowsTest, ARolloutThatWaitIsWaitingForIsPausedAtOnce) {
  const auto paused = controller_->Apply(
      [] {
        v1::ApplyRequest request;
        request.set_wait(true);
        return request;
      }(),
      [this](const v1::ApplyEvent::Progress& progress) {
        if (progress.text().find("waits for its window") != 0) return;
        // As `rollout pause` in another process asks for it.
        state::v1::RolloutRequest request;
        request.set_wish(state::v1::RolloutRequest::PAUSE);
        request.mutable_by()->set_user("bob");
        EXPECT_THAT(RolloutRequests(store_).Put(Status().certificates(0).rollout_id(), request), IsOk());
      },
      stop_);
  ASSERT_THAT(paused, IsOk());
  ASSERT_EQ(paused->rollouts_size(), 1);
  EXPECT_EQ(paused->rollouts(0).state(), v1::Rollout::PAUSED);
  EXPECT_EQ(paused->rollouts(0).paused_by().user(), "bob");
  EXPECT_LT(clock_.Now(), opens_);
  EXPECT_THAT(Installs(), IsEmpty());

  const auto plan = DryRun();
  ASSERT_THAT(plan, IsOk());
  EXPECT_FALSE(plan->changes_pending());
  EXPECT_THAT(plan->warnings(), Contains(HasSubstr("nothing is done with ev")));
  ASSERT_EQ(plan->rollouts_size(), 1);
  EXPECT_EQ(plan->rollouts(0).id(), paused->rollouts(0).id());
}

TEST_F(WindowsTest, NowDoesNotWaitAndTheRecordNamesWhoWantedIt) {
  const auto done = ApplyNow();
  ASSERT_THAT(done, IsOk());
  ASSERT_EQ(done->rollouts_size(), 1);
  EXPECT_EQ(done->rollouts(0).state(), v1::Rollout::COMPLETED);
  ASSERT_EQ(done->rollouts(0).windows_overridden_size(), 1);
  EXPECT_EQ(done->rollouts(0).windows_overridden(0).user(), "alice");
  EXPECT_EQ(done->rollouts(0).windows_overridden(0).pid(), 7);
  EXPECT_THAT(texts_, Contains("its window is closed; alice wants it now"));
  EXPECT_LT(clock_.Now(), opens_);
}

TEST_F(WindowsTest, NowGoesOnWithARolloutThatWaits) {
  const std::string id = Apply()->rollouts(0).id();
  const auto done = ApplyNow();
  ASSERT_THAT(done, IsOk());
  EXPECT_EQ(done->rollouts(0).id(), id);
  EXPECT_EQ(done->rollouts(0).state(), v1::Rollout::COMPLETED);
  EXPECT_EQ(done->rollouts(0).windows_overridden_size(), 1);
}

TEST_F(WindowsTest, ResumeAndRetryKeepToTheWindowsUnlessToldNow) {
  ASSERT_THAT(Apply(), IsOk());
  const auto waits = ChangeNow(v1::ChangeRolloutRequest::RESUME, /*now=*/false);
  ASSERT_THAT(waits, IsOk());
  EXPECT_EQ(waits->rollout().state(), v1::Rollout::WAITING_FOR_WINDOW);
  EXPECT_THAT(Installs(), IsEmpty());
  transport_.Node("web-1").SetReachable(Fail(Reason::NO_ROUTE, "no route"));
  const auto resumed = ChangeNow(v1::ChangeRolloutRequest::RESUME, /*now=*/true);
  ASSERT_THAT(resumed, IsOk());
  EXPECT_EQ(resumed->rollout().state(), v1::Rollout::INCOMPLETE);
  EXPECT_EQ(resumed->rollout().windows_overridden(0).user(), "alice");
  EXPECT_THAT(Installs(), SizeIs(3));
  transport_.Node("web-1").SetReachable(absl::OkStatus());
  const auto retried = ChangeNow(v1::ChangeRolloutRequest::RETRY, /*now=*/true);
  ASSERT_THAT(retried, IsOk());
  EXPECT_EQ(retried->rollout().state(), v1::Rollout::COMPLETED);
  EXPECT_EQ(retried->rollout().windows_overridden_size(), 1);
  EXPECT_LT(clock_.Now(), opens_);
}

TEST_F(WindowsTest, NowIsForOneRunAlone) {
  transport_.SetOnCommand([this](const std::string&, const v1::Command& command) {
    if (testing::KindOf(command) == CommandKind::kInstall) stop_ = true;
  });
  EXPECT_THAT(ApplyNow(), HasCode(absl::StatusCode::kCancelled));
  stop_ = false;
  const auto waiting = Apply();
  ASSERT_THAT(waiting, IsOk());
  EXPECT_EQ(waiting->rollouts(0).state(), v1::Rollout::WAITING_FOR_WINDOW);
  EXPECT_EQ(waiting->rollouts(0).windows_overridden_size(), 1);
  EXPECT_THAT(Installs(), SizeIs(1));
}

TEST_F(WindowsTest, WithoutWindowsNowIsNothingToRecord) {
  rollout_ = "";
  Configure(4);
  const auto done = ApplyNow();
  ASSERT_THAT(done, IsOk());
  EXPECT_EQ(done->rollouts(0).windows_overridden_size(), 0);
}

TEST_F(WindowsTest, AWaitingRolloutGivesWayToTheNextGeneration) {
  const std::string first = Apply()->rollouts(0).id();
  ASSERT_THAT(Import(Make()), IsOk());
  const auto second = Apply();
  ASSERT_THAT(second, IsOk());
  ASSERT_EQ(second->rollouts_size(), 1);
  EXPECT_EQ(second->rollouts(0).generation(), 2u);
  EXPECT_EQ(second->rollouts(0).state(), v1::Rollout::WAITING_FOR_WINDOW);
  EXPECT_THAT(texts_, Contains(HasSubstr(first + " is not gone on with: generation 2 is wanted")));
  clock_.JumpTo(opens_);
  EXPECT_EQ(Apply()->rollouts_size(), 1);
  EXPECT_EQ(Status().converged(), 4);
}

// --- Too late.

class LateWindowsTest : public WindowsTest {
 protected:
  // No opening before March.
  void CloseUntilMarch() {
    rollout_ = R"(, windows: {time_zone: Europe/Berlin, start: "06:00", end: "08:00",
                 blackout: [{from: 2030-01-01, to: 2030-02-28}]})";
    Configure(4);
  }
  void ExpectTooLate(const absl::StatusOr<v1::ApplyResponse>& response, const std::string& detail) {
    ASSERT_THAT(response, IsOk());
    ASSERT_EQ(response->certificates_size(), 1);
    const v1::Failure& failure = response->certificates(0).failure();
    EXPECT_EQ(failure.reason(), Reason::WINDOW_TOO_LATE);
    EXPECT_EQ(failure.detail(), detail);
    EXPECT_THAT(failure.hint(), HasSubstr("certcast apply --now ev"));
  }

  const absl::Time february_ = absl::FromCivil(absl::CivilDay(2030, 2, 1), absl::UTCTimeZone());
  const std::string late_ =
      "its window opens Fri 2030-03-01 06:00 CET (Europe/Berlin), and what node web-1 serves expires on 2030-02-01 "
      "00:00 UTC";
};

TEST_F(LateWindowsTest, ForWhatNodesServeNoRolloutIsBegun) {
  ASSERT_THAT(Import(MakeUntil(february_)), IsOk());
  ASSERT_THAT(ApplyNow(), IsOk());
  const size_t installs = Installs().size();
  ASSERT_THAT(Import(Make()), IsOk());
  CloseUntilMarch();
  ExpectTooLate(DryRun(), late_);
  const auto refused = Apply();
  ExpectTooLate(refused, late_);
  EXPECT_EQ(refused->rollouts_size(), 0);
  EXPECT_THAT(Installs(), SizeIs(installs));

  const auto done = ApplyNow();
  ASSERT_THAT(done, IsOk());
  EXPECT_FALSE(done->certificates(0).has_failure());
  EXPECT_EQ(done->rollouts(0).state(), v1::Rollout::COMPLETED);
}

TEST_F(LateWindowsTest, ForTheNewCertificateItselfNoRolloutIsBegun) {
  ASSERT_THAT(Import(MakeUntil(february_)), IsOk());
  CloseUntilMarch();
  const auto refused = Apply();
  ExpectTooLate(refused,
                "its window opens Fri 2030-03-01 06:00 CET (Europe/Berlin), and generation 2 expires on 2030-02-01 "
                "00:00 UTC");
  EXPECT_EQ(refused->rollouts_size(), 0);
}

TEST_F(LateWindowsTest, ARolloutThatWaitsAlreadySaysSoToo) {
  ASSERT_THAT(Import(MakeUntil(february_)), IsOk());
  ASSERT_THAT(ApplyNow(), IsOk());
  ASSERT_THAT(Import(Make()), IsOk());
  ASSERT_EQ(Apply()->rollouts(0).state(), v1::Rollout::WAITING_FOR_WINDOW);
  CloseUntilMarch();
  for (const auto& response : {Apply(), ApplyAndWait()}) {
    ExpectTooLate(response, late_);
    ASSERT_EQ(response->rollouts_size(), 1);
    EXPECT_EQ(response->rollouts(0).state(), v1::Rollout::WAITING_FOR_WINDOW);
  }
}

TEST_F(LateWindowsTest, WhatHasExpiredAlreadyIsNotLeftToWait) {
  ASSERT_THAT(Import(MakeUntil(february_)), IsOk());
  ASSERT_THAT(ApplyNow(), IsOk());
  ASSERT_THAT(Import(Make()), IsOk());
  clock_.JumpTo(february_ + absl::Hours(12));
  ExpectTooLate(Apply(),
                "its window opens Sat 2030-02-02 06:00 CET (Europe/Berlin), and what node web-1 serves expired on "
                "2030-02-01 00:00 UTC");
}

TEST_F(LateWindowsTest, AWindowThatIsTooShortForTheRolloutIsTooLateAsWell) {
  rollout_ += ", parallel: 1";
  Configure(4);
  for (int i = 1; i <= 4; ++i) {
    transport_.Node(absl::StrCat("web-", i)).SetDelay(CommandKind::kInstall, absl::Seconds(30));
  }
  ASSERT_EQ(ApplyNow()->rollouts(0).state(), v1::Rollout::COMPLETED);
  ASSERT_THAT(Import(MakeUntil(opens_ + absl::Minutes(1))), IsOk());
  ExpectTooLate(Apply(),
                "its window opens Tue 2030-01-01 06:00 CET (Europe/Berlin), and generation 2 expires on 2030-01-01 "
                "05:01 UTC: until then it is open for 1m, and the rollout is estimated to take 2m");
}

TEST_F(LateWindowsTest, AnOpenWindowIsUsedHoweverSoonItCloses) {
  ASSERT_THAT(Import(MakeUntil(opens_ + absl::Hours(1))), IsOk());
  clock_.JumpTo(opens_ + absl::Minutes(1));
  const auto done = Apply();
  ASSERT_THAT(done, IsOk());
  EXPECT_FALSE(done->certificates(0).has_failure());
  EXPECT_EQ(done->rollouts(0).state(), v1::Rollout::COMPLETED);
}

}  // namespace
}  // namespace certcast::controller
