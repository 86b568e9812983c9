// What a CA was shown and could not be taken away: it is tried again, said, and given up in the end.

#include <cerrno>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/status/status.h"
#include "controller/acme/issuer_fixture.h"
#include "controller/store/records.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace certcast::controller {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using testing::FakeProcessRunner;
using testing::HasReason;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::IsOk;
using ::testing::SizeIs;

constexpr char kRecord[] = "TXT record _acme-challenge.example.com.";

class LeftoversTest : public ::testing::Test, public IssuerFixture {
 protected:
  LeftoversTest() {
    store.gate = [this](int) { return Alive(); };
    http.set_gate([this](int) { return Alive(); });
    processes.Otherwise([this](const ProcessRequest& request) -> absl::StatusOr<ProcessResult> {
      const std::string verb = request.argv.at(1);
      ++(verb == "cleanup" ? cleanups : presents);
      if (verb == "cleanup" && cleanups == die_at_cleanup) dead = true;
      if (absl::Status alive = Alive(); !alive.ok()) return alive;
      if (verb == broken) return broken_how;
      return hook.Run(request);
    });
  }

  absl::Status Alive() const { return dead ? absl::CancelledError("killed by the test") : absl::OkStatus(); }
  // Every value is in the zone, and nothing else happens any more until Restart.
  void KillBeforeTheFirstCleanup() { die_at_cleanup = cleanups + 1; }
  void Restart() {
    EXPECT_TRUE(dead);
    dead = false;
    progress.clear();
    die_at_cleanup = 0;
  }
  absl::StatusOr<Rehearsal> Rehearse() {
    return MakeIssuer().Rehearse(certificate, /*epoch=*/0, [](absl::string_view) {});
  }
  absl::Status RemoveLeftovers() {
    return MakeIssuer().RemoveLeftovers(certificate, /*epoch=*/0, [](absl::string_view) {});
  }

  bool dead = false;
  int die_at_cleanup = 0;
  int presents = 0;
  int cleanups = 0;
  // The verb that does not work, and what it does then.
  std::string broken;
  absl::StatusOr<ProcessResult> broken_how = FakeProcessRunner::Exits(1, "the provider's API is down");
};

TEST_F(LeftoversTest, AfterACrashARemovalThatFailsIsTriedAgainByTheNextRun) {
  KillBeforeTheFirstCleanup();
  EXPECT_FALSE(Issue().ok());
  ASSERT_THAT(zone, SizeIs(2));
  const std::vector<DnsRecord> left = zone;
  Restart();

  broken = "cleanup";
  ASSERT_THAT(Issue(), IsOk()) << "what can't be removed is no reason to go without a certificate";
  for (const DnsRecord& record : left) {
    EXPECT_TRUE(ProgressMentions(absl::StrCat("the ", kRecord, " (value ", record.data, ") could not be removed; ",
                                              "later runs try again, or remove it by hand: the dns-01 hook")))
        << record.data;
  }
  EXPECT_TRUE(ProgressMentions("the provider's API is down"));
  broken.clear();
  EXPECT_THAT(RemoveLeftovers(), IsOk());
  EXPECT_THAT(zone, IsEmpty());
  EXPECT_FALSE(HasOrderRecord());
}

TEST_F(LeftoversTest, ARemovalIsTriedOnceARun) {
  KillBeforeTheFirstCleanup();
  EXPECT_FALSE(Rehearse()->removed.ok());
  Restart();
  broken = "cleanup";
  broken_how = FakeProcessRunner::Hangs();
  const int before = cleanups;
  ASSERT_THAT(Issue(), IsOk());
  EXPECT_EQ(cleanups - before, 4) << "two of the killed run, and two of its own; each may take all of its time";
}

