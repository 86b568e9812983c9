#include "controller/adopt/jwk.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>

#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/secret/secret.h"
#include "common/status/status.h"
#include "common/x509/openssl_errors.h"
#include "common/x509/ssl_ptr.h"
#include "controller/acme/jose.h"
#include "controller/acme/json_member.h"

namespace certcast::controller {
namespace {

struct NumberName {
  const char* member;
  const char* parameter;
};
constexpr NumberName kRsa[] = {{"n", OSSL_PKEY_PARAM_RSA_N},          {"e", OSSL_PKEY_PARAM_RSA_E},
                               {"d", OSSL_PKEY_PARAM_RSA_D},          {"p", OSSL_PKEY_PARAM_RSA_FACTOR1},
                               {"q", OSSL_PKEY_PARAM_RSA_FACTOR2},    {"dp", OSSL_PKEY_PARAM_RSA_EXPONENT1},
                               {"dq", OSSL_PKEY_PARAM_RSA_EXPONENT2}, {"qi", OSSL_PKEY_PARAM_RSA_COEFFICIENT1}};

absl::Status NoKey(absl::string_view why) {
  return FailInput(absl::StrCat("the account's key is no private key as of RFC 7517: ", why));
}

// What EVP_PKEY_fromdata takes; the numbers live for as long as this does, and are wiped with it.
class KeyParts {
 public:
  absl::Status Add(const nlohmann::json& jwk, const char* member, const char* parameter) {
    const auto bytes = Base64UrlDecode(TextMember(jwk, member));
    if (!bytes.ok() || bytes->empty()) return NoKey(absl::StrCat("`", member, "` is missing"));
    BIGNUM* number = BN_secure_new();
    BN_bin2bn(reinterpret_cast<const unsigned char*>(bytes->data()), static_cast<int>(bytes->size()), number);
    numbers_.emplace_back(number, &BN_clear_free);
    OSSL_PARAM_BLD_push_BN(builder_.get(), parameter, number);
    return absl::OkStatus();
  }
  void AddText(const char* parameter, const char* text) {
    OSSL_PARAM_BLD_push_utf8_string(builder_.get(), parameter, text, 0);
  }
  void AddBytes(const char* parameter, std::string bytes) {
    bytes_ = std::move(bytes);
    OSSL_PARAM_BLD_push_octet_string(builder_.get(), parameter, bytes_.data(), bytes_.size());
  }

  absl::StatusOr<Secret> ToPem(const char* type) {
    const std::unique_ptr<OSSL_PARAM, decltype(&OSSL_PARAM_free)> parameters(OSSL_PARAM_BLD_to_param(builder_.get()),
                                                                             &OSSL_PARAM_free);
    const std::unique_ptr<EVP_PKEY_CTX, decltype(&EVP_PKEY_CTX_free)> context(
        EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr), &EVP_PKEY_CTX_free);
    EVP_PKEY* made = nullptr;
    const bool works = parameters != nullptr && context != nullptr && EVP_PKEY_fromdata_init(context.get()) == 1 &&
                       EVP_PKEY_fromdata(context.get(), &made, EVP_PKEY_KEYPAIR, parameters.get()) == 1;
    const SslPtr<EVP_PKEY> key(made);
    if (!works) return NoKey(TakeOpensslErrors());
    const SslPtr<BIO> pem(BIO_new(BIO_s_secmem()));
    if (PEM_write_bio_PKCS8PrivateKey(pem.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) != 1) {
      return NoKey(TakeOpensslErrors());
    }
    char* text = nullptr;
    const long size = BIO_get_mem_data(pem.get(), &text);
    return Secret(absl::string_view(text, static_cast<size_t>(size)));
  }

 private:
  std::unique_ptr<OSSL_PARAM_BLD, decltype(&OSSL_PARAM_BLD_free)> builder_{OSSL_PARAM_BLD_new(), &OSSL_PARAM_BLD_free};
  std::vector<std::unique_ptr<BIGNUM, decltype(&BN_clear_free)>> numbers_;
  std::string bytes_;
};

// Of a curve or a kind of key, for messages. What is longer may be a part of the key that stands in the wrong place.
std::string NameIn(const std::string& member) {
  constexpr size_t kLongestName = 12;
  return member.size() > kLongestName ? "none that is known" : absl::StrCat("`", member, "`");
}

absl::StatusOr<Secret> EcKey(const nlohmann::json& jwk) {
  const std::string curve = TextMember(jwk, "crv");
  if (curve != "P-256" && curve != "P-384") return NoKey(absl::StrCat("its curve is ", NameIn(curve)));
  const auto x = Base64UrlDecode(TextMember(jwk, "x"));
  const auto y = Base64UrlDecode(TextMember(jwk, "y"));
  const size_t width = curve == "P-256" ? 32 : 48;
  if (!x.ok() || !y.ok() || x->size() != width || y->size() != width) return NoKey("its point is not on the curve");
  KeyParts parts;
  parts.AddText(OSSL_PKEY_PARAM_GROUP_NAME, curve.c_str());
  parts.AddBytes(OSSL_PKEY_PARAM_PUB_KEY, absl::StrCat("\x04", *x, *y));
  RETURN_IF_ERROR(parts.Add(jwk, "d", OSSL_PKEY_PARAM_PRIV_KEY));
  return parts.ToPem("EC");
}

}  // namespace

absl::StatusOr<Secret> KeyFromJwk(const nlohmann::json& jwk) {
  const std::string type = TextMember(jwk, "kty");
  if (type == "EC") return EcKey(jwk);
  if (type != "RSA") return NoKey(absl::StrCat("its type is ", NameIn(type)));
  KeyParts parts;
  for (const NumberName& number : kRsa) RETURN_IF_ERROR(parts.Add(jwk, number.member, number.parameter));
  return parts.ToPem("RSA");
}

}  // namespace certcast::controller
