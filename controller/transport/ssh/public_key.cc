#include "controller/transport/ssh/public_key.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/sha.h>

#include <array>
#include <memory>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/status/status.h"
#include "common/x509/openssl_errors.h"
#include "common/x509/ssl_ptr.h"
#include "controller/transport/ssh/wire.h"

namespace certcast::controller {
namespace {

constexpr int kLeastRsaBits = 2048;

const unsigned char* Bytes(absl::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

struct Curve {
  absl::string_view type;
  absl::string_view name;
  const char* group;
  const EVP_MD* (*digest)();
};
constexpr std::array<Curve, 3> kCurves = {{{"ecdsa-sha2-nistp256", "nistp256", "P-256", EVP_sha256},
                                           {"ecdsa-sha2-nistp384", "nistp384", "P-384", EVP_sha384},
                                           {"ecdsa-sha2-nistp521", "nistp521", "P-521", EVP_sha512}}};

const Curve* CurveOf(absl::string_view type) {
  for (const Curve& curve : kCurves) {
    if (curve.type == type) return &curve;
  }
  return nullptr;
}

struct ParamDeleter {
  void operator()(OSSL_PARAM_BLD* p) const { OSSL_PARAM_BLD_free(p); }
  void operator()(OSSL_PARAM* p) const { OSSL_PARAM_free(p); }
};
using ParamBuilder = std::unique_ptr<OSSL_PARAM_BLD, ParamDeleter>;

SslPtr<EVP_PKEY> Build(const char* algorithm, const ParamBuilder& builder) {
  const std::unique_ptr<OSSL_PARAM, ParamDeleter> params(OSSL_PARAM_BLD_to_param(builder.get()));
  const SslPtr<EVP_PKEY_CTX> context(EVP_PKEY_CTX_new_from_name(nullptr, algorithm, nullptr));
  EVP_PKEY* key = nullptr;
  if (params == nullptr || context == nullptr || EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, params.get()) != 1) {
    return nullptr;
  }
  return SslPtr<EVP_PKEY>(key);
}

SslPtr<EVP_PKEY> Ed25519Key(WireReader& reader) {
  const absl::string_view point = reader.ReadString();
  if (!reader.done()) return nullptr;
  return SslPtr<EVP_PKEY>(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, Bytes(point), point.size()));
}

SslPtr<EVP_PKEY> EcdsaKey(WireReader& reader, const Curve& curve) {
  const absl::string_view name = reader.ReadString();
  const absl::string_view point = reader.ReadString();
  const ParamBuilder builder(OSSL_PARAM_BLD_new());
  if (!reader.done() || name != curve.name || builder == nullptr ||
      OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, curve.group, 0) != 1 ||
      OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(), point.size()) != 1) {
    return nullptr;
  }
  return Build("EC", builder);
}

SslPtr<EVP_PKEY> RsaKey(WireReader& reader) {
  const absl::string_view e = reader.ReadString();
  const absl::string_view n = reader.ReadString();
  if (!reader.done()) return nullptr;
  const SslPtr<BIGNUM> exponent(BN_bin2bn(Bytes(e), static_cast<int>(e.size()), nullptr));
  const SslPtr<BIGNUM> modulus(BN_bin2bn(Bytes(n), static_cast<int>(n.size()), nullptr));
  const ParamBuilder builder(OSSL_PARAM_BLD_new());
  if (exponent == nullptr || modulus == nullptr || builder == nullptr ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, exponent.get()) != 1 ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, modulus.get()) != 1) {
    return nullptr;
  }
  SslPtr<EVP_PKEY> key = Build("RSA", builder);
  return key != nullptr && EVP_PKEY_get_bits(key.get()) >= kLeastRsaBits ? std::move(key) : nullptr;
}

// nullptr when it is malformed, weak or of a type that is not supported.
SslPtr<EVP_PKEY> ToOpenssl(const SshPublicKey& key) {
  WireReader reader(key.blob);
  const absl::string_view type = reader.ReadString();
  if (type == "ssh-ed25519") return Ed25519Key(reader);
  if (type == "ssh-rsa") return RsaKey(reader);
  const Curve* curve = CurveOf(type);
  return curve == nullptr ? nullptr : EcdsaKey(reader, *curve);
}

