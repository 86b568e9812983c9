#include "controller/api/ca_news.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/clock/timestamp.h"
#include "common/status/status.h"
#include "common/x509/certificate.h"
#include "controller/acme/acme_client.h"
#include "controller/acme/renewal_info.h"
#include "controller/api/check_challenge.h"
#include "controller/store/records.h"

namespace certcast::controller {
namespace {

using state::v1::Generation;
using state::v1::RenewalInfo;

// A CA that is down must not hold up what does not need it.
constexpr absl::Duration kDirectoryTimeout = absl::Seconds(10);
constexpr absl::Duration kChainsEvery = absl::Hours(24);

// nullptr where it was imported, or the account is not configured any more.
const AccountConfig* AccountThatIssued(const Config& config, const CertificateConfig& certificate,
                                       const Generation& latest) {
  return certificate.imported() || latest.account().empty() ? nullptr : config.FindAccount(latest.account());
}

bool ChainsAreDue(const std::optional<RenewalInfo>& info, const CertificateConfig& certificate,
                  const Generation& latest, absl::Time now) {
  if (!info || info->leaf_sha256() != latest.leaf_sha256() || !info->has_chains_checked_at()) return true;
  if (info->chains_checked_for() != certificate.chain.ToString()) return true;
  return absl::AbsDuration(now - FromTimestamp(info->chains_checked_at())) >= kChainsEvery;
}

}  // namespace

absl::Status LearnWhenToRenew(const Config& config, const Machine& machine, Session& session,
                              const CertificateConfig& certificate) {
  if (certificate.imported() || !certificate.renewal.ari) return absl::OkStatus();
  ASSIGN_OR_RETURN(const auto latest, GenerationRecords(*session.store).Wanted(certificate.name));
  if (!latest) return absl::OkStatus();
  const AccountConfig* account = AccountThatIssued(config, certificate, *latest);
  if (account == nullptr) return absl::OkStatus();
  RenewalInfoRecords records(*session.store);
  ASSIGN_OR_RETURN(const auto before, records.Get(certificate.name));
  const absl::Time now = machine.clock->Now();
  if (!RenewalCheckIsDue(before, latest->leaf_sha256(), now)) return absl::OkStatus();
  ASSIGN_OR_RETURN(const std::vector<Certificate> chain, ParseChainPem(latest->fullchain_pem()));
  AcmeClient client(
      *machine.http, *machine.clock,
      {.directory_url = account->directory, .ca_file = account->ca_file, .directory_timeout = kDirectoryTimeout});
  const auto answer = AskRenewalInfo(client, *machine.clock, chain.front());
  return records.Put(AfterRenewalCheck(before, certificate.name, latest->leaf_sha256(), answer, now, RealRandomShare),
                     session.epoch());
}

absl::StatusOr<std::optional<Generation>> RenewChainIfDue(const Config& config, const Machine& machine,
                                                          Session& session, const CertificateConfig& certificate,
                                                          const Generation& latest,
                                                          const std::function<void(absl::string_view)>& on_progress) {
  using None = std::optional<Generation>;
  const AccountConfig* account = AccountThatIssued(config, certificate, latest);
  const absl::Time now = machine.clock->Now();
  if (account == nullptr || latest.certificate_url().empty() || !CheckUsable(latest, now).ok()) return None();
  RenewalInfoRecords records(*session.store);
  ASSIGN_OR_RETURN(const auto before, records.Get(certificate.name));
  if (!ChainsAreDue(before, certificate, latest, now)) return None();

  auto renewed = MakeIssuer(config, machine, session, certificate)
                     .RenewChain(certificate, *account, latest, session.epoch(), on_progress);
  const Reason::Code reason = ReasonOf(renewed.status());
  if (reason == Reason::STALE_EPOCH || reason == Reason::STORAGE_FAILED) return renewed.status();
  if (!renewed.ok()) {
    on_progress(absl::StrCat("the CA's chains for it could not be looked at: ", renewed.status().message()));
  }
  RenewalInfo after;
  if (before && before->leaf_sha256() == latest.leaf_sha256()) after = *before;
  after.set_certificate(certificate.name);
  after.set_leaf_sha256(latest.leaf_sha256());
  *after.mutable_chains_checked_at() = ToTimestamp(now);
  after.set_chains_checked_for(certificate.chain.ToString());
  RETURN_IF_ERROR(records.Put(after, session.epoch()));
  return renewed.ok() ? *std::move(renewed) : None();
}

}  // namespace certcast::controller
