#include "controller/acme/issuer.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/clock/timestamp.h"
#include "common/secret/secret.h"
#include "common/status/count.h"
#include "common/status/status.h"
#include "common/x509/certificate.h"
#include "common/x509/private_key.h"
#include "controller/acme/account.h"
#include "controller/acme/acme_client.h"
#include "controller/acme/chain_choice.h"
#include "controller/acme/order.h"
#include "controller/acme/order_journal.h"
#include "controller/acme/presentation.h"
#include "controller/acme/solver.h"
#include "controller/keyring/purposes.h"
#include "controller/schedule/retry.h"
#include "controller/store/records.h"

namespace certcast::controller {
namespace {

using state::v1::Schedule;

Schedule ScheduleOf(const Schedule& all, const CertificateConfig& certificate, const AccountConfig& account) {
  if (account.name != certificate.account) {
    const auto further = all.further_accounts().find(account.name);
    return further == all.further_accounts().end() ? Schedule() : further->second;
  }
  Schedule first = all;
  first.clear_further_accounts();
  return first;
}

Schedule WithSchedule(const Schedule& all, const CertificateConfig& certificate, const AccountConfig& account,
                      const Schedule& changed) {
  Schedule result = all;
  if (account.name == certificate.account) {
    result = changed;
    *result.mutable_further_accounts() = all.further_accounts();
  } else if (changed.ByteSizeLong() == 0) {
    result.mutable_further_accounts()->erase(account.name);
  } else {
    (*result.mutable_further_accounts())[account.name] = changed;
  }
  return result;
}

// It is this CA, or the way to it, that is at fault.
bool MayAskAnother(const absl::Status& failed) {
  switch (ReasonOf(failed)) {
    case Reason::CA_REFUSED:
    case Reason::CA_RATE_LIMITED:
    case Reason::CHALLENGE_FAILED:
    case Reason::CERTIFICATE_UNEXPECTED:
    case Reason::PROTOCOL:
    case Reason::NO_ROUTE:
    case Reason::TIMED_OUT:
    case Reason::LINK_LOST:
    case Reason::AUTH_FAILED:
      return true;
    default:
      // Wrong input for one account says nothing of the others.
      return absl::IsInvalidArgument(failed);
  }
}

absl::Status WithAccount(const absl::Status& failed, const AccountConfig& account, size_t accounts) {
  return accounts > 1 ? Annotate(failed, absl::StrCat("account `", account.name, "`")) : failed;
}

// The account of an order for which the CA may be issuing, as the configuration had it: its directory or its external
// account is another now. nullopt: it is one of `accounts`, or can't be used any more.
absl::StatusOr<std::optional<AccountConfig>> FormerAccount(const state::v1::Order& order,
                                                           const std::vector<const AccountConfig*>& accounts,
                                                           Store& store) {
  if (order.step() != state::v1::Order::FINALIZING) return std::nullopt;
  AccountConfig former = *accounts.front();
  for (const AccountConfig* account : accounts) {
    if (AcmeAccount::KeyOf(*account) == order.account_key()) return std::nullopt;
    // How that CA is reached.
    if (account->name == order.account()) former = *account;
  }
  ASSIGN_OR_RETURN(const auto record, AccountRecords(store).Get(order.account_key()));
  if (!record || record->account_url().empty() || record->has_deactivated_at()) return std::nullopt;
  former.name = record->name();
  former.directory = record->directory_url();
  if (record->external_account_key_id().empty()) {
    former.external_account.reset();
  } else {
    if (!former.external_account) former.external_account.emplace();
    former.external_account->key_id = record->external_account_key_id();
  }
  return former;
}

absl::Status WithMore(const absl::Status& first, const absl::Status& more) {
  v1::Failure failure = FailureOf(first);
  failure.set_detail(absl::StrCat(failure.detail(), "; ", FailureOf(more).detail()));
  return StatusOf(failure, first.code());
}

}  // namespace

absl::StatusOr<state::v1::Generation> Issuer::Issue(const CertificateConfig& certificate, const AccountConfig& account,
                                                    uint64_t epoch, const OnIssueProgress& on_progress) {
  return Attempt(certificate, account, epoch, on_progress, /*may_order=*/true);
}

absl::StatusOr<state::v1::Generation> Issuer::Attempt(const CertificateConfig& certificate,
                                                      const AccountConfig& account, uint64_t epoch,
                                                      const OnIssueProgress& on_progress, bool may_order) {
  if (!certificate.challenge) {
    return FailInput(absl::StrCat("the certificate `", certificate.name, "` has no challenge"),
                     "an imported certificate is replaced with `certcast import`");
  }
  ScheduleRecords schedules(store_);
  ASSIGN_OR_RETURN(const std::optional<state::v1::Schedule> schedule, schedules.Get(certificate.name));
  const state::v1::Schedule all = schedule.value_or(state::v1::Schedule());
  const state::v1::Schedule before = ScheduleOf(all, certificate, account);
  RETURN_IF_ERROR(CheckMayTry(before, clock_.Now()));
  auto generation = Obtain(certificate, account, epoch, on_progress, may_order);
  // Another controller took over: it keeps the record now.
  if (ReasonOf(generation.status()) == Reason::STALE_EPOCH) return generation;
  const state::v1::Schedule after =
      generation.ok() ? state::v1::Schedule() : AfterFailure(before, generation.status(), clock_.Now());
  if (after.SerializeAsString() == before.SerializeAsString()) return generation;
  const state::v1::Schedule saved = WithSchedule(all, certificate, account, after);
  const absl::Status kept = saved.ByteSizeLong() == 0 ? schedules.Delete(certificate.name, epoch)
                                                      : schedules.Put(certificate.name, saved, epoch);
  if (!generation.ok()) return KeepFirst(generation.status(), kept);
  RETURN_IF_ERROR(kept);
  return generation;
}

absl::StatusOr<state::v1::Generation> Issuer::IssueFromAny(const CertificateConfig& certificate,
                                                           const std::vector<const AccountConfig*>& accounts,
                                                           uint64_t epoch, const OnIssueProgress& on_progress) {
  ASSIGN_OR_RETURN(const auto open, OrderRecords(store_).Get(certificate.name));
  std::vector<const AccountConfig*> in_turn = accounts;
  std::optional<AccountConfig> former;
  if (open && !open->order_url().empty()) {
    std::stable_partition(in_turn.begin(), in_turn.end(), [&](const AccountConfig* account) {
      return AcmeAccount::KeyOf(*account) == open->account_key();
    });
    ASSIGN_OR_RETURN(former, FormerAccount(*open, accounts, store_));
    if (former) in_turn.insert(in_turn.begin(), &*former);
  }
  absl::Status first;
  for (const AccountConfig* account : in_turn) {
    const bool may_order = !former || account != &*former;
    auto generation = Attempt(certificate, *account, epoch, on_progress, may_order);
    if (generation.ok()) return generation;
    const absl::Status failed = WithAccount(generation.status(), *account, in_turn.size());
    first = first.ok() ? failed : WithMore(first, failed);
    if (!MayAskAnother(generation.status())) break;
    ASSIGN_OR_RETURN(const auto left, OrderRecords(store_).Get(certificate.name));
    // Finalize may have arrived: what comes of it must not be issued twice.
    if (left && left->step() == state::v1::Order::FINALIZING) break;
    if (account != in_turn.back()) {
      on_progress(absl::StrCat("the account `", account->name, "` did not give it: ", generation.status().message()));
    }
  }
  return first;
}

absl::StatusOr<std::optional<state::v1::Generation>> Issuer::RenewChain(const CertificateConfig& certificate,
                                                                        const AccountConfig& account,
                                                                        const state::v1::Generation& latest,
                                                                        uint64_t epoch,
                                                                        const OnIssueProgress& on_progress) {
  using None = std::optional<state::v1::Generation>;
  const AcmeAccount::Keep keep{.store = store_, .sealer = sealer_, .clock = clock_, .epoch = epoch};
  if (latest.certificate_url().empty()) return None();
  AcmeClient client(http_, clock_, {.directory_url = account.directory, .ca_file = account.ca_file});
  ASSIGN_OR_RETURN(const auto opened, AcmeAccount::FindRegistered(client, account, keep));
  if (!opened) return None();
  const std::string& name = certificate.name;
  ASSIGN_OR_RETURN(const Secret pem,
                   sealer_.Open(GenerationKeyPurpose(name, latest.generation()), latest.private_key()));
  ASSIGN_OR_RETURN(const PrivateKey key, PrivateKey::FromPem(pem.ExposeSecret()));
  ASSIGN_OR_RETURN(const std::vector<Certificate> had, ParseChainPem(latest.fullchain_pem()));
  ASSIGN_OR_RETURN(const std::vector<Certificate> chain, FetchChain({.client = client,
                                                                     .signer = opened->signer(),
                                                                     .url = latest.certificate_url(),
                                                                     .certificate = certificate,
                                                                     .key = key,
                                                                     .now = clock_.Now(),
                                                                     .on_progress = on_progress},
                                                                    had));
  if (chain.front().sha256() != latest.leaf_sha256()) {
    return Fail(Reason::CERTIFICATE_UNEXPECTED,
                absl::StrCat(latest.certificate_url(), " has another certificate than generation ", latest.generation(),
                             " by now"));
  }
  const std::string fullchain = ChainToPem(chain);
  if (fullchain == latest.fullchain_pem()) return None();
  state::v1::Generation next = latest;
  GenerationRecords records(store_);
  ASSIGN_OR_RETURN(const uint64_t number, records.NextNumber(name));
  next.set_generation(number);
  next.set_fullchain_pem(fullchain);
  ASSIGN_OR_RETURN(*next.mutable_private_key(), sealer_.Seal(GenerationKeyPurpose(name, number), pem));
  *next.mutable_created_at() = ToTimestamp(clock_.Now());
  RETURN_IF_ERROR(records.Append(next, GenerationRecords::PendingOrder::kKeep, epoch));
  return None(std::move(next));
}

std::unique_ptr<ChallengeSolver> Issuer::SolverOf(const CertificateConfig& certificate) {
  SolverEnvironment environment;
  environment.processes = &processes_;
  environment.http = &http_;
  environment.dns = &dns_;
  environment.clock = &clock_;
  environment.files = files_;
  environment.fleet = fleet_;
  return MakeSolver(*certificate.challenge, environment);
}

absl::StatusOr<bool> Issuer::AbandonOrder(const CertificateConfig& certificate, uint64_t epoch) {
  ASSIGN_OR_RETURN(OrderJournal journal, OrderJournal::Load(store_, certificate.name, epoch));
  if (!journal.has_order()) return false;
  RETURN_IF_ERROR(journal.Drop());
  return true;
}

absl::Status Issuer::RemoveLeftovers(const CertificateConfig& certificate, uint64_t epoch,
                                     const OnIssueProgress& on_progress) {
  if (!certificate.challenge) return absl::OkStatus();
  ASSIGN_OR_RETURN(OrderJournal journal, OrderJournal::Load(store_, certificate.name, epoch));
  // The run that goes on with an order sees to it.
  if (journal.has_order() || journal.record().presented().empty()) return absl::OkStatus();
  const std::unique_ptr<ChallengeSolver> solver = SolverOf(certificate);
  on_progress(absl::StrCat("removing what an earlier run left: ",
                           Count(static_cast<size_t>(journal.record().presented_size()), solver->noun())));
  return Presentation(journal, *solver, on_progress).Remove({});
}

absl::StatusOr<Rehearsal> Issuer::Rehearse(const CertificateConfig& certificate, uint64_t epoch,
                                           const OnIssueProgress& on_progress) {
  if (!certificate.challenge) {
    return FailInput(absl::StrCat("the certificate `", certificate.name, "` has no challenge to rehearse"),
                     "it is imported: no CA looks for anything");
  }
  const absl::Status leftovers = RemoveLeftovers(certificate, epoch, on_progress);
  if (!leftovers.ok() && ReasonOf(leftovers) != Reason::CHALLENGE_FAILED) return leftovers;
  ASSIGN_OR_RETURN(OrderJournal journal, OrderJournal::Load(store_, certificate.name, epoch));
  const std::unique_ptr<ChallengeSolver> solver = SolverOf(certificate);
  ASSIGN_OR_RETURN(Rehearsal rehearsal, controller::Rehearse(certificate, *solver, journal, on_progress));
  rehearsal.leftovers = leftovers;
  return rehearsal;
}

absl::StatusOr<state::v1::Generation> Issuer::Obtain(const CertificateConfig& certificate, const AccountConfig& account,
                                                     uint64_t epoch, const OnIssueProgress& on_progress,
                                                     bool may_order) {
  AcmeClient client(http_, clock_, {.directory_url = account.directory, .ca_file = account.ca_file});
  const AcmeAccount::Keep keep{.store = store_, .sealer = sealer_, .clock = clock_, .epoch = epoch};
  ASSIGN_OR_RETURN(AcmeAccount opened, AcmeAccount::FindOrCreate(client, account, keep));
  ASSIGN_OR_RETURN(OrderJournal journal, OrderJournal::Load(store_, certificate.name, epoch));
  const std::unique_ptr<ChallengeSolver> solver = SolverOf(certificate);
  OrderRun run({.client = client,
                .http = http_,
                .account = opened,
                .keep = keep,
                .certificate = certificate,
                .account_config = account,
                .solver = *solver,
                .limits = limits_,
                .on_progress = on_progress,
                .may_order = may_order},
               std::move(journal));
  return run.Run();
}

}  // namespace certcast::controller
