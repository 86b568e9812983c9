// What an HTTP server answers to a probe.
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/probe/http_get.h"
#include "common/status/status.h"
#include "tests/fuzz/target.h"
#include "tests/testing/scripted_stream.h"

namespace certcast::fuzz {
namespace {

constexpr size_t kMaxBody = size_t{64} * 1024;
constexpr size_t kMaxHead = size_t{16} * 1024;
constexpr size_t kMaxPiece = size_t{16} * 1024;  // of Stream::Read

absl::StatusOr<HttpAnswer> Get(absl::string_view says, size_t piece, bool wants_body) {
  testing::ScriptedStream stream(InPieces(says, piece));
  absl::StatusOr<HttpAnswer> answer = HttpGet(stream, "www.example.com", "/healthz", wants_body);
  RequireOrderly(answer.status());
  if (answer.ok()) {
    Require(answer->status >= 200 && answer->status <= 999, "the answer is a final one");
    Require(answer->body.size() <= kMaxBody, "a body is bounded");
    Require(wants_body || (answer->body.empty() && answer->location.empty()), "nothing beside the status is read");
    Require(answer->location.empty() || (answer->status >= 301 && answer->status <= 308), "redirects lead elsewhere");
    Require(answer->location.size() <= kMaxHead && !absl::StrContains(answer->location, '\n'), "a line of the head");
  } else {
    const Reason::Code reason = ReasonOf(answer.status());
    Require(reason == Reason::PROTOCOL || reason == Reason::LINK_LOST, "an answer is wrong, or it ended");
  }
  return answer;
}

void RequireSame(const absl::StatusOr<HttpAnswer>& a, const absl::StatusOr<HttpAnswer>& b) {
  Require(a.ok() == b.ok() && ReasonOf(a.status()) == ReasonOf(b.status()),
          "how the network cut an answer does not matter");
  if (!a.ok()) return;
  Require(a->status == b->status && a->body == b->body && a->location == b->location,
          "how the network cut an answer does not matter");
}

}  // namespace

std::vector<Seed> Seeds() {
  return {
      {.name = "long-head",
       .bytes = absl::StrCat("\x40HTTP/1.1 200 OK\r\nX: ", std::string(16000, 'x'), "\r\nY: ", std::string(500, 'y'),
                             "\r\n\r\nok")},
      {.name = "long-body",
       .bytes = absl::StrCat("\xffHTTP/1.1 200 OK\r\nContent-Length: 70000\r\n\r\n", std::string(70000, 'b'))},
      {.name = "long-chunks",
       .bytes = absl::StrCat("\xffHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8000\r\n",
                             std::string(0x8000, 'a'), "\r\n9000\r\n", std::string(0x9000, 'b'), "\r\n0\r\n\r\n")},
  };
}

void TryInput(absl::string_view input) {
  InputReader reader(input);
  const size_t piece = reader.Byte() + 1;
  const absl::string_view says = reader.Rest();
  const absl::StatusOr<HttpAnswer> at_once = Get(says, kMaxPiece, /*wants_body=*/true);
  RequireSame(Get(says, piece, /*wants_body=*/true), at_once);
  const absl::StatusOr<HttpAnswer> status_only = Get(says, piece, /*wants_body=*/false);
  if (at_once.ok()) Require(status_only.ok() && status_only->status == at_once->status, "a status needs no body");
}

}  // namespace certcast::fuzz
