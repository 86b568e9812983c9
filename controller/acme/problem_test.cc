#include "controller/acme/problem.h"

#include "common/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace certcast::controller {
namespace {

using ::testing::HasSubstr;

TEST(Problem, ShowsSubproblemsByName) {
  // RFC 8555 section 6.7.1.
  const Problem problem = ParseProblemBody(403, R"({
    "type": "urn:ietf:params:acme:error:malformed",
    "detail": "Some of the identifiers requested were rejected",
    "subproblems": [
      {"type": "urn:ietf:params:acme:error:malformed", "detail": "Invalid underscore in DNS name \"_example.org\"",
       "identifier": {"type": "dns", "value": "_example.org"}},
      {"type": "urn:ietf:params:acme:error:rejectedIdentifier",
       "detail": "This CA will not issue for \"example.net\"",
       "identifier": {"type": "dns", "value": "example.net"}}]})");
  EXPECT_EQ(
      problem.Describe(),
      "malformed: Some of the identifiers requested were rejected (_example.org: malformed: Invalid underscore in "
      "DNS name \"_example.org\"; example.net: rejectedIdentifier: This CA will not issue for \"example.net\")");
}

TEST(Problem, GivesAHintByType) {
  const std::pair<const char*, const char*> cases[] = {
      {"externalAccountRequired", "external_account"},
      {"rateLimited", "wait"},
      {"unauthorized", "TXT"},
      {"dns", "NS records"},
      {"caa", "CAA record"},
      {"rejectedIdentifier", "certificates[].domains"},
      {"userActionRequired", "URL"},
      {"badCSR", "key_type"},
  };
  for (const auto& [type, hint] : cases) {
    EXPECT_THAT(std::string(HintFor(Problem{.type = type})), HasSubstr(hint)) << type;
  }
  EXPECT_EQ(HintFor(Problem{.type = "somethingNew"}), "");
}

TEST(Problem, ASubproblemsHintComesFirst) {
  const Problem problem{.type = "unauthorized", .subproblems = {{.type = "caa"}}};
  EXPECT_THAT(std::string(HintFor(problem)), HasSubstr("CAA record"));
}

TEST(Problem, MakesDoWithAnswersThatAreNone) {
  EXPECT_EQ(ParseProblemBody(502, "<html>Bad gateway</html>").Describe(), "HTTP 502: <html>Bad gateway</html>");
  EXPECT_EQ(ParseProblemBody(500, "").Describe(), "HTTP 500");
  EXPECT_EQ(ParseProblemBody(400, "[1,2]").Describe(), "HTTP 400: [1,2]");
  EXPECT_EQ(ParseProblemBody(400, R"({"type": 5, "detail": ["x"]})").type, "HTTP 400");
  EXPECT_EQ(ParseProblemBody(400, R"({"detail": "x", "subproblems": [1, "a", null]})").subproblems.size(), 3);
}

TEST(Problem, RateLimitsCarryTheTimeTheCaNamed) {
  const absl::Time at = absl::FromUnixSeconds(1800000000);
  const absl::Status status =
      ProblemStatus(Problem{.type = "rateLimited", .detail = "too many"}, 429, at, "ordering a certificate");
  EXPECT_EQ(ReasonOf(status), Reason::CA_RATE_LIMITED);
  EXPECT_EQ(FailureOf(status).retry_at().seconds(), 1800000000);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("ordering a certificate: the CA answered rateLimited: too many"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("2027-01-15T08:00:00"));
}

TEST(Problem, OtherProblemsAreRefusals) {
  const absl::Status status = ProblemStatus(Problem{.type = "caa"}, 403, std::nullopt, "x");
  EXPECT_EQ(ReasonOf(status), Reason::CA_REFUSED);
  EXPECT_FALSE(FailureOf(status).has_retry_at());
  EXPECT_EQ(ReasonOf(ProblemStatus(Problem{.type = "HTTP 503"}, 503, std::nullopt, "x")), Reason::CA_RATE_LIMITED);
}

}  // namespace
}  // namespace certcast::controller
