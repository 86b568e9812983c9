#include "controller/acme/renewal_info.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "common/clock/timestamp.h"
#include "common/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/test_ca.h"

namespace certcast::controller {
namespace {

using state::v1::RenewalInfo;
using testing::HasReason;
using ::testing::HasSubstr;
using testing::IsOk;

constexpr absl::Duration kDay = absl::Hours(24);
const absl::Time kNow = absl::FromUnixSeconds(1893456000);  // 2030-01-01

absl::StatusOr<std::optional<RenewalAnswer>> Says(absl::Time start, absl::Time end,
                                                  absl::Time next = kNow + absl::Hours(6)) {
  return std::optional<RenewalAnswer>(RenewalAnswer{{start, end, ""}, next});
}

RenewalInfo After(const std::optional<RenewalInfo>& before, const absl::StatusOr<std::optional<RenewalAnswer>>& answer,
                  double share = 0.5) {
  return AfterRenewalCheck(before, "wildcard", "aa", answer, kNow, [share] { return share; });
}

// The certificate of RFC 9773, appendix A.
constexpr char kExample[] = R"(-----BEGIN CERTIFICATE-----
MIIBQzCB66ADAgECAgUAh2VDITAKBggqhkjOPQQDAjAVMRMwEQYDVQQDEwpFeGFt
cGxlIENBMCIYDzAwMDEwMTAxMDAwMDAwWhgPMDAwMTAxMDEwMDAwMDBaMBYxFDAS
BgNVBAMTC2V4YW1wbGUuY29tMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEeBZu
7cbpAYNXZLbbh8rNIzuOoqOOtmxA1v7cRm//AwyMwWxyHz4zfwmBhcSrf47NUAFf
qzLQ2PPQxdTXREYEnKMjMCEwHwYDVR0jBBgwFoAUaYhba4dGQEHhs3uEe6CuLN4B
yNQwCgYIKoZIzj0EAwIDRwAwRAIge09+S5TZAlw5tgtiVvuERV6cT4mfutXIlwTb
+FYN/8oCIClDsqBklhB9KAelFiYt9+6FDj3z4KGVelYM5MdsO3pK
-----END CERTIFICATE-----
)";

TEST(RenewalId, IsAsInTheExampleOfTheRfc) {
  const auto chain = ParseChainPem(kExample);
  ASSERT_THAT(chain, IsOk());
  const auto id = RenewalId(chain->front());
  ASSERT_THAT(id, IsOk());
  EXPECT_EQ(*id, "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE");
}

TEST(RenewalId, NeedsAnAuthorityKeyIdentifier) {
  const auto alone = testing::TestCa::SelfSigned({.dns_names = {"a.example.com"}});
  EXPECT_THAT(RenewalId(alone.certificate), HasReason(Reason::MALFORMED));
}

TEST(RenewalWindow, IsReadWithItsPage) {
  const auto window = ParseRenewalWindow(nlohmann::json::parse(
      R"({"suggestedWindow": {"start": "2030-01-02T04:00:00Z", "end": "2030-01-03T04:00:00.5+01:00"},
          "explanationURL": "https://ca.test/why"})"));
  ASSERT_THAT(window, IsOk());
  EXPECT_EQ(window->start, kNow + kDay + absl::Hours(4));
  EXPECT_EQ(window->end, kNow + 2 * kDay + absl::Hours(3) + absl::Milliseconds(500));
  EXPECT_EQ(window->explanation_url, "https://ca.test/why");
}

TEST(RenewalWindow, WhatIsNoneIsNotUsed) {
  for (const char* body : {
           "[]",
           "null",
           "{}",
           R"({"suggestedWindow": []})",
           R"({"suggestedWindow": {"start": "2030-01-02T04:00:00Z"}})",
           R"({"suggestedWindow": {"start": 7, "end": "2030-01-02T04:00:00Z"}})",
           R"({"suggestedWindow": {"start": "soon", "end": "2030-01-02T04:00:00Z"}})",
           R"({"suggestedWindow": {"start": "infinite-past", "end": "infinite-future"}})",
           R"({"suggestedWindow": {"start": "2030-01-02T04:00:00Z", "end": "2030-01-02T04:00:00Z"}})",
           R"({"suggestedWindow": {"start": "2030-01-02T04:00:00Z", "end": "2030-01-01T04:00:00Z"}})",
       }) {
    EXPECT_THAT(ParseRenewalWindow(nlohmann::json::parse(body)), HasReason(Reason::PROTOCOL)) << body;
  }
}

TEST(RenewalWindow, APageThatIsNoUrlIsLeftOut) {
  for (const char* page : {"javascript:alert(1)", "http://ca.test", "https://ca.test/\u001b[2J"}) {
    nlohmann::json body = {{"suggestedWindow", {{"start", "2030-01-02T04:00:00Z"}, {"end", "2030-01-03T04:00:00Z"}}}};
    body["explanationURL"] = page;
    EXPECT_EQ(ParseRenewalWindow(body)->explanation_url, "") << page;
  }
}

TEST(RenewalCheck, PicksATimeWithinTheWindowOnce) {
  const RenewalInfo first = After(std::nullopt, Says(kNow + 10 * kDay, kNow + 12 * kDay));
  EXPECT_EQ(FromTimestamp(first.selected_at()), kNow + 11 * kDay);
  EXPECT_EQ(FromTimestamp(first.next_check()), kNow + absl::Hours(6));
  // The same window: the same time, whatever the dice would say.
  EXPECT_EQ(FromTimestamp(After(first, Says(kNow + 10 * kDay, kNow + 12 * kDay), 0.9).selected_at()), kNow + 11 * kDay);
  // Another one: another time.
  EXPECT_EQ(FromTimestamp(After(first, Says(kNow + 10 * kDay, kNow + 20 * kDay), 0.9).selected_at()), kNow + 19 * kDay);
  // Another certificate, too.
  RenewalInfo other = first;
  other.set_leaf_sha256("bb");
  EXPECT_EQ(FromTimestamp(After(other, Says(kNow + 10 * kDay, kNow + 12 * kDay), 0).selected_at()), kNow + 10 * kDay);
}

TEST(RenewalCheck, TheMachinesDiceStayWithinTheWindow) {
  double least = 1;
  double most = 0;
  for (int i = 0; i < 1000; ++i) {
    const double share = RealRandomShare();
    least = std::min(least, share);
    most = std::max(most, share);
  }
  EXPECT_GE(least, 0);
  EXPECT_LT(most, 1);
  EXPECT_LT(least, 0.1);
  EXPECT_GT(most, 0.9);
}

TEST(RenewalCheck, AnErrorKeepsTheWindowForSixHours) {
  const RenewalInfo first = After(std::nullopt, Says(kNow + 10 * kDay, kNow + 12 * kDay));
  const RenewalInfo later = After(first, Fail(Reason::TIMED_OUT, "no answer"));
  EXPECT_EQ(FromTimestamp(later.selected_at()), kNow + 11 * kDay);
  EXPECT_EQ(later.last_error(), "no answer");
  EXPECT_EQ(FromTimestamp(later.next_check()), kNow + absl::Hours(6));
  EXPECT_EQ(After(later, Says(kNow + 10 * kDay, kNow + 12 * kDay)).last_error(), "");
}

TEST(RenewalCheck, AnAnswerThatMakesNoSenseTakesTheWindowBack) {
  const RenewalInfo first = After(std::nullopt, Says(kNow + 10 * kDay, kNow + 12 * kDay));
  const RenewalInfo later = After(first, Fail(Reason::PROTOCOL, "the window that it suggests ends before it begins"));
  EXPECT_FALSE(later.has_selected_at());
  EXPECT_THAT(later.last_error(), HasSubstr("ends before it begins"));
}

TEST(RenewalCheck, ACaWithoutSuchInformationIsAskedOnceADay) {
  const RenewalInfo first = After(std::nullopt, std::optional<RenewalAnswer>());
  EXPECT_FALSE(first.has_selected_at());
  EXPECT_FALSE(RenewalCheckIsDue(first, "aa", kNow + 23 * absl::Hours(1)));
  EXPECT_TRUE(RenewalCheckIsDue(first, "aa", kNow + 24 * absl::Hours(1)));
}

TEST(RenewalCheck, IsDueForAnotherCertificateAndAfterTheClockWasSetBack) {
  const RenewalInfo first = After(std::nullopt, Says(kNow + 10 * kDay, kNow + 12 * kDay));
  EXPECT_TRUE(RenewalCheckIsDue(std::nullopt, "aa", kNow));
  EXPECT_TRUE(RenewalCheckIsDue(first, "bb", kNow));
  EXPECT_FALSE(RenewalCheckIsDue(first, "aa", kNow + absl::Hours(5)));
  EXPECT_TRUE(RenewalCheckIsDue(first, "aa", kNow - 300 * kDay));
}

}  // namespace
}  // namespace certcast::controller
