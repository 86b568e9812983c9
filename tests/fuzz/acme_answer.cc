// What a CA answers: problem documents, orders, authorizations, renewal information, and the headers that matter.
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/status/status.h"
#include "controller/acme/links.h"
#include "controller/acme/problem.h"
#include "controller/acme/renewal_info.h"
#include "controller/acme/resources.h"
#include "controller/acme/retry_after.h"
#include "tests/fuzz/target.h"

namespace certcast::fuzz {
namespace {

using namespace controller;

const absl::Time kNow = absl::FromUnixSeconds(1893456000);

enum Kind { kProblem, kOrder, kAuthorization, kRenewal, kHeaders, kKinds };

std::string SeedOf(Kind kind, absl::string_view text) {
  return absl::StrCat(std::string(1, static_cast<char>(kind)), text);
}

void TryProblem(absl::string_view body) {
  const Problem problem = ParseProblemBody(403, body);
  Require(problem.subproblems.size() <= 100, "subproblems are bounded");
  Require(!problem.type.empty() || !problem.detail.empty(), "a refusal says something");
  RequireOrderly(ProblemStatus(problem, 403, kNow, "ordering a certificate"));
  RequireOrderly(ProblemStatus(problem, 503, std::nullopt, "ordering a certificate"));
}

void TryOrder(const nlohmann::json& body) {
  const absl::StatusOr<AcmeOrder> order = ParseOrder(body);
  RequireOrderly(order.status());
  if (!order.ok()) return;
  Require(order->authorizations.size() <= 100, "authorizations are bounded");
  Require(!order->finalize.empty(), "an order can be finalized");
  Require(order->status != AcmeOrder::Status::kValid || !order->certificate.empty(), "a valid order has a certificate");
}

void TryAuthorization(const nlohmann::json& body) {
  const absl::StatusOr<AcmeAuthorization> authorization = ParseAuthorization(body);
  RequireOrderly(authorization.status());
  if (!authorization.ok()) return;
  Require(authorization->challenges.size() <= 32, "challenges are bounded");
  for (const AcmeChallenge& challenge : authorization->challenges) {
    const bool plain = challenge.token.find_first_not_of(
                           "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") == std::string::npos;
    Require(plain, "a token can be given to a hook");
  }
  RequireOrderly(Fail(Reason::CHALLENGE_FAILED, authorization->Complaint()));
}

void TryRenewal(const nlohmann::json& body) {
  const absl::StatusOr<RenewalWindow> window = ParseRenewalWindow(body);
  RequireOrderly(window.status());
  absl::StatusOr<std::optional<RenewalAnswer>> answer = std::optional<RenewalAnswer>();
  if (!window.ok()) {
    answer = window.status();
  } else {
    Require(window->start < window->end, "a window has a length");
    Require(window->explanation_url.empty() || IsPlainUrl(window->explanation_url), "a page is a URL");
    answer = std::optional<RenewalAnswer>(RenewalAnswer{*window, kNow + absl::Hours(6)});
  }
  const auto record = AfterRenewalCheck(std::nullopt, "wildcard", "aa", answer, kNow, [] { return 0.999; });
  Require(record.has_selected_at() == window.ok(), "a time is picked where there is a window");
}

void TryHeaders(absl::string_view text) {
  HttpResponse response;
  response.headers = {{"link", std::string(text)}};
  const std::vector<std::string> alternates = AlternatesOf(response);
  Require(alternates.size() <= 10, "chains are bounded");
  for (const std::string& url : alternates) Require(IsPlainUrl(url), "a chain has a URL");
  const std::optional<absl::Time> at = ParseRetryAfter(text, kNow);
  Require(!at || (*at >= kNow && *at <= kNow + absl::Hours(24) * 366), "a wait is bounded");
}

}  // namespace

std::vector<Seed> Seeds() {
  return {
      {.name = "problem",
       .bytes = SeedOf(kProblem, R"({"type":"urn:ietf:params:acme:error:rejectedIdentifier","detail":"no",
          "subproblems":[{"type":"urn:ietf:params:acme:error:caa","identifier":{"type":"dns","value":"a.example"}}]})")},
      {.name = "order",
       .bytes = SeedOf(kOrder, R"({"status":"valid","finalize":"https://ca.test/f","certificate":"https://ca.test/c",
          "authorizations":["https://ca.test/a"],"error":{"type":"x","detail":"y"}})")},
      {.name = "authorization",
       .bytes = SeedOf(kAuthorization, R"({"status":"pending","identifier":{"type":"dns","value":"A.example"},
          "wildcard":true,"challenges":[{"type":"dns-01","url":"https://ca.test/h","status":"invalid","token":"abc-_",
          "error":{"type":"dns","detail":"z"}}]})")},
      {.name = "renewal",
       .bytes =
           SeedOf(kRenewal, R"({"suggestedWindow":{"start":"2030-01-02T04:00:00Z","end":"2030-01-03T04:00:00.5+01:00"},
          "explanationURL":"https://ca.test/why"})")},
      {.name = "link",
       .bytes = SeedOf(kHeaders, R"(<https://a.test/1>;rel="up alternate";t="\",",<https://a.test/2>;rel=alternate)")},
      {.name = "retry-after", .bytes = SeedOf(kHeaders, "Tue, 01 Jan 2030 12:00:00 GMT")},
  };
}

void TryInput(absl::string_view input) {
  InputReader reader(input);
  const unsigned kind = reader.Byte() % kKinds;
  const absl::string_view text = reader.Rest();
  if (kind == kProblem) return TryProblem(text);
  if (kind == kHeaders) return TryHeaders(text);
  const auto body = nlohmann::json::parse(text.begin(), text.end(), nullptr, /*allow_exceptions=*/false);
  if (kind == kOrder) return TryOrder(body);
  if (kind == kAuthorization) return TryAuthorization(body);
  TryRenewal(body);
}

}  // namespace certcast::fuzz
