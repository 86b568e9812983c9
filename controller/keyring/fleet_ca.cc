#include "controller/keyring/fleet_ca.h"

#include <openssl/obj_mac.h>
#include <openssl/rsa.h>

#include <algorithm>
#include <iterator>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/identity/names.h"
#include "common/status/status.h"
#include "common/x509/openssl_errors.h"
#include "common/x509/pem.h"

namespace certcast::controller {
namespace {

constexpr size_t kMaxRequest = size_t{16} << 10;
constexpr int kSerialBits = 128;

absl::Status OpensslFailed(absl::string_view doing) {
  return absl::InternalError(absl::StrCat(doing, ": ", TakeOpensslErrors()));
}

bool SetSerial(X509* certificate) {
  const SslPtr<BIGNUM> serial(BN_new());
  return serial != nullptr && BN_rand(serial.get(), kSerialBits, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1 &&
         BN_to_ASN1_INTEGER(serial.get(), X509_get_serialNumber(certificate)) != nullptr;
}

bool SetValidity(X509* certificate, absl::Time from, absl::Time until) {
  return ASN1_TIME_set(X509_getm_notBefore(certificate), absl::ToTimeT(from)) != nullptr &&
         ASN1_TIME_set(X509_getm_notAfter(certificate), absl::ToTimeT(until)) != nullptr;
}

bool SetCommonName(X509* certificate, const std::string& name) {
  return X509_NAME_add_entry_by_NID(X509_get_subject_name(certificate), NID_commonName, MBSTRING_ASC,
                                    reinterpret_cast<const unsigned char*>(name.data()), static_cast<int>(name.size()),
                                    -1, 0) == 1;
}

struct Extension {
  int nid;
  const char* value;
};

// In OpenSSL's configuration syntax, so only for constants.
bool AddExtensions(X509* certificate, X509* issuer, std::initializer_list<Extension> extensions) {
  X509V3_CTX context = {};
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  return std::all_of(extensions.begin(), extensions.end(), [&](const Extension& extension) {
    const SslPtr<X509_EXTENSION> made(X509V3_EXT_conf_nid(nullptr, &context, extension.nid, extension.value));
    return made != nullptr && X509_add_ext(certificate, made.get(), -1) == 1;
  });
}

bool AppendName(GENERAL_NAMES* names, int type, const std::string& name) {
  GENERAL_NAME* general = GENERAL_NAME_new();
  ASN1_IA5STRING* text = ASN1_IA5STRING_new();
  if (general == nullptr || text == nullptr || ASN1_STRING_set(text, name.data(), static_cast<int>(name.size())) != 1) {
    GENERAL_NAME_free(general);
    ASN1_IA5STRING_free(text);
    return false;
  }
  GENERAL_NAME_set0_value(general, type, text);
  if (sk_GENERAL_NAME_push(names, general) > 0) return true;
  GENERAL_NAME_free(general);
  return false;
}

bool AddSubjectAltNames(X509* certificate, const IdentityNames& identity) {
  const SslPtr<GENERAL_NAMES> names(GENERAL_NAMES_new());
  return names != nullptr && AppendName(names.get(), GEN_DNS, identity.dns_name) &&
         AppendName(names.get(), GEN_URI, identity.uri) &&
         X509_add1_ext_i2d(certificate, NID_subject_alt_name, names.get(), 0, X509V3_ADD_DEFAULT) == 1;
}

bool IsAllowed(const EVP_PKEY* key) {
  if (EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA) {
    return EVP_PKEY_get_bits(key) >= 2048 && EVP_PKEY_get_bits(key) <= 8192;
  }
  const int curve = CurveOf(key);
  return curve == NID_X9_62_prime256v1 || curve == NID_secp384r1;
}

// Whatever else a request's subject says does not matter.
absl::Status CheckIsNotOfAnother(const X509_REQ& request, absl::string_view node) {
  char name[ub_common_name + 1] = "";
  X509_NAME_get_text_by_NID(X509_REQ_get_subject_name(&request), NID_commonName, name, sizeof name);
  absl::string_view other = name;
  if (!absl::ConsumeSuffix(&other, NodeDnsName("")) || other == node || !CheckNodeName(other).ok()) {
    return absl::OkStatus();
  }
  return FailInput(
      absl::StrCat("the certificate request is node ", other, "'s"),
      absl::StrCat("give what `certcast-node csr` prints on ", node, ", or run `certcast nodes sign ", other, "`"));
}

absl::StatusOr<SslPtr<X509_REQ>> ParseRequest(absl::string_view csr_pem) {
  constexpr absl::string_view kHint = "give what `certcast-node csr` prints, whole";
  const auto refused = [&](absl::string_view why) {
    TakeOpensslErrors();
    return FailInput(absl::StrCat("not a certificate request: ", why), kHint);
  };
  const absl::StatusOr<std::vector<PemBlock>> blocks = SplitPem(csr_pem, kMaxRequest);
  if (!blocks.ok()) return refused(FailureOf(blocks.status()).detail());
  if (blocks->size() != 1) return refused(absl::StrCat(blocks->size(), " PEM blocks instead of one"));
  const absl::string_view label = blocks->front().label;
  if (label != "CERTIFICATE REQUEST" && label != "NEW CERTIFICATE REQUEST") return refused(absl::StrCat("a ", label));
  const absl::StatusOr<std::string> der = DecodePem(blocks->front());
  if (!der.ok()) return refused(FailureOf(der.status()).detail());
  const auto* at = reinterpret_cast<const unsigned char*>(der->data());
  const unsigned char* const end = at + der->size();
  SslPtr<X509_REQ> request(d2i_X509_REQ(nullptr, &at, static_cast<long>(der->size())));
  if (request == nullptr) return refused("it does not parse");
  if (at != end) return refused("there is something behind it");
  return request;
}

}  // namespace

absl::StatusOr<Certificate> MakeFleetCa(const PrivateKey& key, absl::string_view fleet_id, absl::Time now) {
  const SslPtr<X509> ca(X509_new());
  const bool ok = ca != nullptr && X509_set_version(ca.get(), X509_VERSION_3) == 1 && SetSerial(ca.get()) &&
                  SetValidity(ca.get(), now - kBackdate, now + kCaLifetime) &&
                  SetCommonName(ca.get(), absl::StrCat("certcast fleet CA ", fleet_id.substr(0, 8))) &&
                  X509_set_issuer_name(ca.get(), X509_get_subject_name(ca.get())) == 1 &&
                  X509_set_pubkey(ca.get(), key.get()) == 1 &&
                  // The key's identifier is made of the public key, so it comes after that.
                  AddExtensions(ca.get(), ca.get(),
                                {{NID_basic_constraints, "critical,CA:TRUE,pathlen:0"},
                                 {NID_key_usage, "critical,keyCertSign"},
                                 {NID_subject_key_identifier, "hash"}}) &&
                  X509_sign(ca.get(), key.get(), EVP_sha256()) > 0;
  if (!ok) return OpensslFailed("making the fleet CA");
  return Certificate::FromX509(ca.get());
}

absl::StatusOr<Certificate> SignIdentity(const Certificate& ca, const PrivateKey& ca_key, EVP_PKEY* subject_key,
                                         const IdentityNames& names, absl::Time now) {
  if (now >= ca.not_after()) {
    return Fail(Reason::EXPIRED, absl::StrCat("the fleet CA ended on ", absl::FormatTime(ca.not_after())),
                "check this machine's clock");
  }
  const absl::Time from = std::max(now - kBackdate, ca.not_before());
  const absl::Time until = std::min(now + kIdentityLifetime, ca.not_after());
  const SslPtr<X509> certificate(X509_new());
  const bool ok = certificate != nullptr && X509_set_version(certificate.get(), X509_VERSION_3) == 1 &&
                  SetSerial(certificate.get()) && SetValidity(certificate.get(), from, until) &&
                  SetCommonName(certificate.get(), names.common_name) &&
                  X509_set_issuer_name(certificate.get(), X509_get_subject_name(ca.get())) == 1 &&
                  X509_set_pubkey(certificate.get(), subject_key) == 1 &&
                  AddSubjectAltNames(certificate.get(), names) &&
                  AddExtensions(certificate.get(), ca.get(),
                                {{NID_basic_constraints, "critical,CA:FALSE"},
                                 {NID_key_usage, "critical,digitalSignature"},
                                 {NID_ext_key_usage, "serverAuth,clientAuth"},
                                 {NID_subject_key_identifier, "hash"},
                                 {NID_authority_key_identifier, "keyid:always"}}) &&
                  X509_sign(certificate.get(), ca_key.get(), EVP_sha256()) > 0;
  if (!ok) return OpensslFailed(absl::StrCat("signing the identity of ", names.common_name));
  return Certificate::FromX509(certificate.get());
}

absl::StatusOr<SslPtr<EVP_PKEY>> ReadRequestKey(absl::string_view csr_pem, absl::string_view node) {
  ASSIGN_OR_RETURN(const SslPtr<X509_REQ> request, ParseRequest(csr_pem));
  RETURN_IF_ERROR(CheckIsNotOfAnother(*request, node));
  SslPtr<EVP_PKEY> key(X509_REQ_get_pubkey(request.get()));
  const bool allowed = key != nullptr && IsAllowed(key.get());
  const bool verified = allowed && X509_REQ_verify(request.get(), key.get()) == 1;
  TakeOpensslErrors();
  if (!allowed) {
    return FailInput("the certificate request's key is of a kind that is not accepted",
                     "ECDSA P-256 or P-384, or RSA of 2048 to 8192 bits");
  }
  if (!verified) {
    return FailInput("the certificate request's signature does not verify: it was changed on its way",
                     "run `certcast-node csr` again and give its output as it is");
  }
  return key;
}

}  // namespace certcast::controller
