#include "common/x509/key_library.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <memory>
#include <thread>

#include "gtest/gtest.h"

namespace certcast {
namespace {

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

TEST(KeyLibraryTest, HasWhatCertificatesAndTlsUse) {
  ASSERT_NE(KeyLibrary(), OSSL_LIB_CTX_get0_global_default());
  const UsesKeyLibrary uses;
  for (const char* cipher : {"AES-128-GCM", "AES-256-GCM", "ChaCha20-Poly1305", "AES-256-CBC", "DES-EDE3-CBC"}) {
    EXPECT_TRUE(HasCipher(cipher)) << cipher;
  }
  for (const char* kind : {"RSA", "RSA-PSS", "EC", "ED25519", "ED448", "X25519", "X448", "DH"}) {
    EXPECT_TRUE(HasKind(kind)) << kind;
  }
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
