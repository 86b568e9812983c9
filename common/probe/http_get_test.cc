#include "common/probe/http_get.h"

#include <deque>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/scripted_stream.h"
#include "tests/testing/status_matchers.h"

namespace certcast {
namespace {

using ::certcast::testing::EndlessStream;
using ::certcast::testing::HasCode;
using ::certcast::testing::HasReason;
using ::certcast::testing::IsOk;
using ::certcast::testing::IsOkAndHolds;
using ::certcast::testing::ScriptedStream;
using ::testing::HasSubstr;

absl::StatusOr<int> StatusOf(std::deque<std::string> pieces) {
  ScriptedStream stream(std::move(pieces));
  const absl::StatusOr<HttpAnswer> answer = HttpGet(stream, "example.com", "/", /*wants_body=*/false);
  if (!answer.ok()) return answer.status();
  return answer->status;
}

absl::StatusOr<std::string> BodyOf(std::deque<std::string> pieces) {
  ScriptedStream stream(std::move(pieces));
  const absl::StatusOr<HttpAnswer> answer = HttpGet(stream, "example.com", "/", /*wants_body=*/true);
  if (!answer.ok()) return answer.status();
  return answer->body;
}

TEST(HttpGetTest, AsksAsRfc9112Says) {
  ScriptedStream stream({"HTTP/1.1 200 OK\r\n\r\n"});
  ASSERT_THAT(HttpGet(stream, "example.com:8443", "/a?b", false).status(), IsOk());
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
    EXPECT_THAT(HttpGet(*stream, "a", "/", true).status(), HasReason(Reason::PROTOCOL));
    EXPECT_LT(stream->read(), 20'000u);
  }
}

TEST(HttpGetTest, ReadsABodyOfGivenLength) {
  EXPECT_THAT(BodyOf({"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhe", "llo more"}), IsOkAndHolds("hello"));
  EXPECT_THAT(BodyOf({"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"}), IsOkAndHolds(""));
  EXPECT_THAT(BodyOf({"HTTP/1.1 204 OK\r\n\r\n"}), IsOkAndHolds(""));
}

TEST(HttpGetTest, ReadsABodyInChunks) {
  EXPECT_THAT(BodyOf({"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, Chunked\r\n\r\n2\r\nhe\r\n", "A;x=y\r\nllo, ",
                      "world\r\n0\r\n\r\n"}),
              IsOkAndHolds("hello, world"));
}

TEST(HttpGetTest, ReadsABodyToTheEndOfTheStream) {
  EXPECT_THAT(BodyOf({"HTTP/1.1 200 OK\r\n\r\nhel", "lo"}), IsOkAndHolds("hello"));
}

absl::StatusOr<std::string> LocationOf(absl::string_view answer, bool wants_body = true) {
  ScriptedStream stream({std::string(answer)});
  ASSIGN_OR_RETURN(const HttpAnswer got, HttpGet(stream, "example.com", "/", wants_body));
  return got.location;
}

TEST(HttpGetTest, SaysWhereARedirectLeads) {
  for (const int status : {301, 302, 303, 307, 308}) {
    EXPECT_THAT(LocationOf(absl::StrCat("HTTP/1.1 ", status, "\r\nlocation:  https://a/b c\t\r\nLocation: /d\r\n\r\n")),
                IsOkAndHolds("https://a/b c"));
  }
  EXPECT_THAT(LocationOf("HTTP/1.1 302 Found\r\nContent-Length: 2\r\nLocation: ../x\r\n\r\nok"), IsOkAndHolds("../x"));
  EXPECT_THAT(LocationOf("HTTP/1.1 301 Moved\r\nLocation:\r\nLocation: /d\r\n\r\n"), IsOkAndHolds(""));
  EXPECT_THAT(LocationOf("HTTP/1.1 301 Moved\r\n\r\n"), IsOkAndHolds(""));
}

TEST(HttpGetTest, OnlyARedirectLeadsElsewhere) {
  for (const int status : {200, 201, 300, 304, 305, 404}) {
    EXPECT_THAT(LocationOf(absl::StrCat("HTTP/1.1 ", status, "\r\nLocation: /x\r\n\r\n")), IsOkAndHolds(""));
  }
  EXPECT_THAT(LocationOf("HTTP/1.1 103 Early\r\nLocation: /x\r\n\r\nHTTP/1.1 301 Moved\r\n\r\n"), IsOkAndHolds(""));
  EXPECT_THAT(LocationOf("HTTP/1.1 301 Moved\r\nLocation: /x\r\n\r\n", /*wants_body=*/false), IsOkAndHolds(""));
}

TEST(HttpGetTest, RefusesABodyThatEndsTooEarly) {
  EXPECT_THAT(BodyOf({"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello"}), HasReason(Reason::LINK_LOST));
  EXPECT_THAT(BodyOf({"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nhello"}),
              HasReason(Reason::LINK_LOST));
  EXPECT_THAT(BodyOf({"HTTP/1.1 200 OK\r\nContent-Le"}), HasReason(Reason::PROTOCOL));
}

TEST(HttpGetTest, RefusesBodiesThatAreNotFramed) {
  for (const absl::string_view after :
       {"Content-Length: x\r\n\r\n", "Content-Length: -1\r\n\r\n", "no colon\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\nxyz\r\n", "Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n"}) {
    EXPECT_THAT(BodyOf({absl::StrCat("HTTP/1.1 200 OK\r\n", after)}), HasReason(Reason::PROTOCOL)) << after;
  }
}

TEST(HttpGetTest, ReadsTheFirst64KibOfABody) {
  for (const absl::string_view framing : {"", "Content-Length: 99999999\r\n", "Transfer-Encoding: chunked\r\n"}) {
    EndlessStream stream(absl::StrCat("HTTP/1.1 200 OK\r\n", framing, "\r\n"),
                         absl::StrCat("3E8\r\n", std::string(1000, 'x'), "\r\n"));
    const auto answer = HttpGet(stream, "a", "/", /*wants_body=*/true);
    ASSERT_THAT(answer.status(), IsOk()) << framing;
    EXPECT_EQ(answer->body.size(), 64u * 1024);
    EXPECT_LT(stream.read(), 70'000u);
  }
}

TEST(HttpGetTest, LetsNobodyWriteHeaders) {
  ScriptedStream stream({});
  EXPECT_THAT(HttpGet(stream, "a\r\nX: y", "/", true).status(), HasCode(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(HttpGet(stream, "a", "/ HTTP/1.1\r\nX: y", true).status(), HasCode(absl::StatusCode::kInvalidArgument));
  EXPECT_EQ(stream.written(), "");
}

}  // namespace
}  // namespace certcast
