// Signed exchanges with one ACME server (RFC 8555 sections 6 and 7.1.1, 7.2): directory, nonces, JWS.
#ifndef CERTCAST_CONTROLLER_ACME_ACME_CLIENT_H_
#define CERTCAST_CONTROLLER_ACME_ACME_CLIENT_H_

#include <openssl/evp.h>

#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/clock/clock.h"
#include "controller/acme/http_client.h"
#include "controller/acme/problem.h"

namespace certcast::controller {

struct AcmeDirectory {
  std::string new_nonce;
  std::string new_account;
  std::string new_order;
  // Empty: not offered.
  std::string revoke_cert;
  std::string key_change;
  std::string renewal_info;
  // meta
  std::string terms_of_service;
  bool external_account_required = false;
  // Name and what the CA says of it.
  std::map<std::string, std::string> profiles;
};

// FailInput when the CA does not offer that profile, with what it offers. OK for none.
absl::Status CheckProfile(const AcmeDirectory& directory, const std::string& profile);

// What the server said to one request.
struct AcmeAnswer {
  int status = 0;
  // Null when the body is no JSON.
  nlohmann::json body;
  std::string text;
  std::string location;
  // Link headers with rel="alternate", absolute; at most 10.
  std::vector<std::string> alternates;
  std::optional<absl::Time> retry_at;
  // Set when the status is not 2xx.
  std::optional<Problem> problem;

  bool ok() const { return !problem.has_value(); }
  bool Is(absl::string_view problem_type) const { return problem && problem->Is(problem_type); }
  // OK, or the problem as ProblemStatus makes it.
  absl::Status Check(absl::string_view doing) const;
};

// Who signs.
struct AcmeSigner {
  // Not owned.
  EVP_PKEY* key = nullptr;
  // The `kid`; empty: the key itself goes along (newAccount, revokeCert by the certificate's key).
  std::string account_url;
};

// Worth asking again soon: nothing came back, or the server has a problem of its own (5xx).
bool IsTransient(const absl::StatusOr<AcmeAnswer>& answer);

// Thread-compatible.
class AcmeClient {
 public:
  // A server that refuses nine nonces of ten still gets a whole issuance through.
  static constexpr int kMaxNonceTries = 100;

  struct Server {
    // Whole, with its query string.
    std::string directory_url;
    std::string ca_file;
    absl::Duration directory_timeout = absl::Seconds(60);
  };
  // Both must outlive this.
  AcmeClient(HttpClient& http, Clock& clock, Server server) : http_(http), clock_(clock), server_(std::move(server)) {}

  // Fetched once, then kept. Idempotent, tried up to three times.
  absl::StatusOr<AcmeDirectory> GetDirectory();

  // What anybody may read. Idempotent, tried up to three times while IsTransient.
  absl::StatusOr<AcmeAnswer> Get(const std::string& url);

  // One POST; a problem is an answer. `badNonce` is answered by the same request with a new nonce and signature (the
  // server did nothing with the old one). Nothing else is repeated: an error means that it is not known what the server
  // did.
  absl::StatusOr<AcmeAnswer> Post(const AcmeSigner& signer, const std::string& url,
                                  const nlohmann::ordered_json& payload, absl::Duration timeout = absl::Seconds(60));
  // Says that a challenge is met (RFC 8555 section 7.5.1). Idempotent, tried up to three times while IsTransient.
  absl::StatusOr<AcmeAnswer> Respond(const AcmeSigner& signer, const std::string& challenge_url);
  // Has a certificate revoked (RFC 8555 section 7.6). Idempotent as far as `alreadyRevoked` is taken as done, tried up
  // to three times while IsTransient. An empty account URL: the key is the certificate's own.
  absl::StatusOr<AcmeAnswer> Revoke(const AcmeSigner& signer, const std::string& url,
                                    const nlohmann::ordered_json& payload);
  // POST-as-GET (RFC 8555 section 6.3). Idempotent, tried up to three times while IsTransient.
  // `accept`: a media type, where the server has several.
  absl::StatusOr<AcmeAnswer> Fetch(const AcmeSigner& signer, const std::string& url, const std::string& accept = "");

 private:
  // Signs and fills in `request`'s body, as often as the nonce is refused.
  absl::StatusOr<AcmeAnswer> PostSigned(const AcmeSigner& signer, absl::string_view payload, HttpRequest request);
  absl::StatusOr<std::string> TakeNonce();
  absl::StatusOr<AcmeAnswer> Send(HttpRequest request);
  absl::StatusOr<AcmeAnswer> WithRetries(const std::function<absl::StatusOr<AcmeAnswer>()>& attempt);

  HttpClient& http_;
  Clock& clock_;
  const Server server_;
  std::optional<AcmeDirectory> directory_;
  // The latest unused one; empty: none.
  std::string nonce_;
};

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_ACME_ACME_CLIENT_H_
