#include "controller/acme/revocation_reason.h"

#include "common/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace certcast::controller {
namespace {

using testing::HasCode;
using ::testing::HasSubstr;
using testing::IsOkAndHolds;

TEST(RevocationReasonTest, ByNameInAnyCaseOrByNumber) {
  EXPECT_THAT(ParseRevocationReason("keyCompromise"), IsOkAndHolds(1));
  EXPECT_THAT(ParseRevocationReason("KEYCOMPROMISE"), IsOkAndHolds(1));
  EXPECT_THAT(ParseRevocationReason("1"), IsOkAndHolds(1));
  EXPECT_THAT(ParseRevocationReason("unspecified"), IsOkAndHolds(0));
  EXPECT_THAT(ParseRevocationReason("aACompromise"), IsOkAndHolds(10));
}

TEST(RevocationReasonTest, EachNumberButSevenComesBackByItsName) {
  for (int number = 0; number <= 10; ++number) {
    if (number == 7) continue;
    EXPECT_THAT(ParseRevocationReason(RevocationReasonName(number)), IsOkAndHolds(number));
    EXPECT_NE(RevocationReasonName(number), std::to_string(number));
  }
}

TEST(RevocationReasonTest, AnythingElseIsWrongInputAndTheHintHasThemAll) {
  for (const char* text : {"7", "11", "-1", "", "stolen", "1 keyCompromise"}) {
    const auto reason = ParseRevocationReason(text);
    EXPECT_THAT(reason, HasCode(absl::StatusCode::kInvalidArgument)) << text;
    EXPECT_THAT(FailureOf(reason.status()).hint(),
                HasSubstr("5 cessationOfOperation, 6 certificateHold, 8 removeFromCRL"));
  }
  EXPECT_THAT(std::string(ParseRevocationReason("7").status().message()), HasSubstr("leaves 7 unused"));
}

}  // namespace
}  // namespace certcast::controller
