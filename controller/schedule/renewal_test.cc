#include "controller/schedule/renewal.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace certcast::controller {
namespace {

using ::testing::HasSubstr;

constexpr absl::Duration kDay = absl::Hours(24);
const absl::Time kBegin = absl::FromUnixSeconds(1893456000);  // 2030-01-01

CertificateConfig Wildcard() {
  return {.name = "wildcard", .account = "ca", .domains = {"*.example.com", "example.com"}};
}

state::v1::Generation Issued(absl::Duration lifetime) {
  state::v1::Generation generation;
  generation.set_generation(1);
  for (const char* name : {"*.example.com", "example.com"}) {
    generation.add_dns_names(name);
    generation.add_ordered_names(name);
  }
  generation.set_key_type("ecdsa-p256");
  generation.mutable_not_before()->set_seconds(absl::ToUnixSeconds(kBegin));
  generation.mutable_not_after()->set_seconds(absl::ToUnixSeconds(kBegin + lifetime));
  return generation;
}

TEST(Renewal, IsDueWhenNothingWasIssued) {
  const RenewalDecision decision = DecideRenewal(Wildcard(), nullptr, kBegin, false);
  EXPECT_TRUE(decision.due);
  EXPECT_EQ(decision.reason, "never issued");
}

TEST(Renewal, IsDueAtTwoThirdsOfTheLifetime) {
  const state::v1::Generation latest = Issued(90 * kDay);
  const absl::Time due = kBegin + 60 * kDay;
  EXPECT_FALSE(DecideRenewal(Wildcard(), &latest, due - absl::Seconds(1), false).due);
  const RenewalDecision decision = DecideRenewal(Wildcard(), &latest, due, false);
  EXPECT_TRUE(decision.due);
  EXPECT_EQ(decision.renew_at, due);
  EXPECT_EQ(decision.reason, "due since 2030-03-02 00:00 UTC (2/3 of its lifetime)");
}

TEST(Renewal, IsDueAtHalfOfALifetimeBelowTenDays) {
  const state::v1::Generation six_days = Issued(6 * kDay);
  EXPECT_EQ(DecideRenewal(Wildcard(), &six_days, kBegin, false).renew_at, kBegin + 3 * kDay);
  const state::v1::Generation ten_days = Issued(10 * kDay);
  EXPECT_EQ(DecideRenewal(Wildcard(), &ten_days, kBegin, false).renew_at,
            kBegin + absl::Trunc(10 * kDay * (2.0 / 3.0), absl::Seconds(1)));
}

TEST(Renewal, FollowsTheConfiguredShareOrDistance) {
  const state::v1::Generation latest = Issued(100 * kDay);
  CertificateConfig certificate = Wildcard();
  certificate.renewal.at = 0.75;
  EXPECT_EQ(DecideRenewal(certificate, &latest, kBegin, false).renew_at, kBegin + 75 * kDay);
  EXPECT_THAT(DecideRenewal(certificate, &latest, kBegin, false).reason, HasSubstr("75% of its lifetime"));
  certificate.renewal = {.before_expiry = 15 * kDay};
  EXPECT_EQ(DecideRenewal(certificate, &latest, kBegin, false).renew_at, kBegin + 85 * kDay);
  EXPECT_THAT(DecideRenewal(certificate, &latest, kBegin, false).reason, HasSubstr("(15 days before expiry)"));
  certificate.renewal = {.before_expiry = absl::Hours(36)};
  EXPECT_THAT(DecideRenewal(certificate, &latest, kBegin, false).reason, HasSubstr("(36h before expiry)"));
}

TEST(Renewal, ADistanceLongerThanTheLifetimeIsDueAtOnce) {
  const state::v1::Generation latest = Issued(6 * kDay);
  CertificateConfig certificate = Wildcard();
  certificate.renewal = {.before_expiry = 15 * kDay};
  EXPECT_TRUE(DecideRenewal(certificate, &latest, kBegin, false).due);
}

TEST(Renewal, SaysWhenItExpired) {
  const state::v1::Generation latest = Issued(90 * kDay);
  EXPECT_EQ(DecideRenewal(Wildcard(), &latest, kBegin + 90 * kDay, false).reason, "expired on 2030-04-01 00:00 UTC");
}

TEST(Renewal, IsDueWhenTheNamesChanged) {
  const state::v1::Generation latest = Issued(90 * kDay);
  CertificateConfig certificate = Wildcard();
  certificate.domains = {"example.com", "*.example.com"};
  EXPECT_FALSE(DecideRenewal(certificate, &latest, kBegin, false).due) << "another order is no change";
  certificate.domains = {"*.EXAMPLE.com", "example.com"};
  EXPECT_FALSE(DecideRenewal(certificate, &latest, kBegin, false).due) << "nor is case";
  certificate.domains.push_back("example.net");
  const RenewalDecision added = DecideRenewal(certificate, &latest, kBegin, false);
  EXPECT_TRUE(added.due);
  EXPECT_EQ(added.renew_at, kBegin) << "now, not when its dates would have it";
  const RenewalDecision late = DecideRenewal(certificate, &latest, kBegin + 70 * kDay, false);
  EXPECT_EQ(late.renew_at, kBegin + 60 * kDay) << "it was due before that";
  EXPECT_THAT(added.reason, HasSubstr("example.net"));
  certificate.domains = {"example.com"};
  EXPECT_TRUE(DecideRenewal(certificate, &latest, kBegin, false).due);
}

TEST(Renewal, IsNotDueForNamesThatTheCaAdded) {
  state::v1::Generation latest = Issued(90 * kDay);
  latest.add_dns_names("www.example.com");
  EXPECT_FALSE(DecideRenewal(Wildcard(), &latest, kBegin, false).due);
}

TEST(Renewal, IsDueWhenTheKeyTypeChanged) {
  const state::v1::Generation latest = Issued(90 * kDay);
  CertificateConfig certificate = Wildcard();
  certificate.key_type = KeyType::kRsa2048;
  const RenewalDecision decision = DecideRenewal(certificate, &latest, kBegin, false);
  EXPECT_TRUE(decision.due);
  EXPECT_THAT(decision.reason, HasSubstr("rsa-2048"));
}

TEST(Renewal, AnImportedGenerationOfAnAcmeCertificateIsJudgedByItsOwnNames) {
  state::v1::Generation latest = Issued(90 * kDay);
  latest.clear_ordered_names();
  latest.clear_key_type();
  EXPECT_FALSE(DecideRenewal(Wildcard(), &latest, kBegin, false).due);
  latest.add_dns_names("other.example.com");
  EXPECT_TRUE(DecideRenewal(Wildcard(), &latest, kBegin, false).due);
}

TEST(Renewal, IsDueWhenRevoked) {
  state::v1::Generation latest = Issued(90 * kDay);
  latest.mutable_revoked_at()->set_seconds(absl::ToUnixSeconds(kBegin + kDay));
  const RenewalDecision decision = DecideRenewal(Wildcard(), &latest, kBegin + 2 * kDay, false);
  EXPECT_TRUE(decision.due);
  EXPECT_EQ(decision.reason, "revoked on 2030-01-02 00:00 UTC");
  EXPECT_EQ(decision.renew_at, kBegin + kDay);
}

TEST(Renewal, IsDueSinceTheCaWasAskedToRevokeIt) {
  state::v1::Generation latest = Issued(90 * kDay);
  latest.mutable_revocation_requested_at()->set_seconds(absl::ToUnixSeconds(kBegin + kDay));
  const RenewalDecision decision = DecideRenewal(Wildcard(), &latest, kBegin + 2 * kDay, false);
  EXPECT_TRUE(decision.due);
  EXPECT_THAT(decision.reason, HasSubstr("perhaps revoked: the CA was asked to on 2030-01-02 00:00 UTC"));
  EXPECT_EQ(decision.renew_at, kBegin + kDay);
}

TEST(Renewal, IsDueWhenForced) {
  const state::v1::Generation latest = Issued(90 * kDay);
  const RenewalDecision decision = DecideRenewal(Wildcard(), &latest, kBegin, true);
  EXPECT_TRUE(decision.due);
  EXPECT_EQ(decision.reason, "forced");
  EXPECT_EQ(decision.renew_at, kBegin);
}

// What the CA suggests may well fall between two windows of the rollout.
class RenewalAndWindows : public ::testing::Test {
 protected:
  RenewalAndWindows() {
    latest_.set_leaf_sha256("leaf");
    info_.set_leaf_sha256("leaf");
    info_.mutable_window_start()->set_seconds(absl::ToUnixSeconds(kBegin + 60 * kDay));
    info_.mutable_selected_at()->set_seconds(absl::ToUnixSeconds(selected_));
    info_.mutable_window_end()->set_seconds(absl::ToUnixSeconds(kBegin + 62 * kDay));
  }
  // From 02:00 to 04:00 on that day of the week.
  RenewalDecision Decide(absl::Weekday day, const std::vector<BlackoutDates>& blackout = {}) {
    RolloutWindows windows;
    windows.weekly.push_back({.start = 120, .end = 240});
    windows.weekly[0].days.reset().set(static_cast<size_t>(day));
    windows.blackout = blackout;
    certificate_.rollout.windows = windows;
    return DecideRenewal(certificate_, &latest_, kBegin, false, &info_);
  }

