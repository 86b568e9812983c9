// What an OCSP responder answers.
#include "controller/acme/ocsp.h"

#include <openssl/ocsp.h>
#include <openssl/x509.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/status/status.h"
#include "tests/fuzz/target.h"
#include "tests/testing/test_ca.h"

namespace certcast::fuzz {
namespace {

using namespace controller;

const absl::Time kNow = absl::FromUnixSeconds(1893456000);

struct Names {
  const testing::TestCa ca = testing::TestCa::Root().Intermediate();
  const testing::IssuedCertificate leaf = ca.Issue({.dns_names = {"www.example.com"}});
};
const Names& Known() {
  static const auto* const names = new Names();
  return *names;
}

using TimePtr = std::unique_ptr<ASN1_TIME, decltype(&ASN1_TIME_free)>;
TimePtr TimeAt(absl::Duration later) {
  return {ASN1_TIME_adj(nullptr, absl::ToTimeT(kNow + later), 0, 0), &ASN1_TIME_free};
}

// Signed by the CA's own key.
std::string AnswerWith(int status) {
  const std::unique_ptr<OCSP_BASICRESP, decltype(&OCSP_BASICRESP_free)> basic(OCSP_BASICRESP_new(),
                                                                              &OCSP_BASICRESP_free);
  const std::unique_ptr<OCSP_CERTID, decltype(&OCSP_CERTID_free)> id(
      OCSP_cert_to_id(EVP_sha1(), Known().leaf.certificate.get(), Known().ca.certificate().get()), &OCSP_CERTID_free);
  OCSP_basic_add1_status(basic.get(), id.get(), status, OCSP_REVOKED_STATUS_KEYCOMPROMISE,
                         TimeAt(-absl::Hours(2)).get(), TimeAt(-absl::Hours(1)).get(), TimeAt(absl::Hours(1)).get());
  const bool made = OCSP_basic_sign(basic.get(), Known().ca.certificate().get(), Known().ca.key().get(), EVP_sha256(),
                                    nullptr, 0) == 1;
  Require(made, "a seed is signed");
  const std::unique_ptr<OCSP_RESPONSE, decltype(&OCSP_RESPONSE_free)> response(
      OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic.get()), &OCSP_RESPONSE_free);
  unsigned char* der = nullptr;
  const int size = i2d_OCSP_RESPONSE(response.get(), &der);
  std::string bytes(reinterpret_cast<const char*>(der), static_cast<size_t>(size));
  OPENSSL_free(der);
  return bytes;
}

}  // namespace

std::vector<Seed> Seeds() {
  return {
      {.name = "good", .bytes = AnswerWith(V_OCSP_CERTSTATUS_GOOD)},
      {.name = "revoked", .bytes = AnswerWith(V_OCSP_CERTSTATUS_REVOKED)},
      {.name = "unknown", .bytes = AnswerWith(V_OCSP_CERTSTATUS_UNKNOWN)},
      {.name = "try-later", .bytes = std::string("\x30\x03\x0a\x01\x03", 5)},
  };
}

void TryInput(absl::string_view input) {
  const Certificate& issuer = Known().ca.certificate();
  const absl::StatusOr<OcspAnswer> answer = ReadOcspAnswer(input, Known().leaf.certificate, issuer, kNow);
  RequireOrderly(answer.status());
  if (!answer.ok()) {
    Require(ReasonOf(answer.status()) == Reason::PROTOCOL, "what can't be believed is said to be so");
    return;
  }
  Require(answer->reason.size() <= 64, "a reason is a word");
  const absl::StatusOr<OcspAnswer> later =
      ReadOcspAnswer(input, Known().leaf.certificate, issuer, kNow + absl::Hours(24) * 366 * 20);
  Require(!later.ok(), "no answer holds for ever");
}

}  // namespace certcast::fuzz
