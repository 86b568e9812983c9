// The other side is the program `openssl ocsp`: as a server, asked over HTTP, and as a tool that signs one answer.
#include "controller/acme/ocsp.h"

#include <openssl/x509v3.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/process/process.h"
#include "common/status/status.h"
#include "controller/acme/curl_http_client.h"
#include "controller/acme/issuer_fixture.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/program.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temporary_directory.h"
#include "tests/testing/test_ca.h"

namespace certcast::controller {
namespace {

using testing::FakeHttpClient;
using testing::HasReason;
using ::testing::HasSubstr;
using testing::IsOk;
using testing::IssuedCertificate;
using testing::Program;
using testing::TestCa;
using Verdict = OcspAnswer::Verdict;

std::string SerialOf(const Certificate& certificate) {
  const SslPtr<BIGNUM> number(ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate.get()), nullptr));
  char* hex = BN_bn2hex(number.get());
  std::string serial(hex);
  OPENSSL_free(hex);
  return serial;
}

// Files and command lines of `openssl ocsp`.
class Responder {
 public:
  // Lines of an index as `openssl ca` keeps it.
  static std::string Good(const std::string& serial) {
    return absl::StrCat("V\t491231235959Z\t\t", serial, "\tunknown\t/CN=a\n");
  }
  static std::string Revoked(const std::string& serial) {
    return absl::StrCat("R\t491231235959Z\t240102030405Z,keyCompromise\t", serial, "\tunknown\t/CN=a\n");
  }

  Responder(const TestCa& ca, const Certificate& signer, const PrivateKey& key) {
    EXPECT_THAT(testing::WriteFile(at("ca.pem"), ca.certificate().ToPem()), IsOk());
    EXPECT_THAT(testing::WriteFile(at("signer.pem"), signer.ToPem()), IsOk());
    EXPECT_THAT(testing::WriteFile(at("signer.key"), key.ToPem()->ExposeSecret()), IsOk());
    SetIndex("");
  }

  void SetIndex(const std::string& lines) const {
    EXPECT_THAT(testing::WriteFile(at("index.txt"), lines), IsOk());
    EXPECT_THAT(testing::WriteFile(at("index.txt.attr"), "unique_subject = no\n"), IsOk());
  }
  // The answer to one request, as the server would give it.
  std::string AnswerTo(const std::string& request) const {
    EXPECT_THAT(testing::WriteFile(at("request"), request), IsOk());
    const auto result =
        ProcessRunner::Real().Run({.argv = Command({"-reqin", at("request"), "-respout", at("answer")})});
    EXPECT_THAT(result, IsOk());
    EXPECT_TRUE(result.ok() && result->ok()) << result->error;
    return testing::ReadFile(at("answer"));
  }
  void Serve(int port) {
    auto started = Program::Start({.argv = Command({"-port", absl::StrCat(port)}), .error = at("log")});
    ASSERT_THAT(started, IsOk());
    server_ = *std::move(started);
  }
  std::string Log() const { return testing::ReadFile(at("log")); }

 private:
  std::string at(const std::string& name) const { return absl::StrCat(directory_.path(), "/", name); }
  std::vector<std::string> Command(const std::vector<std::string>& more) const {
    std::vector<std::string> argv = {"openssl",  "ocsp",           "-index", at("index.txt"),  "-CA",    at("ca.pem"),
                                     "-rsigner", at("signer.pem"), "-rkey",  at("signer.key"), "-ndays", "1"};
    argv.insert(argv.end(), more.begin(), more.end());
    return argv;
  }

  testing::TemporaryDirectory directory_;
  std::unique_ptr<Program> server_;
};

