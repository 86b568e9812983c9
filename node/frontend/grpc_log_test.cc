#include "node/frontend/grpc_log.h"

#include <openssl/x509_vfy.h>

#include <string>

#include "gtest/gtest.h"

namespace certcast::node {
namespace {

std::string Explain(const std::string& error, long verify_error = X509_V_OK) {
  return ExplainHandshakeFailure(
      "Handshake failed with fatal error SSL_ERROR_SSL: error:0A000086:SSL routines::" + error + ".", verify_error);
}

TEST(ExplainHandshakeFailure, SaysWhatIsWrongWithThePeersCertificate) {
  EXPECT_EQ(Explain("certificate verify failed", X509_V_ERR_CERT_HAS_EXPIRED),
            "peer did not present a certificate of this fleet: certificate has expired");
  EXPECT_EQ(Explain("certificate verify failed"),
            "peer did not present a certificate of this fleet: it does not verify");
  EXPECT_EQ(Explain("peer did not return a certificate"), "peer presented no certificate");
}

TEST(ExplainHandshakeFailure, SaysWhatThePeerThinksOfOurs) {
  EXPECT_EQ(Explain("tlsv1 alert unknown ca"), "peer refused this node's certificate: unknown ca");
  EXPECT_EQ(Explain("sslv3 alert certificate expired"), "peer refused this node's certificate: certificate expired");
}

TEST(ExplainHandshakeFailure, SaysThatItIsNotTls) {
  EXPECT_EQ(Explain("wrong version number"), "peer does not speak TLS");
  EXPECT_EQ(Explain("http request"), "peer does not speak TLS");
}

TEST(ExplainHandshakeFailure, KeepsWhatItDoesNotKnow) {
  EXPECT_EQ(Explain("no shared cipher"), "TLS handshake failed: no shared cipher");
}

TEST(ExplainHandshakeFailure, OtherLinesAreNotForOperators) {
  EXPECT_EQ(ExplainHandshakeFailure("Failed to pick subchannel", X509_V_OK), "");
  EXPECT_EQ(ExplainHandshakeFailure("", X509_V_ERR_CERT_HAS_EXPIRED), "");
}

}  // namespace
}  // namespace certcast::node
