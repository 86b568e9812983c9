// One certificate from an ACME order, whatever an earlier run left of it (RFC 8555 section 7.4).
#ifndef CERTCAST_CONTROLLER_ACME_ORDER_H_
#define CERTCAST_CONTROLLER_ACME_ORDER_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "certcast/state/v1/store.pb.h"
#include "common/clock/clock.h"
#include "common/x509/certificate.h"
#include "common/x509/private_key.h"
#include "controller/acme/account.h"
#include "controller/acme/acme_client.h"
#include "controller/acme/authorizations.h"
#include "controller/acme/challenge_solver.h"
#include "controller/acme/http_client.h"
#include "controller/acme/issue_options.h"
#include "controller/acme/order_journal.h"
#include "controller/acme/patience.h"
#include "controller/acme/resources.h"
#include "controller/config/config.h"
#include "controller/keyring/sealer.h"
#include "controller/store/store.h"

namespace certcast::controller {

// One run at an order. Used once.
class OrderRun {
 public:
  struct Context {
    AcmeClient& client;
    HttpClient& http;
    AcmeAccount& account;
    AcmeAccount::Keep keep;
    const CertificateConfig& certificate;
    const AccountConfig& account_config;
    ChallengeSolver& solver;
    const IssueLimits& limits;
    const OnIssueProgress& on_progress;
    // False: it only goes on with the order that is there; CA_REFUSED where there is none any more.
    bool may_order = true;
  };
  // All that it refers to must outlive this.
  OrderRun(const Context& context, OrderJournal journal);

  OrderRun(const OrderRun&) = delete;
  OrderRun& operator=(const OrderRun&) = delete;

  // The generation, saved. See Issuer::Issue for errors.
  absl::StatusOr<state::v1::Generation> Run();

 private:
  absl::Status ResumeOrCreate();
  absl::StatusOr<bool> Resume();
  absl::Status Create();
  // Until the order is valid.
  absl::Status Advance();
  absl::Status Authorize();
  absl::Status Finalize();
  absl::StatusOr<bool> WasTooEarly(const AcmeAnswer& refused);
  absl::Status AwaitIssuance();
  absl::StatusOr<state::v1::Generation> Download();
  // `reasons`: what the CA holds against the names.
  absl::Status GiveUp(std::vector<std::string> reasons);
  absl::StatusOr<state::v1::Generation> Save(const std::vector<Certificate>& chain, const PrivateKey& key);

  // Whether the saved order is for what is configured now, and did not become a generation already; else why not.
  absl::StatusOr<std::optional<std::string>> ReasonToForget();
  absl::StatusOr<AcmeAnswer> PostNewOrder();
  absl::StatusOr<std::string> ReplacedId(const AcmeDirectory& directory);
  // What the CA says of a certificate that it has just issued.
  struct RenewalCheck {
    state::v1::RenewalInfo record;
    // CERTIFICATE_UNEXPECTED: it is as good as revoked.
    absl::Status believable;
  };
  RenewalCheck AskWhenToRenew(const Certificate& leaf);
  // CERTIFICATE_UNEXPECTED when the CA's OCSP responder says so. That it can't be asked is a line of progress.
  absl::Status CheckNotRevoked(const std::vector<Certificate>& chain);
  absl::Status PrepareKeyAndCsr();
  absl::StatusOr<PrivateKey> OpenKey();
  absl::Status Take(const AcmeAnswer& answer);
  absl::Status RefreshPatiently(Patience& patience);
  absl::Status StillPending(absl::string_view what) const;
  std::string HowToGiveUp() const;
  absl::Status Forget(absl::string_view why);
  void RemoveLeftovers();

  const Context context_;
  OrderJournal journal_;
  Authorizations authorizations_;
  // As the CA showed it last.
  AcmeOrder order_;
  std::optional<absl::Time> retry_at_;
  // The CA did not say so: all names are authorized.
  bool is_ready_by_inference_ = false;
  // It said otherwise then.
  bool lags_behind_ = false;
  int authorize_tries_ = 0;
  int finalize_tries_ = 0;
};

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_ACME_ORDER_H_
