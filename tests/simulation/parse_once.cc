// Certificates and keys are parsed once a process: the same dozen comes again and again, and OpenSSL 3.0 takes longer
// to parse one than all the rest of an install takes. The linker puts these in place of OpenSSL's (--wrap, see BUILD).
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <map>
#include <string>

extern "C" {

X509* __real_d2i_X509(X509** out, const unsigned char** in, long size);                           // NOLINT
EVP_PKEY* __real_PEM_read_bio_PrivateKey(BIO* bio, EVP_PKEY** out, pem_password_cb* ask, void*);  // NOLINT

// As the wrapped one for `out` of nullptr, which is how it is called here.
X509* __wrap_d2i_X509(X509** out, const unsigned char** in, long size) {  // NOLINT
  static auto* const known = new std::map<std::string, X509*>;
  const std::string der(reinterpret_cast<const char*>(*in), static_cast<size_t>(size));
  const unsigned char* position = *in;
  const auto found = known->find(der);
  X509* const parsed = found == known->end() ? __real_d2i_X509(out, &position, size) : found->second;
  if (found != known->end()) position += size;
  if (parsed != nullptr && position == *in + size) {
    (*known)[der] = parsed;
    X509_up_ref(parsed);
  }
  *in = position;
  return parsed;
}

EVP_PKEY* __wrap_PEM_read_bio_PrivateKey(BIO* bio, EVP_PKEY** out, pem_password_cb* ask, void* with) {  // NOLINT
  static auto* const known = new std::map<std::string, EVP_PKEY*>;
  char* bytes = nullptr;
  const long size = BIO_get_mem_data(bio, &bytes);
  const std::string pem(bytes, static_cast<size_t>(size));
  EVP_PKEY*& parsed = (*known)[pem];
  if (parsed == nullptr) parsed = __real_PEM_read_bio_PrivateKey(bio, out, ask, with);
  if (parsed != nullptr) EVP_PKEY_up_ref(parsed);
  return parsed;
}

}  // extern "C"
