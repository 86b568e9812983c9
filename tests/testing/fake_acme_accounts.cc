// The fake CA's accounts (RFC 8555 section 7.3).
#include "tests/testing/fake_acme_server.h"
#include "tests/testing/jws_verifier.h"

namespace certcast::testing {

using controller::HttpResponse;
using nlohmann::json;

HttpResponse FakeAcmeServer::NewAccount(const Signed& post) {
  const std::string thumbprint = ThumbprintOf(post.jwk);
  const bool known = accounts_.contains(thumbprint);
  if (known && accounts_[thumbprint].deactivated) {
    return ProblemAnswer(401, "unauthorized", "the account is deactivated");
  }
  if (!known && post.payload.value("onlyReturnExisting", false)) {
    return ProblemAnswer(400, "accountDoesNotExist", "no account has this key");
  }
  if (!known) {
    if (auto refused = CheckBinding(post)) return *refused;
    if (!behaviour.terms_of_service.empty() && !post.payload.value("termsOfServiceAgreed", false)) {
      return ProblemAnswer(403, "userActionRequired", "agree to " + behaviour.terms_of_service);
    }
    accounts_[thumbprint] = {.url = origin_ + "/account/" + NewId("a"), .jwk = post.jwk};
    accounts_[thumbprint].contacts = post.payload.value("contact", std::vector<std::string>());
  }
  HttpResponse response = Json(known ? 200 : 201, {{"status", "valid"}});
  response.headers.emplace_back("location", accounts_[thumbprint].url);
  return response;
}

// RFC 8555 section 7.3.4.
std::optional<HttpResponse> FakeAcmeServer::CheckBinding(const Signed& post) {
  if (!behaviour.external_account_required) return std::nullopt;
  if (!post.payload.contains("externalAccountBinding")) {
    return ProblemAnswer(403, "externalAccountRequired", "an external account is needed");
  }
  const json binding = post.payload.at("externalAccountBinding");
  const std::string header_text = binding.at("protected");
  const std::string payload_text = binding.at("payload");
  const json header = json::parse(FromBase64Url(header_text));
  MustHold(header.at("url") == origin_ + "/new-account" && !header.contains("nonce"), "the binding's header");
  MustHold(json::parse(FromBase64Url(payload_text)) == post.jwk, "the binding's payload is the account's key");
  const auto external = behaviour.external_accounts.find(header.at("kid").get<std::string>());
  if (external == behaviour.external_accounts.end()) return ProblemAnswer(403, "unauthorized", "unknown key id");
  const std::string key = external->second;
  if (behaviour.burns_external_accounts) behaviour.external_accounts.erase(external);
  if (behaviour.expired_external_accounts.contains(header.at("kid").get<std::string>())) {
    return ProblemAnswer(403, "unauthorized", "the key id has expired");
  }
  if (!VerifyMac(header.at("alg"), key, header_text + "." + payload_text, FromBase64Url(binding.at("signature")))) {
    return ProblemAnswer(403, "unauthorized", "the binding's MAC is wrong");
  }
  return std::nullopt;
}

// RFC 8555 sections 7.3.2 and 7.3.6.
HttpResponse FakeAcmeServer::ChangeAccount(const Signed& post) {
  Account& account = accounts_[post.account];
  if (account.url != post.header.at("url")) return ProblemAnswer(403, "unauthorized", "another account");
  if (post.payload.contains("contact")) account.contacts = post.payload.at("contact").get<std::vector<std::string>>();
  if (post.payload.value("status", "") == "deactivated") account.deactivated = true;
  return Json(200, {{"status", account.deactivated ? "deactivated" : "valid"}, {"contact", account.contacts}});
}

// RFC 8555 section 7.3.5.
HttpResponse FakeAcmeServer::ChangeKey(const Signed& post) {
  const json& inner = post.payload;
  const std::string header_text = inner.at("protected");
  const std::string payload_text = inner.at("payload");
  const json header = json::parse(FromBase64Url(header_text));
  const json payload = json::parse(FromBase64Url(payload_text));
  const json jwk = header.at("jwk");
  MustHold(header.at("url") == post.header.at("url") && !header.contains("nonce") && !header.contains("kid"),
           "the inner header has jwk and the same url (section 7.3.5)");
  MustVerify(header.at("alg"), KeyFromJwk(jwk).get(), header_text + "." + payload_text,
             FromBase64Url(inner.at("signature")), "the inner signature is the new key's");
  MustHold(payload.at("account") == accounts_[post.account].url && payload.at("oldKey") == post.jwk,
           "the inner payload names account and old key");
  const std::string thumbprint = ThumbprintOf(jwk);
  if (accounts_.contains(thumbprint)) return ProblemAnswer(409, "conflict", "the key has an account");
  Account account = accounts_[post.account];
  account.jwk = jwk;
  accounts_.erase(post.account);
  accounts_[thumbprint] = account;
  for (auto& [id, order] : orders_) {
    if (order.account == post.account) order.account = thumbprint;
  }
  for (auto& [id, authorization] : authorizations_) {
    if (authorization.account == post.account) authorization.account = thumbprint;
  }
  for (auto& [der, owner] : issued_to_) {
    if (owner == post.account) owner = thumbprint;
  }
  return Json(200, {{"status", "valid"}});
}

std::vector<std::string> FakeAcmeServer::ContactsOf(const std::string& account_url) const {
  for (const auto& [thumbprint, account] : accounts_) {
    if (account.url == account_url) return account.contacts;
  }
  return {};
}

bool FakeAcmeServer::IsDeactivated(const std::string& account_url) const {
  for (const auto& [thumbprint, account] : accounts_) {
    if (account.url == account_url) return account.deactivated;
  }
  return false;
}

}  // namespace certcast::testing
