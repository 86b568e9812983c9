// Saved before done: order URL, key and CSR, presented records and the certificate are in the store before the step
// that would be lost without them, so that a run that was stopped anywhere is gone on with by the next one.
#include "controller/acme/order.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/clock/timestamp.h"
#include "common/status/status.h"
#include "common/x509/certificate.h"
#include "controller/acme/chain_choice.h"
#include "controller/acme/jose.h"
#include "controller/acme/ocsp.h"
#include "controller/acme/order_key.h"
#include "controller/acme/renewal_info.h"
#include "controller/keyring/purposes.h"
#include "controller/store/records.h"

namespace certcast::controller {
namespace {

using state::v1::Generation;
using state::v1::Order;

// A CA that issues while the client waits takes its time.
constexpr absl::Duration kFinalizeTimeout = absl::Minutes(3);
// How often one run starts a step over before the CA is said not to make sense.
constexpr int kMaxTries = 4;

std::vector<std::string> SortedNames(const CertificateConfig& certificate) {
  std::vector<std::string> names = certificate.domains;
  std::sort(names.begin(), names.end());
  return names;
}

// The CA does not have this order (any more). Once finalize may have been sent, a refusal alone does not mean that: a
// second order must not be opened beside one that is still at work.
bool IsGone(const AcmeAnswer& answer, bool finalizing) {
  if (answer.status == 404 || answer.status == 410 || answer.Is("accountDoesNotExist")) return true;
  return !finalizing && (answer.status == 400 || answer.status == 401 || answer.status == 403);
}

// What CAs answer whose `replaces` is not to be: it was replaced already, another account ordered it (`unauthorized`,
// as Let's Encrypt says), or they do not know it after all.
bool RefusesReplaces(const AcmeAnswer& answer) {
  return answer.status == 409 || answer.Is("alreadyReplaced") || answer.Is("conflict") || answer.Is("malformed") ||
         answer.Is("unauthorized");
}

// Some CAs refuse a profile that they advertise as if the account were at fault.
absl::Status CheckOrdered(const AcmeAnswer& answer, const std::string& profile) {
  absl::Status refused = answer.Check("ordering a certificate");
  if (profile.empty() || !(answer.Is("unauthorized") || answer.Is("malformed") || answer.Is("invalidProfile"))) {
    return refused;
  }
  v1::Failure failure = FailureOf(refused);
  failure.set_hint(absl::StrCat("may this account have the profile `", profile,
                                "` (certificates[].profile), which the CA offers? ", failure.hint()));
  return StatusOf(failure, refused.code());
}

absl::Status Senseless(absl::string_view what) {
  return Fail(Reason::PROTOCOL, absl::StrCat("the CA ", what),
              "nothing is lost: the next apply goes on with the order");
}

}  // namespace

OrderRun::OrderRun(const Context& context, OrderJournal journal)
    : context_(context),
      journal_(std::move(journal)),
      authorizations_({.client = context_.client,
                       .account = context_.account,
                       .journal = journal_,
                       .solver = context_.solver,
                       .clock = context_.keep.clock,
                       .limits = context_.limits,
                       .on_progress = context_.on_progress}) {
}

absl::StatusOr<Generation> OrderRun::Run() {
  RETURN_IF_ERROR(ResumeOrCreate());
  RETURN_IF_ERROR(Advance());
  return Download();
}

absl::Status OrderRun::ResumeOrCreate() {
  ASSIGN_OR_RETURN(const bool resumed, Resume());
  if (!resumed && !context_.may_order) {
    return Fail(Reason::CA_REFUSED, absl::StrCat("the account at ", context_.account_config.directory,
                                                 ", which the configuration had before, has no order any more"));
  }
  // While it is pending the CA may be about to look at them.
  if (!resumed || order_.status != AcmeOrder::Status::kPending) RemoveLeftovers();
  return resumed ? absl::OkStatus() : Create();
}

// The CA says where the order stands (RFC 8555 section 7.1.6); each step ends with asking it again.
absl::Status OrderRun::Advance() {
  for (;;) {
    switch (order_.status) {
      case AcmeOrder::Status::kPending:
        RETURN_IF_ERROR(Authorize());
        break;
      case AcmeOrder::Status::kReady:
        RETURN_IF_ERROR(Finalize());
        break;
      case AcmeOrder::Status::kProcessing:
        RETURN_IF_ERROR(AwaitIssuance());
        break;
      case AcmeOrder::Status::kValid:
        return absl::OkStatus();
      case AcmeOrder::Status::kInvalid:
        return GiveUp(authorizations_.Complaints(order_.authorizations).value_or(std::vector<std::string>()));
    }
  }
}

absl::StatusOr<bool> OrderRun::Resume() {
  if (!journal_.has_order()) return false;
  ASSIGN_OR_RETURN(const std::optional<std::string> outdated, ReasonToForget());
  if (outdated) {
    RETURN_IF_ERROR(Forget(*outdated));
    return false;
  }
  ASSIGN_OR_RETURN(const AcmeAnswer answer,
                   context_.client.Fetch(context_.account.signer(), journal_.record().order_url()));
  if (!answer.ok() && IsGone(answer, journal_.finalizing())) {
    RETURN_IF_ERROR(Forget(absl::StrCat("the CA does not have it any more: ", answer.problem->Describe())));
    return false;
  }
  RETURN_IF_ERROR(answer.Check(absl::StrCat("asking after the order ", journal_.record().order_url())));
  RETURN_IF_ERROR(Take(answer));
  if (order_.status == AcmeOrder::Status::kInvalid) {
    RETURN_IF_ERROR(Forget(order_.error ? order_.error->Describe() : "it is invalid"));
    return false;
  }
  context_.on_progress(absl::StrCat("going on with the order ", journal_.record().order_url()));
  return true;
}

absl::Status OrderRun::Create() {
  context_.on_progress(absl::StrCat("ordering ", absl::StrJoin(context_.certificate.domains, ", ")));
  ASSIGN_OR_RETURN(AcmeAnswer answer, PostNewOrder());
  if (answer.Is("accountDoesNotExist")) {
    RETURN_IF_ERROR(context_.account.Register(context_.client, context_.account_config, context_.keep));
    ASSIGN_OR_RETURN(answer, PostNewOrder());
  }
  RETURN_IF_ERROR(CheckOrdered(answer, context_.certificate.profile));
  if (answer.location.empty()) return Fail(Reason::PROTOCOL, "the CA's new order has no Location header");
  Order record;
  record.set_account_key(context_.account.account_key());
  record.set_account(context_.account_config.name);
  record.set_profile(context_.certificate.profile);
  record.set_order_url(answer.location);
  *record.mutable_created_at() = ToTimestamp(context_.keep.clock.Now());
  for (const std::string& name : SortedNames(context_.certificate)) record.add_identifiers(name);
  RETURN_IF_ERROR(journal_.Begin(record));
  return Take(answer);
}

absl::Status OrderRun::Authorize() {
  if (++authorize_tries_ > kMaxTries) return Senseless("keeps the order pending although every name is authorized");
  const auto complaints = authorizations_.Complete(order_.authorizations);
  if (!authorizations_.awaiting_verdict()) RemoveLeftovers();
  RETURN_IF_ERROR(complaints.status());
  if (!complaints->empty()) return GiveUp(*complaints);
  if (!lags_behind_) {
    // RFC 8555 section 7.1.6: with that it is ready. Where the CA has not noticed yet, finalize says so.
    order_.status = AcmeOrder::Status::kReady;
    is_ready_by_inference_ = true;
    return absl::OkStatus();
  }
  Patience patience(context_.keep.clock, context_.limits.validation);
  while (order_.status == AcmeOrder::Status::kPending && patience.Wait(retry_at_)) {
    RETURN_IF_ERROR(RefreshPatiently(patience));
  }
  return absl::OkStatus();
}

absl::Status OrderRun::Finalize() {
  if (++finalize_tries_ > kMaxTries) return Senseless("keeps the order ready although finalize was sent");
  RETURN_IF_ERROR(PrepareKeyAndCsr());
  const bool is_ready_by_inference = std::exchange(is_ready_by_inference_, false);
  context_.on_progress("sending the certificate request");
  const auto answer = context_.client.Post(context_.account.signer(), order_.finalize,
                                           {{"csr", Base64UrlEncode(journal_.record().csr())}}, kFinalizeTimeout);
  if (answer.ok() && answer->ok()) return Take(*answer);
  if (is_ready_by_inference && answer.ok() && answer->status < 500) {
    ASSIGN_OR_RETURN(const bool was_too_early, WasTooEarly(*answer));
    if (was_too_early) return absl::OkStatus();
  }
  // It may have arrived, or an earlier one did: the order knows.
  if (IsTransient(answer) || (answer.ok() && answer->Is("orderNotReady"))) {
    Patience patience(context_.keep.clock, context_.limits.processing);
    if (patience.Wait(answer.ok() ? answer->retry_at : std::nullopt)) return RefreshPatiently(patience);
    return answer->Check("sending the certificate request");
  }
  RETURN_IF_ERROR(answer.status());
  absl::Status refused = answer->Check("sending the certificate request");
  if (ReasonOf(refused) == Reason::CA_RATE_LIMITED) return refused;
  // The same request would be refused again.
  return KeepFirst(refused, journal_.Drop());
}

// Whether finalize was refused for the order's state, in whatever words: the CA has not noticed yet that every name is
// authorized, or is further than was thought. The order says so itself, and is gone on with from there.
absl::StatusOr<bool> OrderRun::WasTooEarly(const AcmeAnswer& refused) {
  if (refused.Is("rateLimited") || refused.status == 429) return false;
  Patience patience(context_.keep.clock, context_.limits.validation);
  RETURN_IF_ERROR(RefreshPatiently(patience));
  lags_behind_ = order_.status == AcmeOrder::Status::kPending;
  return order_.status != AcmeOrder::Status::kReady && order_.status != AcmeOrder::Status::kInvalid;
}

absl::Status OrderRun::AwaitIssuance() {
  context_.on_progress("the CA is processing the order");
  Patience patience(context_.keep.clock, context_.limits.processing);
  while (order_.status == AcmeOrder::Status::kProcessing) {
    if (!patience.Wait(retry_at_)) return StillPending("is still processing the order");
    RETURN_IF_ERROR(RefreshPatiently(patience));
  }
  return absl::OkStatus();
}

absl::StatusOr<Generation> OrderRun::Download() {
  if (!journal_.finalizing()) {
    return KeepFirst(Fail(Reason::PROTOCOL,
                          absl::StrCat("the CA finished the order ", journal_.record().order_url(),
                                       " before a certificate request was sent"),
                          "the next apply orders anew"),
                     journal_.Drop());
  }
  ASSIGN_OR_RETURN(const PrivateKey key, OpenKey());
  context_.on_progress("fetching the certificate");
  const auto chain = FetchChain({.client = context_.client,
                                 .signer = context_.account.signer(),
                                 .url = order_.certificate,
                                 .certificate = context_.certificate,
                                 .key = key,
                                 .now = context_.keep.clock.Now(),
                                 .on_progress = context_.on_progress});
  if (ReasonOf(chain.status()) == Reason::CERTIFICATE_UNEXPECTED) return KeepFirst(chain.status(), journal_.Drop());
  if (ReasonOf(chain.status()) == Reason::CA_REFUSED) {
    // It may be late, or lost: whoever knows the CA knows which.
    v1::Failure failure = FailureOf(chain.status());
    failure.set_hint(absl::StrCat("the next apply asks for it again; where the CA has lost it, ", HowToGiveUp()));
    return StatusOf(failure, chain.status().code());
  }
  RETURN_IF_ERROR(chain.status());
  const RenewalCheck renewal = AskWhenToRenew(chain->front());
  if (!renewal.believable.ok()) return KeepFirst(renewal.believable, journal_.Drop());
  const absl::Status not_revoked = CheckNotRevoked(*chain);
  if (!not_revoked.ok()) return KeepFirst(not_revoked, journal_.Drop());
  // Before the generation: after a crash in between it is about a certificate that the next run saves.
  RETURN_IF_ERROR(RenewalInfoRecords(context_.keep.store).Put(renewal.record, context_.keep.epoch));
  return Save(*chain, key);
}

// A CA that wants a certificate renewed as soon as it has issued it has most likely revoked it (RFC 9773 section 4.2).
OrderRun::RenewalCheck OrderRun::AskWhenToRenew(const Certificate& leaf) {
  const absl::Time now = context_.keep.clock.Now();
  absl::StatusOr<std::optional<RenewalAnswer>> answer = std::optional<RenewalAnswer>();
  if (context_.certificate.renewal.ari) answer = AskRenewalInfo(context_.client, context_.keep.clock, leaf);
  RenewalCheck check;
  check.record =
      AfterRenewalCheck(std::nullopt, context_.certificate.name, leaf.sha256(), answer, now, RealRandomShare);
  *check.record.mutable_chains_checked_at() = ToTimestamp(now);
  check.record.set_chains_checked_for(context_.certificate.chain.ToString());
  if (!answer.ok() || !answer->has_value()) return check;
  const RenewalWindow& window = (*answer)->window;
  if (window.end > now) return check;
  const std::string page = window.explanation_url.empty() ? "" : absl::StrCat(" (", window.explanation_url, ")");
  check.believable =
      Fail(Reason::CERTIFICATE_UNEXPECTED,
           absl::StrCat("the CA's new certificate: the CA itself says that it should have been renewed by ",
                        absl::FormatTime(absl::RFC3339_sec, window.end, absl::UTCTimeZone()), page,
                        ", which it says of what it revokes"),
           "it was not installed anywhere; ask the CA. Where it is the CA's mistake: renewal: {ari: false}");
  return check;
}

absl::Status OrderRun::CheckNotRevoked(const std::vector<Certificate>& chain) {
  const auto answer = AskOcsp(context_.http, context_.keep.clock, chain);
  if (!answer.ok()) {
    context_.on_progress(
        absl::StrCat("whether the CA revoked it at once is not known: ", FailureOf(answer.status()).detail()));
    return absl::OkStatus();
  }
  if (!answer->has_value() || (*answer)->verdict != OcspAnswer::Verdict::kRevoked) return absl::OkStatus();
  const OcspAnswer& said = **answer;
  return Fail(
      Reason::CERTIFICATE_UNEXPECTED,
      absl::StrCat("the CA's new certificate: ", OcspResponderOf(chain.front()), " says that the CA revoked it at ",
                   absl::FormatTime(absl::RFC3339_sec, said.revoked_at, absl::UTCTimeZone()),
                   said.reason.empty() ? "" : absl::StrCat(" (", said.reason, ")")),
      "it was not installed anywhere; ask the CA");
}

// The order is invalid, or one of its names is: it can't be saved, and the next run orders anew.
absl::Status OrderRun::GiveUp(std::vector<std::string> reasons) {
  if (order_.error) reasons.push_back(order_.error->Describe());
  if (reasons.empty()) reasons.push_back("it did not say why");
  const absl::Status refused = Fail(
      reasons.size() == 1 && order_.error ? Reason::CA_REFUSED : Reason::CHALLENGE_FAILED,
      absl::StrCat("the CA refused the order: ", absl::StrJoin(reasons, "; ")),
      order_.error ? HintFor(*order_.error) : "compare what the CA saw with what the hook writes; then apply again");
  return KeepFirst(WithStep(refused, "validation"), journal_.Drop());
}

absl::StatusOr<Generation> OrderRun::Save(const std::vector<Certificate>& chain, const PrivateKey& key) {
  const Certificate& leaf = chain.front();
  GenerationRecords records(context_.keep.store);
  ASSIGN_OR_RETURN(const uint64_t number, records.NextNumber(context_.certificate.name));
  ASSIGN_OR_RETURN(const Secret key_pem, key.ToPem());
  Generation generation;
  generation.set_certificate(context_.certificate.name);
  generation.set_generation(number);
  generation.set_fullchain_pem(ChainToPem(chain));
  ASSIGN_OR_RETURN(*generation.mutable_private_key(),
                   context_.keep.sealer.Seal(GenerationKeyPurpose(context_.certificate.name, number), key_pem));
  generation.set_leaf_sha256(leaf.sha256());
  generation.set_spki_sha256(leaf.spki_sha256());
  generation.mutable_dns_names()->Assign(leaf.dns_names().begin(), leaf.dns_names().end());
  *generation.mutable_not_before() = ToTimestamp(leaf.not_before());
  *generation.mutable_not_after() = ToTimestamp(leaf.not_after());
  generation.set_issuer(leaf.issuer_name());
  generation.set_account(context_.account_config.name);
  *generation.mutable_created_at() = ToTimestamp(context_.keep.clock.Now());
  for (const std::string& name : SortedNames(context_.certificate)) generation.add_ordered_names(name);
  generation.set_key_type(journal_.record().key_type());
  generation.set_order_url(journal_.record().order_url());
  generation.set_certificate_url(order_.certificate);
  generation.set_profile(journal_.record().profile());
  RETURN_IF_ERROR(journal_.Finish(generation));
  return generation;
}

absl::StatusOr<std::optional<std::string>> OrderRun::ReasonToForget() {
  const Order& record = journal_.record();
  const std::vector<std::string> names(record.identifiers().begin(), record.identifiers().end());
  if (record.account_key() != context_.account.account_key()) return "it belongs to another account";
  if (names != SortedNames(context_.certificate)) return absl::StrCat("it is for ", absl::StrJoin(names, ", "));
  if (record.profile() != context_.certificate.profile) {
    return absl::StrCat("it is for the profile `", record.profile(), "`");
  }
  if (!journal_.finalizing()) return std::nullopt;
  ASSIGN_OR_RETURN(const auto latest, GenerationRecords(context_.keep.store).Wanted(context_.certificate.name));
  if (latest && latest->order_url() == record.order_url()) {
    return absl::StrCat("it became generation ", latest->generation());
  }
  return std::nullopt;
}

absl::StatusOr<AcmeAnswer> OrderRun::PostNewOrder() {
  ASSIGN_OR_RETURN(const AcmeDirectory directory, context_.client.GetDirectory());
  nlohmann::ordered_json payload = {{"identifiers", nlohmann::ordered_json::array()}};
  for (const std::string& name : context_.certificate.domains) {
    payload["identifiers"].push_back({{"type", "dns"}, {"value", name}});
  }
  const std::string& profile = context_.certificate.profile;
  RETURN_IF_ERROR(CheckProfile(directory, profile));
  if (!profile.empty()) payload["profile"] = profile;
  ASSIGN_OR_RETURN(const std::string replaces, ReplacedId(directory));
  if (replaces.empty()) return context_.client.Post(context_.account.signer(), directory.new_order, payload);
  nlohmann::ordered_json replacing = payload;
  replacing["replaces"] = replaces;
  ASSIGN_OR_RETURN(AcmeAnswer answer, context_.client.Post(context_.account.signer(), directory.new_order, replacing));
  if (!RefusesReplaces(answer)) return answer;
  context_.on_progress(absl::StrCat("ordering without naming the certificate that is replaced, since the CA answered ",
                                    answer.problem->Describe()));
  return context_.client.Post(context_.account.signer(), directory.new_order, payload);
}

// The latest generation as this CA knows it, for `replaces` (RFC 9773 section 5); empty: there is none to name.
absl::StatusOr<std::string> OrderRun::ReplacedId(const AcmeDirectory& directory) {
  if (directory.renewal_info.empty()) return std::string();
  ASSIGN_OR_RETURN(const auto latest, GenerationRecords(context_.keep.store).Wanted(context_.certificate.name));
  if (!latest || latest->account() != context_.account_config.name) return std::string();
  const auto chain = ParseChainPem(latest->fullchain_pem());
  if (!chain.ok()) return std::string();
  return RenewalId(chain->front()).value_or("");
}

// One key for each order: the same whenever this order's finalize is sent again.
absl::Status OrderRun::PrepareKeyAndCsr() {
  if (journal_.finalizing()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const PrivateKey key, MakeKey(context_.certificate, context_.keep.store, context_.keep.sealer));
  ASSIGN_OR_RETURN(const std::string csr, MakeCsr(key, context_.certificate.domains));
  ASSIGN_OR_RETURN(const Secret pem, key.ToPem());
  ASSIGN_OR_RETURN(const state::v1::Sealed sealed,
                   context_.keep.sealer.Seal(OrderKeyPurpose(context_.certificate.name), pem));
  return journal_.BeginFinalize(sealed, context_.certificate.key_type, csr);
}

absl::StatusOr<PrivateKey> OrderRun::OpenKey() {
  ASSIGN_OR_RETURN(const Secret pem, context_.keep.sealer.Open(OrderKeyPurpose(context_.certificate.name),
                                                               journal_.record().private_key()));
  return PrivateKey::FromPem(pem.ExposeSecret());
}

absl::Status OrderRun::Take(const AcmeAnswer& answer) {
  ASSIGN_OR_RETURN(order_, ParseOrder(answer.body));
  retry_at_ = answer.retry_at;
  return absl::OkStatus();
}

absl::Status OrderRun::RefreshPatiently(Patience& patience) {
  for (;;) {
    const auto answer = context_.client.Fetch(context_.account.signer(), journal_.record().order_url());
    if (!IsTransient(answer)) {
      RETURN_IF_ERROR(answer.status());
      RETURN_IF_ERROR(answer->Check("asking after the order"));
      return Take(*answer);
    }
    if (patience.Wait(answer.ok() ? answer->retry_at : std::nullopt)) continue;
    return answer.ok() ? answer->Check("asking after the order") : answer.status();
  }
}

absl::Status OrderRun::StillPending(absl::string_view what) const {
  const absl::Time since = FromTimestamp(journal_.record().created_at());
  const absl::Status pending = Fail(
      Reason::ORDER_PENDING,
      absl::StrCat("the CA ", what, " ", journal_.record().order_url(), ", ordered at ",
                   absl::FormatTime(absl::RFC3339_sec, since, absl::UTCTimeZone())),
      absl::StrCat("no new order is needed: the next apply goes on with this one. EV and OV orders may take hours; ",
                   HowToGiveUp()));
  return retry_at_ ? WithRetryAt(pending, *retry_at_) : pending;
}

std::string OrderRun::HowToGiveUp() const {
  return absl::StrCat("`certcast issue ", context_.certificate.name, " --abandon-order` gives the order up");
}

absl::Status OrderRun::Forget(absl::string_view why) {
  context_.on_progress(absl::StrCat("forgetting the order ", journal_.record().order_url(), ": ", why));
  return journal_.Drop();
}

// What can't be removed is no reason to go without a certificate.
void OrderRun::RemoveLeftovers() {
  const absl::Status removed = authorizations_.CleanUp();
  if (removed.ok()) return;
  context_.on_progress(removed.message());
}

}  // namespace certcast::controller
