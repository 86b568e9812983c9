// What the fake CA issues, shows of it and revokes (RFC 8555 sections 7.4.2 and 7.6, RFC 9773).
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/x509/ssl_ptr.h"
#include "tests/testing/fake_acme_server.h"
#include "tests/testing/jws_verifier.h"
#include "tests/testing/sign_csr.h"

namespace certcast::testing {
namespace {

using controller::HttpResponse;
using nlohmann::json;

SslPtr<X509> ParseDer(const std::string& der) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(der.data());
  return SslPtr<X509>(d2i_X509(nullptr, &bytes, static_cast<long>(der.size())));
}

std::string DerOf(const std::string& pem) {
  const SslPtr<BIO> bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  const SslPtr<X509> certificate(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
  unsigned char* der = nullptr;
  const int size = i2d_X509(certificate.get(), &der);
  std::string bytes(reinterpret_cast<char*>(der), static_cast<size_t>(size));
  OPENSSL_free(der);
  return bytes;
}

bool IsKeyOf(const std::string& certificate_der, EVP_PKEY* key) {
  const SslPtr<X509> certificate = ParseDer(certificate_der);
  return certificate != nullptr && EVP_PKEY_eq(X509_get0_pubkey(certificate.get()), key) == 1;
}

}  // namespace

std::optional<int> FakeAcmeServer::RevokedFor(const std::string& certificate_der) const {
  for (const Revocation& revocation : revocations_) {
    if (revocation.certificate_der == certificate_der) return revocation.reason;
  }
  return std::nullopt;
}

// RFC 8555 section 7.6.
HttpResponse FakeAcmeServer::Revoke(const Signed& post) {
  const std::string der = FromBase64Url(post.payload.at("certificate"));
  const int reason = post.payload.value("reason", 0);
  const bool by_certificate_key = post.account.empty();
  const auto issued = issued_to_.find(der);
  if (issued == issued_to_.end()) return ProblemAnswer(404, "malformed", "no certificate of this CA");
  const bool may = by_certificate_key ? behaviour.certificate_key_may_revoke && IsKeyOf(der, KeyFromJwk(post.jwk).get())
                                      : behaviour.account_may_revoke && issued->second == post.account;
  if (!may) return ProblemAnswer(403, "unauthorized", "not yours to revoke");
  if (RevokedFor(der).has_value()) return ProblemAnswer(400, "alreadyRevoked", "it is revoked already");
  if (!behaviour.revocation_reasons.contains(reason)) {
    return ProblemAnswer(400, "badRevocationReason", absl::StrCat("reason ", reason, " is not accepted"));
  }
  revocations_.push_back({.certificate_der = der, .reason = reason, .by_certificate_key = by_certificate_key});
  return {.status = 200};
}

std::string FakeAcmeServer::Issue(const std::string& csr_der, const std::string& account) {
  ++issued_;
  const ParsedCsr csr = *ParseCsr(csr_der);
  const PrivateKey other = *PrivateKey::Generate(KeyType::kEcdsaP256);
  const absl::Time now = clock_.Now();
  std::string leaf = SignLeaf(intermediate_, behaviour.issue_for_other_key ? other.get() : csr.key.get(),
                              behaviour.issue_for.empty() ? csr.dns_names : behaviour.issue_for, now - absl::Hours(1),
                              now + behaviour.lifetime, behaviour.ocsp_responder);
  issued_to_[DerOf(leaf)] = account;
  return leaf;
}

// With a leading zero byte where the first is above 127, as in the encoding.
std::string FakeAcmeServer::RenewalIdOf(const std::string& leaf_der) const {
  const SslPtr<X509> leaf = ParseDer(leaf_der);
  const ASN1_OCTET_STRING* issuer = X509_get0_authority_key_id(leaf.get());
  const SslPtr<BIGNUM> number(ASN1_INTEGER_to_BN(X509_get0_serialNumber(leaf.get()), nullptr));
  std::string serial(static_cast<size_t>(BN_num_bytes(number.get())), 0);
  BN_bn2bin(number.get(), reinterpret_cast<unsigned char*>(serial.data()));
  if (serial.empty() || (serial.front() & 0x80) != 0) serial.insert(serial.begin(), 0);
  const std::string key_id(reinterpret_cast<const char*>(ASN1_STRING_get0_data(issuer)),
                           static_cast<size_t>(ASN1_STRING_length(issuer)));
  return absl::StrCat(ToBase64Url(key_id), ".", ToBase64Url(serial));
}

void FakeAcmeServer::MoveRenewal(absl::Time start, absl::Time end) {
  for (const auto& [der, owner] : issued_to_) moved_windows_[RenewalIdOf(der)] = {start, end};
}

HttpResponse FakeAcmeServer::ShowRenewalInfo(const std::string& id) {
  renewal_ids_.push_back(id);
  bool known = false;
  for (const auto& [der, owner] : issued_to_) known |= RenewalIdOf(der) == id;
  if (!known || !behaviour.renewal_window) return ProblemAnswer(404, "malformed", "no such certificate");
  const auto show = [](absl::Time time) { return absl::FormatTime(absl::RFC3339_full, time, absl::UTCTimeZone()); };
  const auto moved = moved_windows_.find(id);
  const auto& [start, end] = moved == moved_windows_.end() ? *behaviour.renewal_window : moved->second;
  json body = {{"suggestedWindow", {{"start", show(start)}, {"end", show(end)}}}};
  if (!behaviour.renewal_explanation.empty()) body["explanationURL"] = behaviour.renewal_explanation;
  HttpResponse response = Json(200, body);
  if (!behaviour.renewal_retry_after.empty()) {
    response.headers.emplace_back("retry-after", behaviour.renewal_retry_after);
  }
  return response;
}

HttpResponse FakeAcmeServer::ShowCertificate(const std::string& id) {
  const bool other = absl::StartsWith(id, "other-");
  const auto leaf = certificates_.find(other ? id.substr(6) : id);
  if (leaf == certificates_.end()) return ProblemAnswer(404, "malformed", "no such certificate");
  const bool broken = behaviour.wrong_intermediate || (behaviour.own_choice_is_broken && !other);
  const bool signed_by_other = other != behaviour.prefers_alternate;
  const TestCa& issuer = broken ? foreign_intermediate_ : signed_by_other ? other_intermediate_ : intermediate_;
  HttpResponse response{.status = 200, .headers = {{"content-type", "application/pem-certificate-chain"}}};
  response.body = behaviour.without_chain ? leaf->second : leaf->second + issuer.certificate().ToPem();
  if (behaviour.offers_alternate && !other) {
    response.headers.emplace_back("link", absl::StrCat("<", directory_url(), ">;rel=\"index\""));
    response.headers.emplace_back("link", absl::StrCat("<", origin_, "/certificate/other-", id, ">;rel=\"alternate\""));
  }
  return response;
}

}  // namespace certcast::testing
