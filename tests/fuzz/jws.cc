// What goes into signed requests: base64url, keys of external accounts, account keys as JWK or PEM, and headers and
// payloads with texts of a CA. Whatever is signed is checked by code that shares nothing with what signed it.
#include <openssl/err.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/secret/secret.h"
#include "common/status/status.h"
#include "common/x509/private_key.h"
#include "common/x509/ssl_ptr.h"
#include "controller/acme/jose.h"
#include "controller/adopt/jwk.h"
#include "tests/fuzz/target.h"
#include "tests/testing/jws_verifier.h"

namespace certcast::fuzz {
namespace {

using namespace controller;

enum Kind { kBase64, kHmacKey, kJwk, kPem, kHeader, kKinds };

// Signing with larger ones takes seconds; no CA takes them.
constexpr int kMostBits = 8192;

const PrivateKey& AccountKey() {
  static const PrivateKey key = PrivateKey::Generate(KeyType::kEcdsaP256).value();
  return key;
}

std::string SeedOf(Kind kind, absl::string_view text) {
  return absl::StrCat(std::string(1, static_cast<char>(kind)), text);
}

void TryBase64(absl::string_view text) {
  const absl::StatusOr<std::string> bytes = Base64UrlDecode(text);
  RequireOrderly(bytes.status());
  const std::string encoded = Base64UrlEncode(text);
  Require(text.empty() || IsBase64Url(encoded), "what is encoded is base64url");
  const absl::StatusOr<std::string> again = Base64UrlDecode(encoded);
  Require(again.ok() && *again == text, "what is encoded is decoded to the same");
  Require(testing::FromBase64Url(encoded) == text, "others decode it to the same");
  if (bytes.ok()) Require(*Base64UrlDecode(Base64UrlEncode(*bytes)) == *bytes, "what is decoded is encoded again");
}

// The flattened JSON serialization: three texts.
void RequireFlattened(const nlohmann::ordered_json& jws) {
  Require(jws.is_object() && jws.size() == 3, "a JWS has three members");
  Require(IsBase64Url(jws.value("protected", "")) && IsBase64Url(jws.value("signature", "")), "they are base64url");
  const std::string payload = jws.value("payload", "");
  Require(payload.empty() || IsBase64Url(payload), "and so is the payload");
}

void TryHmacKey(absl::string_view text) {
  const Secret secret(text);
  const absl::StatusOr<Secret> key = DecodeHmacKey(secret);
  RequireOrderly(key.status());
  RequireHidden(key.status(), text);
  if (!key.ok()) return;
  Require(!key->empty(), "a key is not empty");
  for (const char* algorithm : {"HS256", "HS384", "HS512"}) {
    const auto binding = ExternalAccountBinding(AccountKey().get(), "kid", *key, "https://ca.test/new", algorithm);
    Require(binding.ok(), "an account is bound with any key");
    RequireFlattened(*binding);
    Require(testing::VerifyMac(algorithm, std::string(key->ExposeSecret()),
                               absl::StrCat(binding->value("protected", ""), ".", binding->value("payload", "")),
                               testing::FromBase64Url(binding->value("signature", ""))),
            "others verify the binding");
  }
}

// Whatever kind of key it is.
void TryAccountKey(const PrivateKey& key) {
  const absl::StatusOr<std::string> algorithm = SignatureAlgorithm(key.get());
  RequireOrderly(algorithm.status());
  const absl::StatusOr<nlohmann::ordered_json> jwk = PublicJwk(key.get());
  Require(jwk.ok() == algorithm.ok(), "a key that can sign has a JWK");
  if (!jwk.ok()) return;
  const absl::StatusOr<std::string> thumbprint = JwkThumbprint(key.get());
  Require(thumbprint.ok() && thumbprint->size() == 43 && *thumbprint == testing::ThumbprintOf(*jwk),
          "a thumbprint is a digest of the public half");
  for (const char* member : {"d", "p", "q", "dp", "dq", "qi"})
    Require(!jwk->contains(member), "it has no private part");
  if (EVP_PKEY_get_bits(key.get()) > kMostBits) return;
  const absl::StatusOr<std::string> signature = Sign(key.get(), "text");
  RequireOrderly(signature.status());
  if (!signature.ok()) return;
  const SslPtr<EVP_PKEY> theirs = testing::KeyFromJwk(*jwk);
  Require(theirs != nullptr, "others read the JWK");
  // A file's private half may not be that of its public one: then the signature is of no use, and nobody is harmed.
  (void)testing::VerifySignature(*algorithm, theirs.get(), "text", *signature);
  ERR_clear_error();
}

void TryJwk(absl::string_view text) {
  const auto json = nlohmann::json::parse(text.begin(), text.end(), nullptr, /*allow_exceptions=*/false);
  const absl::StatusOr<Secret> pem = KeyFromJwk(json.is_discarded() ? nlohmann::json() : json);
  RequireOrderly(pem.status());
  RequireHidden(pem.status(), text);
  if (!pem.ok()) return;
  const absl::StatusOr<PrivateKey> key = PrivateKey::FromPem(pem->ExposeSecret());
  RequireOrderly(key.status());
  if (key.ok()) TryAccountKey(*key);
}

void TryPem(absl::string_view text) {
  const absl::StatusOr<PrivateKey> key = PrivateKey::FromPem(text);
  RequireOrderly(key.status());
  RequireHidden(key.status(), text);
  if (key.ok()) TryAccountKey(*key);
}

// Nonce, URL, account and payload.
void TryHeader(absl::string_view text) {
  InputReader reader(text);
  nlohmann::ordered_json header = {{"nonce", std::string(reader.Piece())}, {"url", std::string(reader.Piece())}};
  const std::string account(reader.Piece());
  if (!account.empty()) header["kid"] = account;
  const std::string payload(reader.Rest());
  const absl::StatusOr<std::string> text_of_jws = SignJws(AccountKey().get(), header, payload);
  RequireOrderly(text_of_jws.status());
  Require(text_of_jws.ok(), "any header and payload is signed");
  const auto jws = nlohmann::ordered_json::parse(*text_of_jws, nullptr, /*allow_exceptions=*/false);
  RequireFlattened(jws);
  Require(testing::FromBase64Url(jws.value("payload", "")) == payload, "a payload is as it was");
  const auto decoded = nlohmann::json::parse(testing::FromBase64Url(jws.value("protected", "")), nullptr, false);
  Require(decoded.is_object() && decoded.value("alg", "") == "ES256", "a header names its algorithm");
  const SslPtr<EVP_PKEY> theirs = testing::KeyFromJwk(*PublicJwk(AccountKey().get()));
  Require(testing::VerifySignature("ES256", theirs.get(),
                                   absl::StrCat(jws.value("protected", ""), ".", jws.value("payload", "")),
                                   testing::FromBase64Url(jws.value("signature", ""))),
          "others verify the signature");
  const auto rollover = KeyChangeRequest(AccountKey().get(), AccountKey().get(), account, "https://ca.test/change");
  Require(rollover.ok(), "a change of keys can be asked for by any account");
  RequireFlattened(*rollover);
}

std::string PemOf(KeyType type) {
  return std::string(PrivateKey::Generate(type)->ToPem()->ExposeSecret());
}

}  // namespace

// Keys that are used nowhere: RFC 7515 appendix A.3, and one that was made for this.
std::vector<Seed> Seeds() {
  return {
      {.name = "base64", .bytes = SeedOf(kBase64, "_-Aa09==")},
      {.name = "hmac-key", .bytes = SeedOf(kHmacKey, "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUA==")},
      {.name = "jwk-ec",
       .bytes = SeedOf(kJwk, R"({"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
         "y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0","d":"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"})")},
      {.name = "jwk-empty", .bytes = SeedOf(kJwk, R"({"kty":"RSA","n":"","e":"AQAB"})")},
      {.name = "pem-ec", .bytes = SeedOf(kPem, PemOf(KeyType::kEcdsaP384))},
      {.name = "pem-rsa", .bytes = SeedOf(kPem, PemOf(KeyType::kRsa2048))},
      {.name = "pem-ed25519", .bytes = SeedOf(kPem, PemOf(KeyType::kEd25519))},
      {.name = "header",
       .bytes = SeedOf(kHeader, absl::StrCat(PieceOf("abc-_"), PieceOf("https://ca.test/o\xff"),
                                             PieceOf("https://ca.test/account/\xff"), R"({"csr":"AAAA"})"))},
  };
}

void TryInput(absl::string_view input) {
  InputReader reader(input);
  const unsigned kind = reader.Byte() % kKinds;
  const absl::string_view text = reader.Rest();
  if (kind == kBase64) return TryBase64(text);
  if (kind == kHmacKey) return TryHmacKey(text);
  if (kind == kJwk) return TryJwk(text);
  if (kind == kPem) return TryPem(text);
  TryHeader(text);
}

}  // namespace certcast::fuzz