class OcspTest : public ::testing::Test {
 protected:
  OcspTest() {
    const auto port = testing::FreePort("127.0.0.1");
    EXPECT_THAT(port, IsOk());
    port_ = *port;
  }
  std::string url() const { return absl::StrCat("http://127.0.0.1:", port_, "/"); }
  IssuedCertificate IssueNaming(const std::string& responder) const {
    return ca_.Issue({.dns_names = {"www.example.com"}, .extensions = {{NID_info_access, "OCSP;URI:" + responder}}});
  }
  // Asks until the server is up.
  absl::StatusOr<std::optional<OcspAnswer>> Ask(const Certificate& leaf) {
    absl::StatusOr<std::optional<OcspAnswer>> answer = std::optional<OcspAnswer>();
    EXPECT_THAT(testing::WaitUntil("the responder answers", absl::Seconds(20),
                                   [&] {
                                     answer = AskOcsp(*http_, Clock::Real(), {leaf, ca_.certificate()});
                                     return ReasonOf(answer.status()) != Reason::NO_ROUTE;
                                   }),
                IsOk());
    return answer;
  }
  // The same of an answer that was made for it, at that distance from now.
  absl::StatusOr<OcspAnswer> Read(const Responder& responder, const Certificate& leaf,
                                  absl::Duration later = absl::ZeroDuration()) {
    std::string made;
    FakeHttpClient http([&](const HttpRequest& request) {
      made = responder.AnswerTo(request.body);
      return HttpResponse{.status = 200, .body = made};
    });
    (void)AskOcsp(http, Clock::Real(), {leaf, ca_.certificate()});
    return ReadOcspAnswer(made, leaf, ca_.certificate(), Clock::Real().Now() + later);
  }

  const TestCa root_ = TestCa::Root();
  const TestCa ca_ = root_.Intermediate();
  const std::unique_ptr<HttpClient> http_ = MakeCurlHttpClient("certcast/test");
  int port_ = 0;
};

TEST_F(OcspTest, AServerIsAskedOverHttp) {
  const IssuedCertificate good = IssueNaming(url());
  const IssuedCertificate revoked = IssueNaming(url());
  const IssuedCertificate unknown = IssueNaming(url());
  Responder responder(ca_, ca_.certificate(), ca_.key());
  responder.SetIndex(Responder::Good(SerialOf(good.certificate)) + Responder::Revoked(SerialOf(revoked.certificate)));
  ASSERT_NO_FATAL_FAILURE(responder.Serve(port_));

  auto answer = Ask(good.certificate);
  ASSERT_THAT(answer, IsOk()) << responder.Log();
  ASSERT_TRUE(answer->has_value());
  EXPECT_EQ((*answer)->verdict, Verdict::kGood);
  answer = Ask(revoked.certificate);
  ASSERT_THAT(answer, IsOk());
  EXPECT_EQ((*answer)->verdict, Verdict::kRevoked);
  EXPECT_EQ((*answer)->revoked_at, absl::FromCivil(absl::CivilSecond(2024, 1, 2, 3, 4, 5), absl::UTCTimeZone()));
  EXPECT_EQ((*answer)->reason, "keyCompromise");
  answer = Ask(unknown.certificate);
  ASSERT_THAT(answer, IsOk());
  EXPECT_EQ((*answer)->verdict, Verdict::kUnknown);
}

TEST_F(OcspTest, WhomTheIssuerAuthorizedMaySign) {
  const IssuedCertificate leaf = IssueNaming("http://ocsp.test/");
  const IssuedCertificate delegated =
      ca_.Issue({.common_name = "Responder", .is_ca = true, .extensions = {{NID_ext_key_usage, "OCSPSigning"}}});
  Responder responder(ca_, delegated.certificate, delegated.key);
  responder.SetIndex(Responder::Good(SerialOf(leaf.certificate)));
  const auto answer = Read(responder, leaf.certificate);
  ASSERT_THAT(answer, IsOk());
  EXPECT_EQ(answer->verdict, Verdict::kGood);
}

