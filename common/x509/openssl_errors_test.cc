#include "common/x509/openssl_errors.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "gtest/gtest.h"

namespace certcast {
namespace {

TEST(OpensslErrorsTest, SaysWhatHappenedOldestFirstAndEmptiesTheQueue) {
  const unsigned char bytes[] = "no certificate";
  const unsigned char* position = bytes;
  EXPECT_EQ(d2i_X509(nullptr, &position, sizeof bytes), nullptr);
  ERR_raise(ERR_LIB_SSL, SSL_R_NO_SHARED_CIPHER);
  ERR_raise_data(ERR_LIB_EVP, ERR_R_UNSUPPORTED, "of this kind");
  EXPECT_EQ(TakeOpensslErrors(),
            "too long; bad object header; nested asn1 error (Type=X509); no shared cipher; unsupported (of this kind)");
  EXPECT_EQ(TakeOpensslErrors(), "");
}

TEST(OpensslErrorsTest, NamesAtLeastTheLibrary) {
  ERR_raise(ERR_LIB_PROV, 999);
  EXPECT_EQ(TakeOpensslErrors(), "Provider routines error 999");
}

}  // namespace
}  // namespace certcast
