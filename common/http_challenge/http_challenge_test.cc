#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/http_challenge/listener.h"
#include "common/http_challenge/token.h"
#include "common/http_challenge/webroot.h"
#include "common/probe/http_get.h"
#include "common/probe/stream.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/memory_file_system.h"
#include "tests/testing/status_matchers.h"

namespace certcast {
namespace {

using testing::HasReason;
using ::testing::HasSubstr;
using testing::IsOk;
using ::testing::Not;
using ::testing::StartsWith;

const std::string kThumbprint(43, 'T');

std::string Authorization(absl::string_view token) {
  return absl::StrCat(token, ".", kThumbprint);
}

TEST(Token, OnlyWhatRfc8555HasIsShown) {
  EXPECT_THAT(CheckHttpChallenge("a-B_9", Authorization("a-B_9")), IsOk());
  EXPECT_THAT(CheckHttpChallenge(std::string(128, 'a'), Authorization(std::string(128, 'a'))), IsOk());
  for (const std::string token : {"", ".", "..", "a/b", "a b", "a%2e", "a\n"}) {
    EXPECT_THAT(CheckChallengeToken(token), HasReason(Reason::MALFORMED)) << token;
  }
  EXPECT_THAT(CheckChallengeToken(std::string(129, 'a')), HasReason(Reason::MALFORMED));
  EXPECT_THAT(CheckChallengeToken(std::string(1, '\0')), HasReason(Reason::MALFORMED));
  for (const std::string& text :
       {std::string(), std::string("a"), Authorization("b"), Authorization("a") + "A", "a." + std::string(43, '/'),
        "<script>" + Authorization("a"), Authorization("a").substr(0, 44)}) {
    EXPECT_THAT(CheckHttpChallenge("a", text), HasReason(Reason::MALFORMED)) << text;
  }
}

class Webroot : public ::testing::Test {
 protected:
  Webroot() { files_.PutDirectory("/var/www", {.mode = 0755}); }
  static constexpr char kFile[] = "/var/www/.well-known/acme-challenge/tok";

  testing::MemoryFileSystem files_;
  ChallengeWebroot webroot_{files_, "/var/www"};
};

TEST_F(Webroot, WritesAndRemoves) {
  ASSERT_THAT(webroot_.Put("tok", Authorization("tok")), IsOk());
  EXPECT_EQ(files_.GetFile(kFile), Authorization("tok"));
  ASSERT_THAT(webroot_.Put("tok", Authorization("tok")), IsOk());
  ASSERT_THAT(webroot_.Remove("tok"), IsOk());
  EXPECT_FALSE(files_.Exists(kFile));
  EXPECT_THAT(webroot_.Remove("tok"), IsOk());
  EXPECT_THAT(ChallengeWebroot(files_, "/nowhere").Remove("tok"), IsOk());
}

TEST_F(Webroot, AWebrootThatIsNotThereIsNotMade) {
  const absl::Status status = ChallengeWebroot(files_, "/var/wwww").Put("tok", Authorization("tok"));
  EXPECT_THAT(status, HasReason(Reason::STORAGE_FAILED, HasSubstr("/var/wwww")));
  EXPECT_FALSE(files_.Exists("/var/wwww"));
}

TEST_F(Webroot, ALinkIsReplacedNotFollowed) {
  files_.PutFile("/etc/passwd", "root", {.mode = 0644});
  files_.PutDirectory("/var/www/.well-known/acme-challenge", {.mode = 0777});
  files_.PutLink(kFile, "/etc/passwd", 4711);
  ASSERT_THAT(webroot_.Put("tok", Authorization("tok")), IsOk());
  EXPECT_EQ(files_.GetFile("/etc/passwd"), "root");
  EXPECT_EQ(files_.GetFile(kFile), Authorization("tok"));
}

TEST_F(Webroot, OnlyTokensAreNames) {
  EXPECT_THAT(webroot_.Put("../x", Authorization("../x")), HasReason(Reason::MALFORMED));
  EXPECT_THAT(webroot_.Remove("../x"), HasReason(Reason::MALFORMED));
}

class Listener : public ::testing::Test {
 protected:
  void SetUp() override { Begin(ChallengeListener::kPatience); }
  void Begin(absl::Duration patience) {
    auto listener = ChallengeListener::Start({.host = "127.0.0.1", .port = 0}, patience);
    ASSERT_THAT(listener, IsOk());
    listener_ = *std::move(listener);
    ASSERT_THAT(listener_->Put("tok", Authorization("tok")), IsOk());
  }
  std::unique_ptr<TcpStream> Connect() {
    auto stream = TcpStream::Connect({.host = "127.0.0.1", .port = listener_->port()}, Resolver::Local(),
                                     Deadline::In(absl::Seconds(20)));
    EXPECT_THAT(stream, IsOk());
    return *std::move(stream);
  }
  // All that comes until the other end is done.
  static std::string ReadAll(TcpStream& stream) {
    std::string all;
    while (true) {
      const auto more = stream.Read();
      if (!more.ok() || more->empty()) return all;
      all += *more;
    }
  }
  std::string Say(absl::string_view request) {
    const std::unique_ptr<TcpStream> stream = Connect();
    EXPECT_THAT(stream->Write(request), IsOk());
    return ReadAll(*stream);
  }

