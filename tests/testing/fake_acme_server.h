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

// Ends the program where a rule is broken that real CAs are lax about: better seen at once than by somebody's CA.
void MustHold(bool holds, const std::string& rule);

// Not thread-safe.
class FakeAcmeServer {
 public:
  using LookUpTxt = std::function<std::vector<std::string>(const std::string& fqdn)>;

  struct Refusal {
    int status = 400;
    std::string type;
    std::string detail;
  };
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
    // At an order whose names are all authorized, until it is ready.
    int ready_looks = 0;
    // Header of every authorization and order that is not decided yet; empty: none.
    std::string retry_after;
    // Instead of the names in the CSR.
    std::vector<std::string> issue_for;
    // A key of its own instead of the CSR's.
    bool issue_for_other_key = false;
    // What certificates name as such; who answers there is the test's affair. Empty: none.
    std::string ocsp_responder;
    // Only the leaf.
    bool without_chain = false;
    // finalize ends in an invalid order with this problem.
    std::optional<nlohmann::json> refuse_finalize;
    // A challenge that is not met stays pending, with the problem, and is looked at again when it is answered again.
    bool keeps_failed_challenges = false;
    // A failed challenge has this problem instead of `unauthorized`.
    std::optional<nlohmann::json> challenge_problem;
    // Key algorithms that finalize accepts: `EC`, `RSA`.
    std::set<std::string> key_algorithms = {"EC", "RSA"};
    absl::Duration lifetime = absl::Hours(24 * 90);
    // The certificate's intermediate is also signed by another root, and that chain is offered beside the first, or as
    // the CA's own choice.
    bool offers_alternate = false;
    bool prefers_alternate = false;
    // Another CA's intermediate instead of the one that signed.
    bool wrong_intermediate = false;
    // The same, but for what is offered beside the CA's own choice.
    bool own_choice_is_broken = false;
    // newOrder with a profile is refused so, whatever the directory says.
    std::optional<Refusal> refuse_profile;
    // Renewal information (RFC 9773) is offered when it is set: start and end.
    std::optional<std::pair<absl::Time, absl::Time>> renewal_window;
    std::string renewal_explanation;
    std::string renewal_retry_after;
    // newOrder with `replaces` is refused so.
    std::optional<Refusal> refuse_replaces;
    // Each external account can be used for one registration, also for one that fails.
    bool burns_external_accounts = false;
    std::set<std::string> expired_external_accounts;
    bool offers_key_change = true;
    // Each signature is also checked by the program `openssl`.
    bool checks_with_openssl = false;
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

  // Answers one request to origin(). Ends the program when the client breaks a MUST that a real CA may let pass.
  controller::HttpResponse Handle(const controller::HttpRequest& request);

  // The next request to that resource (`directory new-nonce new-account new-order order authz challenge finalize
  // certificate revoke-cert renewal-info key-change account`) gets this answer, and nothing else happens.
  void AnswerOnce(const std::string& resource, controller::HttpResponse response);
  // The window of all that is issued so far, whatever `renewal_window` says of what is issued later.
  void MoveRenewal(absl::Time start, absl::Time end);
  // As after a restart of a CA that keeps nothing.
  void ForgetEverything();

  // Before the first request.
  void set_origin(std::string origin) { origin_ = std::move(origin); }
  const std::string& origin() const { return origin_; }
  std::string directory_url() const { return origin_ + behaviour.directory_target; }
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
  // Of the CA's own choice, and of the other chain.
  const TestCa& root() const { return root_; }
  const TestCa& other_root() const { return other_root_; }
  // `replaces` of the orders that were made, in order; empty: it was not there.
  const std::vector<std::string>& replaced() const { return replaced_; }
  // What was asked for of renewal information, in order.
  const std::vector<std::string>& renewal_ids() const { return renewal_ids_; }
  std::vector<std::string> ContactsOf(const std::string& account_url) const;
  bool IsDeactivated(const std::string& account_url) const;

 private:
  struct Account {
    std::string url;
    nlohmann::json jwk;
    std::vector<std::string> contacts;
    bool deactivated = false;
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
    int pending_looks_left = 0;
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
  void MustVerify(const std::string& algorithm, EVP_PKEY* key, const std::string& input, const std::string& signature,
                  const std::string& what) const;
  controller::HttpResponse Directory() const;
  controller::HttpResponse NewAccount(const Signed& post);
  std::optional<controller::HttpResponse> CheckBinding(const Signed& post);
  controller::HttpResponse ChangeAccount(const Signed& post);
  controller::HttpResponse ChangeKey(const Signed& post);
  controller::HttpResponse ShowRenewalInfo(const std::string& id);
  controller::HttpResponse ShowCertificate(const std::string& id);
  std::string RenewalIdOf(const std::string& leaf_der) const;
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
  const TestCa other_root_ = TestCa::Root("Other Root");
  const TestCa other_intermediate_ = other_root_.Intermediate("Test Intermediate", {.key = &intermediate_.key()});
  const TestCa foreign_intermediate_ = other_root_.Intermediate("Foreign Intermediate");
  std::string origin_ = "https://ca.test";
  std::map<std::string, std::vector<controller::HttpResponse>> scripted_;
  std::set<std::string> nonces_;
  std::map<std::string, Account> accounts_;  // by thumbprint
  std::map<std::string, Authorization> authorizations_;
  std::map<std::string, Order> orders_;
  std::map<std::string, std::string> certificates_;  // leaf's PEM
  std::map<std::string, std::string> issued_to_;     // leaf's DER to thumbprint
  std::vector<Revocation> revocations_;
  std::vector<std::string> replaced_;
  std::vector<std::string> renewal_ids_;
  std::map<std::string, std::pair<absl::Time, absl::Time>> moved_windows_;  // by renewal id
  std::map<std::string, std::vector<std::string>> seen_;
  int ids_ = 0;
  int posts_ = 0;
  int finalized_ = 0;
  int issued_ = 0;
};

}  // namespace certcast::testing

#endif  // CERTCAST_TESTS_TESTING_FAKE_ACME_SERVER_H_
