#include "controller/acme/issuer.h"

#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status/status.h"
#include "controller/acme/account.h"
#include "controller/acme/acme_client.h"
#include "controller/acme/order.h"
#include "controller/acme/order_journal.h"
#include "controller/acme/solver.h"
#include "controller/store/records.h"

namespace certcast::controller {

absl::StatusOr<state::v1::Generation> Issuer::Issue(const CertificateConfig& certificate, const AccountConfig& account,
                                                    uint64_t epoch, const OnIssueProgress& on_progress,
                                                    Trigger trigger) {
  if (!certificate.challenge) {
    return FailInput(absl::StrCat("the certificate `", certificate.name, "` has no challenge"),
                     "an imported certificate is replaced with `certcast import`");
  }
  ScheduleRecords schedules(store_);
  ASSIGN_OR_RETURN(const std::optional<state::v1::Schedule> schedule, schedules.Get(certificate.name));
  if (schedule) RETURN_IF_ERROR(CheckMayTry(*schedule, trigger, clock_.Now()));
  auto generation = Obtain(certificate, account, epoch, on_progress);
  if (generation.ok()) {
    if (schedule) RETURN_IF_ERROR(schedules.Delete(certificate.name, epoch));
    return generation;
  }
  // Another controller took over: it keeps the record now.
  if (ReasonOf(generation.status()) == Reason::STALE_EPOCH) return generation;
  const state::v1::Schedule before = schedule.value_or(state::v1::Schedule());
  const state::v1::Schedule after = AfterFailure(before, generation.status(), clock_.Now());
  if (after.SerializeAsString() == before.SerializeAsString()) return generation.status();
  return KeepFirst(generation.status(), schedules.Put(certificate.name, after, epoch));
}

absl::StatusOr<state::v1::Generation> Issuer::Obtain(const CertificateConfig& certificate, const AccountConfig& account,
                                                     uint64_t epoch, const OnIssueProgress& on_progress) {
  AcmeClient client(http_, clock_, {.directory_url = account.directory, .ca_file = account.ca_file});
  const AcmeAccount::Keep keep{.store = store_, .sealer = sealer_, .clock = clock_, .epoch = epoch};
  ASSIGN_OR_RETURN(AcmeAccount opened, AcmeAccount::FindOrCreate(client, account, keep));
  ASSIGN_OR_RETURN(OrderJournal journal, OrderJournal::Load(store_, certificate.name, epoch));
  const std::unique_ptr<ChallengeSolver> solver =
      MakeSolver(*certificate.challenge, {.processes = &processes_, .http = &http_, .dns = &dns_, .clock = &clock_});
  OrderRun run({.client = client,
                .account = opened,
                .keep = keep,
                .certificate = certificate,
                .account_config = account,
                .solver = *solver,
                .limits = limits_,
                .on_progress = on_progress},
               std::move(journal));
  return run.Run();
}

}  // namespace certcast::controller
