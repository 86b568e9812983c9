// The way in: one certificate from one CA, as its next generation.
#ifndef CERTCAST_CONTROLLER_ACME_ISSUER_H_
#define CERTCAST_CONTROLLER_ACME_ISSUER_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "certcast/state/v1/store.pb.h"
#include "common/clock/clock.h"
#include "common/file/file_system.h"
#include "common/process/process.h"
#include "controller/acme/challenge_solver.h"
#include "controller/acme/dns_client.h"
#include "controller/acme/http01_fleet.h"
#include "controller/acme/http_client.h"
#include "controller/acme/issue_options.h"
#include "controller/acme/rehearsal.h"
#include "controller/config/config.h"
#include "controller/keyring/sealer.h"
#include "controller/store/store.h"

namespace certcast::controller {

// Thread-safe as far as what it was given is; two calls for one certificate at once are kept apart by the store's epoch
// and compare-and-swap, the second fails.
class Issuer {
 public:
  // All of it must outlive this.
  Issuer(HttpClient& http, DnsClient& dns, ProcessRunner& processes, Clock& clock, Store& store, Sealer& sealer,
         const IssueLimits& limits = IssueLimits())
      : http_(http), dns_(dns), processes_(processes), clock_(clock), store_(store), sealer_(sealer), limits_(limits) {}

  // Where http-01 shows what the CA looks for; before the first order. Without, nothing can be shown on a fleet.
  void ShowHttpChallengesOn(FileSystem& files, ChallengeFleet fleet) {
    files_ = &files;
    fleet_ = std::move(fleet);
  }

  // Forgets the order that is under way, with its key: what the CA may still issue for it is nobody's. False: there is
  // none. The CA is not asked, and what was presented is removed by RemoveLeftovers or the next order.
  absl::StatusOr<bool> AbandonOrder(const CertificateConfig& certificate, uint64_t epoch);

  // Takes away what earlier runs presented and could not remove, where no order of the certificate is under way. An
  // error names each that is still left: see Presentation::Remove.
  absl::Status RemoveLeftovers(const CertificateConfig& certificate, uint64_t epoch,
                               const OnIssueProgress& on_progress);

  // See rehearsal.h; RemoveLeftovers comes first. kInvalidArgument for a certificate that has no challenge.
  absl::StatusOr<Rehearsal> Rehearse(const CertificateConfig& certificate, uint64_t epoch,
                                     const OnIssueProgress& on_progress);

  // Obtains the certificate and saves it as the next generation, which is returned. Whether it is due is the caller's
  // question. Goes on with an order that an earlier run left, whatever it was stopped by: at most one order is
  // finalized. `epoch` is the lease's, for every write.
  //
  // Errors beside those of HttpClient: CA_REFUSED, CA_RATE_LIMITED, CHALLENGE_FAILED, CERTIFICATE_UNEXPECTED, and
  // ORDER_PENDING, which is none: the CA is still at work and the next run goes on with the same order.
  // A failure is counted in schedule/<certificate>, for each account by itself; a success clears it. What the CA
  // said of when it may be asked again binds.
  absl::StatusOr<state::v1::Generation> Issue(const CertificateConfig& certificate, const AccountConfig& account,
                                              uint64_t epoch, const OnIssueProgress& on_progress);

  // The same from the first of `accounts` (at least one, in the certificate's order) that gives it; one that has an
  // order open comes first. While a CA is at work on an order, or may be, no other one is asked: where it is one of an
  // account that the configuration had under another directory or external account, that account is asked for it, and
  // for no other. The error is the first account's, with what the others said.
  absl::StatusOr<state::v1::Generation> IssueFromAny(const CertificateConfig& certificate,
                                                     const std::vector<const AccountConfig*>& accounts, uint64_t epoch,
                                                     const OnIssueProgress& on_progress);

  // Looks at the chains that the CA offers for `latest`, which was obtained from `account`: where the one that is
  // wanted now is another than it has, that is saved as the next generation, with the same leaf and key. nullopt: it is
  // not. Errors are the CA's, and change nothing.
  absl::StatusOr<std::optional<state::v1::Generation>> RenewChain(const CertificateConfig& certificate,
                                                                  const AccountConfig& account,
                                                                  const state::v1::Generation& latest, uint64_t epoch,
                                                                  const OnIssueProgress& on_progress);

 private:
  std::unique_ptr<ChallengeSolver> SolverOf(const CertificateConfig& certificate);
  // As Issue; without `may_order` the account's order is gone on with, and none is made.
  absl::StatusOr<state::v1::Generation> Attempt(const CertificateConfig& certificate, const AccountConfig& account,
                                                uint64_t epoch, const OnIssueProgress& on_progress, bool may_order);
  absl::StatusOr<state::v1::Generation> Obtain(const CertificateConfig& certificate, const AccountConfig& account,
                                               uint64_t epoch, const OnIssueProgress& on_progress, bool may_order);

  HttpClient& http_;
  DnsClient& dns_;
  ProcessRunner& processes_;
  Clock& clock_;
  Store& store_;
  Sealer& sealer_;
  const IssueLimits limits_;
  FileSystem* files_ = &FileSystem::Real();
  ChallengeFleet fleet_;
};

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_ACME_ISSUER_H_
