// For the functions of single libraries, which are there to stay in OpenSSL 3.
#define OPENSSL_SUPPRESS_DEPRECATED

#include "common/x509/openssl_errors.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "absl/strings/str_cat.h"

namespace certcast {
namespace {

// Those that OpenSSL has loaded already are left as they are.
bool LoadTexts() {
  for (const auto load :
       {ERR_load_ERR_strings, ERR_load_ASN1_strings, ERR_load_BIO_strings, ERR_load_BN_strings, ERR_load_CRYPTO_strings,
        ERR_load_DH_strings, ERR_load_EC_strings, ERR_load_EVP_strings, ERR_load_OBJ_strings, ERR_load_PEM_strings,
        ERR_load_PKCS12_strings, ERR_load_PKCS7_strings, ERR_load_RAND_strings, ERR_load_RSA_strings,
        ERR_load_X509_strings, ERR_load_X509V3_strings, ERR_load_SSL_strings}) {
    load();
  }
  return true;
}

// "Provider routines error 114": of a library that has no function of its own above.
std::string WithoutText(unsigned long code) {
  const char* library = ERR_lib_error_string(code);
  if (library == nullptr) return absl::StrCat("error ", code);
  return absl::StrCat(library, " error ", ERR_GET_REASON(code));
}

}  // namespace

const char* OpensslReason(unsigned long code) {
  [[maybe_unused]] static const bool loaded = LoadTexts();
  return ERR_reason_error_string(code);
}

std::string TakeOpensslErrors() {
  std::string line;
  const char* data = nullptr;
  int flags = 0;
  while (const unsigned long code = ERR_get_error_all(nullptr, nullptr, nullptr, &data, &flags)) {
    const char* reason = OpensslReason(code);
    if (!line.empty()) line += "; ";
    absl::StrAppend(&line, reason != nullptr ? reason : WithoutText(code));
    if ((flags & ERR_TXT_STRING) != 0 && data != nullptr && *data != '\0') absl::StrAppend(&line, " (", data, ")");
  }
  return line;
}

}  // namespace certcast
