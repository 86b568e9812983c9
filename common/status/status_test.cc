#include "common/status/status.h"

#include <cerrno>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace certcast {
namespace {

using ::certcast::testing::HasCode;
using ::certcast::testing::HasReason;
using ::certcast::testing::IsOk;
using ::certcast::testing::IsOkAndHolds;
using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::StartsWith;

TEST(StatusTest, FailCarriesReasonDetailAndHint) {
  const absl::Status status = Fail(Reason::EXPIRED, "the leaf expired", "renew it");
  const v1::Failure failure = FailureOf(status);
  EXPECT_EQ(failure.reason(), Reason::EXPIRED);
  EXPECT_EQ(failure.detail(), "the leaf expired");
  EXPECT_EQ(failure.hint(), "renew it");
  EXPECT_EQ(status.message(), "the leaf expired");
}

TEST(StatusTest, FailIsNeverOkAndNeverWrongInput) {
  for (int number = v1::Reason::Code_MIN; number <= v1::Reason::Code_MAX + 1; ++number) {
    const absl::Status status = Fail(static_cast<Reason::Code>(number), "x");
    EXPECT_FALSE(status.ok()) << number;
    EXPECT_NE(status.code(), absl::StatusCode::kInvalidArgument) << number;
    EXPECT_NE(status.code(), absl::StatusCode::kNotFound) << number;
    EXPECT_NE(status.code(), absl::StatusCode::kAlreadyExists) << number;
  }
}

TEST(StatusTest, FailInputIsInvalidArgument) {
  EXPECT_THAT(FailInput("no such key", "did you mean x?"), HasCode(absl::StatusCode::kInvalidArgument));
  EXPECT_EQ(FailureOf(FailInput("no such key", "did you mean x?")).hint(), "did you mean x?");
}

struct ErrnoCase {
  int error;
  Reason::Code reason;
  absl::StatusCode code;
};

TEST(StatusTest, ErrnoPicksReasonAndCode) {
  const ErrnoCase cases[] = {
      {ENOSPC, Reason::NO_SPACE, absl::StatusCode::kResourceExhausted},
      {EDQUOT, Reason::NO_SPACE, absl::StatusCode::kResourceExhausted},
      {EACCES, Reason::PERMISSION_DENIED, absl::StatusCode::kPermissionDenied},
      {EPERM, Reason::PERMISSION_DENIED, absl::StatusCode::kPermissionDenied},
      {EROFS, Reason::PERMISSION_DENIED, absl::StatusCode::kPermissionDenied},
      {ENOENT, Reason::STORAGE_FAILED, absl::StatusCode::kNotFound},
      {EEXIST, Reason::STORAGE_FAILED, absl::StatusCode::kAlreadyExists},
      {EMFILE, Reason::STORAGE_FAILED, absl::StatusCode::kUnavailable},
      {ENFILE, Reason::STORAGE_FAILED, absl::StatusCode::kUnavailable},
      {ENOMEM, Reason::STORAGE_FAILED, absl::StatusCode::kUnavailable},
      {EIO, Reason::STORAGE_FAILED, absl::StatusCode::kInternal},
      {ENOTDIR, Reason::STORAGE_FAILED, absl::StatusCode::kInternal},
  };
  for (const ErrnoCase& c : cases) {
    const absl::Status status = FailErrno(c.error, "writing /etc/x");
    EXPECT_THAT(status, HasReason(c.reason, StartsWith("writing /etc/x: "))) << c.error;
    EXPECT_THAT(status, HasCode(c.code)) << c.error;
  }
  EXPECT_THAT(FailErrno(ENOSPC, "writing /etc/x"), HasReason(Reason::NO_SPACE, HasSubstr("No space left on device")));
  EXPECT_THAT(FailErrno(99999, "x"), HasReason(Reason::STORAGE_FAILED, "x: error 99999"));
}

TEST(StatusTest, ErrnoHasTheUsualHintUnlessGivenOne) {
  EXPECT_EQ(FailureOf(FailErrno(EROFS, "x")).hint(), "that file system is mounted read-only");
  EXPECT_EQ(FailureOf(FailErrno(EROFS, "x", "remount it")).hint(), "remount it");
  EXPECT_EQ(FailureOf(FailErrno(ENOTDIR, "x")).hint(), "");
}

TEST(StatusTest, AnnotateKeepsAllButTheText) {
  absl::Status status = FailErrno(ENOENT, "opening key", "make it");
  status = WithStderr(WithStep(status, "stage"), "boom\n");
  status = Annotate(status, "node web-01");
  const v1::Failure failure = FailureOf(status);
  EXPECT_EQ(failure.detail(), "node web-01: opening key: No such file or directory");
  EXPECT_EQ(failure.reason(), Reason::STORAGE_FAILED);
  EXPECT_EQ(failure.step(), "stage");
  EXPECT_EQ(failure.hint(), "make it");
  EXPECT_EQ(failure.stderr(), "boom\n");
  EXPECT_THAT(status, HasCode(absl::StatusCode::kNotFound));
}

TEST(StatusTest, FirstStepHintAndStderrAreKept) {
  absl::Status status = Fail(Reason::CHECK_FAILED, "nginx -t failed", "first hint");
  status = WithStep(WithStep(status, "check"), "install");
  status = WithHint(status, "second hint");
  status = WithStderr(WithStderr(status, "one"), "two");
  const v1::Failure failure = FailureOf(status);
  EXPECT_EQ(failure.step(), "check");
  EXPECT_EQ(failure.hint(), "first hint");
  EXPECT_EQ(failure.stderr(), "one");
}

TEST(StatusTest, OkStaysOk) {
  EXPECT_THAT(Annotate(absl::OkStatus(), "x"), IsOk());
  EXPECT_THAT(WithStep(absl::OkStatus(), "x"), IsOk());
  EXPECT_THAT(WithHint(absl::OkStatus(), "x"), IsOk());
  EXPECT_THAT(WithStderr(absl::OkStatus(), "x"), IsOk());
  EXPECT_THAT(WithReason(absl::OkStatus(), Reason::BUSY), IsOk());
  EXPECT_EQ(ReasonOf(absl::OkStatus()), Reason::REASON_UNSPECIFIED);
}

TEST(StatusTest, WithReasonKeepsTheCode) {
  const absl::Status status = WithReason(FailInput("x"), Reason::MALFORMED);
  EXPECT_THAT(status, AllOf(HasReason(Reason::MALFORMED, "x"), HasCode(absl::StatusCode::kInvalidArgument)));
}

TEST(StatusTest, KeepFirstNamesBothAndIsTheFirst) {
  const absl::Status first = Fail(Reason::NO_SPACE, "disk full");
  const absl::Status cleanup = Fail(Reason::PERMISSION_DENIED, "can't remove");
  EXPECT_THAT(KeepFirst(first, cleanup),
              HasReason(Reason::NO_SPACE, "disk full (and while cleaning up: can't remove)"));
  EXPECT_THAT(KeepFirst(first, absl::OkStatus()), HasReason(Reason::NO_SPACE, "disk full"));
  EXPECT_THAT(KeepFirst(absl::OkStatus(), cleanup), HasReason(Reason::PERMISSION_DENIED, "can't remove"));
  EXPECT_THAT(KeepFirst(absl::OkStatus(), absl::OkStatus()), IsOk());
  EXPECT_THAT(KeepFirst(first, Fail(Reason::NO_SPACE, "disk full")), HasReason(Reason::NO_SPACE, "disk full"));
}

TEST(StatusTest, KeepFirstShowsBothEvenWhenTheFirstIsLong) {
  const absl::Status status =
      KeepFirst(Fail(Reason::NO_SPACE, std::string(5000, 'a')), Fail(Reason::BUSY, "can't remove"));
  EXPECT_THAT(status, HasReason(Reason::NO_SPACE, EndsWith("(and while cleaning up: can't remove)")));
}

TEST(StatusTest, ForeignStatusHasItsTextAndNoReason) {
  const absl::Status foreign = absl::UnavailableError("connection refused");
  EXPECT_THAT(foreign, HasReason(Reason::REASON_UNSPECIFIED, "connection refused"));
  EXPECT_EQ(FailureOf(absl::UnavailableError("")).detail(), "UNAVAILABLE");
  const absl::Status annotated = Annotate(foreign, "web-01");
  EXPECT_THAT(annotated, AllOf(HasReason(Reason::REASON_UNSPECIFIED, "web-01: connection refused"),
                               HasCode(absl::StatusCode::kUnavailable)));
}

TEST(StatusTest, AFailureWithoutATextStillSaysSomething) {
  v1::Failure came;
  EXPECT_THAT(StatusOf(came), HasReason(Reason::REASON_UNSPECIFIED, "UNKNOWN"));
  came.set_reason(Reason::BUSY);
  came.set_detail("\n\t");
  EXPECT_THAT(StatusOf(came), HasReason(Reason::BUSY, "BUSY"));
  came.set_reason(static_cast<Reason::Code>(9999));
  EXPECT_EQ(FailureOf(StatusOf(came)).detail(), "REASON_UNSPECIFIED");
}

TEST(StatusTest, DetailIsOneBoundedLine) {
  EXPECT_EQ(FailureOf(Fail(Reason::BUSY, "a\nb\r\n\tc\n")).detail(), "a b c");
  EXPECT_EQ(FailureOf(Fail(Reason::BUSY, absl::string_view("a\0b", 3))).detail(), "a b");
  EXPECT_EQ(FailureOf(Fail(Reason::BUSY, "red \x1b[31malert")).detail(), "red  [31malert");
  EXPECT_EQ(FailureOf(Fail(Reason::BUSY, "c1 \xc2\x9b csi")).detail(), "c1   csi");
  const std::string longest = FailureOf(Fail(Reason::BUSY, std::string(5000, 'x'))).detail();
  EXPECT_THAT(longest, AllOf(SizeIs(1024), EndsWith("x...")));
  EXPECT_THAT(FailureOf(Fail(Reason::BUSY, std::string(1024, 'x'))).detail(), Not(HasSubstr("...")));
}

TEST(StatusTest, TextsAreValidUtf8) {
  EXPECT_EQ(FailureOf(Fail(Reason::BUSY, "gr\xc3\xbc\xc3\x9f")).detail(), "gr\xc3\xbc\xc3\x9f");
  EXPECT_EQ(FailureOf(Fail(Reason::BUSY, "\xf0\x9f\x94\x92")).detail(), "\xf0\x9f\x94\x92");
  EXPECT_EQ(FailureOf(Fail(Reason::BUSY, "latin1 \xfc.")).detail(), "latin1 ?.");
  EXPECT_EQ(FailureOf(Fail(Reason::BUSY, "overlong \xc0\xaf")).detail(), "overlong ??");
  EXPECT_EQ(FailureOf(Fail(Reason::BUSY, "overlong \xe0\x80\xaf")).detail(), "overlong ???");
  EXPECT_EQ(FailureOf(Fail(Reason::BUSY, "surrogate \xed\xa0\x80")).detail(), "surrogate ???");
  EXPECT_EQ(FailureOf(Fail(Reason::BUSY, "too high \xf4\x90\x80\x80")).detail(), "too high ????");
  EXPECT_EQ(FailureOf(Fail(Reason::BUSY, "cut \xe2\x82")).detail(), "cut ??");
}

TEST(StatusTest, LongTextIsCutBetweenCharacters) {
  std::string euros;
  for (int i = 0; i < 1000; ++i) euros += "\xe2\x82\xac";
  for (const std::string prefix : {"", "a", "ab"}) {
    const std::string detail = FailureOf(Fail(Reason::BUSY, prefix + euros)).detail();
    EXPECT_LE(detail.size(), 1024u);
    EXPECT_THAT(detail, EndsWith("\xe2\x82\xac..."));
    const std::string text =
        FailureOf(WithStderr(Fail(Reason::BUSY, "x"), absl::StrCat(euros, euros, prefix))).stderr();
    EXPECT_LE(text.size(), 4096u);
    EXPECT_THAT(text, StartsWith("...\xe2\x82\xac"));
  }
}

TEST(StatusTest, StderrKeepsItsEndAndItsLines) {
  const absl::Status status =
      WithStderr(Fail(Reason::CHECK_FAILED, "x"), std::string(9000, 'a') + "\nlast\x1b[0m line\n");
  const std::string text = FailureOf(status).stderr();
  EXPECT_THAT(text, AllOf(SizeIs(4096), StartsWith("...a"), EndsWith("a\nlast [0m line\n")));
}

TEST(StatusTest, FailureSurvivesTheWayOverTheWire) {
  const absl::Status status =
      WithStderr(WithStep(Fail(Reason::RELOAD_FAILED, "exited with 1", "look at its log"), "reload"), "bad\n");
  v1::Failure sent;
  ASSERT_TRUE(sent.ParseFromString(FailureOf(status).SerializeAsString()));
  EXPECT_EQ(StatusOf(sent), status);
  EXPECT_THAT(StatusOf(sent, absl::StatusCode::kInvalidArgument), HasCode(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(StatusOf(sent, absl::StatusCode::kOk), Not(IsOk()));
}

TEST(StatusTest, FailureFromAPeerIsBoundedAndCleaned) {
  v1::Failure sent;
  sent.set_reason(Reason::BUSY);
  sent.set_detail("\x1b]0;owned\x07" + std::string(4000, 'x'));
  sent.set_step("step\n");
  sent.set_hint(std::string(4000, 'h'));
  const v1::Failure failure = FailureOf(StatusOf(sent));
  EXPECT_THAT(failure.detail(), AllOf(SizeIs(1024), StartsWith(" ]0;owned xxx")));
  EXPECT_EQ(failure.step(), "step");
  EXPECT_THAT(failure.hint(), SizeIs(1024));
}

TEST(StatusTest, ReasonNamesAreThoseOfTheProto) {
  EXPECT_EQ(ReasonName(Reason::NO_SPACE), "NO_SPACE");
  EXPECT_EQ(ReasonName(static_cast<Reason::Code>(12345)), "REASON_UNSPECIFIED");
}

absl::StatusOr<int> Double(absl::StatusOr<int> input) {
  ASSIGN_OR_RETURN(const int value, input);
  ASSIGN_OR_RETURN(const int same, std::move(input));
  return value + same;
}

absl::Status CountedCall(const absl::Status& status, int& calls_after) {
  RETURN_IF_ERROR(status);
  ++calls_after;
  return absl::OkStatus();
}

TEST(StatusTest, MacrosReturnTheFirstError) {
  EXPECT_THAT(Double(2), IsOkAndHolds(4));
  EXPECT_THAT(Double(Fail(Reason::BUSY, "x")), HasReason(Reason::BUSY));
  int calls = 0;
  EXPECT_THAT(CountedCall(Fail(Reason::BUSY, "x"), calls), HasReason(Reason::BUSY));
  EXPECT_EQ(calls, 0);
  EXPECT_THAT(CountedCall(absl::OkStatus(), calls), IsOk());
  EXPECT_EQ(calls, 1);
}

}  // namespace
}  // namespace certcast
