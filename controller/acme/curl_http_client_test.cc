// Over real sockets and TLS, against servers of the test's own.
#include "controller/acme/curl_http_client.h"

#include <fstream>
#include <memory>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/local_tcp_server.h"
#include "tests/testing/local_tls_server.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temporary_directory.h"
#include "tests/testing/test_ca.h"

namespace certcast::controller {
namespace {

using ::testing::AllOf;
using testing::HasCode;
using testing::HasReason;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::IsOk;
using testing::LocalTlsServer;
using ::testing::Not;
using ::testing::SizeIs;
using testing::TestCa;

class CurlHttpClientTest : public ::testing::Test {
 protected:
  CurlHttpClientTest() {
    root_file_ = Write("root.pem", root_.root_pem());
    other_root_file_ = Write("other.pem", TestCa::Root().root_pem());
  }

  std::string Write(const std::string& name, const std::string& text) {
    std::string path = directory_.path() + "/" + name;
    std::ofstream(path) << text;
    return path;
  }

  HttpRequest To(const LocalTlsServer& server, const std::string& method = "GET") const {
    return {.method = method,
            .url = absl::StrCat("https://", server.address(), "/dir?action=renew"),
            .timeout = absl::Seconds(10),
            .ca_file = root_file_};
  }

  testing::TemporaryDirectory directory_;
  const TestCa root_ = TestCa::Root();
  const testing::IssuedCertificate leaf_ = root_.Issue({.ip_addresses = {"127.0.0.1"}});
  LocalTlsServer server_{leaf_.fullchain_pem, leaf_.key_pem.ExposeSecret()};
  std::string root_file_;
  std::string other_root_file_;
  const std::unique_ptr<HttpClient> http_ = MakeCurlHttpClient("certcast/0.0.0-test");
};

TEST_F(CurlHttpClientTest, SendsWhatItIsTold) {
  server_.Answer("HTTP/1.1 201 Created\r\nLocation: https://ca/1\r\nReplay-Nonce: abc\r\nContent-Length: 2\r\n\r\n{}");
  HttpRequest request = To(server_, "POST");
  request.headers = {{"Content-Type", "application/jose+json"}};
  request.body = "{\"payload\":\"\"}";
  const auto response = http_->Perform(request);
  ASSERT_THAT(response, IsOk());
  EXPECT_EQ(response->status, 201);
  EXPECT_EQ(response->Header("replay-nonce"), "abc");
  EXPECT_EQ(response->Header("location"), "https://ca/1");
  EXPECT_EQ(response->Header("retry-after"), "");
  EXPECT_EQ(response->body, "{}");
  ASSERT_THAT(server_.requests(), SizeIs(1));
  EXPECT_THAT(server_.requests().front(),
              AllOf(HasSubstr("POST /dir?action=renew HTTP/"), HasSubstr("User-Agent: certcast/0.0.0-test"),
                    HasSubstr("Content-Type: application/jose+json"), Not(HasSubstr("Expect:"))));
}

TEST_F(CurlHttpClientTest, AnErrorStatusIsAnAnswer) {
  server_.Answer("HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 4\r\n\r\nbusy");
  const auto response = http_->Perform(To(server_));
  ASSERT_THAT(response, IsOk());
  EXPECT_EQ(response->status, 503);
  EXPECT_EQ(response->Header("retry-after"), "7");
  EXPECT_EQ(response->body, "busy");
}

TEST_F(CurlHttpClientTest, HeadHasNoBody) {
  server_.Answer("HTTP/1.1 200 OK\r\nReplay-Nonce: n\r\nContent-Length: 100\r\n\r\n");
  const auto response = http_->Perform(To(server_, "HEAD"));
  ASSERT_THAT(response, IsOk());
  EXPECT_EQ(response->Header("replay-nonce"), "n");
}

TEST_F(CurlHttpClientTest, GetFollowsARedirectAndPostDoesNot) {
  LocalTlsServer target(leaf_.fullchain_pem, leaf_.key_pem.ExposeSecret());
  target.Answer("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nthere");
  server_.Answer(absl::StrCat("HTTP/1.1 302 Found\r\nX-Hop: 1\r\nLocation: https://", target.address(),
                              "/\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"));
  const auto followed = http_->Perform(To(server_));
  ASSERT_THAT(followed, IsOk());
  EXPECT_EQ(followed->body, "there");
  EXPECT_EQ(followed->Header("x-hop"), "") << "only the last answer's headers count";
  const auto stayed = http_->Perform(To(server_, "POST"));
  ASSERT_THAT(stayed, IsOk());
  EXPECT_EQ(stayed->status, 302);
  EXPECT_THAT(target.requests(), SizeIs(1));
}

TEST_F(CurlHttpClientTest, ARedirectToPlainHttpIsRefused) {
  server_.Answer("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n");
  EXPECT_THAT(http_->Perform(To(server_)), Not(IsOk()));
}

TEST_F(CurlHttpClientTest, OnlyTheRootsOfTheFileAreTrusted) {
  HttpRequest request = To(server_);
  request.ca_file = other_root_file_;
  const auto refused = http_->Perform(request);
  EXPECT_THAT(refused, HasReason(Reason::AUTH_FAILED, HasSubstr(server_.address())));
  EXPECT_THAT(FailureOf(refused.status()).hint(), HasSubstr(other_root_file_));
  request.ca_file.clear();
  EXPECT_THAT(FailureOf(http_->Perform(request).status()).hint(), HasSubstr("accounts[].ca_file"));
  EXPECT_THAT(server_.requests(), IsEmpty());
}

TEST_F(CurlHttpClientTest, TrustIsNotCarriedOverToTheNextRequest) {
  ASSERT_THAT(http_->Perform(To(server_)), IsOk());
  HttpRequest request = To(server_);
  request.ca_file = other_root_file_;
  EXPECT_THAT(http_->Perform(request), HasReason(Reason::AUTH_FAILED));
}

TEST_F(CurlHttpClientTest, TheNameMustBeInTheCertificate) {
  const auto other = root_.Issue({.dns_names = {"another.example.com"}});
  server_.Serve(other.fullchain_pem, other.key_pem.ExposeSecret());
  EXPECT_THAT(http_->Perform(To(server_)), HasReason(Reason::AUTH_FAILED));
}

TEST_F(CurlHttpClientTest, AMissingRootFileIsNamed) {
  HttpRequest request = To(server_);
  request.ca_file = "/no/such/root.pem";
  const auto refused = http_->Perform(request);
  EXPECT_THAT(refused, HasReason(Reason::AUTH_FAILED));
  EXPECT_THAT(FailureOf(refused.status()).hint(), HasSubstr("/no/such/root.pem"));
}

TEST_F(CurlHttpClientTest, AnAnswerBeyondOneMebibyteIsRefused) {
  const std::string body(HttpClient::kMaxBody, 'x');
  server_.Answer(absl::StrCat("HTTP/1.1 200 OK\r\nContent-Length: ", body.size(), "\r\n\r\n", body));
  ASSERT_THAT(http_->Perform(To(server_)), IsOk());
  server_.Answer(absl::StrCat("HTTP/1.1 200 OK\r\nContent-Length: ", body.size() + 1, "\r\n\r\n", body, "x"));
  EXPECT_THAT(http_->Perform(To(server_)), HasReason(Reason::PROTOCOL, HasSubstr("larger than 1048576 bytes")));
}

TEST_F(CurlHttpClientTest, ASilentServerTimesOut) {
  const testing::SilentServer silent;
  const auto late = http_->Perform(
      {.url = absl::StrCat("https://", silent.address()), .timeout = absl::Milliseconds(200), .ca_file = root_file_});
  EXPECT_THAT(late, HasReason(Reason::TIMED_OUT, HasSubstr(silent.address())));
}

TEST_F(CurlHttpClientTest, ARefusedConnectionSaysSo) {
  const testing::RefusingPort refusing;
  const auto refused = http_->Perform({.url = absl::StrCat("https://", refusing.address()), .ca_file = root_file_});
  EXPECT_THAT(refused, HasReason(Reason::NO_ROUTE, HasSubstr(refusing.address())));
}

TEST_F(CurlHttpClientTest, PlainHttpIsRefusedUnasked) {
  const auto refused = http_->Perform({.url = "http://127.0.0.1:1/directory"});
  EXPECT_THAT(refused, HasCode(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(FailureOf(refused.status()).hint(), HasSubstr("https://"));
}

TEST_F(CurlHttpClientTest, TheProxyOfTheEnvironmentIsAsked) {
  const testing::TalkingServer proxy("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n");
  setenv("https_proxy", absl::StrCat("http://", proxy.address()).c_str(), 1);
  const auto refused = MakeCurlHttpClient("certcast/test")->Perform({.url = "https://ca.invalid/directory"});
  setenv("no_proxy", "ca.invalid", 1);
  const auto direct = MakeCurlHttpClient("certcast/test")->Perform({.url = "https://ca.invalid/directory"});
  unsetenv("https_proxy");
  unsetenv("no_proxy");
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("407"));
  EXPECT_THAT(direct, HasReason(Reason::NO_ROUTE));
}

TEST_F(CurlHttpClientTest, WhatIsNoHttpIsSaid) {
  server_.Answer("220 mail.example.com ESMTP\r\n");
  EXPECT_THAT(http_->Perform(To(server_)), HasReason(Reason::PROTOCOL));
}

}  // namespace
}  // namespace certcast::controller
