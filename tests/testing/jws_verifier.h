// The other side of JOSE: reads keys and checks signatures as a server does. Shares no code with controller/acme/jose.
#ifndef CERTCAST_TESTS_TESTING_JWS_VERIFIER_H_
#define CERTCAST_TESTS_TESTING_JWS_VERIFIER_H_

#include <nlohmann/json.hpp>
#include <string>

#include "common/x509/ssl_ptr.h"

namespace certcast::testing {

// From base64url; ends the program when it is none. The opposite lives in controller/acme/jose.
std::string FromBase64Url(const std::string& text);
std::string ToBase64Url(const std::string& bytes);

// RSA, P-256, P-384; with the private part when `d` (and for RSA the rest) is there. nullptr when it is no such key or
// a coordinate is not of the curve's width.
SslPtr<EVP_PKEY> KeyFromJwk(const nlohmann::json& jwk);
// RFC 7638.
std::string ThumbprintOf(const nlohmann::json& jwk);

// `signature` is raw. ES256, ES384, RS256.
bool VerifySignature(const std::string& algorithm, EVP_PKEY* key, const std::string& input,
                     const std::string& signature);
// The same by the program `openssl`, which shares nothing with this process.
bool OpensslProgramVerifies(const std::string& algorithm, EVP_PKEY* key, const std::string& input,
                            const std::string& signature);
// HS256, HS384, HS512.
bool VerifyMac(const std::string& algorithm, const std::string& key, const std::string& input, const std::string& mac);

}  // namespace certcast::testing

#endif  // CERTCAST_TESTS_TESTING_JWS_VERIFIER_H_
