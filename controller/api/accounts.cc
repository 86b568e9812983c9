// Accounts at CAs: shown, registered, changed, deactivated, taken over.
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/clock/timestamp.h"
#include "common/status/status.h"
#include "common/x509/private_key.h"
#include "controller/acme/account.h"
#include "controller/acme/acme_client.h"
#include "controller/acme/jose.h"
#include "controller/api/controller.h"
#include "controller/api/issuing_account.h"
#include "controller/api/session.h"
#include "controller/keyring/purposes.h"
#include "controller/store/records.h"

namespace certcast::controller {
namespace {

AcmeAccount::Keep KeepOf(const Machine& machine, Session& session) {
  return {.store = *session.store, .sealer = *session.keyring, .clock = *machine.clock, .epoch = session.epoch()};
}

v1::Account::State StateOf(const state::v1::Account& record) {
  if (record.has_deactivated_at()) return v1::Account::DEACTIVATED;
  if (record.has_next_private_key()) return v1::Account::KEY_CHANGING;
  return record.account_url().empty() ? v1::Account::NOT_REGISTERED : v1::Account::REGISTERED;
}

// Empty where it can't be opened: the rest is worth showing all the same.
std::string ThumbprintOf(const state::v1::Account& record, const std::string& key, Session& session) {
  const auto pem = session.keyring->Open(AccountKeyPurpose(key), record.private_key());
  if (!pem.ok()) return "";
  const auto opened = PrivateKey::FromPem(pem->ExposeSecret());
  return opened.ok() ? JwkThumbprint(opened->get()).value_or("") : "";
}

void ShowRecord(const state::v1::Account& record, const std::string& key, Session& session, v1::Account& shown) {
  shown.set_state(StateOf(record));
  shown.set_account_url(record.account_url());
  *shown.mutable_contacts() = record.contacts();
  *shown.mutable_created_at() = record.created_at();
  if (record.has_deactivated_at()) *shown.mutable_deactivated_at() = record.deactivated_at();
  shown.set_key_thumbprint(ThumbprintOf(record, key, session));
}

absl::StatusOr<v1::Account> ShowAccount(const Config& config, const AccountConfig& account, Session& session) {
  v1::Account shown;
  shown.set_name(account.name);
  shown.set_state(v1::Account::NOT_REGISTERED);
  shown.set_directory_url(account.directory);
  if (account.external_account) shown.set_external_account_key_id(account.external_account->key_id);
  shown.set_configured(true);
  for (const CertificateConfig& certificate : config.certificates) {
    for (const std::string& name : certificate.Accounts()) {
      if (name == account.name) shown.add_certificates(certificate.name);
    }
  }
  for (const ContractEnd& end : account.ends) {
    v1::Account::End& added = *shown.add_ends();
    added.set_what(end.what);
    *added.mutable_at() = ToTimestamp(end.at);
  }
  const std::string key = AcmeAccount::KeyOf(account);
  ASSIGN_OR_RETURN(const auto record, AccountRecords(*session.store).Get(key));
  if (record.has_value()) ShowRecord(*record, key, session, shown);
  return shown;
}

// An order's challenges are answered with the account's key.
absl::Status CheckNoOrderIsOpen(const Config& config, const AccountConfig& account, Session& session) {
  for (const CertificateConfig& certificate : config.certificates) {
    ASSIGN_OR_RETURN(const auto order, OrderRecords(*session.store).Get(certificate.name));
    if (!order.has_value() || order->order_url().empty() || order->account_key() != AcmeAccount::KeyOf(account))
      continue;
    return Fail(Reason::BUSY,
                absl::StrCat("an order of ", certificate.name, " is open in the account `", account.name,
                             "`: ", order->order_url()),
                absl::StrCat("finish it first: certcast apply ", certificate.name));
  }
  return absl::OkStatus();
}

class AccountChange {
 public:
  AccountChange(const Config& config, const Machine& machine, const AccountConfig& account, Session& session)
      : config_(config),
        account_(account),
        session_(session),
        keep_(KeepOf(machine, session)),
        client_(*machine.http, *machine.clock, {.directory_url = account.directory, .ca_file = account.ca_file}) {}

  // What was done; empty: there was nothing to do.
  absl::StatusOr<std::string> Do(v1::ChangeAccountRequest::Action action) {
    ASSIGN_OR_RETURN(const auto before, AccountRecords(*session_.store).Get(AcmeAccount::KeyOf(account_)));
    const v1::Account::State state = before.has_value() ? StateOf(*before) : v1::Account::NOT_REGISTERED;
    switch (action) {
      case v1::ChangeAccountRequest::REGISTER:
        return Register(state);
      case v1::ChangeAccountRequest::UPDATE_CONTACT: {
        ASSIGN_OR_RETURN(AcmeAccount opened, Open(state));
        ASSIGN_OR_RETURN(const bool changed, opened.UpdateContact(client_, account_, keep_));
        return std::string(changed ? "the CA has the configured contacts now" : "");
      }
      case v1::ChangeAccountRequest::ROLL_KEY:
        return RollKey(state);
      case v1::ChangeAccountRequest::DEACTIVATE:
        return Deactivate(state);
      default:
        return FailInput("the request names no action");
    }
  }

