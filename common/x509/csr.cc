#include <openssl/crypto.h>

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/status/status.h"
#include "common/x509/key_library.h"
#include "common/x509/openssl_errors.h"
#include "common/x509/pem.h"
#include "common/x509/private_key.h"

namespace certcast {
namespace {

// RFC 5280 appendix A.1, ub-common-name.
constexpr size_t kMaxCommonName = 64;

absl::Status CheckCharacters(absl::string_view name) {
  const bool ok = !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return absl::ascii_isalnum(c) || c == '-' || c == '.' || c == '_' || c == '*';
  });
  return ok ? absl::OkStatus() : FailInput(absl::StrCat("\"", name, "\" can't be a name in a certificate request"));
}

bool SetCommonName(X509_REQ* request, const std::string& name) {
  return X509_NAME_add_entry_by_NID(X509_REQ_get_subject_name(request), NID_commonName, MBSTRING_ASC,
                                    reinterpret_cast<const unsigned char*>(name.data()), static_cast<int>(name.size()),
                                    -1, 0) == 1;
}

bool AppendDnsName(GENERAL_NAMES* names, const std::string& name) {
  ASN1_IA5STRING* text = ASN1_IA5STRING_new();
  GENERAL_NAME* general = GENERAL_NAME_new();
  if (text == nullptr || general == nullptr || ASN1_STRING_set(text, name.data(), static_cast<int>(name.size())) != 1) {
    ASN1_IA5STRING_free(text);
    GENERAL_NAME_free(general);
    return false;
  }
  GENERAL_NAME_set0_value(general, GEN_DNS, text);
  if (sk_GENERAL_NAME_push(names, general) > 0) return true;
  GENERAL_NAME_free(general);
  return false;
}

bool AddAlternativeNames(X509_REQ* request, const std::vector<std::string>& dns_names) {
  const SslPtr<GENERAL_NAMES> names(GENERAL_NAMES_new());
  if (names == nullptr) return false;
  for (const std::string& name : dns_names) {
    if (!AppendDnsName(names.get(), name)) return false;
  }
  STACK_OF(X509_EXTENSION)* extensions = nullptr;
  const bool added = X509V3_add1_i2d(&extensions, NID_subject_alt_name, names.get(), 0, X509V3_ADD_DEFAULT) == 1 &&
                     X509_REQ_add_extensions(request, extensions) == 1;
  sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
  return added;
}

}  // namespace

absl::StatusOr<std::string> MakeCsr(const PrivateKey& key, const std::vector<std::string>& dns_names) {
  for (const std::string& name : dns_names) RETURN_IF_ERROR(CheckCharacters(name));
  const UsesKeyLibrary uses;
  const SslPtr<X509_REQ> request(X509_REQ_new());
  bool ok = request != nullptr && X509_REQ_set_version(request.get(), X509_REQ_VERSION_1) == 1 &&
            X509_REQ_set_pubkey(request.get(), key.get()) == 1;
  if (ok && !dns_names.empty()) {
    const std::string& first = dns_names.front();
    ok = (first.size() > kMaxCommonName || SetCommonName(request.get(), first)) &&
         AddAlternativeNames(request.get(), dns_names);
  }
  ok = ok && X509_REQ_sign(request.get(), key.get(), SigningDigest(key.get())) > 0;
  unsigned char* der = nullptr;
  const int size = ok ? i2d_X509_REQ(request.get(), &der) : 0;
  if (size <= 0) return absl::InternalError(absl::StrCat("making a certificate request: ", TakeOpensslErrors()));
  std::string result(reinterpret_cast<const char*>(der), static_cast<size_t>(size));
  OPENSSL_free(der);
  return result;
}

std::string CsrDerToPem(absl::string_view der) {
  return EncodePem("CERTIFICATE REQUEST", der);
}

}  // namespace certcast
