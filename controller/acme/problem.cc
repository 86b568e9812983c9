#include "controller/acme/problem.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "common/clock/timestamp.h"
#include "common/status/status.h"
#include "controller/acme/json_member.h"

namespace certcast::controller {
namespace {

constexpr absl::string_view kUrn = "urn:ietf:params:acme:error:";
constexpr size_t kMaxSubproblems = 100;

struct TypeHint {
  absl::string_view type;
  absl::string_view hint;
};
// RFC 8555 section 6.7, RFC 8739, RFC 9773 and the profiles draft; only where something can be said.
constexpr TypeHint kHints[] = {
    {"accountDoesNotExist", "the CA does not know this account any more; the next run makes a new one"},
    {"badCSR", "the CA does not accept this key type or these names; try another key_type, such as rsa-2048"},
    {"badRevocationReason",
     "CAs take some reasons only; usual ones are unspecified, keyCompromise, affiliationChanged, superseded and "
     "cessationOfOperation"},
    {"badPublicKey", "try another key_type, such as rsa-2048"},
    {"caa", "a CAA record of the domain must allow this CA (issue or, for a wildcard, issuewild)"},
    {"connection", "the CA could not reach the server it had to ask; look at the domain's name servers and firewalls"},
    {"dns", "the CA could not look the name up: check its NS records, DNSSEC, and that every name server answers"},
    {"externalAccountRequired",
     "set accounts[].external_account (key_id and hmac_key) to what the CA's customer page shows"},
    {"incorrectResponse",
     "the CA saw another TXT value: look for a hook that replaces values instead of adding them, "
     "and for name servers that lag behind"},
    {"invalidContact", "check accounts[].contact: mailto: addresses that the CA accepts"},
    {"invalidProfile", "check certificates[].profile against the profiles the CA offers"},
    {"malformed",
     "the CA took our request as malformed; for an account with external_account, check key_id and hmac_key"},
    {"rateLimited", "wait until the CA takes orders again; trying earlier prolongs it at some CAs"},
    {"rejectedIdentifier", "the CA will not issue for a name in certificates[].domains"},
    {"serverInternal", "the CA has a problem of its own; try again later"},
    {"unauthorized",
     "the CA did not find the proof it looked for, or the account may not order this: check the TXT "
     "record, the account's contract, and external_account"},
    {"unsupportedContact", "accounts[].contact may hold mailto: addresses only"},
    {"unsupportedIdentifier", "the CA issues no certificates for names of this kind"},
    {"userActionRequired",
     "open the URL that the CA names, do what it asks there (often: agree to new terms), then try "
     "again"},
};

Problem ParseFlat(const nlohmann::json& document) {
  Problem problem;
  if (!document.is_object()) return problem;
  problem.type = std::string(absl::StripPrefix(TextMember(document, "type"), kUrn));
  problem.detail = TextMember(document, "detail");
  if (problem.detail.empty()) problem.detail = TextMember(document, "title");
  const auto identifier = document.find("identifier");
  if (identifier != document.end() && identifier->is_object()) problem.identifier = TextMember(*identifier, "value");
  return problem;
}

bool IsLater(const Problem& problem, int http_status) {
  return problem.Is("rateLimited") || http_status == 429 || http_status == 503;
}

}  // namespace

std::string Problem::Describe() const {
  std::string text;
  if (!identifier.empty()) absl::StrAppend(&text, identifier, ": ");
  absl::StrAppend(&text, type.empty() ? "the CA gave no type" : type);
  if (!detail.empty()) absl::StrAppend(&text, ": ", detail);
  if (!subproblems.empty()) {
    absl::StrAppend(&text, " (",
                    absl::StrJoin(subproblems, "; ",
                                  [](std::string* out, const Problem& sub) { absl::StrAppend(out, sub.Describe()); }),
                    ")");
  }
  return text;
}

Problem ParseProblem(const nlohmann::json& document) {
  Problem problem = ParseFlat(document);
  if (!document.is_object()) return problem;
  const auto subproblems = document.find("subproblems");
  if (subproblems == document.end() || !subproblems->is_array()) return problem;
  for (const nlohmann::json& sub : *subproblems) {
    if (problem.subproblems.size() == kMaxSubproblems) break;
    problem.subproblems.push_back(ParseFlat(sub));
  }
  return problem;
}

Problem ParseProblemBody(int http_status, absl::string_view body) {
  const auto document = nlohmann::json::parse(body.begin(), body.end(), nullptr, /*allow_exceptions=*/false);
  Problem problem = ParseProblem(document);
  if (!problem.type.empty() || !problem.detail.empty()) return problem;
  problem.type = absl::StrCat("HTTP ", http_status);
  problem.detail = std::string(body.substr(0, 200));
  return problem;
}

absl::string_view HintFor(const Problem& problem) {
  // What went wrong with a name says more than what went wrong with the whole.
  for (const Problem& sub : problem.subproblems) {
    if (const absl::string_view hint = HintFor(sub); !hint.empty()) return hint;
  }
  for (const TypeHint& entry : kHints) {
    if (problem.Is(entry.type)) return entry.hint;
  }
  return "";
}

absl::Status ProblemStatus(const Problem& problem, int http_status, std::optional<absl::Time> retry_at,
                           absl::string_view doing) {
  std::string text = absl::StrCat(doing, ": the CA answered ", problem.Describe());
  if (!IsLater(problem, http_status)) return Fail(Reason::CA_REFUSED, text, HintFor(problem));
  if (!retry_at) return Fail(Reason::CA_RATE_LIMITED, text, HintFor(problem));
  absl::StrAppend(&text, "; it may be asked again at ",
                  absl::FormatTime(absl::RFC3339_sec, *retry_at, absl::UTCTimeZone()));
  return WithRetryAt(Fail(Reason::CA_RATE_LIMITED, text, HintFor(problem)), *retry_at);
}

absl::Status WithRetryAt(const absl::Status& status, absl::Time retry_at) {
  v1::Failure failure = FailureOf(status);
  *failure.mutable_retry_at() = ToTimestamp(retry_at);
  return StatusOf(failure, status.code());
}

}  // namespace certcast::controller
