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

json ProblemJson(const std::string& type, const std::string& detail) {
  return {{"type", "urn:ietf:params:acme:error:" + type}, {"detail", detail}};
}

std::string Sha256Text(const std::string& text) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  EVP_Digest(text.data(), text.size(), digest, &size, EVP_sha256(), nullptr);
  return ToBase64Url(std::string(reinterpret_cast<char*>(digest), size));
}

std::string ContentTypeOf(const HttpRequest& request) {
  for (const auto& [name, value] : request.headers) {
    if (absl::EqualsIgnoreCase(name, "content-type")) return value;
  }
  return "";
}

}  // namespace

void MustHold(bool holds, const std::string& rule) {
  if (holds) return;
  std::fprintf(stderr, "the ACME client broke a rule: %s\n", rule.c_str());
  std::abort();
}

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

void FakeAcmeServer::MustVerify(const std::string& algorithm, EVP_PKEY* key, const std::string& input,
                                const std::string& signature, const std::string& what) const {
  MustHold(key != nullptr && VerifySignature(algorithm, key, input, signature), what);
  if (!behaviour.checks_with_openssl) return;
  MustHold(OpensslProgramVerifies(algorithm, key, input, signature), what + ", says openssl");
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
  MustHold(absl::StartsWith(request.url, origin_), "only " + origin_ + " is here: " + request.url);
  const std::string target = request.url.substr(origin_.size());
  const std::vector<std::string> path = absl::StrSplit(target.substr(1), '/');
  const std::string resource = target == behaviour.directory_target ? "directory" : path[0];
  const std::string id = path.size() > 1 ? path[1] : "";
  HttpResponse response;
  Signed post;
  const bool plain = resource == "directory" || resource == "new-nonce" || resource == "renewal-info";
  MustHold(plain == (request.method != "POST"), request.method + " " + request.url + " (RFC 8555 section 6.3)");
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
  if (resource == "key-change") return ChangeKey(post);
  if (resource == "account") return ChangeAccount(post);
  if (resource == "renewal-info") return ShowRenewalInfo(id);
  if (resource == "order" && orders_.contains(id)) return ShowOrder(id);
  if (resource == "authz" && authorizations_.contains(id)) return ShowAuthorization(id);
  if (resource == "challenge" && authorizations_.contains(id)) return AnswerChallenge(id);
  if (resource == "finalize" && orders_.contains(id)) return Finalize(id, post);
  if (resource == "certificate") return ShowCertificate(id);
  return ProblemAnswer(404, "malformed", "there is nothing at this URL");
}

HttpResponse FakeAcmeServer::Directory() const {
  json meta = json::object();
  if (!behaviour.terms_of_service.empty()) meta["termsOfService"] = behaviour.terms_of_service;
  if (behaviour.external_account_required) meta["externalAccountRequired"] = true;
  if (!behaviour.profiles.empty()) meta["profiles"] = behaviour.profiles;
  json directory = {{"newNonce", origin_ + "/new-nonce"},
                    {"newAccount", origin_ + "/new-account"},
                    {"newOrder", origin_ + "/new-order"},
                    {"meta", meta}};
  if (behaviour.offers_revocation) directory["revokeCert"] = origin_ + "/revoke-cert";
  if (behaviour.offers_key_change) directory["keyChange"] = origin_ + "/key-change";
  if (behaviour.renewal_window) directory["renewalInfo"] = origin_ + "/renewal-info";
  return Json(200, directory);
}

FakeAcmeServer::SignedBy FakeAcmeServer::WhoSigns(const std::string& resource) {
  if (resource == "new-account") return SignedBy::kKey;
  return resource == "revoke-cert" ? SignedBy::kEither : SignedBy::kAccount;
}

