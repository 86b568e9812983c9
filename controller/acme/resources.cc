#include "controller/acme/resources.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/status/status.h"
#include "controller/acme/jose.h"
#include "controller/acme/json_member.h"

namespace certcast::controller {
namespace {

constexpr size_t kMaxIssuers = 10;

constexpr size_t kMaxAuthorizations = 100;
constexpr size_t kMaxChallenges = 32;

absl::Status Broken(absl::string_view what, absl::string_view member) {
  return Fail(Reason::PROTOCOL, absl::StrCat("the CA sent ", what, " without a usable `", member, "`"));
}

std::optional<Problem> ProblemIn(const nlohmann::json& object) {
  const auto it = object.find("error");
  if (it == object.end() || !it->is_object()) return std::nullopt;
  return ParseProblem(*it);
}

absl::StatusOr<AcmeOrder::Status> ParseOrderStatus(const std::string& name) {
  using Status = AcmeOrder::Status;
  if (name == "pending") return Status::kPending;
  if (name == "ready") return Status::kReady;
  if (name == "processing") return Status::kProcessing;
  if (name == "valid") return Status::kValid;
  if (name == "invalid") return Status::kInvalid;
  return Broken("an order", "status");
}

absl::StatusOr<AcmeChallenge> ParseChallenge(const nlohmann::json& body) {
  if (!body.is_object()) return Broken("an authorization", "challenges");
  AcmeChallenge challenge{.type = TextMember(body, "type"),
                          .url = TextMember(body, "url"),
                          .status = TextMember(body, "status"),
                          .token = TextMember(body, "token"),
                          .error = ProblemIn(body)};
  // The token goes to a hook as an argument; RFC 8555 section 8.3 wants base64url of 128 bits or more.
  if (!challenge.token.empty() && (!IsBase64Url(challenge.token) || challenge.token.size() > 1024)) {
    return Broken("a challenge", "token");
  }
  const auto issuers = body.find("issuer-domain-names");
  if (issuers != body.end() && issuers->is_array()) {
    for (const nlohmann::json& issuer : *issuers) {
      if (!issuer.is_string() || challenge.issuer_domain_names.size() == kMaxIssuers) break;
      challenge.issuer_domain_names.push_back(issuer.get<std::string>());
    }
  }
  return challenge;
}

}  // namespace

const AcmeChallenge* AcmeAuthorization::Find(absl::string_view type) const {
  const auto it = std::find_if(challenges.begin(), challenges.end(), [&](const auto& c) { return c.type == type; });
  return it == challenges.end() ? nullptr : &*it;
}

std::string AcmeAuthorization::Complaint() const {
  std::vector<std::string> errors;
  for (const AcmeChallenge& challenge : challenges) {
    if (challenge.error) errors.push_back(challenge.error->Describe());
  }
  if (errors.empty()) errors.push_back(absl::StrCat("its authorization is ", status));
  return absl::StrCat(Name(), ": ", absl::StrJoin(errors, "; "));
}

absl::StatusOr<AcmeOrder> ParseOrder(const nlohmann::json& body) {
  if (!body.is_object()) return Broken("an order", "status");
  AcmeOrder order;
  ASSIGN_OR_RETURN(order.status, ParseOrderStatus(TextMember(body, "status")));
  order.finalize = TextMember(body, "finalize");
  order.certificate = TextMember(body, "certificate");
  order.error = ProblemIn(body);
  const auto authorizations = body.find("authorizations");
  if (authorizations != body.end()) {
    if (!authorizations->is_array() || authorizations->size() > kMaxAuthorizations) {
      return Broken("an order", "authorizations");
    }
    for (const nlohmann::json& url : *authorizations) {
      if (!url.is_string()) return Broken("an order", "authorizations");
      order.authorizations.push_back(url.get<std::string>());
    }
  }
  if (order.finalize.empty()) return Broken("an order", "finalize");
  if (order.status == AcmeOrder::Status::kValid && order.certificate.empty()) {
    return Broken("a valid order", "certificate");
  }
  return order;
}

absl::StatusOr<AcmeAuthorization> ParseAuthorization(const nlohmann::json& body) {
  if (!body.is_object()) return Broken("an authorization", "status");
  AcmeAuthorization authorization;
  authorization.status = TextMember(body, "status");
  if (authorization.status.empty()) return Broken("an authorization", "status");
  const auto identifier = body.find("identifier");
  if (identifier != body.end()) authorization.domain = absl::AsciiStrToLower(TextMember(*identifier, "value"));
  if (authorization.domain.empty()) return Broken("an authorization", "identifier");
  const auto wildcard = body.find("wildcard");
  authorization.wildcard = wildcard != body.end() && wildcard->is_boolean() && wildcard->get<bool>();
  const auto challenges = body.find("challenges");
  if (challenges == body.end()) return authorization;
  if (!challenges->is_array() || challenges->size() > kMaxChallenges) return Broken("an authorization", "challenges");
  for (const nlohmann::json& item : *challenges) {
    ASSIGN_OR_RETURN(AcmeChallenge challenge, ParseChallenge(item));
    authorization.challenges.push_back(std::move(challenge));
  }
  return authorization;
}

}  // namespace certcast::controller
