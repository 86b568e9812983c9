#include "tests/testing/fake_acme_server.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/x509/ssl_ptr.h"
#include "tests/testing/jws_verifier.h"
#include "tests/testing/sign_csr.h"

namespace certcast::testing {
namespace {

using controller::HttpRequest;
using controller::HttpResponse;
using nlohmann::json;

// A rule that real CAs are lax about, broken: better seen at once than by somebody's CA.
void Must(bool holds, const std::string& rule) {
  if (holds) return;
  std::fprintf(stderr, "the ACME client broke a rule: %s\n", rule.c_str());
  std::abort();
}

json ProblemJson(const std::string& type, const std::string& detail) {
  return {{"type", "urn:ietf:params:acme:error:" + type}, {"detail", detail}};
}

std::string Sha256Text(const std::string& text) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  EVP_Digest(text.data(), text.size(), digest, &size, EVP_sha256(), nullptr);
  return ToBase64Url(std::string(reinterpret_cast<char*>(digest), size));
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
  const auto* bytes = reinterpret_cast<const unsigned char*>(certificate_der.data());
  const SslPtr<X509> certificate(d2i_X509(nullptr, &bytes, static_cast<long>(certificate_der.size())));
  return certificate != nullptr && EVP_PKEY_eq(X509_get0_pubkey(certificate.get()), key) == 1;
}

std::string ContentTypeOf(const HttpRequest& request) {
  for (const auto& [name, value] : request.headers) {
    if (absl::EqualsIgnoreCase(name, "content-type")) return value;
  }
  return "";
}

}  // namespace

FakeAcmeServer::FakeAcmeServer(Clock& clock, LookUpTxt look_up) : clock_(clock), look_up_(std::move(look_up)) {
}

HttpResponse FakeAcmeServer::ProblemAnswer(int status, const std::string& type, const std::string& detail) {
  return {.status = status,
          .headers = {{"content-type", "application/problem+json"}},
          .body = ProblemJson(type, detail).dump()};
}

HttpResponse FakeAcmeServer::Json(int status, const json& body) const {
  return {.status = status, .headers = {{"content-type", "application/json"}}, .body = body.dump()};
}

void FakeAcmeServer::AnswerOnce(const std::string& resource, HttpResponse response) {
  scripted_[resource].push_back(std::move(response));
}

void FakeAcmeServer::ForgetEverything() {
  nonces_.clear();
  accounts_.clear();
  authorizations_.clear();
  orders_.clear();
  certificates_.clear();
}

std::string FakeAcmeServer::NewNonce() {
  std::string nonce = absl::StrCat("nonce-", ++ids_);
  nonces_.insert(nonce);
  return nonce;
}

std::string FakeAcmeServer::NewId(const char* prefix) {
  return absl::StrCat(prefix, ++ids_);
}

HttpResponse FakeAcmeServer::Handle(const HttpRequest& request) {
  Must(absl::StartsWith(request.url, Origin()), "only https://ca.test is here: " + request.url);
  const std::string target = request.url.substr(Origin().size());
  const std::vector<std::string> path = absl::StrSplit(target.substr(1), '/');
  const std::string resource = target == behaviour.directory_target ? "directory" : path[0];
  const std::string id = path.size() > 1 ? path[1] : "";
  HttpResponse response;
  Signed post;
  const bool plain = resource == "directory" || resource == "new-nonce";
  Must(plain == (request.method != "POST"), request.method + " " + request.url + " (RFC 8555 section 6.3)");
  std::optional<HttpResponse> refused;
  if (!plain) refused = Verify(request, WhoSigns(resource), post);
  if (refused) {
    response = *refused;
  } else if (auto& script = scripted_[resource]; !script.empty()) {
    response = script.front();
    script.erase(script.begin());
  } else {
    response = Route(resource, id, post);
  }
  response.headers.emplace_back("replay-nonce", NewNonce());
  return response;
}

