#include "controller/acme/jose.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/hmac.h>
#include <openssl/obj_mac.h>
#include <openssl/sha.h>

#include <optional>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/status/status.h"
#include "common/x509/openssl_errors.h"
#include "common/x509/private_key.h"
#include "common/x509/ssl_ptr.h"

namespace certcast::controller {
namespace {

struct Curve {
  int nid;           // as OpenSSL calls it
  const char* name;  // as JWK calls it
  const char* algorithm;
  const char* digest;
  int width;  // of a coordinate and of r and s, in bytes
};
constexpr Curve kCurves[] = {
    {NID_X9_62_prime256v1, "P-256", "ES256", "SHA256", 32},
    {NID_secp384r1, "P-384", "ES384", "SHA384", 48},
};

absl::Status CryptoError(absl::string_view doing) {
  return absl::InternalError(absl::StrCat(doing, ": ", TakeOpensslErrors()));
}

absl::StatusOr<Curve> JwkCurveOf(EVP_PKEY* key) {
  const int nid = CurveOf(key);
  for (const Curve& curve : kCurves) {
    if (nid == curve.nid) return curve;
  }
  return FailInput("this key can't sign for ACME", "account keys are RSA, P-256 or P-384");
}

// A number of the key as bytes, at least `width` of them.
absl::StatusOr<std::string> NumberOf(EVP_PKEY* key, const char* parameter, int width) {
  BIGNUM* raw = nullptr;
  if (EVP_PKEY_get_bn_param(key, parameter, &raw) != 1) return CryptoError("reading the account key");
  const SslPtr<BIGNUM> number(raw);
  std::string bytes(std::max(width, BN_num_bytes(number.get())), '\0');
  BN_bn2binpad(number.get(), reinterpret_cast<unsigned char*>(bytes.data()), static_cast<int>(bytes.size()));
  return bytes;
}

std::string Sha256(absl::string_view bytes) {
  std::string digest(SHA256_DIGEST_LENGTH, '\0');
  SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(),
         reinterpret_cast<unsigned char*>(digest.data()));
  return digest;
}

// OpenSSL signs as DER, JOSE wants r||s; a short number is padded.
absl::StatusOr<std::string> FixedWidthSignature(absl::string_view der, int width) {
  const auto* cursor = reinterpret_cast<const unsigned char*>(der.data());
  const SslPtr<ECDSA_SIG> parsed(d2i_ECDSA_SIG(nullptr, &cursor, static_cast<long>(der.size())));
  std::string raw(size_t{2} * static_cast<size_t>(width), '\0');
  auto* out = reinterpret_cast<unsigned char*>(raw.data());
  if (parsed == nullptr || BN_bn2binpad(ECDSA_SIG_get0_r(parsed.get()), out, width) != width ||
      BN_bn2binpad(ECDSA_SIG_get0_s(parsed.get()), out + width, width) != width) {
    return CryptoError("reading an ECDSA signature");
  }
  return raw;
}

absl::StatusOr<std::string> SignDer(EVP_PKEY* key, const char* digest, absl::string_view input) {
  const SslPtr<EVP_MD_CTX> context(EVP_MD_CTX_new());
  const auto* data = reinterpret_cast<const unsigned char*>(input.data());
  size_t size = 0;
  if (context == nullptr ||
      EVP_DigestSignInit_ex(context.get(), nullptr, digest, nullptr, nullptr, key, nullptr) != 1 ||
      EVP_DigestSign(context.get(), nullptr, &size, data, input.size()) != 1) {
    return CryptoError("signing with the account key");
  }
  std::string signature(size, '\0');
  if (EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()), &size, data, input.size()) !=
      1) {
    return CryptoError("signing with the account key");
  }
  signature.resize(size);
  return signature;
}

bool IsRsa(EVP_PKEY* key) {
  return EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA;
}

nlohmann::ordered_json Flattened(absl::string_view header, absl::string_view payload, absl::string_view signature) {
  return {
      {"protected", std::string(header)}, {"payload", std::string(payload)}, {"signature", Base64UrlEncode(signature)}};
}

// A URL may have come in a header or another client's file, so that nobody checked its encoding.
std::string TextOf(const nlohmann::ordered_json& json) {
  return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

std::string EncodedHeader(const std::string& algorithm, const nlohmann::ordered_json& rest) {
  nlohmann::ordered_json header = {{"alg", algorithm}};
  header.update(rest);
  return Base64UrlEncode(TextOf(header));
}

}  // namespace

std::string Base64UrlEncode(absl::string_view bytes) {
  return absl::WebSafeBase64Escape(bytes);
}

bool IsBase64Url(absl::string_view text) {
  constexpr absl::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  return !text.empty() && text.find_first_not_of(kAlphabet) == absl::string_view::npos;
}

absl::StatusOr<std::string> Base64UrlDecode(absl::string_view text) {
  while (absl::ConsumeSuffix(&text, "=")) {
  }
  std::string bytes;
  // Abseil also takes white space and '.'.
  if ((!text.empty() && !IsBase64Url(text)) || !absl::WebSafeBase64Unescape(text, &bytes)) {
    return FailInput("it is not base64url (RFC 4648 section 5)");
  }
  return bytes;
}

