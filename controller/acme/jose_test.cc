#include "controller/acme/jose.h"

#include <string>

#include "common/x509/private_key.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/jws_verifier.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/test_ca.h"

namespace certcast::controller {
namespace {

using nlohmann::json;
using testing::FromBase64Url;
using ::testing::HasSubstr;
using testing::IsOk;
using testing::IsOkAndHolds;
using testing::KeyFromJwk;
using testing::ThumbprintOf;
using testing::VerifyMac;
using testing::VerifySignature;

// RFC 7515 appendix A: the payload of A.1 to A.3.
constexpr char kPayload[] =
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";

const json& Rfc7515RsaKey() {
  static const json key = {
      {"kty", "RSA"},
      {"n",
       "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-"
       "pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-"
       "UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_"
       "h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"},
      {"e", "AQAB"},
      {"d",
       "Eq5xpGnNCivDflJsRQBXHx1hdR1k6Ulwe2JZD50LpXyWPEAeP88vLNO97IjlA7_GQ5sLKMgvfTeXZx9SE-"
       "7YwVol2NXOoAJe46sui395IW_GO-pWJ1O0BkTGoVEn2bKVRUCgu-GjBVaYLU6f3l9kJfFNS3E0QbVdxzubSu3Mkqzjkn439X0M_"
       "V51gfpRLI9JYanrC4D4qAdGcopV_0ZHHzQlBjudU2QvXt4ehNYTCBr6XCLQUShb1juUO1ZdiYoFaFQT5Tw8bGUl_x_"
       "jTj3ccPDVZFD9pIuhLhBOneufuBiB4cS98l2SR_RQyGWSeWjnczT0QU91p1DhOVRuOopznQ"}};
  return key;
}

const json& Rfc7515EcKey() {
  static const json key = {{"kty", "EC"},
                           {"crv", "P-256"},
                           {"x", "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"},
                           {"y", "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"},
                           {"d", "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"}};
  return key;
}

PrivateKey Generate(KeyType type) {
  auto key = PrivateKey::Generate(type);
  EXPECT_THAT(key, IsOk());
  return *std::move(key);
}

TEST(Base64Url, HasNoPadding) {
  EXPECT_EQ(Base64UrlEncode(std::string("\x03\xec\xff\xe0\xc1", 5)), "A-z_4ME");  // RFC 7515 appendix C
  EXPECT_EQ(Base64UrlEncode(""), "");
}

TEST(Base64Url, IsReadPaddedOrNot) {
  EXPECT_THAT(Base64UrlDecode("A-z_4ME"), IsOkAndHolds(std::string("\x03\xec\xff\xe0\xc1", 5)));
  EXPECT_THAT(Base64UrlDecode("A-z_4ME="), IsOkAndHolds(std::string("\x03\xec\xff\xe0\xc1", 5)));
}

TEST(Base64Url, RefusesOtherText) {
  for (const char* text : {"A+z/4ME", "A z", "a.b", "A", "A=B", "\n"}) {
    EXPECT_FALSE(Base64UrlDecode(text).ok()) << text;
  }
}

TEST(Jose, Rfc7515A1Hs256) {
  const Secret key(
      FromBase64Url("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"));
  const auto mac = Authenticate("HS256", key, std::string("eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9") + "." + kPayload);
  ASSERT_THAT(mac, IsOk());
  EXPECT_EQ(Base64UrlEncode(*mac), "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
}

TEST(Jose, Rfc7515A2Rs256) {
  const auto key = KeyFromJwk(Rfc7515RsaKey());
  ASSERT_NE(key, nullptr);
  EXPECT_THAT(SignatureAlgorithm(key.get()), IsOkAndHolds("RS256"));
  const auto signature = Sign(key.get(), std::string("eyJhbGciOiJSUzI1NiJ9") + "." + kPayload);
  ASSERT_THAT(signature, IsOk());
  EXPECT_EQ(
      Base64UrlEncode(*signature),
      "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_"
      "lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07"
      "Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-"
      "eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_"
      "IoypGlUPQGe77Rw");
}

TEST(Jose, Rfc7515A3Es256) {
  const auto key = KeyFromJwk(Rfc7515EcKey());
  ASSERT_NE(key, nullptr);
  const std::string input = std::string("eyJhbGciOiJFUzI1NiJ9") + "." + kPayload;
  // The verifier that all other tests rely on knows the RFC's signature,
  EXPECT_TRUE(VerifySignature(
      "ES256", key.get(), input,
      FromBase64Url("DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q")));
  // and ours with the same key.
  EXPECT_THAT(SignatureAlgorithm(key.get()), IsOkAndHolds("ES256"));
  const auto signature = Sign(key.get(), input);
  ASSERT_THAT(signature, IsOk());
  EXPECT_TRUE(VerifySignature("ES256", key.get(), input, *signature));
  EXPECT_FALSE(VerifySignature("ES256", key.get(), input + "x", *signature));
}

TEST(Jose, SignsWithEs384) {
  const PrivateKey key = Generate(KeyType::kEcdsaP384);
  EXPECT_THAT(SignatureAlgorithm(key.get()), IsOkAndHolds("ES384"));
  const auto signature = Sign(key.get(), "input");
  ASSERT_THAT(signature, IsOk());
  EXPECT_EQ(signature->size(), 96);
  EXPECT_TRUE(VerifySignature("ES384", key.get(), "input", *signature));
}

// RFC 4231 section 4.3, test case 2.
TEST(Jose, AuthenticatesWithAllThreeMacs) {
  const Secret key("Jefe");
  const std::string input = "what do ya want for nothing?";
  for (const char* algorithm : {"HS256", "HS384", "HS512"}) {
    const auto mac = Authenticate(algorithm, key, input);
    ASSERT_THAT(mac, IsOk());
    EXPECT_TRUE(VerifyMac(algorithm, "Jefe", input, *mac)) << algorithm;
  }
  EXPECT_EQ(Authenticate("HS384", key, input)->substr(0, 4), "\xaf\x45\xd2\xe3");
  EXPECT_EQ(Authenticate("HS512", key, input)->substr(0, 4), "\x16\x4b\x7a\x7b");
  EXPECT_FALSE(Authenticate("none", key, input).ok());
}

// About one signature of 128 has an r or s that is a byte shorter than the curve.
TEST(Jose, PadsShortSignatures) {
  for (const KeyType type : {KeyType::kEcdsaP256, KeyType::kEcdsaP384}) {
    const PrivateKey key = Generate(type);
    const size_t width = type == KeyType::kEcdsaP256 ? 32 : 48;
    const char* algorithm = type == KeyType::kEcdsaP256 ? "ES256" : "ES384";
    bool short_r = false;
    bool short_s = false;
    for (int i = 0; i < 20000 && !(short_r && short_s); ++i) {
      const auto signature = Sign(key.get(), "input");
      ASSERT_THAT(signature, IsOk());
      ASSERT_EQ(signature->size(), 2 * width);
      const bool r = (*signature)[0] == 0;
      const bool s = (*signature)[width] == 0;
      if (!r && !s) continue;
      EXPECT_TRUE(VerifySignature(algorithm, key.get(), "input", *signature));
      short_r |= r;
      short_s |= s;
    }
    EXPECT_TRUE(short_r);
    EXPECT_TRUE(short_s);
  }
}

TEST(Jose, PadsShortCoordinates) {
  bool found = false;
  for (int i = 0; i < 20000 && !found; ++i) {
    const PrivateKey key = Generate(KeyType::kEcdsaP256);
    const auto jwk = PublicJwk(key.get());
    ASSERT_THAT(jwk, IsOk());
    const std::string x = jwk->at("x");
    const std::string y = jwk->at("y");
    ASSERT_EQ(x.size(), 43);
    ASSERT_EQ(y.size(), 43);
    // Its first byte is 0: two characters of A's and the third's high bits.
    if (x.substr(0, 1) != "A" && y.substr(0, 1) != "A") continue;
    found = FromBase64Url(x)[0] == 0 || FromBase64Url(y)[0] == 0;
    const auto read_back = KeyFromJwk(json::parse(jwk->dump()));
    ASSERT_NE(read_back, nullptr);
    EXPECT_EQ(EVP_PKEY_eq(read_back.get(), key.get()), 1);
  }
  EXPECT_TRUE(found);
}

TEST(Jose, Rfc7638Thumbprint) {
  // RFC 7638 section 3.1.
  const json jwk = {
      {"kty", "RSA"},
      {"n",
       "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_"
       "BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_"
       "FDW2QvzqY368QQMicAtaSqzs8"
       "KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_"
       "xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"},
      {"e", "AQAB"}};
  const auto key = KeyFromJwk(jwk);
  ASSERT_NE(key, nullptr);
  EXPECT_THAT(JwkThumbprint(key.get()), IsOkAndHolds("NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"));
}

TEST(Jose, JwkMembersAreInLexicographicOrderWithoutWhiteSpace) {
  const auto jwk = PublicJwk(KeyFromJwk(Rfc7515EcKey()).get());
  ASSERT_THAT(jwk, IsOk());
  EXPECT_EQ(jwk->dump(), R"({"crv":"P-256","kty":"EC","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",)"
                         R"("y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"})");
}

TEST(Jose, RefusesKeysThatAcmeDoesNotHave) {
  const PrivateKey ed25519 = Generate(KeyType::kEd25519);
  EXPECT_FALSE(PublicJwk(ed25519.get()).ok());
  EXPECT_FALSE(Sign(ed25519.get(), "input").ok());
  const PrivateKey p521 = testing::MakeEcKey("P-521");
  EXPECT_FALSE(SignatureAlgorithm(p521.get()).ok());
}

TEST(Jose, JwsIsFlattenedAndProtectsWhatAcmeWants) {
  const PrivateKey key = Generate(KeyType::kEcdsaP256);
  const auto text =
      SignJws(key.get(), {{"nonce", "n"}, {"url", "https://ca.test/x"}, {"kid", "https://ca.test/a/1"}}, R"({"a":1})");
  ASSERT_THAT(text, IsOk());
  const json jws = json::parse(*text);
  EXPECT_EQ(jws.size(), 3);
  const std::string header = jws.at("protected");
  const std::string payload = jws.at("payload");
  EXPECT_EQ(FromBase64Url(payload), R"({"a":1})");
  EXPECT_EQ(json::parse(FromBase64Url(header)),
            json({{"alg", "ES256"}, {"nonce", "n"}, {"url", "https://ca.test/x"}, {"kid", "https://ca.test/a/1"}}));
  EXPECT_TRUE(VerifySignature("ES256", key.get(), header + "." + payload, FromBase64Url(jws.at("signature"))));
}

TEST(Jose, PostAsGetHasAnEmptyPayload) {
  const PrivateKey key = Generate(KeyType::kEcdsaP256);
  EXPECT_EQ(json::parse(*SignJws(key.get(), {{"nonce", "n"}}, "")).at("payload"), "");
}

TEST(Jose, ExternalAccountBindingIsAJwsOverTheAccountKey) {
  // RFC 8555 section 7.3.4: alg, kid and url alone in the header, the account's JWK as payload.
  const PrivateKey key = Generate(KeyType::kEcdsaP256);
  const auto jws = ExternalAccountBinding(key.get(), "kid-1", Secret("secret"), "https://ca.test/new-account");
  ASSERT_THAT(jws, IsOk());
  const std::string header = jws->at("protected");
  const std::string payload = jws->at("payload");
  EXPECT_EQ(json::parse(FromBase64Url(header)),
            json({{"alg", "HS256"}, {"kid", "kid-1"}, {"url", "https://ca.test/new-account"}}));
  EXPECT_EQ(FromBase64Url(payload), PublicJwk(key.get())->dump());
  EXPECT_TRUE(VerifyMac("HS256", "secret", header + "." + payload, FromBase64Url(jws->at("signature"))));
}

TEST(Jose, HmacKeysAreTakenPaddedUnpaddedAndShort) {
  EXPECT_EQ(DecodeHmacKey(Secret("c2VjcmV0MQ"))->ExposeSecret(), "secret1");
  EXPECT_EQ(DecodeHmacKey(Secret("c2VjcmV0MQ=="))->ExposeSecret(), "secret1");
  EXPECT_EQ(DecodeHmacKey(Secret("YQ"))->ExposeSecret(), "a");
}

TEST(Jose, AnHmacKeyThatIsNoneIsNotShown) {
  for (const char* text : {"", "se cret!", "a+b/"}) {
    const auto key = DecodeHmacKey(Secret(text));
    ASSERT_FALSE(key.ok()) << text;
    EXPECT_TRUE(absl::IsInvalidArgument(key.status()));
    EXPECT_THAT(std::string(key.status().message()), HasSubstr("base64url"));
    if (*text == '\0') continue;
    EXPECT_EQ(key.status().message().find(text), absl::string_view::npos);
  }
}

TEST(Jose, KeyAuthorizationIsTokenAndThumbprint) {
  // RFC 8555 section 8.1, with the token of its section 8.4.
  const auto key = KeyFromJwk(Rfc7515EcKey());
  const auto authorization = KeyAuthorization("evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA", key.get());
  ASSERT_THAT(authorization, IsOk());
  EXPECT_EQ(*authorization, "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA." + ThumbprintOf(Rfc7515EcKey()));
  EXPECT_EQ(Dns01Value(*authorization).size(), 43);
}

TEST(Jose, Dns01ValueIsTheDigestOfTheKeyAuthorization) {
  // SHA-256 of "abc" (FIPS 180-4).
  EXPECT_EQ(Dns01Value("abc"), "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0");
}

}  // namespace
}  // namespace certcast::controller
