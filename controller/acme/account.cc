#include "controller/acme/account.h"

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/clock/show_utc.h"
#include "common/clock/timestamp.h"
#include "common/secret/reference.h"
#include "common/secret/secret.h"
#include "common/status/status.h"
#include "controller/acme/jose.h"
#include "controller/acme/links.h"
#include "controller/keyring/purposes.h"

namespace certcast::controller {
namespace {

constexpr int kNotImplemented = 501;

absl::Status NoKeyChange(const std::string& directory_url) {
  return Fail(Reason::CA_REFUSED, absl::StrCat(directory_url, " offers no change of an account's key"),
              "after a leak deactivate the account and register another one: `certcast accounts deactivate`");
}

std::string KeyIdOf(const AccountConfig& config) {
  return config.external_account ? config.external_account->key_id : "";
}

// With an external account a refusal of the whole request is about its binding.
absl::Status CheckRegistered(const AcmeAnswer& answer, const AccountConfig& config) {
  absl::Status refused = answer.Check(absl::StrCat("registering the account `", config.name, "`"));
  if (!config.external_account || (!answer.Is("unauthorized") && !answer.Is("malformed"))) return refused;
  v1::Failure failure = FailureOf(refused);
  failure.set_hint(absl::StrCat("check external_account against the CA's customer page: key_id, and that ",
                                config.external_account->hmac_key.Describe(),
                                " holds the key that belongs to it. Some CAs take each but once, or for some days: "
                                "then get another one there"));
  return StatusOf(failure, refused.code());
}

absl::StatusOr<nlohmann::ordered_json> NewAccountPayload(const AcmeDirectory& directory, const AccountConfig& config,
                                                         EVP_PKEY* key) {
  nlohmann::ordered_json payload = nlohmann::ordered_json::object();
  if (!config.contact.empty()) payload["contact"] = config.contact;
  if (config.terms_of_service_agreed) payload["termsOfServiceAgreed"] = true;
  if (config.external_account) {
    const ExternalAccount& external = *config.external_account;
    ASSIGN_OR_RETURN(const Secret text, ReadSecret(external.hmac_key));
    const auto hmac_key = DecodeHmacKey(text);
    if (!hmac_key.ok()) return Annotate(hmac_key.status(), external.hmac_key.Describe());
    ASSIGN_OR_RETURN(
        payload["externalAccountBinding"],
        ExternalAccountBinding(key, external.key_id, *hmac_key, directory.new_account, external.algorithm));
  }
  return payload;
}

}  // namespace

absl::Status CheckRequirements(const AcmeDirectory& directory, const AccountConfig& config) {
  if (!directory.terms_of_service.empty() && !config.terms_of_service_agreed) {
    return FailInput(absl::StrCat("the account `", config.name,
                                  "`: the CA wants its terms to be agreed to: ", directory.terms_of_service),
                     "read them, then set terms_of_service_agreed: true");
  }
  if (directory.external_account_required && !config.external_account) {
    return FailInput(absl::StrCat("the account `", config.name, "`: the CA requires an external account"),
                     "set external_account (key_id and hmac_key) to what the CA's customer page shows");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::optional<AcmeAccount>> AcmeAccount::Load(const AccountConfig& config, const Keep& keep) {
  const std::string account_key = KeyOf(config);
  ASSIGN_OR_RETURN(const std::optional<state::v1::Account> saved, AccountRecords(keep.store).Get(account_key));
  if (!saved) return std::nullopt;
  ASSIGN_OR_RETURN(const Secret pem, keep.sealer.Open(AccountKeyPurpose(account_key), saved->private_key()));
  ASSIGN_OR_RETURN(PrivateKey key, PrivateKey::FromPem(pem.ExposeSecret()));
  return AcmeAccount(account_key, *saved, std::move(key));
}

absl::StatusOr<std::optional<AcmeAccount>> AcmeAccount::FindRegistered(AcmeClient& client, const AccountConfig& config,
                                                                       const Keep& keep) {
  ASSIGN_OR_RETURN(std::optional<AcmeAccount> account, Load(config, keep));
  if (account && (account->record_.account_url().empty() || account->record_.has_deactivated_at())) account.reset();
  if (account && account->record_.has_next_private_key()) RETURN_IF_ERROR(account->FinishKeyChange(client, keep));
  return account;
}

std::string AcmeAccount::KeyOf(const AccountConfig& config) {
  return AccountRecords::Key(config.directory, KeyIdOf(config));
}

absl::StatusOr<AcmeAccount> AcmeAccount::FindOrCreate(AcmeClient& client, const AccountConfig& config,
                                                      const Keep& keep) {
  ASSIGN_OR_RETURN(std::optional<AcmeAccount> saved, Load(config, keep));
  if (!saved) return CreateAnew(client, config, keep);
  if (saved->record_.has_deactivated_at()) {
    return Fail(Reason::CA_REFUSED,
                absl::StrCat("the account `", config.name, "` was deactivated on ",
                             ShowUtc(FromTimestamp(saved->record_.deactivated_at()))),
                absl::StrCat("`certcast accounts register ", config.name, "` makes a new one"));
  }
  if (saved->record_.has_next_private_key()) RETURN_IF_ERROR(saved->FinishKeyChange(client, keep));
  if (saved->record_.account_url().empty()) RETURN_IF_ERROR(saved->Register(client, config, keep));
  return *std::move(saved);
}

absl::StatusOr<AcmeAccount> AcmeAccount::CreateAnew(AcmeClient& client, const AccountConfig& config, const Keep& keep) {
  ASSIGN_OR_RETURN(PrivateKey key, PrivateKey::Generate(KeyType::kEcdsaP256));
  ASSIGN_OR_RETURN(AcmeAccount account, Make(config, keep, std::move(key)));
  RETURN_IF_ERROR(AccountRecords(keep.store).Put(account.record_, keep.epoch));
  RETURN_IF_ERROR(account.Register(client, config, keep));
  return account;
}

absl::StatusOr<AcmeAccount> AcmeAccount::Make(const AccountConfig& config, const Keep& keep, PrivateKey key) {
  const std::string account_key = KeyOf(config);
  ASSIGN_OR_RETURN(const Secret pem, key.ToPem());
  state::v1::Account record;
  record.set_name(config.name);
  record.set_directory_url(config.directory);
  record.set_external_account_key_id(KeyIdOf(config));
  ASSIGN_OR_RETURN(*record.mutable_private_key(), keep.sealer.Seal(AccountKeyPurpose(account_key), pem));
  *record.mutable_created_at() = ToTimestamp(keep.clock.Now());
  return AcmeAccount(account_key, std::move(record), std::move(key));
}

absl::StatusOr<bool> AcmeAccount::Adopt(const AccountConfig& config, const Keep& keep, PrivateKey key,
                                        const std::string& account_url) {
  if (!SignatureAlgorithm(key.get()).ok()) {
    return FailInput(absl::StrCat("the key of the account `", config.name, "` is neither RSA nor on P-256 or P-384"));
  }
  ASSIGN_OR_RETURN(const auto known, AccountRecords(keep.store).Get(KeyOf(config)));
  if (known) return false;
  ASSIGN_OR_RETURN(AcmeAccount account, Make(config, keep, std::move(key)));
  if (IsPlainUrl(account_url)) account.record_.set_account_url(account_url);
  RETURN_IF_ERROR(AccountRecords(keep.store).Put(account.record_, keep.epoch));
  return true;
}

absl::StatusOr<bool> AcmeAccount::UpdateContact(AcmeClient& client, const AccountConfig& config, const Keep& keep) {
  const std::vector<std::string> known(record_.contacts().begin(), record_.contacts().end());
  if (known == config.contact) return false;
  ASSIGN_OR_RETURN(const AcmeAnswer answer,
                   client.Post(signer(), record_.account_url(), {{"contact", config.contact}}));
  RETURN_IF_ERROR(answer.Check(absl::StrCat("changing the contact of the account `", config.name, "`")));
  record_.mutable_contacts()->Assign(config.contact.begin(), config.contact.end());
  RETURN_IF_ERROR(AccountRecords(keep.store).Put(record_, keep.epoch));
  return true;
}

absl::Status AcmeAccount::RollKey(AcmeClient& client, const Keep& keep) {
  ASSIGN_OR_RETURN(const AcmeDirectory directory, client.GetDirectory());
  if (directory.key_change.empty()) return NoKeyChange(record_.directory_url());
  ASSIGN_OR_RETURN(PrivateKey next, PrivateKey::Generate(KeyType::kEcdsaP256));
  ASSIGN_OR_RETURN(const Secret pem, next.ToPem());
  ASSIGN_OR_RETURN(*record_.mutable_next_private_key(), keep.sealer.Seal(AccountKeyPurpose(account_key_), pem));
  RETURN_IF_ERROR(AccountRecords(keep.store).Put(record_, keep.epoch));
  ASSIGN_OR_RETURN(const nlohmann::ordered_json request,
                   KeyChangeRequest(next.get(), key_.get(), record_.account_url(), directory.key_change));
  const auto answer = client.Post(signer(), directory.key_change, request);
  // The directory has it all the same.
  if (answer.ok() && answer->status == kNotImplemented) {
    return KeepFirst(NoKeyChange(record_.directory_url()), DropNextKey(keep));
  }
  if (!answer.ok() || answer->status >= 500) {
    const absl::Status unknown = answer.ok() ? answer->Check("changing the account's key") : answer.status();
    return WithHint(unknown, "it is not known whether the CA did: run it again, or anything else with this account");
  }
  const absl::Status refused = answer->Check("changing the account's key");
  if (!refused.ok()) return KeepFirst(refused, DropNextKey(keep));
  return TakeNextKey(std::move(next), keep);
}

// Which of the two keys the CA knows (RFC 8555 section 7.3.1).
absl::Status AcmeAccount::FinishKeyChange(AcmeClient& client, const Keep& keep) {
  ASSIGN_OR_RETURN(const AcmeDirectory directory, client.GetDirectory());
  ASSIGN_OR_RETURN(const Secret pem, keep.sealer.Open(AccountKeyPurpose(account_key_), record_.next_private_key()));
  ASSIGN_OR_RETURN(PrivateKey next, PrivateKey::FromPem(pem.ExposeSecret()));
  ASSIGN_OR_RETURN(const AcmeAnswer answer,
                   client.Post({.key = next.get()}, directory.new_account, {{"onlyReturnExisting", true}}));
  if (answer.Is("accountDoesNotExist")) return DropNextKey(keep);
  RETURN_IF_ERROR(answer.Check("asking which key the account has"));
  return TakeNextKey(std::move(next), keep);
}

absl::Status AcmeAccount::TakeNextKey(PrivateKey key, const Keep& keep) {
  state::v1::Account record = record_;
  *record.mutable_private_key() = record.next_private_key();
  record.clear_next_private_key();
  RETURN_IF_ERROR(AccountRecords(keep.store).Put(record, keep.epoch));
  record_ = std::move(record);
  key_ = std::move(key);
  return absl::OkStatus();
}

absl::Status AcmeAccount::DropNextKey(const Keep& keep) {
  record_.clear_next_private_key();
  return AccountRecords(keep.store).Put(record_, keep.epoch);
}

absl::Status AcmeAccount::Deactivate(AcmeClient& client, const Keep& keep) {
  ASSIGN_OR_RETURN(const AcmeAnswer answer, client.Post(signer(), record_.account_url(), {{"status", "deactivated"}}));
  // One that the CA takes nothing from is what was wanted; an earlier answer may have been lost.
  if (!answer.Is("unauthorized") && !answer.Is("accountDoesNotExist")) {
    RETURN_IF_ERROR(answer.Check(absl::StrCat("deactivating the account `", record_.name(), "`")));
  }
  *record_.mutable_deactivated_at() = ToTimestamp(keep.clock.Now());
  return AccountRecords(keep.store).Put(record_, keep.epoch);
}

absl::Status AcmeAccount::Register(AcmeClient& client, const AccountConfig& config, const Keep& keep) {
  ASSIGN_OR_RETURN(const AcmeDirectory directory, client.GetDirectory());
  RETURN_IF_ERROR(CheckRequirements(directory, config));
  ASSIGN_OR_RETURN(const nlohmann::ordered_json payload, NewAccountPayload(directory, config, key_.get()));
  // RFC 8555 section 7.3.1: the same key gets the same account (200 instead of 201).
  ASSIGN_OR_RETURN(const AcmeAnswer answer, client.Post({.key = key_.get()}, directory.new_account, payload));
  RETURN_IF_ERROR(CheckRegistered(answer, config));
  if (answer.location.empty()) {
    return Fail(Reason::PROTOCOL, absl::StrCat(directory.new_account, ": the new account has no Location header"));
  }
  record_.set_account_url(answer.location);
  record_.mutable_contacts()->Assign(config.contact.begin(), config.contact.end());
  return AccountRecords(keep.store).Put(record_, keep.epoch);
}

}  // namespace certcast::controller