  // Saturday 2030-03-02 12:00.
  const absl::Time selected_ = kBegin + 60.5 * kDay;
  CertificateConfig certificate_ = Wildcard();
  state::v1::Generation latest_ = Issued(90 * kDay);
  state::v1::RenewalInfo info_;
};

TEST_F(RenewalAndWindows, AWindowWithinWhatTheCaSuggestsLeavesTheTimeThatWasPicked) {
  EXPECT_EQ(Decide(absl::Weekday::sunday).renew_at, selected_);
}

TEST_F(RenewalAndWindows, WhereNoneOpensInTimeItIsADayBeforeTheLastThatDoes) {
  const RenewalDecision decision = Decide(absl::Weekday::thursday);
  EXPECT_EQ(decision.renew_at, kBegin + 57 * kDay + absl::Hours(2));
  EXPECT_EQ(decision.reason,
            "due on 2030-02-27 02:00 UTC (ahead of its window, Thu 2030-02-28 02:00 UTC (UTC); the CA suggests "
            "2030-03-02 00:00 UTC to 2030-03-04 00:00 UTC)");
}

TEST_F(RenewalAndWindows, ButNotInTheFirstHalfOfTheLifetime) {
  const BlackoutDates second_half = {absl::CivilDay(2030, 2, 15), absl::CivilDay(2030, 3, 31)};
  EXPECT_EQ(Decide(absl::Weekday::thursday, {second_half}).renew_at, selected_);
}

TEST_F(RenewalAndWindows, WithoutTheCasWordTheWindowsAreNotLookedAt) {
  certificate_.renewal.ari = false;
  EXPECT_EQ(Decide(absl::Weekday::thursday).renew_at, kBegin + 60 * kDay);
}

TEST(Renewal, NeverOrdersWhatIsImported) {
  CertificateConfig certificate = Wildcard();
  certificate.account.clear();
  const state::v1::Generation latest = Issued(90 * kDay);
  EXPECT_FALSE(DecideRenewal(certificate, nullptr, kBegin, false).due);
  EXPECT_FALSE(DecideRenewal(certificate, &latest, kBegin + 100 * kDay, false).due);
  const RenewalDecision forced = DecideRenewal(certificate, &latest, kBegin, true);
  EXPECT_FALSE(forced.due);
  EXPECT_THAT(forced.reason, HasSubstr("certcast import"));
  EXPECT_EQ(forced.renew_at, absl::InfiniteFuture());
}

}  // namespace
}  // namespace certcast::controller
