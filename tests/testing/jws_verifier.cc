#include "tests/testing/jws_verifier.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "tests/testing/program.h"
#include "tests/testing/temporary_directory.h"

namespace certcast::testing {
namespace {

struct Curve {
  const char* name;
  const char* group;
  size_t width;
};
constexpr Curve kCurves[] = {{"P-256", "prime256v1", 32}, {"P-384", "secp384r1", 48}};

SslPtr<BIGNUM> Number(const std::string& bytes) {
  return SslPtr<BIGNUM>(
      BN_bin2bn(reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()), nullptr));
}

// Collects numbers for EVP_PKEY_fromdata and keeps them alive.
class Parameters {
 public:
  Parameters() : builder_(OSSL_PARAM_BLD_new(), &OSSL_PARAM_BLD_free) {}
  void Add(const char* name, const std::string& base64url) {
    numbers_.push_back(Number(FromBase64Url(base64url)));
    OSSL_PARAM_BLD_push_BN(builder_.get(), name, numbers_.back().get());
  }
  void AddText(const char* name, const char* text) { OSSL_PARAM_BLD_push_utf8_string(builder_.get(), name, text, 0); }
  // Once.
  void AddBytes(const char* name, std::string bytes) {
    bytes_ = std::move(bytes);
    OSSL_PARAM_BLD_push_octet_string(builder_.get(), name, bytes_.data(), bytes_.size());
  }
  SslPtr<EVP_PKEY> Build(const char* type, int selection) {
    const std::unique_ptr<OSSL_PARAM, decltype(&OSSL_PARAM_free)> parameters(OSSL_PARAM_BLD_to_param(builder_.get()),
                                                                             &OSSL_PARAM_free);
    const SslPtr<EVP_PKEY_CTX> context(EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr));
    EVP_PKEY* key = nullptr;
    if (EVP_PKEY_fromdata_init(context.get()) != 1 ||
        EVP_PKEY_fromdata(context.get(), &key, selection, parameters.get()) != 1) {
      return nullptr;
    }
    return SslPtr<EVP_PKEY>(key);
  }

 private:
  std::unique_ptr<OSSL_PARAM_BLD, decltype(&OSSL_PARAM_BLD_free)> builder_;
  std::vector<SslPtr<BIGNUM>> numbers_;
  std::string bytes_;
};

SslPtr<EVP_PKEY> RsaKey(const nlohmann::json& jwk) {
  Parameters parameters;
  parameters.Add(OSSL_PKEY_PARAM_RSA_N, jwk.at("n"));
  parameters.Add(OSSL_PKEY_PARAM_RSA_E, jwk.at("e"));
  if (jwk.contains("d")) parameters.Add(OSSL_PKEY_PARAM_RSA_D, jwk.at("d"));
  return parameters.Build("RSA", jwk.contains("d") ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY);
}

SslPtr<EVP_PKEY> EcKey(const nlohmann::json& jwk) {
  for (const Curve& curve : kCurves) {
    if (jwk.at("crv") != curve.name) continue;
    const std::string x = FromBase64Url(jwk.at("x"));
    const std::string y = FromBase64Url(jwk.at("y"));
    if (x.size() != curve.width || y.size() != curve.width) return nullptr;
    Parameters parameters;
    parameters.AddText(OSSL_PKEY_PARAM_GROUP_NAME, curve.group);
    std::string point = "\x04";
    point += x;
    point += y;
    parameters.AddBytes(OSSL_PKEY_PARAM_PUB_KEY, std::move(point));
    if (jwk.contains("d")) parameters.Add(OSSL_PKEY_PARAM_PRIV_KEY, jwk.at("d"));
    return parameters.Build("EC", jwk.contains("d") ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY);
  }
  return nullptr;
}

std::string EcdsaDer(const std::string& raw) {
  const SslPtr<ECDSA_SIG> signature(ECDSA_SIG_new());
  ECDSA_SIG_set0(signature.get(), Number(raw.substr(0, raw.size() / 2)).release(),
                 Number(raw.substr(raw.size() / 2)).release());
  unsigned char* der = nullptr;
  const int size = i2d_ECDSA_SIG(signature.get(), &der);
  std::string bytes(reinterpret_cast<char*>(der), size);
  OPENSSL_free(der);
  return bytes;
}

}  // namespace

