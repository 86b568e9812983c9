// A CA in memory, for what Pebble does not do: hours of `processing`, Retry-After in all forms, answers that are lost,
// certificates for other names, authorizations without challenges. Written from RFC 8555 without the client's code.
//
//   FakeAcmeServer ca(clock, [&](const std::string& fqdn) { return zone.Txt(fqdn); });
//   FakeHttpClient http([&](const HttpRequest& request) { return ca.Handle(request); });
#ifndef CERTCAST_TESTS_TESTING_FAKE_ACME_SERVER_H_
#define CERTCAST_TESTS_TESTING_FAKE_ACME_SERVER_H_

#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/clock/clock.h"
#include "controller/acme/http_client.h"
#include "tests/testing/test_ca.h"

namespace certcast::testing {

// Not thread-safe.
class FakeAcmeServer {
 public:
  using LookUpTxt = std::function<std::vector<std::string>(const std::string& fqdn)>;

  // What it does beside the straight way. May be changed between requests.
  struct Behaviour {
    // The directory is at this path and query alone.
    std::string directory_target = "/directory";
    // Of every ten POSTs with a good nonce, so many are answered with badNonce.
    int bad_nonces_of_ten = 0;
    std::string terms_of_service;
    bool external_account_required = false;
    // Key id to HMAC key.
    std::map<std::string, std::string> external_accounts;
    std::map<std::string, std::string> profiles;
    // New authorizations are valid from the start, without challenges.
    bool preauthorized = false;
    // Only http-01 is offered.
    bool offers_dns01 = true;
    // Looks at a challenge until there is a verdict, and at a finalized order until it is valid.
    int validation_looks = 0;
    int processing_looks = 0;
    // Header of every authorization and order that is not decided yet; empty: none.
    std::string retry_after;
    // Instead of the names in the CSR.
    std::vector<std::string> issue_for;
    // A key of its own instead of the CSR's.
    bool issue_for_other_key = false;
    // Only the leaf.
    bool without_chain = false;
    // finalize ends in an invalid order with this problem.
    std::optional<nlohmann::json> refuse_finalize;
    // A failed challenge has this problem instead of `unauthorized`.
    std::optional<nlohmann::json> challenge_problem;
    // Key algorithms that finalize accepts: `EC`, `RSA`.
    std::set<std::string> key_algorithms = {"EC", "RSA"};
    // revokeCert is in the directory, and these may sign it; reasons that it takes.
    bool offers_revocation = true;
    bool account_may_revoke = true;
    bool certificate_key_may_revoke = true;
    std::set<int> revocation_reasons = {0, 1, 3, 4, 5};
  };
  struct Revocation {
    std::string certificate_der;
    int reason = 0;
    bool by_certificate_key = false;
  };

  FakeAcmeServer(Clock& clock, LookUpTxt look_up);

  // Answers one request to https://ca.test. Ends the program when the client breaks a MUST that a real CA may let pass.
  controller::HttpResponse Handle(const controller::HttpRequest& request);

  // The next request to that resource (`directory new-nonce new-account new-order order authz challenge finalize
  // certificate revoke-cert`) gets this answer, and nothing else happens.
  void AnswerOnce(const std::string& resource, controller::HttpResponse response);
  // As after a restart of a CA that keeps nothing.
  void ForgetEverything();

  static std::string Origin() { return "https://ca.test"; }
  std::string directory_url() const { return Origin() + behaviour.directory_target; }
  static controller::HttpResponse ProblemAnswer(int status, const std::string& type, const std::string& detail);

  Behaviour behaviour;

  int accounts() const { return static_cast<int>(accounts_.size()); }
  int orders() const { return static_cast<int>(orders_.size()); }
  // finalize requests that it acted on.
  int finalized() const { return finalized_; }
  int issued() const { return issued_; }
  // Values that it saw when it looked, by name.
  const std::map<std::string, std::vector<std::string>>& seen() const { return seen_; }
  // In the order that they came.
  const std::vector<Revocation>& revocations() const { return revocations_; }
  // nullopt: it is not revoked.
  std::optional<int> RevokedFor(const std::string& certificate_der) const;
  const TestCa& issuer() const { return intermediate_; }

 private:
  struct Account {
    std::string url;
    nlohmann::json jwk;
  };
  struct Authorization {
    std::string name;  // with `*.`
    std::string status = "pending";
    std::string challenge_status = "pending";
    std::string token;
    std::string account;
    int looks_left = 0;
    nlohmann::json error;
  };
  struct Order {
    std::string account;
    std::vector<std::string> names;
    std::vector<std::string> authorizations;
    std::string status = "pending";
    std::string certificate;
    int looks_left = 0;
    nlohmann::json error;
  };
  // A POST whose JWS holds.
  struct Signed {
    nlohmann::json header;
    nlohmann::json jwk;
    // Thumbprint of the account; empty for a new one.
    std::string account;
    // Null for POST-as-GET.
    nlohmann::json payload;
  };

  enum class SignedBy { kAccount, kKey, kEither };
  static SignedBy WhoSigns(const std::string& resource);

  controller::HttpResponse Route(const std::string& resource, const std::string& id, const Signed& post);
  std::optional<controller::HttpResponse> Verify(const controller::HttpRequest& request, SignedBy who, Signed& out);
  controller::HttpResponse Directory() const;
  controller::HttpResponse NewAccount(const Signed& post);
  std::optional<controller::HttpResponse> CheckBinding(const Signed& post) const;
  controller::HttpResponse NewOrder(const Signed& post);
  controller::HttpResponse ShowOrder(const std::string& id, int status = 200);
  controller::HttpResponse ShowAuthorization(const std::string& id);
  controller::HttpResponse AnswerChallenge(const std::string& id);
  controller::HttpResponse Finalize(const std::string& id, const Signed& post);
  controller::HttpResponse Revoke(const Signed& post);
  void Look(Authorization& authorization);
  void UpdateOrder(Order& order);
  std::string Issue(const std::string& csr_der, const std::string& account);
  std::string NewNonce();
  std::string NewId(const char* prefix);
  controller::HttpResponse Json(int status, const nlohmann::json& body) const;

  Clock& clock_;
  const LookUpTxt look_up_;
  const TestCa root_ = TestCa::Root();
  const TestCa intermediate_ = root_.Intermediate();
  std::map<std::string, std::vector<controller::HttpResponse>> scripted_;
  std::set<std::string> nonces_;
  std::map<std::string, Account> accounts_;  // by thumbprint
  std::map<std::string, Authorization> authorizations_;
  std::map<std::string, Order> orders_;
  std::map<std::string, std::string> certificates_;
  std::map<std::string, std::string> issued_to_;  // leaf's DER to thumbprint
  std::vector<Revocation> revocations_;
  std::map<std::string, std::vector<std::string>> seen_;
  int ids_ = 0;
  int posts_ = 0;
  int finalized_ = 0;
  int issued_ = 0;
};

}  // namespace certcast::testing

#endif  // CERTCAST_TESTS_TESTING_FAKE_ACME_SERVER_H_