// Two mpints (RFC 5656 section 3.1.2) as DER; empty when they are none.
std::string EcdsaSignatureToDer(absl::string_view signature) {
  WireReader reader(signature);
  const absl::string_view r = reader.ReadString();
  const absl::string_view s = reader.ReadString();
  if (!reader.done()) return {};
  SslPtr<BIGNUM> r_number(BN_bin2bn(Bytes(r), static_cast<int>(r.size()), nullptr));
  SslPtr<BIGNUM> s_number(BN_bin2bn(Bytes(s), static_cast<int>(s.size()), nullptr));
  const SslPtr<ECDSA_SIG> both(ECDSA_SIG_new());
  if (both == nullptr || r_number == nullptr || s_number == nullptr ||
      ECDSA_SIG_set0(both.get(), r_number.get(), s_number.get()) != 1) {
    return {};
  }
  (void)r_number.release();
  (void)s_number.release();
  const int size = i2d_ECDSA_SIG(both.get(), nullptr);
  if (size <= 0) return {};
  std::string der(static_cast<size_t>(size), '\0');
  auto* at = reinterpret_cast<unsigned char*>(der.data());
  i2d_ECDSA_SIG(both.get(), &at);
  return der;
}

// How a signature algorithm hashes; false when it is not one of this type of key.
bool DigestFor(absl::string_view key_type, absl::string_view algorithm, const EVP_MD*& digest) {
  if (key_type == "ssh-rsa") {
    digest = algorithm == "rsa-sha2-256" ? EVP_sha256() : EVP_sha512();
    return algorithm == "rsa-sha2-256" || algorithm == "rsa-sha2-512";
  }
  const Curve* curve = CurveOf(key_type);
  digest = curve == nullptr ? nullptr : curve->digest();
  return algorithm == key_type;
}

}  // namespace

std::string SshPublicKey::type() const {
  WireReader reader(blob);
  return std::string(reader.ReadString());
}

std::string SshPublicKey::Fingerprint() const {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest;
  SHA256(Bytes(blob), blob.size(), digest.data());
  const std::string base64 =
      absl::Base64Escape(absl::string_view(reinterpret_cast<const char*>(digest.data()), digest.size()));
  return absl::StrCat("SHA256:", absl::StripSuffix(base64, "="));
}

std::string SshPublicKey::ToLine() const {
  return absl::StrCat(type(), " ", absl::Base64Escape(blob));
}

absl::StatusOr<SshPublicKey> ParseSshPublicKey(absl::string_view type, absl::string_view base64) {
  SshPublicKey key;
  if (!absl::Base64Unescape(base64, &key.blob)) return Fail(Reason::MALFORMED, "the key is not base64");
  if (key.type() != type || type.empty()) {
    return Fail(Reason::MALFORMED, absl::StrCat("the key is not of type ", type, " as it says"));
  }
  return key;
}

absl::Status VerifySshSignature(const SshPublicKey& key, absl::string_view message, absl::string_view signature) {
  const SslPtr<EVP_PKEY> pkey = ToOpenssl(key);
  const std::string type = key.type();
  WireReader reader(signature);
  const absl::string_view algorithm = reader.ReadString();
  const absl::string_view blob = reader.ReadString();
  const EVP_MD* digest = nullptr;
  TakeOpensslErrors();
  if (pkey == nullptr) {
    return Fail(Reason::AUTH_FAILED, absl::StrCat("a key of type ", type, " is too weak or not supported here"));
  }
  if (!reader.done() || !DigestFor(type, algorithm, digest)) {
    return Fail(Reason::AUTH_FAILED, absl::StrCat("a signature of kind ", algorithm, " is not accepted"));
  }
  const std::string raw = CurveOf(type) == nullptr ? std::string(blob) : EcdsaSignatureToDer(blob);
  const SslPtr<EVP_MD_CTX> context(EVP_MD_CTX_new());
  const bool good = context != nullptr &&
                    EVP_DigestVerifyInit(context.get(), nullptr, digest, nullptr, pkey.get()) == 1 &&
                    EVP_DigestVerify(context.get(), Bytes(raw), raw.size(), Bytes(message), message.size()) == 1;
  TakeOpensslErrors();
  return good ? absl::OkStatus() : Fail(Reason::AUTH_FAILED, "the signature is not that key's");
}

}  // namespace certcast::controller