TEST_F(OcspTest, NobodyElseCanSayAnything) {
  const IssuedCertificate leaf = IssueNaming("http://ocsp.test/");
  const TestCa other = TestCa::Root("Other Root").Intermediate();
  const IssuedCertificate server = ca_.Issue({.dns_names = {"server.example.com"}});
  const IssuedCertificate others_responder =
      other.Issue({.common_name = "Responder", .is_ca = true, .extensions = {{NID_ext_key_usage, "OCSPSigning"}}});
  const std::pair<const Certificate&, const PrivateKey&> signers[] = {
      {other.certificate(), other.key()},
      {server.certificate, server.key},
      {others_responder.certificate, others_responder.key},
  };
  for (const auto& [certificate, key] : signers) {
    SCOPED_TRACE(certificate.subject_name());
    Responder responder(ca_, certificate, key);
    responder.SetIndex(Responder::Revoked(SerialOf(leaf.certificate)));
    EXPECT_THAT(Read(responder, leaf.certificate), HasReason(Reason::PROTOCOL, HasSubstr("signed neither by")));
  }
}

TEST_F(OcspTest, AnAnswerHoldsForItsTimeAlone) {
  const IssuedCertificate leaf = IssueNaming("http://ocsp.test/");
  Responder responder(ca_, ca_.certificate(), ca_.key());
  responder.SetIndex(Responder::Good(SerialOf(leaf.certificate)));
  EXPECT_THAT(Read(responder, leaf.certificate, absl::Hours(23)), IsOk());
  EXPECT_THAT(Read(responder, leaf.certificate, absl::Hours(25)),
              HasReason(Reason::PROTOCOL, HasSubstr("out of date")));
  EXPECT_THAT(Read(responder, leaf.certificate, -absl::Hours(1)),
              HasReason(Reason::PROTOCOL, HasSubstr("from the future")));
}

TEST_F(OcspTest, AnAnswerIsAboutOneCertificate) {
  const IssuedCertificate one = IssueNaming("http://ocsp.test/");
  const IssuedCertificate other = IssueNaming("http://ocsp.test/");
  Responder responder(ca_, ca_.certificate(), ca_.key());
  responder.SetIndex(Responder::Good(SerialOf(one.certificate)));
  std::string about_one;
  FakeHttpClient http([&](const HttpRequest& request) {
    if (about_one.empty()) about_one = responder.AnswerTo(request.body);
    return HttpResponse{.status = 200, .body = about_one};
  });
  EXPECT_THAT(AskOcsp(http, Clock::Real(), {one.certificate, ca_.certificate()}), IsOk());
  EXPECT_THAT(AskOcsp(http, Clock::Real(), {other.certificate, ca_.certificate()}),
              HasReason(Reason::PROTOCOL, HasSubstr("about another certificate")));
}

TEST_F(OcspTest, WhatIsNoAnswerIsSaidToBeNone) {
  const IssuedCertificate leaf = IssueNaming("http://ocsp.test/a");
  // OCSPResponse of status tryLater and unauthorized (RFC 6960 section 4.2.1).
  const std::vector<std::pair<HttpResponse, std::string>> answers = {
      {{.status = 200, .body = std::string("\x30\x03\x0a\x01\x03", 5)}, "the responder says `trylater`"},
      {{.status = 200, .body = std::string("\x30\x03\x0a\x01\x06", 5)}, "the responder says `unauthorized`"},
      {{.status = 200, .body = "<html>"}, "it is none"},
      {{.status = 200, .body = ""}, "it is none"},
      {{.status = 200, .body = std::string(70000, 'x')}, "more than 65536 bytes"},
      {{.status = 200, .body = std::string("\x30\x03\x0a\x01\x00", 5)}, "another kind"},
      {{.status = 404}, "answered with status 404"},
  };
  for (const auto& [response, text] : answers) {
    FakeHttpClient http([&response = response](const HttpRequest&) { return response; });
    const auto answer = AskOcsp(http, Clock::Real(), {leaf.certificate, ca_.certificate()});
    EXPECT_THAT(answer, HasReason(Reason::PROTOCOL, HasSubstr(text)));
    EXPECT_THAT(std::string(answer.status().message()), HasSubstr("http://ocsp.test/a")) << "says who";
    EXPECT_EQ(http.exchanges(), 1) << "asked once";
  }
}

