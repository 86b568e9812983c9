// A certificate for what a CSR asks, from a TestCa.
#ifndef CERTCAST_TESTS_TESTING_SIGN_CSR_H_
#define CERTCAST_TESTS_TESTING_SIGN_CSR_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "common/x509/ssl_ptr.h"
#include "tests/testing/test_ca.h"

namespace certcast::testing {

struct ParsedCsr {
  SslPtr<EVP_PKEY> key;
  // Of its subjectAltName.
  std::vector<std::string> dns_names;
};

// nullopt when it does not parse or its own signature is wrong.
std::optional<ParsedCsr> ParseCsr(const std::string& der);

// PEM of the leaf, signed by `issuer`. `ocsp_responder`: a URL that it names; empty: none.
std::string SignLeaf(const TestCa& issuer, EVP_PKEY* key, const std::vector<std::string>& dns_names,
                     absl::Time not_before, absl::Time not_after, const std::string& ocsp_responder = "");

}  // namespace certcast::testing

#endif  // CERTCAST_TESTS_TESTING_SIGN_CSR_H_
