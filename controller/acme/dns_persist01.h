// dns-persist-01 (draft-ietf-acme-dns-persist-00): a TXT record that an operator makes once, and that stands. It says
// which CA may issue for which ACME account, so that an order changes nothing in the DNS.
#ifndef CERTCAST_CONTROLLER_ACME_DNS_PERSIST01_H_
#define CERTCAST_CONTROLLER_ACME_DNS_PERSIST01_H_

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/clock/clock.h"
#include "controller/acme/challenge_solver.h"
#include "controller/acme/dns_client.h"
#include "controller/config/challenge.h"

namespace certcast::controller {

// Whether a TXT record, `ca.example; accounturi=URL; policy=wildcard; persistUntil=SECONDS`, is what the challenge
// needs: the issue-value of RFC 8659 section 4.2. An empty list of issuers, and an empty account, are met by any.
bool AllowsIssuance(absl::string_view record, const state::v1::PresentedChallenge& challenge, absl::Time now);

// Makes nothing and removes nothing.
class DnsPersist01 final : public ChallengeSolver {
 public:
  // `dns` and `clock` must outlive this.
  DnsPersist01(ChallengeConfig::Propagation propagation, DnsClient& dns, Clock& clock)
      : propagation_(std::move(propagation)), dns_(dns), clock_(clock) {}

  absl::string_view type() const override { return "dns-persist-01"; }
  absl::string_view noun() const override { return "standing TXT record"; }
  std::string Place(const Challenge& challenge) const override { return challenge.fqdn(); }
  bool makes() const override { return false; }
  bool looks() const override { return !propagation_.skip; }
  absl::Status Prepare(Challenge& challenge) override;
  absl::Status Present(const Challenge&) override { return absl::OkStatus(); }
  // Looks once. CHALLENGE_FAILED has the record that is to be made.
  absl::Status AwaitVisible(const std::vector<Challenge>& challenges,
                            const std::function<void(absl::string_view)>& on_progress) override;
  absl::Status CleanUp(const Challenge&) override { return absl::OkStatus(); }

 private:
  // All TXT records of the name, from the first server that knows whether there are any.
  absl::StatusOr<std::vector<std::string>> Records(const std::string& fqdn);

  const ChallengeConfig::Propagation propagation_;
  DnsClient& dns_;
  Clock& clock_;
};

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_ACME_DNS_PERSIST01_H_
