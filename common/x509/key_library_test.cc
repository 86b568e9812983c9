#include "common/x509/key_library.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>

#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "common/x509/ssl_ptr.h"
#include "gtest/gtest.h"

namespace certcast {
namespace {

// What a client says first.
struct Hello {
  std::vector<std::string> ciphers;
  // By number; nothing of the keys that are made for this connection.
  std::map<int, std::string> extensions;
};

int Remember(SSL* ssl, int*, void* argument) {
  auto* hello = static_cast<Hello*>(argument);
  const unsigned char* bytes = nullptr;
  const size_t size = SSL_client_hello_get0_ciphers(ssl, &bytes);
  for (size_t i = 0; i < size; i += 2) {
    hello->ciphers.emplace_back(SSL_CIPHER_get_name(SSL_CIPHER_find(ssl, bytes + i)));
  }
  int* numbers = nullptr;
  size_t count = 0;
  EXPECT_EQ(SSL_client_hello_get1_extensions_present(ssl, &numbers, &count), 1);
  for (size_t i = 0; i < count; ++i) {
    size_t length = 0;
    EXPECT_EQ(SSL_client_hello_get0_ext(ssl, static_cast<unsigned>(numbers[i]), &bytes, &length), 1);
    if (numbers[i] == TLSEXT_TYPE_key_share) length = 0;
    hello->extensions[numbers[i]].assign(reinterpret_cast<const char*>(bytes), length);
  }
  OPENSSL_free(numbers);
  return SSL_CLIENT_HELLO_ERROR;
}

// A length, then two bytes each, the latter of which is the kind of key (RFC 5246 section 7.4.1.4.1).
std::string WithoutDsa(const std::string& signatures) {
  std::string rest;
  for (size_t i = 2; i + 1 < signatures.size(); i += 2) {
    if (signatures[i + 1] != TLSEXT_signature_dsa) rest += signatures.substr(i, 2);
  }
  return std::string{static_cast<char>(rest.size() >> 8), static_cast<char>(rest.size() & 0xff)} + rest;
}

// Of a client with the algorithms of `library`.
Hello HelloOf(OSSL_LIB_CTX* library) {
  Hello hello;
  const SslPtr<SSL_CTX> client_context(SSL_CTX_new_ex(library, nullptr, TLS_client_method()));
  const SslPtr<SSL_CTX> server_context(SSL_CTX_new(TLS_server_method()));
  SSL_CTX_set_client_hello_cb(server_context.get(), Remember, &hello);
  const SslPtr<SSL> client(SSL_new(client_context.get()));
  const SslPtr<SSL> server(SSL_new(server_context.get()));
  BIO* to_server = BIO_new(BIO_s_mem());
  BIO* to_client = BIO_new(BIO_s_mem());
  BIO_up_ref(to_server);
  BIO_up_ref(to_client);
  SSL_set_bio(client.get(), to_client, to_server);
  SSL_set_bio(server.get(), to_server, to_client);
  SSL_connect(client.get());
  SSL_accept(server.get());
  return hello;
}

// Ciphers, groups, signatures: what is left out changes nothing that a server sees, but for DSA.
TEST(KeyLibraryTest, AClientSaysTheSameWithItAsWithAllOfOpenssl) {
  const Hello hello = HelloOf(KeyLibrary());
  Hello all = HelloOf(nullptr);
  EXPECT_FALSE(hello.ciphers.empty());
  EXPECT_EQ(hello.ciphers, all.ciphers);
  std::string& signatures = all.extensions[TLSEXT_TYPE_signature_algorithms];
  EXPECT_GT(signatures.size(), 10);
  signatures = WithoutDsa(signatures);
  EXPECT_EQ(hello.extensions, all.extensions);
}

// Named in no library context, so that it is looked for in the thread's.
bool HasCipher(const char* name) {
  const std::unique_ptr<EVP_CIPHER, decltype(&EVP_CIPHER_free)> cipher(EVP_CIPHER_fetch(nullptr, name, nullptr),
                                                                       &EVP_CIPHER_free);
  return cipher != nullptr;
}

bool HasKind(const char* name) {
  const std::unique_ptr<EVP_KEYMGMT, decltype(&EVP_KEYMGMT_free)> kind(EVP_KEYMGMT_fetch(nullptr, name, nullptr),
                                                                       &EVP_KEYMGMT_free);
  return kind != nullptr;
}

bool HasDerivation(const char* name) {
  const std::unique_ptr<EVP_KDF, decltype(&EVP_KDF_free)> derivation(EVP_KDF_fetch(nullptr, name, nullptr),
                                                                     &EVP_KDF_free);
  return derivation != nullptr;
}

TEST(KeyLibraryTest, HasWhatCertificatesTlsAndSealedKeysUse) {
  ASSERT_NE(KeyLibrary(), OSSL_LIB_CTX_get0_global_default());
  const UsesKeyLibrary uses;
  for (const char* cipher : {"AES-128-GCM", "AES-256-GCM", "ChaCha20-Poly1305", "AES-256-CBC", "DES-EDE3-CBC"}) {
    EXPECT_TRUE(HasCipher(cipher)) << cipher;
  }
  for (const char* kind : {"RSA", "RSA-PSS", "EC", "ED25519", "ED448", "X25519", "X448", "DH"}) {
    EXPECT_TRUE(HasKind(kind)) << kind;
  }
  for (const char* derivation : {"HKDF", "TLS13-KDF", "TLS1-PRF", "SCRYPT", "PBKDF2"}) {
    EXPECT_TRUE(HasDerivation(derivation)) << derivation;
  }
}

// Algorithms look for others in the thread's context too: the random generator for its cipher, Ed448 for SHAKE256.
TEST(KeyLibraryTest, WhatItHasWorks) {
  const UsesKeyLibrary uses;
  unsigned char bytes[32];
  EXPECT_EQ(RAND_bytes(bytes, sizeof bytes), 1);
  EXPECT_EQ(RAND_priv_bytes(bytes, sizeof bytes), 1);
  for (const char* kind : {"RSA", "EC", "ED25519", "ED448"}) {
    const SslPtr<EVP_PKEY> key(kind == std::string("RSA")  ? EVP_PKEY_Q_keygen(nullptr, nullptr, kind, size_t{2048})
                               : kind == std::string("EC") ? EVP_PKEY_Q_keygen(nullptr, nullptr, kind, "P-384")
                                                           : EVP_PKEY_Q_keygen(nullptr, nullptr, kind));
    ASSERT_NE(key, nullptr) << kind;
    const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> signs(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
    const char* digest = absl::StartsWith(kind, "ED") ? nullptr : "SHA256";
    ASSERT_EQ(EVP_DigestSignInit_ex(signs.get(), nullptr, digest, nullptr, nullptr, key.get(), nullptr), 1) << kind;
    unsigned char signature[512];
    size_t size = sizeof signature;
    EXPECT_EQ(EVP_DigestSign(signs.get(), signature, &size, bytes, sizeof bytes), 1) << kind;
  }
  EXPECT_EQ(EVP_PBE_scrypt("passphrase", 10, bytes, sizeof bytes, 1024, 8, 1, 0, bytes, sizeof bytes), 1);
}

TEST(KeyLibraryTest, IsTheThreadsForAsLongAsItIsUsed) {
  ASSERT_TRUE(HasCipher("CAMELLIA-128-CBC"));
  {
    const UsesKeyLibrary uses;
    EXPECT_FALSE(HasCipher("CAMELLIA-128-CBC"));
    bool of_another = false;
    std::thread([&of_another] { of_another = HasCipher("CAMELLIA-128-CBC"); }).join();
    EXPECT_TRUE(of_another);
    {
      const UsesKeyLibrary again;
      EXPECT_FALSE(HasCipher("CAMELLIA-128-CBC"));
    }
    EXPECT_FALSE(HasCipher("CAMELLIA-128-CBC"));
  }
  EXPECT_TRUE(HasCipher("CAMELLIA-128-CBC"));
}

}  // namespace
}  // namespace certcast
