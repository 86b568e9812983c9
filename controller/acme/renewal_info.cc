#include "controller/acme/renewal_info.h"

#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <random>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/clock/timestamp.h"
#include "common/status/status.h"
#include "common/x509/ssl_ptr.h"
#include "controller/acme/jose.h"

namespace certcast::controller {
namespace {

constexpr absl::Duration kLeastWait = absl::Minutes(1);
constexpr absl::Duration kMostWait = absl::Hours(24);
// Without Retry-After, and after an error that did not pass.
constexpr absl::Duration kUsualWait = absl::Hours(6);
constexpr size_t kMaxExplanation = 500;

std::string BytesOf(const ASN1_STRING* string) {
  return std::string(reinterpret_cast<const char*>(ASN1_STRING_get0_data(string)),
                     static_cast<size_t>(ASN1_STRING_length(string)));
}

// As it is in the certificate: a leading zero byte stays.
absl::StatusOr<std::string> SerialContents(const Certificate& leaf) {
  unsigned char* der = nullptr;
  const int size = i2d_ASN1_INTEGER(X509_get0_serialNumber(leaf.get()), &der);
  if (size < 3) return Fail(Reason::MALFORMED, "the certificate's serial number can't be encoded");
  // One byte of tag, one of length: RFC 5280 section 4.1.2.2 allows 20 bytes.
  std::string contents(reinterpret_cast<char*>(der) + 2, static_cast<size_t>(size) - 2);
  OPENSSL_free(der);
  return contents;
}

absl::StatusOr<absl::Time> TimeIn(const nlohmann::json& window, const char* member) {
  const auto it = window.find(member);
  absl::Time time;
  if (it == window.end() || !it->is_string() ||
      !absl::ParseTime(absl::RFC3339_full, it->get<std::string>(), &time, nullptr) || time < absl::UnixEpoch() ||
      time > absl::FromUnixSeconds(253402300799)) {
    return Fail(Reason::PROTOCOL, absl::StrCat("its renewal information has no usable `", member, "`"));
  }
  return time;
}

std::string ExplanationIn(const nlohmann::json& body) {
  const auto it = body.find("explanationURL");
  if (it == body.end() || !it->is_string()) return "";
  std::string url = it->get<std::string>();
  const bool printable = std::all_of(url.begin(), url.end(), [](char c) { return c > 0x20 && c < 0x7f; });
  return printable && url.size() <= kMaxExplanation && absl::StartsWith(url, "https://") ? url : "";
}

}  // namespace

absl::StatusOr<std::string> RenewalId(const Certificate& leaf) {
  const ASN1_OCTET_STRING* issuer_key = X509_get0_authority_key_id(leaf.get());
  if (issuer_key == nullptr || ASN1_STRING_length(issuer_key) == 0) {
    return Fail(Reason::MALFORMED, "the certificate has no authority key identifier");
  }
  ASSIGN_OR_RETURN(const std::string serial, SerialContents(leaf));
  return absl::StrCat(Base64UrlEncode(BytesOf(issuer_key)), ".", Base64UrlEncode(serial));
}

absl::StatusOr<RenewalWindow> ParseRenewalWindow(const nlohmann::json& body) {
  const auto window = body.is_object() ? body.find("suggestedWindow") : body.end();
  if (window == body.end() || !window->is_object()) {
    return Fail(Reason::PROTOCOL, "its renewal information has no usable `suggestedWindow`");
  }
  RenewalWindow parsed;
  ASSIGN_OR_RETURN(parsed.start, TimeIn(*window, "start"));
  ASSIGN_OR_RETURN(parsed.end, TimeIn(*window, "end"));
  if (parsed.end <= parsed.start) return Fail(Reason::PROTOCOL, "the window that it suggests ends before it begins");
  parsed.explanation_url = ExplanationIn(body);
  return parsed;
}

absl::StatusOr<std::optional<RenewalAnswer>> AskRenewalInfo(AcmeClient& client, Clock& clock, const Certificate& leaf) {
  ASSIGN_OR_RETURN(const AcmeDirectory directory, client.GetDirectory());
  if (directory.renewal_info.empty()) return std::optional<RenewalAnswer>();
  ASSIGN_OR_RETURN(const std::string id, RenewalId(leaf));
  const absl::string_view slash = absl::EndsWith(directory.renewal_info, "/") ? "" : "/";
  ASSIGN_OR_RETURN(const AcmeAnswer answer, client.Get(absl::StrCat(directory.renewal_info, slash, id)));
  RETURN_IF_ERROR(answer.Check("asking when to renew"));
  RenewalAnswer said;
  ASSIGN_OR_RETURN(said.window, ParseRenewalWindow(answer.body));
  const absl::Time now = clock.Now();
  said.next_check = std::clamp(answer.retry_at.value_or(now + kUsualWait), now + kLeastWait, now + kMostWait);
  return std::optional<RenewalAnswer>(std::move(said));
}

double RealRandomShare() {
  std::random_device source;
  return std::uniform_real_distribution<double>(0, 1)(source);
}

bool RenewalCheckIsDue(const std::optional<state::v1::RenewalInfo>& before, const std::string& leaf_sha256,
                       absl::Time now) {
  if (!before || before->leaf_sha256() != leaf_sha256) return true;
  const absl::Time next = FromTimestamp(before->next_check());
  // A clock that was set back must not put it off for long.
  return now >= next || next > now + kMostWait;
}

state::v1::RenewalInfo AfterRenewalCheck(const std::optional<state::v1::RenewalInfo>& before,
                                         const std::string& certificate, const std::string& leaf_sha256,
                                         const absl::StatusOr<std::optional<RenewalAnswer>>& answer, absl::Time now,
                                         const RandomShare& random) {
  const bool same = before && before->leaf_sha256() == leaf_sha256;
  state::v1::RenewalInfo after;
  if (same) after = *before;
  after.set_certificate(certificate);
  after.set_leaf_sha256(leaf_sha256);
  after.clear_last_error();
  if (!answer.ok()) {
    // One that contradicts itself is an answer: it takes back what it said before.
    if (ReasonOf(answer.status()) == Reason::PROTOCOL) {
      after.clear_window_start();
      after.clear_window_end();
      after.clear_selected_at();
      after.clear_explanation_url();
    }
    after.set_last_error(FailureOf(answer.status()).detail());
    *after.mutable_next_check() = ToTimestamp(now + kUsualWait);
    return after;
  }
  if (!answer->has_value()) {
    after.clear_window_start();
    after.clear_window_end();
    after.clear_selected_at();
    after.clear_explanation_url();
    *after.mutable_next_check() = ToTimestamp(now + kMostWait);
    return after;
  }
  const RenewalAnswer& said = **answer;
  *after.mutable_next_check() = ToTimestamp(said.next_check);
  after.set_explanation_url(said.window.explanation_url);
  const bool unchanged = after.has_selected_at() && FromTimestamp(after.window_start()) == said.window.start &&
                         FromTimestamp(after.window_end()) == said.window.end;
  if (unchanged) return after;
  *after.mutable_window_start() = ToTimestamp(said.window.start);
  *after.mutable_window_end() = ToTimestamp(said.window.end);
  // To the second, so that what is shown is what is compared.
  const absl::Duration into = absl::Trunc((said.window.end - said.window.start) * random(), absl::Seconds(1));
  *after.mutable_selected_at() = ToTimestamp(said.window.start + into);
  return after;
}

}  // namespace certcast::controller