HttpResponse FakeAcmeServer::Route(const std::string& resource, const std::string& id, const Signed& post) {
  if (resource == "directory") return Directory();
  if (resource == "new-nonce") return {.status = 200};
  if (resource == "new-account") return NewAccount(post);
  if (resource == "new-order") return NewOrder(post);
  if (resource == "revoke-cert") return Revoke(post);
  if (resource == "order" && orders_.contains(id)) return ShowOrder(id);
  if (resource == "authz" && authorizations_.contains(id)) return ShowAuthorization(id);
  if (resource == "challenge" && authorizations_.contains(id)) return AnswerChallenge(id);
  if (resource == "finalize" && orders_.contains(id)) return Finalize(id, post);
  if (resource == "certificate" && certificates_.contains(id)) {
    return {
        .status = 200, .headers = {{"content-type", "application/pem-certificate-chain"}}, .body = certificates_[id]};
  }
  return ProblemAnswer(404, "malformed", "there is nothing at this URL");
}

HttpResponse FakeAcmeServer::Directory() const {
  json meta = json::object();
  if (!behaviour.terms_of_service.empty()) meta["termsOfService"] = behaviour.terms_of_service;
  if (behaviour.external_account_required) meta["externalAccountRequired"] = true;
  if (!behaviour.profiles.empty()) meta["profiles"] = behaviour.profiles;
  json directory = {{"newNonce", Origin() + "/new-nonce"},
                    {"newAccount", Origin() + "/new-account"},
                    {"newOrder", Origin() + "/new-order"},
                    {"meta", meta}};
  if (behaviour.offers_revocation) directory["revokeCert"] = Origin() + "/revoke-cert";
  return Json(200, directory);
}

FakeAcmeServer::SignedBy FakeAcmeServer::WhoSigns(const std::string& resource) {
  if (resource == "new-account") return SignedBy::kKey;
  return resource == "revoke-cert" ? SignedBy::kEither : SignedBy::kAccount;
}

// RFC 8555 section 6.2.
std::optional<HttpResponse> FakeAcmeServer::Verify(const HttpRequest& request, SignedBy who, Signed& out) {
  Must(ContentTypeOf(request) == "application/jose+json", "content type (section 6.2)");
  const json jws = json::parse(request.body);
  Must(jws.size() == 3 && !jws.contains("header"), "flattened JSON without unprotected header");
  const std::string encoded_header = jws.at("protected");
  const std::string encoded_payload = jws.at("payload");
  out.header = json::parse(FromBase64Url(encoded_header));
  Must(out.header.at("url") == request.url, "`url` is the request's (section 6.4)");
  Must(out.header.contains("jwk") != out.header.contains("kid"), "either jwk or kid");
  const bool by_account = out.header.contains("kid");
  Must(who == SignedBy::kEither || by_account == (who == SignedBy::kAccount),
       "kid for everything but newAccount, either for revokeCert");
  if (by_account) {
    for (const auto& [thumbprint, account] : accounts_) {
      if (account.url == out.header.at("kid")) out.account = thumbprint;
    }
    if (out.account.empty()) return ProblemAnswer(400, "accountDoesNotExist", "no such account");
    out.jwk = accounts_[out.account].jwk;
  } else {
    out.jwk = out.header.at("jwk");
  }
  const auto key = KeyFromJwk(out.jwk);
  Must(key != nullptr && VerifySignature(out.header.at("alg"), key.get(), encoded_header + "." + encoded_payload,
                                         FromBase64Url(jws.at("signature"))),
       "signature");
  const bool known = nonces_.erase(out.header.at("nonce").get<std::string>()) > 0;
  // Spread, but the same in each run.
  const bool refused = (++posts_ * 7) % 10 < behaviour.bad_nonces_of_ten;
  if (!known || refused) return ProblemAnswer(400, "badNonce", "stale nonce");
  if (!encoded_payload.empty()) out.payload = json::parse(FromBase64Url(encoded_payload));
  return std::nullopt;
}

HttpResponse FakeAcmeServer::NewAccount(const Signed& post) {
  const std::string thumbprint = ThumbprintOf(post.jwk);
  const bool known = accounts_.contains(thumbprint);
  if (!known) {
    if (auto refused = CheckBinding(post)) return *refused;
    if (!behaviour.terms_of_service.empty() && !post.payload.value("termsOfServiceAgreed", false)) {
      return ProblemAnswer(403, "userActionRequired", "agree to " + behaviour.terms_of_service);
    }
    accounts_[thumbprint] = {.url = Origin() + "/account/" + NewId("a"), .jwk = post.jwk};
  }
  HttpResponse response = Json(known ? 200 : 201, {{"status", "valid"}});
  response.headers.emplace_back("location", accounts_[thumbprint].url);
  return response;
}

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

