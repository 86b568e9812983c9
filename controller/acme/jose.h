// JSON Web Signatures as ACME uses them (RFC 7515, 7517, 7518, 7638; RFC 8555 section 6.2), over OpenSSL.
#ifndef CERTCAST_CONTROLLER_ACME_JOSE_H_
#define CERTCAST_CONTROLLER_ACME_JOSE_H_

#include <openssl/evp.h>

#include <nlohmann/json.hpp>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/secret/secret.h"

namespace certcast::controller {

// base64url (RFC 4648 section 5) without padding.
std::string Base64UrlEncode(absl::string_view bytes);
// Whether it is not empty and made of these characters alone, without padding.
bool IsBase64Url(absl::string_view text);
// Padded or not. FailInput for anything else.
absl::StatusOr<std::string> Base64UrlDecode(absl::string_view text);

// The public half of an RSA, P-256 or P-384 key, members in the order of RFC 7638:
// `{"crv":...,"kty":"EC","x":...,"y":...}`. Coordinates have the curve's full width. Other keys are an error.
absl::StatusOr<nlohmann::ordered_json> PublicJwk(EVP_PKEY* key);
// base64url of the SHA-256 of that, RFC 7638.
absl::StatusOr<std::string> JwkThumbprint(EVP_PKEY* key);

// ES256, ES384 or RS256, by the key.
absl::StatusOr<std::string> SignatureAlgorithm(EVP_PKEY* key);
// The raw JWS signature over `input`: for ECDSA r||s, each as wide as the curve (RFC 7518 section 3.4).
absl::StatusOr<std::string> Sign(EVP_PKEY* key, absl::string_view input);
// `algorithm`: HS256, HS384 or HS512.
absl::StatusOr<std::string> Authenticate(absl::string_view algorithm, const Secret& key, absl::string_view input);

// The flattened JSON serialization (RFC 7515 section 7.2.2). `header` is the protected header without `alg`, which is
// added. An empty payload stays empty (POST-as-GET).
absl::StatusOr<std::string> SignJws(EVP_PKEY* key, const nlohmann::ordered_json& header, absl::string_view payload);

// The inner JWS of keyChange (RFC 8555 section 7.3.5): the new key asks to take the old one's place.
absl::StatusOr<nlohmann::ordered_json> KeyChangeRequest(EVP_PKEY* new_key, EVP_PKEY* old_key,
                                                        const std::string& account_url,
                                                        const std::string& key_change_url);

// externalAccountBinding of newAccount (RFC 8555 section 7.3.4): the account key, authenticated by the CA's HMAC key.
// `algorithm`: as of Authenticate.
absl::StatusOr<nlohmann::ordered_json> ExternalAccountBinding(EVP_PKEY* account_key, absl::string_view key_id,
                                                              const Secret& hmac_key, absl::string_view new_account_url,
                                                              const std::string& algorithm = "HS256");
// The CA hands it out as base64url, padded or not.
absl::StatusOr<Secret> DecodeHmacKey(const Secret& text);

// RFC 8555 section 8.1: token "." thumbprint.
absl::StatusOr<std::string> KeyAuthorization(absl::string_view token, EVP_PKEY* account_key);
// RFC 8555 section 8.4: the TXT record's value for it.
std::string Dns01Value(absl::string_view key_authorization);

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_ACME_JOSE_H_