 private:
  absl::StatusOr<AcmeAccount> Open(v1::Account::State state) {
    if (state == v1::Account::NOT_REGISTERED) {
      return FailInput(absl::StrCat("the account `", account_.name, "` is not registered yet"),
                       absl::StrCat("certcast accounts register ", account_.name));
    }
    return AcmeAccount::FindOrCreate(client_, account_, keep_);
  }

  absl::StatusOr<std::string> Register(v1::Account::State state) {
    if (state == v1::Account::REGISTERED) return std::string();
    if (state != v1::Account::DEACTIVATED) {
      RETURN_IF_ERROR(AcmeAccount::FindOrCreate(client_, account_, keep_).status());
      return std::string("the CA knows it now");
    }
    RETURN_IF_ERROR(AcmeAccount::CreateAnew(client_, account_, keep_).status());
    return std::string("the CA knows a new one now, with another key");
  }

  absl::StatusOr<std::string> RollKey(v1::Account::State state) {
    RETURN_IF_ERROR(CheckNoOrderIsOpen(config_, account_, session_));
    ASSIGN_OR_RETURN(AcmeAccount opened, Open(state));
    RETURN_IF_ERROR(opened.RollKey(client_, keep_));
    return std::string("the CA takes the new key alone now");
  }

  absl::StatusOr<std::string> Deactivate(v1::Account::State state) {
    if (state == v1::Account::DEACTIVATED) return std::string();
    RETURN_IF_ERROR(CheckNoOrderIsOpen(config_, account_, session_));
    ASSIGN_OR_RETURN(AcmeAccount opened, Open(state));
    RETURN_IF_ERROR(opened.Deactivate(client_, keep_));
    return std::string("the CA takes nothing from it any more; what it issued stays valid");
  }

  const Config& config_;
  const AccountConfig& account_;
  Session& session_;
  const AcmeAccount::Keep keep_;
  AcmeClient client_;
};

}  // namespace

absl::StatusOr<v1::ListAccountsResponse> Controller::ListAccounts(const v1::ListAccountsRequest& request) {
  if (!request.name().empty()) RETURN_IF_ERROR(SelectAccount(config_, request.name()).status());
  ASSIGN_OR_RETURN(Session session, OpenToRead(config_, machine_));
  v1::ListAccountsResponse response;
  std::set<std::string> configured;
  for (const AccountConfig& account : config_.accounts) {
    configured.insert(AcmeAccount::KeyOf(account));
    if (!request.name().empty() && account.name != request.name()) continue;
    ASSIGN_OR_RETURN(*response.add_accounts(), ShowAccount(config_, account, session));
  }
  if (!request.name().empty()) return response;
  // Those of an earlier configuration: their keys are kept.
  ASSIGN_OR_RETURN(const std::vector<state::v1::Account> records, AccountRecords(*session.store).List());
  for (const state::v1::Account& record : records) {
    const std::string key = AccountRecords::Key(record.directory_url(), record.external_account_key_id());
    if (configured.contains(key)) continue;
    v1::Account& shown = *response.add_accounts();
    shown.set_name(record.name());
    shown.set_directory_url(record.directory_url());
    shown.set_external_account_key_id(record.external_account_key_id());
    ShowRecord(record, key, session, shown);
  }
  return response;
}

absl::StatusOr<v1::ChangeAccountResponse> Controller::ChangeAccount(const v1::ChangeAccountRequest& request) {
  ASSIGN_OR_RETURN(const AccountConfig* account, SelectAccount(config_, request.name()));
  ASSIGN_OR_RETURN(Session session, OpenToChange(config_, machine_, "accounts"));
  AccountChange change(config_, machine_, *account, session);
  v1::ChangeAccountResponse response;
  ASSIGN_OR_RETURN(std::string done, change.Do(request.action()));
  response.set_changed(!done.empty());
  response.set_text(done.empty() ? "there was nothing to do" : std::move(done));
  ASSIGN_OR_RETURN(*response.mutable_account(), ShowAccount(config_, *account, session));
  return response;
}

absl::StatusOr<v1::AdoptAccountResponse> Controller::AdoptAccount(const v1::AdoptAccountRequest& request) {
  ASSIGN_OR_RETURN(const AccountConfig* account, SelectAccount(config_, request.name()));
  absl::StatusOr<PrivateKey> key = PrivateKey::FromPem(request.private_key_pem());
  if (!key.ok()) return Annotate(key.status(), absl::StrCat("the key of the account `", account->name, "`"));
  ASSIGN_OR_RETURN(Session session, OpenToChange(config_, machine_, "adopt"));
  v1::AdoptAccountResponse response;
  ASSIGN_OR_RETURN(const bool adopted,
                   AcmeAccount::Adopt(*account, KeepOf(machine_, session), *std::move(key), request.account_url()));
  response.set_adopted(adopted);
  ASSIGN_OR_RETURN(*response.mutable_account(), ShowAccount(config_, *account, session));
  return response;
}

}  // namespace certcast::controller