// RFC 8555 section 7.3.4.
std::optional<HttpResponse> FakeAcmeServer::CheckBinding(const Signed& post) const {
  if (!behaviour.external_account_required) return std::nullopt;
  if (!post.payload.contains("externalAccountBinding")) {
    return ProblemAnswer(403, "externalAccountRequired", "an external account is needed");
  }
  const json binding = post.payload.at("externalAccountBinding");
  const std::string header_text = binding.at("protected");
  const std::string payload_text = binding.at("payload");
  const json header = json::parse(FromBase64Url(header_text));
  Must(header.at("url") == Origin() + "/new-account" && !header.contains("nonce"), "the binding's header");
  Must(json::parse(FromBase64Url(payload_text)) == post.jwk, "the binding's payload is the account's key");
  const auto external = behaviour.external_accounts.find(header.at("kid").get<std::string>());
  if (external == behaviour.external_accounts.end()) return ProblemAnswer(403, "unauthorized", "unknown key id");
  if (!VerifyMac(header.at("alg"), external->second, header_text + "." + payload_text,
                 FromBase64Url(binding.at("signature")))) {
    return ProblemAnswer(403, "unauthorized", "the binding's MAC is wrong");
  }
  return std::nullopt;
}

HttpResponse FakeAcmeServer::NewOrder(const Signed& post) {
  const std::string id = NewId("o");
  Order order{.account = post.account};
  for (const json& identifier : post.payload.at("identifiers")) {
    const std::string name = identifier.at("value");
    const std::string authorization_id = NewId("z");
    Authorization authorization{
        .name = name, .token = ToBase64Url("token-of-" + authorization_id), .account = post.account};
    if (behaviour.preauthorized) authorization.status = "valid";
    authorizations_[authorization_id] = authorization;
    order.names.push_back(name);
    order.authorizations.push_back(authorization_id);
  }
  if (post.payload.contains("profile") && !behaviour.profiles.contains(post.payload.at("profile").get<std::string>())) {
    return ProblemAnswer(400, "invalidProfile", "no such profile");
  }
  orders_[id] = std::move(order);
  HttpResponse response = ShowOrder(id, 201);
  response.headers.emplace_back("location", Origin() + "/order/" + id);
  return response;
}

// RFC 8555 section 7.1.6.
void FakeAcmeServer::UpdateOrder(Order& order) {
  if (order.status == "processing") {
    if (order.looks_left-- > 0) return;
    order.status = "valid";
    return;
  }
  if (order.status != "pending") return;
  bool all_valid = true;
  for (const std::string& id : order.authorizations) {
    const Authorization& authorization = authorizations_[id];
    if (authorization.status == "invalid") {
      order.status = "invalid";
      order.error = ProblemJson("unauthorized", "an authorization failed");
    }
    all_valid &= authorization.status == "valid";
  }
  if (all_valid) order.status = "ready";
}

HttpResponse FakeAcmeServer::ShowOrder(const std::string& id, int status) {
  Order& order = orders_[id];
  UpdateOrder(order);
  json body = {{"status", order.status},
               {"finalize", Origin() + "/finalize/" + id},
               {"identifiers", json::array()},
               {"authorizations", json::array()}};
  for (const std::string& name : order.names) body["identifiers"].push_back({{"type", "dns"}, {"value", name}});
  for (const std::string& authorization : order.authorizations) {
    body["authorizations"].push_back(Origin() + "/authz/" + authorization);
  }
  if (order.status == "valid") body["certificate"] = Origin() + "/certificate/" + order.certificate;
  if (!order.error.is_null()) body["error"] = order.error;
  HttpResponse response = Json(status, body);
  if (order.status == "processing" && !behaviour.retry_after.empty()) {
    response.headers.emplace_back("retry-after", behaviour.retry_after);
  }
  return response;
}

