#include "common/probe/http_get.h"

#include <deque>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/scripted_stream.h"
#include "tests/testing/status_matchers.h"

namespace certcast {
namespace {

using ::certcast::testing::EndlessStream;
using ::certcast::testing::HasCode;
using ::certcast::testing::HasReason;
using ::certcast::testing::IsOkAndHolds;
using ::certcast::testing::ScriptedStream;
using ::testing::HasSubstr;

absl::StatusOr<int> StatusOf(std::deque<std::string> pieces) {
  ScriptedStream stream(std::move(pieces));
  return HttpGetStatus(stream, "example.com", "/");
}

TEST(HttpGetTest, AsksAsRfc9112Says) {
  ScriptedStream stream({"HTTP/1.1 200 OK\r\n\r\n"});
  ASSERT_THAT(HttpGetStatus(stream, "example.com:8443", "/a?b"), IsOkAndHolds(200));
  EXPECT_THAT(stream.written(), ::testing::StartsWith("GET /a?b HTTP/1.1\r\nHost: example.com:8443\r\n"));
  EXPECT_THAT(stream.written(), HasSubstr("\r\nConnection: close\r\n"));
  EXPECT_THAT(stream.written(), ::testing::EndsWith("\r\n\r\n"));
}

TEST(HttpGetTest, ReadsTheStatus) {
  EXPECT_THAT(StatusOf({"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 5\r\n\r\nsorry"}), IsOkAndHolds(503));
  EXPECT_THAT(StatusOf({"HTTP/1.0 204\r\n"}), IsOkAndHolds(204));
  EXPECT_THAT(StatusOf({"HTTP/1.1 404 \n"}), IsOkAndHolds(404));
}

TEST(HttpGetTest, PutsPiecesTogether) {
  EXPECT_THAT(StatusOf({"HT", "TP/1.1 2", "00 O", "K\r", "\n"}), IsOkAndHolds(200));
}

TEST(HttpGetTest, PassesOverInterimAnswers) {
  EXPECT_THAT(
      StatusOf({"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\n"}),
      IsOkAndHolds(200));
}

TEST(HttpGetTest, RefusesWhatIsNotHttp) {
  for (const absl::string_view text :
       {"SSH-2.0-OpenSSH\r\n", "\x15\x03\x01\n", "\r\n", "HTTP/2 200\r\n", "HTTP/1.1 20\r\n", "HTTP/1.1 2000\r\n",
        "HTTP/1.1 abc\r\n", "HTTP/1.1 099\r\n", "HTTP/1.1  200\r\n", "HTTP/1.1200 OK\r\n", "no line end"}) {
    EXPECT_THAT(StatusOf({std::string(text)}), HasReason(Reason::PROTOCOL, HasSubstr("not HTTP/1"))) << text;
  }
}

TEST(HttpGetTest, SaysThatTheConnectionWasClosed) {
  EXPECT_THAT(StatusOf({}), HasReason(Reason::LINK_LOST));
  EXPECT_THAT(StatusOf({"HTTP/1.1 100 Continue\r\n\r\n"}), HasReason(Reason::LINK_LOST));
}

TEST(HttpGetTest, ReadsNoMoreThanItMust) {
  EndlessStream line("HTTP/1.1", std::string(1000, ' '));
  EndlessStream headers("HTTP/1.1 100 Continue\r\n", "X: y\r\n");
  EndlessStream interim("HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\n");
  for (EndlessStream* stream : {&line, &headers, &interim}) {
    EXPECT_THAT(HttpGetStatus(*stream, "a", "/"), HasReason(Reason::PROTOCOL));
    EXPECT_LT(stream->read(), 20'000u);
  }
}

TEST(HttpGetTest, LetsNobodyWriteHeaders) {
  ScriptedStream stream({});
  EXPECT_THAT(HttpGetStatus(stream, "a\r\nX: y", "/"), HasCode(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(HttpGetStatus(stream, "a", "/ HTTP/1.1\r\nX: y"), HasCode(absl::StatusCode::kInvalidArgument));
  EXPECT_EQ(stream.written(), "");
}

}  // namespace
}  // namespace certcast
