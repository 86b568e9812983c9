// Orders, authorizations and challenges as the CA shows them (RFC 8555 section 7.1).
#ifndef CERTCAST_CONTROLLER_ACME_RESOURCES_H_
#define CERTCAST_CONTROLLER_ACME_RESOURCES_H_

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "controller/acme/problem.h"

namespace certcast::controller {

struct AcmeOrder {
  enum class Status { kPending, kReady, kProcessing, kValid, kInvalid };
  Status status = Status::kPending;
  std::vector<std::string> authorizations;
  std::string finalize;
  // Set when it is valid.
  std::string certificate;
  std::optional<Problem> error;
};

struct AcmeChallenge {
  std::string type;
  std::string url;
  // pending processing valid invalid
  std::string status;
  std::string token;
  std::optional<Problem> error;
  // Of dns-persist-01: what the CA calls itself in the record, at most 10.
  std::vector<std::string> issuer_domain_names = {};
};

struct AcmeAuthorization {
  // Where it was found; set by who fetched it.
  std::string url;
  // pending valid invalid deactivated expired revoked
  std::string status;
  // Without `*.`.
  std::string domain;
  bool wildcard = false;
  std::vector<AcmeChallenge> challenges;

  bool pending() const { return status == "pending"; }
  bool valid() const { return status == "valid"; }
  // As it is in the order.
  std::string Name() const { return wildcard ? "*." + domain : domain; }
  // nullptr when it is not offered.
  const AcmeChallenge* Find(absl::string_view type) const;
  // What the CA holds against it: the challenges' errors, else its status.
  std::string Complaint() const;
};

// PROTOCOL when a member that is needed is missing or of another type, naming it. At most 100 authorizations and 32
// challenges.
absl::StatusOr<AcmeOrder> ParseOrder(const nlohmann::json& body);
absl::StatusOr<AcmeAuthorization> ParseAuthorization(const nlohmann::json& body);

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_ACME_RESOURCES_H_
