// Certificates and keys are parsed once a process: the same dozen comes again and again, and OpenSSL 3.0 takes longer
// to parse one than all the rest of an install takes. The linker puts these in place of OpenSSL's (--wrap, see BUILD).
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <map>
#include <string>

extern "C" {

X509* __real_d2i_X509(X509** out, const unsigned char** in, long size);                                  // NOLINT
EVP_PKEY* __real_PEM_read_bio_PrivateKey_ex(BIO* bio, EVP_PKEY** out, pem_password_cb* ask, void* with,  // NOLINT
                                            OSSL_LIB_CTX* library, const char* properties);

// As the wrapped one; what is known takes the place of what `out` leads to.
X509* __wrap_d2i_X509(X509** out, const unsigned char** in, long size) {  // NOLINT
  static auto* const known = new std::map<std::string, X509*>;
  const std::string der(reinterpret_cast<const char*>(*in), static_cast<size_t>(size));
  if (const auto found = known->find(der); found != known->end()) {
    X509_up_ref(found->second);
    *in += size;
    if (out != nullptr) {
      X509_free(*out);
      *out = found->second;
    }
    return found->second;
  }
  const unsigned char* const begin = *in;
  X509* const parsed = __real_d2i_X509(out, in, size);
  if (parsed != nullptr && *in == begin + size) {
    (*known)[der] = parsed;
    X509_up_ref(parsed);
  }
  return parsed;
}

// As the wrapped one for `out` of nullptr, which is how it is called here.
EVP_PKEY* __wrap_PEM_read_bio_PrivateKey_ex(BIO* bio, EVP_PKEY** out, pem_password_cb* ask, void* with,  // NOLINT
                                            OSSL_LIB_CTX* library, const char* properties) {
  static auto* const known = new std::map<std::string, EVP_PKEY*>;
  char* bytes = nullptr;
  const long size = BIO_get_mem_data(bio, &bytes);
  const std::string pem(bytes, static_cast<size_t>(size));
  EVP_PKEY*& parsed = (*known)[pem];
  if (parsed == nullptr) parsed = __real_PEM_read_bio_PrivateKey_ex(bio, out, ask, with, library, properties);
  if (parsed != nullptr) EVP_PKEY_up_ref(parsed);
  return parsed;
}

}  // extern "C"