TEST_F(LeftoversTest, WhatIsNeverRemovedIsGivenUpAndSaidEveryTime) {
  certificate.domains = {"example.com"};
  broken = "cleanup";
  ASSERT_THAT(Rehearse(), IsOk());
  ASSERT_THAT(zone, SizeIs(1));
  const std::string what = absl::StrCat("the ", kRecord, " (value ", zone.front().data, ") could not be removed");
  for (int run = 2; run < 9; ++run) {
    EXPECT_THAT(RemoveLeftovers(), HasReason(Reason::CHALLENGE_FAILED, AllOf(HasSubstr(what), HasSubstr("later runs"))))
        << run;
  }
  EXPECT_THAT(RemoveLeftovers(), HasReason(Reason::CHALLENGE_FAILED, HasSubstr("one later run tries again")));
  EXPECT_THAT(RemoveLeftovers(),
              HasReason(Reason::CHALLENGE_FAILED,
                        HasSubstr(what + " in 10 runs and is not tried again; remove it by hand: the dns-01 hook")));
  EXPECT_FALSE(HasOrderRecord());
  EXPECT_EQ(cleanups, 10);
  EXPECT_THAT(RemoveLeftovers(), IsOk());
  EXPECT_EQ(cleanups, 10);
}

TEST_F(LeftoversTest, ARehearsalRemovesWhatAKilledRehearsalLeft) {
  KillBeforeTheFirstCleanup();
  EXPECT_FALSE(Rehearse()->removed.ok());
  ASSERT_THAT(zone, SizeIs(2));
  Restart();
  const auto again = Rehearse();
  ASSERT_THAT(again, IsOk());
  EXPECT_THAT(again->leftovers, IsOk());
  EXPECT_THAT(again->presented, IsOk());
  EXPECT_THAT(again->removed, IsOk());
  EXPECT_THAT(zone, IsEmpty());
  EXPECT_FALSE(HasOrderRecord());
}

TEST_F(LeftoversTest, ARehearsalSaysWhatItCannotRemoveOfAnEarlierOne) {
  certificate.domains = {"example.com"};
  KillBeforeTheFirstCleanup();
  EXPECT_FALSE(Rehearse()->removed.ok());
  ASSERT_THAT(zone, SizeIs(1));
  const std::string value = zone.front().data;
  Restart();
  broken = "cleanup";
  const auto again = Rehearse();
  ASSERT_THAT(again, IsOk());
  EXPECT_THAT(again->leftovers, HasReason(Reason::CHALLENGE_FAILED, HasSubstr(value)));
  EXPECT_THAT(again->removed, HasReason(Reason::CHALLENGE_FAILED, ::testing::Not(HasSubstr(value))));
}

TEST_F(LeftoversTest, ARehearsalLeavesWhatAnOrderShows) {
  ca.behaviour.validation_looks = 1000;
  limits.validation = absl::Seconds(5);
  EXPECT_THAT(Issue(), HasReason(Reason::ORDER_PENDING));
  const std::vector<DnsRecord> shown = zone;
  ASSERT_THAT(shown, SizeIs(2));
  const auto rehearsal = Rehearse();
  ASSERT_THAT(rehearsal, IsOk());
  EXPECT_THAT(rehearsal->removed, IsOk());
  EXPECT_EQ(zone, shown);
}

TEST_F(LeftoversTest, AHookThatCannotBeStartedLeavesNothingToRemove) {
  broken = "present";
  broken_how = FailErrno(ENOENT, "running /hook");
  const auto rehearsal = Rehearse();
  ASSERT_THAT(rehearsal, IsOk());
  EXPECT_THAT(rehearsal->presented, HasReason(Reason::CHALLENGE_FAILED, HasSubstr("running /hook")));
  EXPECT_THAT(rehearsal->removed, IsOk());
  EXPECT_FALSE(rehearsal->made);
  EXPECT_EQ(presents, 1);
  EXPECT_EQ(cleanups, 0);
  EXPECT_FALSE(HasOrderRecord());
}

TEST_F(LeftoversTest, WhatAFailedHookMayHaveWrittenIsRemovedAndNoMore) {
  broken = "present";
  EXPECT_THAT(Rehearse()->presented, HasReason(Reason::CHALLENGE_FAILED, HasSubstr("exited with 1")));
  EXPECT_EQ(presents, 1);
  EXPECT_EQ(cleanups, 1) << "the second name was not reached";
}

TEST_F(LeftoversTest, AnApexAndItsWildcardAreOnePlace) {
  EXPECT_THAT(Rehearse()->places, ElementsAre(absl::StrCat(kRecord, ", 2 values,")));
}

}  // namespace
}  // namespace certcast::controller