std::string FromBase64Url(const std::string& text) {
  std::string padded = text;
  std::replace(padded.begin(), padded.end(), '-', '+');
  std::replace(padded.begin(), padded.end(), '_', '/');
  while (padded.size() % 4 != 0) padded += '=';
  std::string bytes(padded.size() / 4 * 3, '\0');
  const int size =
      EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()),
                      reinterpret_cast<const unsigned char*>(padded.data()), static_cast<int>(padded.size()));
  if (size < 0) {
    std::fprintf(stderr, "no base64url: %s\n", text.c_str());
    std::abort();
  }
  bytes.resize(size - static_cast<int>(std::count(padded.begin(), padded.end(), '=')));
  return bytes;
}

std::string ToBase64Url(const std::string& bytes) {
  std::string text((bytes.size() + 2) / 3 * 4 + 1, '\0');
  const int size =
      EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                      reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()));
  text.resize(size);
  while (!text.empty() && text.back() == '=') text.pop_back();
  std::replace(text.begin(), text.end(), '+', '-');
  std::replace(text.begin(), text.end(), '/', '_');
  return text;
}

SslPtr<EVP_PKEY> KeyFromJwk(const nlohmann::json& jwk) {
  if (!jwk.is_object() || !jwk.contains("kty")) return nullptr;
  return jwk.at("kty") == "RSA" ? RsaKey(jwk) : jwk.at("kty") == "EC" ? EcKey(jwk) : nullptr;
}

std::string ThumbprintOf(const nlohmann::json& jwk) {
  // nlohmann::json sorts members by name, as the RFC wants them.
  nlohmann::json required;
  for (const char* member : {"crv", "e", "kty", "n", "x", "y"}) {
    if (jwk.contains(member)) required[member] = jwk.at(member);
  }
  const std::string text = required.dump();
  std::string digest(EVP_MAX_MD_SIZE, '\0');
  unsigned int size = 0;
  EVP_Digest(text.data(), text.size(), reinterpret_cast<unsigned char*>(digest.data()), &size, EVP_sha256(), nullptr);
  return ToBase64Url(digest.substr(0, size));
}

bool VerifySignature(const std::string& algorithm, EVP_PKEY* key, const std::string& input,
                     const std::string& signature) {
  const bool rsa = algorithm == "RS256";
  const size_t width = algorithm == "ES256" ? 64 : algorithm == "ES384" ? 96 : 0;
  if (!rsa && (width == 0 || signature.size() != width)) return false;
  const std::string wire = rsa ? signature : EcdsaDer(signature);
  const SslPtr<EVP_MD_CTX> context(EVP_MD_CTX_new());
  const EVP_MD* digest = algorithm == "ES384" ? EVP_sha384() : EVP_sha256();
  return EVP_DigestVerifyInit(context.get(), nullptr, digest, nullptr, key) == 1 &&
         EVP_DigestVerify(context.get(), reinterpret_cast<const unsigned char*>(wire.data()), wire.size(),
                          reinterpret_cast<const unsigned char*>(input.data()), input.size()) == 1;
}

bool OpensslProgramVerifies(const std::string& algorithm, EVP_PKEY* key, const std::string& input,
                            const std::string& signature) {
  const TemporaryDirectory directory;
  const auto at = [&](const char* name) { return directory.path() + "/" + name; };
  const SslPtr<BIO> pem(BIO_new(BIO_s_mem()));
  PEM_write_bio_PUBKEY(pem.get(), key);
  char* text = nullptr;
  const long size = BIO_get_mem_data(pem.get(), &text);
  const std::string wire = algorithm == "RS256" ? signature : EcdsaDer(signature);
  if (!WriteFile(at("key.pem"), std::string(text, static_cast<size_t>(size))).ok() ||
      !WriteFile(at("signature"), wire).ok() || !WriteFile(at("input"), input).ok()) {
    return false;
  }
  const auto program = Program::Start({.argv = {"openssl", "dgst", algorithm == "ES384" ? "-sha384" : "-sha256",
                                                "-verify", at("key.pem"), "-signature", at("signature"), at("input")}});
  return program.ok() && (*program)->Wait(absl::Seconds(20)).value_or(-1) == 0;
}

bool VerifyMac(const std::string& algorithm, const std::string& key, const std::string& input, const std::string& mac) {
  const EVP_MD* digest = algorithm == "HS256"   ? EVP_sha256()
                         : algorithm == "HS384" ? EVP_sha384()
                         : algorithm == "HS512" ? EVP_sha512()
                                                : nullptr;
  if (digest == nullptr) return false;
  std::string expected(EVP_MAX_MD_SIZE, '\0');
  unsigned int size = 0;
  HMAC(digest, key.data(), static_cast<int>(key.size()), reinterpret_cast<const unsigned char*>(input.data()),
       input.size(), reinterpret_cast<unsigned char*>(expected.data()), &size);
  return mac == expected.substr(0, size);
}

}  // namespace certcast::testing