TEST_F(OcspTest, WhereNoResponderIsNamedNobodyIsAsked) {
  FakeHttpClient http([](const HttpRequest&) { return HttpResponse{.status = 200}; });
  const IssuedCertificate silent = ca_.Issue({.dns_names = {"www.example.com"}});
  const IssuedCertificate odd = IssueNaming("ldap://ocsp.test/");
  const IssuedCertificate alone = IssueNaming("http://ocsp.test/");
  for (const std::vector<Certificate>& chain : std::vector<std::vector<Certificate>>{
           {silent.certificate, ca_.certificate()}, {odd.certificate, ca_.certificate()}, {alone.certificate}}) {
    const auto answer = AskOcsp(http, Clock::Real(), chain);
    ASSERT_THAT(answer, IsOk());
    EXPECT_FALSE(answer->has_value());
  }
  EXPECT_EQ(http.exchanges(), 0);
}

// --- What is issued is checked before it is believed.

class IssuedAndRevokedTest : public ::testing::Test, public IssuerFixture {
 protected:
  IssuedAndRevokedTest() {
    ca.behaviour.ocsp_responder = "http://ocsp.test/";
    // openssl answers with the machine's time.
    clock.JumpTo(Clock::Real().Now());
    on_ocsp = [this](const HttpRequest& request) {
      responder_.SetIndex((revoked ? Responder::Revoked : Responder::Good)(SerialIn(request.body)));
      return HttpResponse{.status = 200, .body = responder_.AnswerTo(request.body)};
    };
  }

  bool revoked = false;

 private:
  // As the program reads it.
  std::string SerialIn(const std::string& request) const {
    EXPECT_THAT(testing::WriteFile(directory_.path() + "/request", request), IsOk());
    const auto shown = ProcessRunner::Real().Run(
        {.argv = {"openssl", "ocsp", "-reqin", directory_.path() + "/request", "-req_text", "-noverify"}});
    EXPECT_THAT(shown, IsOk());
    constexpr absl::string_view kLabel = "Serial Number: ";
    const size_t from = shown->output.find(std::string(kLabel)) + kLabel.size();
    return shown->output.substr(from, shown->output.find('\n', from) - from);
  }

  testing::TemporaryDirectory directory_;
  Responder responder_{ca.issuer(), ca.issuer().certificate(), ca.issuer().key()};
};

TEST_F(IssuedAndRevokedTest, WhatTheCaHasRevokedIsNotBelieved) {
  revoked = true;
  const auto refused = Issue();
  EXPECT_THAT(refused, HasReason(Reason::CERTIFICATE_UNEXPECTED,
                                 HasSubstr("http://ocsp.test/ says that the CA revoked it at 2024-01-02T03:04:05")));
  EXPECT_THAT(Generations(), ::testing::IsEmpty());
  EXPECT_FALSE(HasOrderRecord()) << "its key is forgotten";

  revoked = false;
  clock.Advance(absl::Hours(1));
  EXPECT_THAT(Issue(), IsOk());
  EXPECT_THAT(Generations(), ::testing::SizeIs(1));
}

TEST_F(IssuedAndRevokedTest, AResponderThatIsNotHeardHoldsNothingUp) {
  on_ocsp = [](const HttpRequest&) { return HttpResponse{.status = 503}; };
  EXPECT_THAT(Issue(), IsOk());
  EXPECT_TRUE(
      ProgressMentions("whether the CA revoked it at once is not known: http://ocsp.test/: the OCSP responder "
                       "answered with status 503"));
}

}  // namespace
}  // namespace certcast::controller
