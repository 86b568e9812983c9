#include "controller/acme/account.h"

#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/clock/timestamp.h"
#include "common/secret/reference.h"
#include "common/secret/secret.h"
#include "common/status/status.h"
#include "controller/acme/jose.h"
#include "controller/keyring/purposes.h"

namespace certcast::controller {
namespace {

std::string KeyIdOf(const AccountConfig& config) {
  return config.external_account ? config.external_account->key_id : "";
}

// What the CA would refuse, in words about the configuration.
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

// With an external account a refusal of the whole request is about its binding.
absl::Status CheckRegistered(const AcmeAnswer& answer, const AccountConfig& config) {
  absl::Status refused = answer.Check(absl::StrCat("registering the account `", config.name, "`"));
  if (!config.external_account || (!answer.Is("unauthorized") && !answer.Is("malformed"))) return refused;
  v1::Failure failure = FailureOf(refused);
  failure.set_hint(absl::StrCat("check external_account against the CA's customer page: key_id, and that ",
                                config.external_account->hmac_key.Describe(), " holds the key that belongs to it"));
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
    ASSIGN_OR_RETURN(payload["externalAccountBinding"],
                     ExternalAccountBinding(key, external.key_id, *hmac_key, directory.new_account));
  }
  return payload;
}

}  // namespace

absl::StatusOr<std::optional<AcmeAccount>> AcmeAccount::Load(const AccountConfig& config, const Keep& keep) {
  const std::string account_key = AccountRecords::Key(config.directory, KeyIdOf(config));
  ASSIGN_OR_RETURN(const std::optional<state::v1::Account> saved, AccountRecords(keep.store).Get(account_key));
  if (!saved) return std::nullopt;
  ASSIGN_OR_RETURN(const Secret pem, keep.sealer.Open(AccountKeyPurpose(account_key), saved->private_key()));
  ASSIGN_OR_RETURN(PrivateKey key, PrivateKey::FromPem(pem.ExposeSecret()));
  return AcmeAccount(account_key, *saved, std::move(key));
}

absl::StatusOr<std::optional<AcmeAccount>> AcmeAccount::FindRegistered(const AccountConfig& config, const Keep& keep) {
  ASSIGN_OR_RETURN(std::optional<AcmeAccount> account, Load(config, keep));
  if (account && account->record_.account_url().empty()) account.reset();
  return account;
}

absl::StatusOr<AcmeAccount> AcmeAccount::FindOrCreate(AcmeClient& client, const AccountConfig& config,
                                                      const Keep& keep) {
  ASSIGN_OR_RETURN(std::optional<AcmeAccount> saved, Load(config, keep));
  if (saved) {
    if (saved->record_.account_url().empty()) RETURN_IF_ERROR(saved->Register(client, config, keep));
    return *std::move(saved);
  }
  const std::string key_id = KeyIdOf(config);
  const std::string account_key = AccountRecords::Key(config.directory, key_id);
  ASSIGN_OR_RETURN(PrivateKey key, PrivateKey::Generate(KeyType::kEcdsaP256));
  ASSIGN_OR_RETURN(const Secret pem, key.ToPem());
  state::v1::Account record;
  record.set_name(config.name);
  record.set_directory_url(config.directory);
  record.set_external_account_key_id(key_id);
  ASSIGN_OR_RETURN(*record.mutable_private_key(), keep.sealer.Seal(AccountKeyPurpose(account_key), pem));
  *record.mutable_created_at() = ToTimestamp(keep.clock.Now());
  RETURN_IF_ERROR(AccountRecords(keep.store).Put(record, keep.epoch));
  AcmeAccount account(account_key, std::move(record), std::move(key));
  RETURN_IF_ERROR(account.Register(client, config, keep));
  return account;
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