// RFC 8555 section 6.2.
std::optional<HttpResponse> FakeAcmeServer::Verify(const HttpRequest& request, SignedBy who, Signed& out) {
  MustHold(ContentTypeOf(request) == "application/jose+json", "content type (section 6.2)");
  const json jws = json::parse(request.body);
  MustHold(jws.size() == 3 && !jws.contains("header"), "flattened JSON without unprotected header");
  const std::string encoded_header = jws.at("protected");
  const std::string encoded_payload = jws.at("payload");
  out.header = json::parse(FromBase64Url(encoded_header));
  MustHold(out.header.at("url") == request.url, "`url` is the request's (section 6.4)");
  MustHold(out.header.contains("jwk") != out.header.contains("kid"), "either jwk or kid");
  const bool by_account = out.header.contains("kid");
  MustHold(who == SignedBy::kEither || by_account == (who == SignedBy::kAccount),
           "kid for everything but newAccount, either for revokeCert");
  if (by_account) {
    for (const auto& [thumbprint, account] : accounts_) {
      if (account.url == out.header.at("kid")) out.account = thumbprint;
    }
    if (out.account.empty()) return ProblemAnswer(400, "accountDoesNotExist", "no such account");
    if (accounts_[out.account].deactivated) return ProblemAnswer(401, "unauthorized", "the account is deactivated");
    out.jwk = accounts_[out.account].jwk;
  } else {
    out.jwk = out.header.at("jwk");
  }
  const auto key = KeyFromJwk(out.jwk);
  const std::string signed_text = encoded_header + "." + encoded_payload;
  const std::string signature = FromBase64Url(jws.at("signature"));
  MustVerify(out.header.at("alg"), key.get(), signed_text, signature, "signature");
  const bool known = nonces_.erase(out.header.at("nonce").get<std::string>()) > 0;
  // Spread, but the same in each run.
  const bool refused = (++posts_ * 7) % 10 < behaviour.bad_nonces_of_ten;
  if (!known || refused) return ProblemAnswer(400, "badNonce", "stale nonce");
  // (section 6.3) what only reads has no payload at all.
  if (!encoded_payload.empty()) out.payload = json::parse(FromBase64Url(encoded_payload));
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
  const std::string replaces = post.payload.value("replaces", "");
  if (!replaces.empty()) {
    MustHold(behaviour.renewal_window.has_value(), "`replaces` is for CAs with renewalInfo (RFC 9773 section 5)");
    if (const auto& refusal = behaviour.refuse_replaces) {
      return ProblemAnswer(refusal->status, refusal->type, refusal->detail);
    }
    const auto known = std::find_if(issued_to_.begin(), issued_to_.end(),
                                    [&](const auto& issued) { return RenewalIdOf(issued.first) == replaces; });
    if (known == issued_to_.end()) return ProblemAnswer(400, "malformed", "`replaces` names no certificate");
    // As Boulder does.
    if (known->second != post.account)
      return ProblemAnswer(403, "unauthorized", "another account ordered what it replaces");
  }
  if (post.payload.contains("profile") && behaviour.refuse_profile) {
    const Refusal& refusal = *behaviour.refuse_profile;
    return ProblemAnswer(refusal.status, refusal.type, refusal.detail);
  }
  if (post.payload.contains("profile") && !behaviour.profiles.contains(post.payload.at("profile").get<std::string>())) {
    return ProblemAnswer(400, "invalidProfile", "no such profile");
  }
  replaced_.push_back(replaces);
  order.pending_looks_left = behaviour.ready_looks;
  orders_[id] = std::move(order);
  HttpResponse response = ShowOrder(id, 201);
  response.headers.emplace_back("location", origin_ + "/order/" + id);
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
  if (all_valid && order.pending_looks_left-- <= 0) order.status = "ready";
}

HttpResponse FakeAcmeServer::ShowOrder(const std::string& id, int status) {
  Order& order = orders_[id];
  UpdateOrder(order);
  json body = {{"status", order.status},
               {"finalize", origin_ + "/finalize/" + id},
               {"identifiers", json::array()},
               {"authorizations", json::array()}};
  for (const std::string& name : order.names) body["identifiers"].push_back({{"type", "dns"}, {"value", name}});
  for (const std::string& authorization : order.authorizations) {
    body["authorizations"].push_back(origin_ + "/authz/" + authorization);
  }
  if (order.status == "valid") body["certificate"] = origin_ + "/certificate/" + order.certificate;
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
                      {"url", origin_ + "/challenge/" + id},
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
  if (found || !behaviour.keeps_failed_challenges) {
    authorization.status = authorization.challenge_status = found ? "valid" : "invalid";
  } else {
    authorization.challenge_status = "pending";
  }
  authorization.error = nullptr;
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
                    {"url", origin_ + "/challenge/" + id},
                    {"status", authorization.challenge_status},
                    {"token", authorization.token}});
}

HttpResponse FakeAcmeServer::Finalize(const std::string& id, const Signed& post) {
  Order& order = orders_[id];
  UpdateOrder(order);
  if (order.status != "ready") return ProblemAnswer(403, "orderNotReady", "the order is " + order.status);
  const std::string der = FromBase64Url(post.payload.at("csr"));
  const std::optional<ParsedCsr> csr = ParseCsr(der);
  MustHold(csr.has_value(), "the CSR parses and is signed with its key");
  std::vector<std::string> names = csr->dns_names;
  std::vector<std::string> ordered = order.names;
  std::sort(names.begin(), names.end());
  std::sort(ordered.begin(), ordered.end());
  MustHold(names == ordered, "the CSR has the order's names (section 7.4)");
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

}  // namespace certcast::testing