  std::unique_ptr<ChallengeListener> listener_;
};

TEST_F(Listener, AnswersWhatItWasGiven) {
  const auto answer = HttpGet(*Connect(), "www.example.com", "/.well-known/acme-challenge/tok", true);
  ASSERT_THAT(answer, IsOk());
  EXPECT_EQ(answer->status, 200);
  EXPECT_EQ(answer->body, Authorization("tok"));
  const std::string head = Say("HEAD /.well-known/acme-challenge/tok HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_THAT(head, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(head, HasSubstr("Content-Length: 47\r\n"));
  EXPECT_THAT(head, Not(HasSubstr(kThumbprint)));
  listener_->Remove("tok");
  EXPECT_TRUE(listener_->empty());
  EXPECT_EQ(HttpGet(*Connect(), "www.example.com", "/.well-known/acme-challenge/tok", false)->status, 404);
}

TEST_F(Listener, NothingElseIsThere) {
  for (const std::string path : {"/", "/.well-known/acme-challenge/", "/.well-known/acme-challenge/other",
                                 "/.well-known/acme-challenge/tok/", "/.well-known/acme-challenge/../tok",
                                 "//.well-known/acme-challenge/tok", "/.well-known/acme-challenge/tok?x"}) {
    EXPECT_THAT(Say(absl::StrCat("GET ", path, " HTTP/1.1\r\n\r\n")), StartsWith("HTTP/1.1 404 ")) << path;
  }
  EXPECT_THAT(Say("POST /.well-known/acme-challenge/tok HTTP/1.1\r\n\r\n"), StartsWith("HTTP/1.1 405 "));
  EXPECT_THAT(Say("\r\n\r\n"), StartsWith("HTTP/1.1 405 "));
}

TEST_F(Listener, TakesARequestInPieces) {
  const std::unique_ptr<TcpStream> stream = Connect();
  for (const absl::string_view piece : {"GE", "T /.well-known/acme-challenge/tok HTTP/1.1\r\n", "\r", "\n"}) {
    ASSERT_THAT(stream->Write(piece), IsOk());
  }
  EXPECT_THAT(ReadAll(*stream), HasSubstr(Authorization("tok")));
}

TEST_F(Listener, ARequestWithoutEndIsCutOff) {
  EXPECT_EQ(Say(std::string(4096, 'a')), "");
}

TEST_F(Listener, WhoSaysNothingLosesItsPlaceToOthers) {
  std::vector<std::unique_ptr<TcpStream>> silent;
  for (int i = 0; i < 200; ++i) silent.push_back(Connect());
  EXPECT_THAT(Say("GET /.well-known/acme-challenge/tok HTTP/1.1\r\n\r\n"), HasSubstr(Authorization("tok")));
  EXPECT_EQ(ReadAll(*silent.front()), "");
}

TEST_F(Listener, WhoIsSlowIsCutOff) {
  Begin(absl::Milliseconds(50));
  EXPECT_EQ(Say("GET /"), "");
}

TEST_F(Listener, SaysWhyItCantListen) {
  const HostPort taken{.host = "127.0.0.1", .port = listener_->port()};
  EXPECT_THAT(ChallengeListener::Start(taken), HasReason(Reason::NO_ROUTE, HasSubstr("Address already in use")));
  EXPECT_THAT(ChallengeListener::Start({.host = "192.0.2.1", .port = 0}),
              HasReason(Reason::NO_ROUTE, HasSubstr("192.0.2.1")));
}

}  // namespace
}  // namespace certcast
