// Matchers for absl::Status and absl::StatusOr.
//
//   EXPECT_THAT(Write(), IsOk());
//   EXPECT_THAT(Count(), IsOkAndHolds(3));
//   EXPECT_THAT(Write(), HasReason(Reason::NO_SPACE));
//   EXPECT_THAT(Write(), HasReason(Reason::NO_SPACE, HasSubstr("/etc/x")));
//   EXPECT_THAT(Find(), HasCode(absl::StatusCode::kNotFound));
//
// Within namespace certcast write ::testing for GoogleTest's own namespace.
#ifndef CERTCAST_TESTS_TESTING_STATUS_MATCHERS_H_
#define CERTCAST_TESTS_TESTING_STATUS_MATCHERS_H_

#include <ostream>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace certcast::testing {

inline const absl::Status& StatusIn(const absl::Status& status) {
  return status;
}
template <typename T>
const absl::Status& StatusIn(const absl::StatusOr<T>& result) {
  return result.status();
}

// As a failed assertion shows it.
inline std::string Describe(const absl::Status& status) {
  if (status.ok()) return "OK";
  const v1::Failure failure = FailureOf(status);
  std::string text = absl::StatusCodeToString(status.code()) + " " + std::string(ReasonName(failure.reason())) + ": " +
                     failure.detail();
  if (!failure.step().empty()) text += " [step " + failure.step() + "]";
  if (!failure.hint().empty()) text += " [hint: " + failure.hint() + "]";
  if (!failure.stderr().empty()) text += " [stderr: " + failure.stderr() + "]";
  return text;
}

MATCHER(IsOk, negation ? "is an error" : "is OK") {
  *result_listener << "which is " << Describe(StatusIn(arg));
  return StatusIn(arg).ok();
}

// For StatusOr<T>: OK, and the value matches.
MATCHER_P(IsOkAndHolds, value, negation ? "is an error or holds another value" : "is OK and holds the value") {
  if (!arg.ok()) {
    *result_listener << "which is " << Describe(StatusIn(arg));
    return false;
  }
  return ::testing::ExplainMatchResult(value, *arg, result_listener);
}

MATCHER_P(HasCode, code, (negation ? "hasn't code " : "has code ") + absl::StatusCodeToString(code)) {
  *result_listener << "which is " << Describe(StatusIn(arg));
  return StatusIn(arg).code() == code;
}

MATCHER_P(HasReason, reason, (negation ? "hasn't reason " : "has reason ") + std::string(ReasonName(reason))) {
  *result_listener << "which is " << Describe(StatusIn(arg));
  return !StatusIn(arg).ok() && ReasonOf(StatusIn(arg)) == reason;
}

// The reason, and a matcher or a whole text for the detail.
MATCHER_P2(HasReason, reason, detail,
           (negation ? "hasn't reason " : "has reason ") + std::string(ReasonName(reason)) + " with that detail") {
  *result_listener << "which is " << Describe(StatusIn(arg)) << " ";
  return !StatusIn(arg).ok() && ReasonOf(StatusIn(arg)) == reason &&
         ::testing::ExplainMatchResult(detail, FailureOf(StatusIn(arg)).detail(), result_listener);
}

}  // namespace certcast::testing

#endif  // CERTCAST_TESTS_TESTING_STATUS_MATCHERS_H_
