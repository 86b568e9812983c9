// Private keys as JSON (RFC 7517), as certbot keeps those of accounts.
#ifndef CERTCAST_CONTROLLER_ADOPT_JWK_H_
#define CERTCAST_CONTROLLER_ADOPT_JWK_H_

#include <nlohmann/json.hpp>

#include "absl/status/statusor.h"
#include "common/secret/secret.h"

namespace certcast::controller {

// From the members of an RSA, P-256 or P-384 private key to PEM. FailInput says what is missing, and nothing of what is
// there.
absl::StatusOr<Secret> KeyFromJwk(const nlohmann::json& jwk);

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_ADOPT_JWK_H_
