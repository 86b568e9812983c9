#include "controller/schedule/contract.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace certcast::controller {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Urgency = ContractNotice::Urgency;

constexpr absl::Duration kDay = absl::Hours(24);
// 2027-03-31 is the last day.
const absl::Time kEnd = absl::FromCivil(absl::CivilDay(2027, 4, 1), absl::UTCTimeZone());

ContractNotice At(absl::Time now, const char* what = "contract") {
  AccountConfig account{.name = "digicert"};
  account.ends = {{what, kEnd}};
  return ContractNotices({account}, now).at(0);
}

TEST(Contract, IsWarnedOfSixtyThirtyAndSevenDaysAhead) {
  EXPECT_EQ(At(kEnd - 60 * kDay - absl::Seconds(1)).urgency, Urgency::kNone);
  EXPECT_EQ(At(kEnd - 60 * kDay).urgency, Urgency::kEarly);
  EXPECT_EQ(At(kEnd - 30 * kDay - absl::Seconds(1)).urgency, Urgency::kEarly);
  EXPECT_EQ(At(kEnd - 30 * kDay).urgency, Urgency::kSoon);
  EXPECT_EQ(At(kEnd - 7 * kDay).urgency, Urgency::kNow);
  EXPECT_EQ(At(kEnd + 100 * kDay).urgency, Urgency::kNow);
}

TEST(Contract, SaysWhatEndsWhen) {
  EXPECT_EQ(At(kEnd - 27 * kDay).text, "the contract of the account digicert ends on 2027-03-31, in 26 days");
  EXPECT_EQ(At(kEnd - 2 * kDay).text, "the contract of the account digicert ends on 2027-03-31, in 1 day");
  EXPECT_EQ(At(kEnd - kDay).text, "the contract of the account digicert ends on 2027-03-31, today");
  EXPECT_EQ(At(kEnd - absl::Hours(1)).text, "the contract of the account digicert ends on 2027-03-31, today");
  EXPECT_EQ(At(kEnd).text, "the contract of the account digicert ended on 2027-03-31");
}

TEST(Contract, SaysWhatToDo) {
  EXPECT_THAT(At(kEnd, "contract").hint, HasSubstr("accounts[].ends.contract"));
  EXPECT_THAT(At(kEnd, "vetting").hint, HasSubstr("may take weeks"));
  EXPECT_THAT(At(kEnd, "external_account").hint, HasSubstr("key_id and hmac_key"));
}

TEST(Contract, SaysNothingOfWhatHasNoDate) {
  EXPECT_THAT(ContractNotices({AccountConfig{.name = "letsencrypt"}}, kEnd), IsEmpty());
}

}  // namespace
}  // namespace certcast::controller
