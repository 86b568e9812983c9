// Where OpenSSL looks for what reads and writes keys.
#ifndef CERTCAST_COMMON_X509_KEY_LIBRARY_H_
#define CERTCAST_COMMON_X509_KEY_LIBRARY_H_

#include <openssl/types.h>

namespace certcast {

// A library context with the algorithms of OpenSSL's default provider that certificates and TLS use, for functions
// whose names end with _ex. OpenSSL 3.0 goes through all kinds of keys and all formats of a context each time that it
// reads or writes one, certificates included, which is most of what that costs; here they are a quarter as many.
//
// Kinds of keys: RSA, RSA-PSS, EC, Ed25519 and Ed448, and for the key exchange X25519, X448 and DH. Formats: PEM and
// DER as X.509, PKCS #8, PKCS #1 and SEC 1 have them. Ciphers and the one MAC: those of TLS; derivations of keys also
// scrypt and PBKDF2; all digests. All that OpenSSL's clients offer to servers by themselves is there, but DSA.
//
// What was made by it works with what was made without. Never nullptr; where it can't be made, it is the default
// context. Thread-safe; it lives as long as the process.
OSSL_LIB_CTX* KeyLibrary();

// For a program that does one thing and ends: leaves out what OpenSSL does at its start and its end that such a program
// has no use for. That is the names of two hundred ciphers (there are those that keys and PKCS #12 are encrypted with;
// EVP_CIPHER_fetch has all of them), a random generator that is made of one of these ciphers (it is Hash_DRBG of NIST
// SP 800-90A with SHA-256 instead), and freeing what the process is about to give back. openssl.cnf counts. Once,
// before anything else asks OpenSSL for something.
void StartOpensslForOneRun();

// The same for a program that lives for a moment: leaves out what OpenSSL does at its start and such a program has no
// use for. That is openssl.cnf, the names of two hundred ciphers and digests (there are SHA-1, SHA-2, SHA-3, and what
// encrypts keys and PKCS #12), and the same random generator. Once, before anything else asks OpenSSL for something.
void StartOpensslBriefly();

// While it lives, what this thread asks OpenSSL for without naming a library context is found in KeyLibrary, or not at
// all: for functions of OpenSSL that take no context, and for libraries that make their own TLS connections. SSH has
// algorithms that it lacks, and so have providers that openssl.cnf adds, which are not asked; its settings of TLS
// count. The thread that made it ends it.
class UsesKeyLibrary {
 public:
  UsesKeyLibrary();
  ~UsesKeyLibrary();
  UsesKeyLibrary(const UsesKeyLibrary&) = delete;
  UsesKeyLibrary& operator=(const UsesKeyLibrary&) = delete;

 private:
  OSSL_LIB_CTX* const before_;
};

}  // namespace certcast

#endif  // CERTCAST_COMMON_X509_KEY_LIBRARY_H_