HttpResponse FakeAcmeServer::ShowAuthorization(const std::string& id) {
  Authorization& authorization = authorizations_[id];
  Look(authorization);
  const bool wildcard = absl::StartsWith(authorization.name, "*.");
  json body = {{"status", authorization.status},
               {"identifier", {{"type", "dns"}, {"value", absl::StripPrefix(authorization.name, "*.")}}},
               {"challenges", json::array()}};
  if (wildcard) body["wildcard"] = true;
  if (!behaviour.preauthorized) {
    json challenge = {{"type", behaviour.offers_dns01 ? "dns-01" : "http-01"},
                      {"url", Origin() + "/challenge/" + id},
                      {"status", authorization.challenge_status},
                      {"token", authorization.token}};
    if (!authorization.error.is_null()) challenge["error"] = authorization.error;
    body["challenges"].push_back(challenge);
  }
  HttpResponse response = Json(200, body);
  if (authorization.status == "pending" && !behaviour.retry_after.empty()) {
    response.headers.emplace_back("retry-after", behaviour.retry_after);
  }
  return response;
}

// RFC 8555 section 8.4.
void FakeAcmeServer::Look(Authorization& authorization) {
  if (authorization.challenge_status != "processing" || authorization.looks_left-- > 0) return;
  const std::string fqdn = absl::StrCat("_acme-challenge.", absl::StripPrefix(authorization.name, "*."), ".");
  const std::vector<std::string> values = look_up_(fqdn);
  seen_[fqdn] = values;
  const std::string wanted = Sha256Text(authorization.token + "." + authorization.account);
  const bool found = std::find(values.begin(), values.end(), wanted) != values.end();
  authorization.status = authorization.challenge_status = found ? "valid" : "invalid";
  if (found) return;
  authorization.error = behaviour.challenge_problem.value_or(
      ProblemJson("unauthorized", "no TXT record with the right value at " + fqdn));
}

HttpResponse FakeAcmeServer::AnswerChallenge(const std::string& id) {
  Authorization& authorization = authorizations_[id];
  if (authorization.challenge_status == "pending") {
    authorization.challenge_status = "processing";
    authorization.looks_left = behaviour.validation_looks;
  }
  return Json(200, {{"type", "dns-01"},
                    {"url", Origin() + "/challenge/" + id},
                    {"status", authorization.challenge_status},
                    {"token", authorization.token}});
}

HttpResponse FakeAcmeServer::Finalize(const std::string& id, const Signed& post) {
  Order& order = orders_[id];
  UpdateOrder(order);
  if (order.status != "ready") return ProblemAnswer(403, "orderNotReady", "the order is " + order.status);
  const std::string der = FromBase64Url(post.payload.at("csr"));
  const std::optional<ParsedCsr> csr = ParseCsr(der);
  Must(csr.has_value(), "the CSR parses and is signed with its key");
  std::vector<std::string> names = csr->dns_names;
  std::vector<std::string> ordered = order.names;
  std::sort(names.begin(), names.end());
  std::sort(ordered.begin(), ordered.end());
  Must(names == ordered, "the CSR has the order's names (section 7.4)");
  const std::string algorithm = EVP_PKEY_get_base_id(csr->key.get()) == EVP_PKEY_RSA ? "RSA" : "EC";
  if (!behaviour.key_algorithms.contains(algorithm)) {
    return ProblemAnswer(400, "badCSR", algorithm + " keys are not accepted");
  }
  ++finalized_;
  if (behaviour.refuse_finalize) {
    order.status = "invalid";
    order.error = *behaviour.refuse_finalize;
    return ShowOrder(id);
  }
  order.certificate = NewId("c");
  certificates_[order.certificate] = Issue(der, order.account);
  order.status = behaviour.processing_looks > 0 ? "processing" : "valid";
  order.looks_left = behaviour.processing_looks;
  return ShowOrder(id);
}

std::string FakeAcmeServer::Issue(const std::string& csr_der, const std::string& account) {
  ++issued_;
  const ParsedCsr csr = *ParseCsr(csr_der);
  const PrivateKey other = *PrivateKey::Generate(KeyType::kEcdsaP256);
  const absl::Time now = clock_.Now();
  const std::string leaf = SignLeaf(intermediate_, behaviour.issue_for_other_key ? other.get() : csr.key.get(),
                                    behaviour.issue_for.empty() ? csr.dns_names : behaviour.issue_for,
                                    now - absl::Hours(1), now + absl::Hours(24 * 90));
  issued_to_[DerOf(leaf)] = account;
  return behaviour.without_chain ? leaf : leaf + intermediate_.certificate().ToPem();
}

}  // namespace certcast::testing