absl::StatusOr<nlohmann::ordered_json> PublicJwk(EVP_PKEY* key) {
  if (IsRsa(key)) {
    ASSIGN_OR_RETURN(const std::string e, NumberOf(key, OSSL_PKEY_PARAM_RSA_E, 0));
    ASSIGN_OR_RETURN(const std::string n, NumberOf(key, OSSL_PKEY_PARAM_RSA_N, 0));
    return nlohmann::ordered_json{{"e", Base64UrlEncode(e)}, {"kty", "RSA"}, {"n", Base64UrlEncode(n)}};
  }
  ASSIGN_OR_RETURN(const Curve curve, JwkCurveOf(key));
  ASSIGN_OR_RETURN(const std::string x, NumberOf(key, OSSL_PKEY_PARAM_EC_PUB_X, curve.width));
  ASSIGN_OR_RETURN(const std::string y, NumberOf(key, OSSL_PKEY_PARAM_EC_PUB_Y, curve.width));
  return nlohmann::ordered_json{
      {"crv", curve.name}, {"kty", "EC"}, {"x", Base64UrlEncode(x)}, {"y", Base64UrlEncode(y)}};
}

absl::StatusOr<std::string> JwkThumbprint(EVP_PKEY* key) {
  ASSIGN_OR_RETURN(const nlohmann::ordered_json jwk, PublicJwk(key));
  return Base64UrlEncode(Sha256(jwk.dump()));
}

absl::StatusOr<std::string> SignatureAlgorithm(EVP_PKEY* key) {
  if (IsRsa(key)) return std::string("RS256");
  ASSIGN_OR_RETURN(const Curve curve, JwkCurveOf(key));
  return std::string(curve.algorithm);
}

absl::StatusOr<std::string> Sign(EVP_PKEY* key, absl::string_view input) {
  if (IsRsa(key)) return SignDer(key, "SHA256", input);
  ASSIGN_OR_RETURN(const Curve curve, JwkCurveOf(key));
  ASSIGN_OR_RETURN(const std::string der, SignDer(key, curve.digest, input));
  return FixedWidthSignature(der, curve.width);
}

absl::StatusOr<std::string> Authenticate(absl::string_view algorithm, const Secret& key, absl::string_view input) {
  const EVP_MD* digest = algorithm == "HS256"   ? EVP_sha256()
                         : algorithm == "HS384" ? EVP_sha384()
                         : algorithm == "HS512" ? EVP_sha512()
                                                : nullptr;
  if (digest == nullptr) return FailInput(absl::StrCat("there is no MAC algorithm ", algorithm));
  std::string mac(EVP_MD_get_size(digest), '\0');
  if (HMAC(digest, key.ExposeSecret().data(), static_cast<int>(key.size()),
           reinterpret_cast<const unsigned char*>(input.data()), input.size(),
           reinterpret_cast<unsigned char*>(mac.data()), nullptr) == nullptr) {
    return CryptoError("computing an HMAC");
  }
  return mac;
}

absl::StatusOr<std::string> SignJws(EVP_PKEY* key, const nlohmann::ordered_json& header, absl::string_view payload) {
  ASSIGN_OR_RETURN(const std::string algorithm, SignatureAlgorithm(key));
  const std::string encoded_header = EncodedHeader(algorithm, header);
  const std::string encoded_payload = Base64UrlEncode(payload);
  ASSIGN_OR_RETURN(const std::string signature, Sign(key, absl::StrCat(encoded_header, ".", encoded_payload)));
  return Flattened(encoded_header, encoded_payload, signature).dump();
}

absl::StatusOr<nlohmann::ordered_json> KeyChangeRequest(EVP_PKEY* new_key, EVP_PKEY* old_key,
                                                        const std::string& account_url,
                                                        const std::string& key_change_url) {
  nlohmann::ordered_json header = {{"url", key_change_url}};
  ASSIGN_OR_RETURN(header["jwk"], PublicJwk(new_key));
  nlohmann::ordered_json payload = {{"account", account_url}};
  ASSIGN_OR_RETURN(payload["oldKey"], PublicJwk(old_key));
  ASSIGN_OR_RETURN(const std::string jws, SignJws(new_key, header, TextOf(payload)));
  return nlohmann::ordered_json::parse(jws);
}

absl::StatusOr<nlohmann::ordered_json> ExternalAccountBinding(EVP_PKEY* account_key, absl::string_view key_id,
                                                              const Secret& hmac_key, absl::string_view new_account_url,
                                                              const std::string& algorithm) {
  ASSIGN_OR_RETURN(const nlohmann::ordered_json jwk, PublicJwk(account_key));
  const std::string header =
      EncodedHeader(algorithm, {{"kid", std::string(key_id)}, {"url", std::string(new_account_url)}});
  const std::string payload = Base64UrlEncode(jwk.dump());
  ASSIGN_OR_RETURN(const std::string mac, Authenticate(algorithm, hmac_key, absl::StrCat(header, ".", payload)));
  return Flattened(header, payload, mac);
}

absl::StatusOr<Secret> DecodeHmacKey(const Secret& text) {
  auto bytes = Base64UrlDecode(text.ExposeSecret());
  if (!bytes.ok() || bytes->empty()) {
    return FailInput("the external account's hmac_key is not base64url (RFC 4648 section 5)",
                     "save it exactly as the CA shows it: letters, digits, - and _");
  }
  Secret key(*bytes);
  Wipe(bytes->data(), bytes->size());
  return key;
}

absl::StatusOr<std::string> KeyAuthorization(absl::string_view token, EVP_PKEY* account_key) {
  ASSIGN_OR_RETURN(const std::string thumbprint, JwkThumbprint(account_key));
  return absl::StrCat(token, ".", thumbprint);
}

std::string Dns01Value(absl::string_view key_authorization) {
  return Base64UrlEncode(Sha256(key_authorization));
}

}  // namespace certcast::controller
