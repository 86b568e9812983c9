// Problem documents (RFC 7807) as ACME servers send them (RFC 8555 section 6.7), made readable.
#ifndef CERTCAST_CONTROLLER_ACME_PROBLEM_H_
#define CERTCAST_CONTROLLER_ACME_PROBLEM_H_

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace certcast::controller {

struct Problem {
  // Without `urn:ietf:params:acme:error:`; another URI whole; empty when the server sent none.
  std::string type;
  std::string detail;
  // What it is about, as in a subproblem's identifier; may be empty.
  std::string identifier;
  std::vector<Problem> subproblems;

  bool Is(absl::string_view acme_type) const { return type == acme_type; }
  // One line: `rejectedIdentifier: text (a.example: caa: text; b.example: ...)`.
  std::string Describe() const;
};

// Reads what is there; members of other types are ignored, at most 100 subproblems are kept.
Problem ParseProblem(const nlohmann::json& document);
// For an answer that is not 2xx: a body that is no problem document becomes one from the status and the body's start.
Problem ParseProblemBody(int http_status, absl::string_view body);

// What a person can do about it; empty when the type says nothing.
absl::string_view HintFor(const Problem& problem);

// `doing`: "ordering a certificate". CA_RATE_LIMITED for rateLimited, 429 and 503, else CA_REFUSED; `retry_at` goes
// along.
absl::Status ProblemStatus(const Problem& problem, int http_status, std::optional<absl::Time> retry_at,
                           absl::string_view doing);

// `status` with Failure.retry_at set.
absl::Status WithRetryAt(const absl::Status& status, absl::Time retry_at);

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_ACME_PROBLEM_H_
