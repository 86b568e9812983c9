#include "controller/acme/ocsp.h"

#include <openssl/ocsp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <ctime>
#include <memory>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/civil_time.h"
#include "common/status/status.h"
#include "common/x509/openssl_errors.h"
#include "common/x509/ssl_ptr.h"
#include "controller/acme/revocation_reason.h"

namespace certcast::controller {
namespace {

constexpr size_t kMaxUrl = 2048;
// One certificate's answer with a responder's own is a few KiB.
constexpr size_t kMaxAnswer = size_t{64} * 1024;
constexpr absl::Duration kTimeout = absl::Seconds(10);
// For clocks that differ.
constexpr absl::Duration kTolerance = absl::Minutes(5);
// Of an answer that does not say for how long it holds.
constexpr absl::Duration kLongestUnsaid = absl::Hours(24);

// Here alone: not every file that has to do with OpenSSL need read its OCSP.
struct OcspDeleter {
  void operator()(OCSP_REQUEST* p) const { OCSP_REQUEST_free(p); }
  void operator()(OCSP_RESPONSE* p) const { OCSP_RESPONSE_free(p); }
  void operator()(OCSP_BASICRESP* p) const { OCSP_BASICRESP_free(p); }
  void operator()(OCSP_CERTID* p) const { OCSP_CERTID_free(p); }
};
template <typename T>
using OcspPtr = std::unique_ptr<T, OcspDeleter>;

struct StackDeleter {
  // Not the certificates.
  void operator()(STACK_OF(X509) * p) const { sk_X509_free(p); }
  void operator()(STACK_OF(OPENSSL_STRING) * p) const { X509_email_free(p); }
};

absl::Status NotBelieved(absl::string_view why) {
  // What OpenSSL said of it is of no use to an operator, and must not stay.
  TakeOpensslErrors();
  return Fail(Reason::PROTOCOL, absl::StrCat("its OCSP answer can't be believed: ", why));
}

// By SHA-1, which is what every responder knows (RFC 5019 section 2.1.1); it names, and protects nothing.
OcspPtr<OCSP_CERTID> IdOf(const Certificate& leaf, const Certificate& issuer) {
  return OcspPtr<OCSP_CERTID>(OCSP_cert_to_id(EVP_sha1(), leaf.get(), issuer.get()));
}

// Without a nonce: answers that were made ahead have none.
absl::StatusOr<std::string> RequestFor(const Certificate& leaf, const Certificate& issuer) {
  const OcspPtr<OCSP_REQUEST> request(OCSP_REQUEST_new());
  OcspPtr<OCSP_CERTID> id = IdOf(leaf, issuer);
  if (request == nullptr || id == nullptr || OCSP_request_add0_id(request.get(), id.get()) == nullptr) {
    return Fail(Reason::MALFORMED, absl::StrCat("an OCSP request can't be made: ", TakeOpensslErrors()));
  }
  // It is the request's now.
  (void)id.release();
  unsigned char* der = nullptr;
  const int size = i2d_OCSP_REQUEST(request.get(), &der);
  std::string bytes(reinterpret_cast<const char*>(der), static_cast<size_t>(std::max(size, 0)));
  OPENSSL_free(der);
  return bytes;
}

absl::StatusOr<absl::Time> TimeOf(const ASN1_GENERALIZEDTIME* time) {
  std::tm parts = {};
  if (time == nullptr || ASN1_TIME_to_tm(time, &parts) != 1) return NotBelieved("it has no usable date");
  return absl::FromCivil(absl::CivilSecond(parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday, parts.tm_hour,
                                           parts.tm_min, parts.tm_sec),
                         absl::UTCTimeZone());
}

absl::Status CheckSignature(OCSP_BASICRESP* answer, const Certificate& issuer, absl::Time now) {
  const SslPtr<X509_STORE> trusted(X509_STORE_new());
  const std::unique_ptr<STACK_OF(X509), StackDeleter> issuers(sk_X509_new_null());
  if (trusted == nullptr || issuers == nullptr || X509_STORE_add_cert(trusted.get(), issuer.get()) != 1 ||
      sk_X509_push(issuers.get(), issuer.get()) == 0) {
    return Fail(Reason::MALFORMED, TakeOpensslErrors());
  }
  // The issuer is what is trusted here, whoever issued that.
  X509_STORE_set_flags(trusted.get(), X509_V_FLAG_PARTIAL_CHAIN);
  X509_VERIFY_PARAM_set_time(X509_STORE_get0_param(trusted.get()), absl::ToTimeT(now));
  if (OCSP_basic_verify(answer, issuers.get(), trusted.get(), 0) == 1) return absl::OkStatus();
  return NotBelieved("it is signed neither by the certificate's issuer nor by whom that authorized");
}

absl::Status CheckAge(const ASN1_GENERALIZEDTIME* from, const ASN1_GENERALIZEDTIME* until, absl::Time now) {
  ASSIGN_OR_RETURN(const absl::Time since, TimeOf(from));
  absl::Time end = since + kLongestUnsaid;
  if (until != nullptr) {
    ASSIGN_OR_RETURN(end, TimeOf(until));
  }
  if (since > now + kTolerance) return NotBelieved("it is from the future");
  if (end < now - kTolerance) return NotBelieved("it is out of date");
  return absl::OkStatus();
}

}  // namespace

std::string OcspResponderOf(const Certificate& leaf) {
  const std::unique_ptr<STACK_OF(OPENSSL_STRING), StackDeleter> urls(X509_get1_ocsp(leaf.get()));
  for (int i = 0; urls != nullptr && i < sk_OPENSSL_STRING_num(urls.get()); ++i) {
    const absl::string_view url = sk_OPENSSL_STRING_value(urls.get(), i);
    const bool printable = std::all_of(url.begin(), url.end(), [](char c) { return c > 0x20 && c < 0x7f; });
    const bool known = absl::StartsWith(url, "http://") || absl::StartsWith(url, "https://");
    if (known && printable && url.size() <= kMaxUrl) return std::string(url);
  }
  return "";
}

absl::StatusOr<OcspAnswer> ReadOcspAnswer(absl::string_view der, const Certificate& leaf, const Certificate& issuer,
                                          absl::Time now) {
  if (der.size() > kMaxAnswer) return NotBelieved(absl::StrCat("it has more than ", kMaxAnswer, " bytes"));
  const auto* cursor = reinterpret_cast<const unsigned char*>(der.data());
  const OcspPtr<OCSP_RESPONSE> response(d2i_OCSP_RESPONSE(nullptr, &cursor, static_cast<long>(der.size())));
  if (response == nullptr) return NotBelieved("it is none (RFC 6960)");
  if (const int status = OCSP_response_status(response.get()); status != OCSP_RESPONSE_STATUS_SUCCESSFUL) {
    return NotBelieved(absl::StrCat("the responder says `", OCSP_response_status_str(status), "`"));
  }
  const OcspPtr<OCSP_BASICRESP> basic(OCSP_response_get1_basic(response.get()));
  if (basic == nullptr) return NotBelieved("it is of another kind than RFC 6960's");
  RETURN_IF_ERROR(CheckSignature(basic.get(), issuer, now));
  const OcspPtr<OCSP_CERTID> id = IdOf(leaf, issuer);
  int status = V_OCSP_CERTSTATUS_UNKNOWN;
  int reason = OCSP_REVOKED_STATUS_NOSTATUS;
  ASN1_GENERALIZEDTIME* revoked_at = nullptr;
  ASN1_GENERALIZEDTIME* from = nullptr;
  ASN1_GENERALIZEDTIME* until = nullptr;
  if (id == nullptr ||
      OCSP_resp_find_status(basic.get(), id.get(), &status, &reason, &revoked_at, &from, &until) != 1) {
    return NotBelieved("it is about another certificate");
  }
  RETURN_IF_ERROR(CheckAge(from, until, now));
  OcspAnswer answer;
  if (status == V_OCSP_CERTSTATUS_GOOD) answer.verdict = OcspAnswer::Verdict::kGood;
  if (status == V_OCSP_CERTSTATUS_REVOKED) {
    answer.verdict = OcspAnswer::Verdict::kRevoked;
    ASSIGN_OR_RETURN(answer.revoked_at, TimeOf(revoked_at));
    if (reason != OCSP_REVOKED_STATUS_NOSTATUS) answer.reason = RevocationReasonName(reason);
  }
  return answer;
}

absl::StatusOr<std::optional<OcspAnswer>> AskOcsp(HttpClient& http, Clock& clock,
                                                  const std::vector<Certificate>& chain) {
  if (chain.size() < 2) return std::optional<OcspAnswer>();
  const Certificate& leaf = chain[0];
  const Certificate& issuer = chain[1];
  HttpRequest request{.method = "POST", .url = OcspResponderOf(leaf), .timeout = kTimeout, .plain_http = true};
  if (request.url.empty()) return std::optional<OcspAnswer>();
  request.headers = {{"Content-Type", "application/ocsp-request"}, {"Accept", "application/ocsp-response"}};
  ASSIGN_OR_RETURN(request.body, RequestFor(leaf, issuer));
  ASSIGN_OR_RETURN(const HttpResponse response, http.Perform(request));
  if (response.status != 200) {
    return Fail(Reason::PROTOCOL,
                absl::StrCat(request.url, ": the OCSP responder answered with status ", response.status));
  }
  absl::StatusOr<OcspAnswer> answer = ReadOcspAnswer(response.body, leaf, issuer, clock.Now());
  if (!answer.ok()) return Annotate(answer.status(), request.url);
  return std::optional<OcspAnswer>(*std::move(answer));
}

}  // namespace certcast::controller
