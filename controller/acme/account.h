// The account at a CA (RFC 8555 section 7.3): found in the store or made, with External Account Binding where
// configured.
#ifndef CERTCAST_CONTROLLER_ACME_ACCOUNT_H_
#define CERTCAST_CONTROLLER_ACME_ACCOUNT_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/clock/clock.h"
#include "common/x509/private_key.h"
#include "controller/acme/acme_client.h"
#include "controller/config/config.h"
#include "controller/keyring/sealer.h"
#include "controller/store/records.h"

namespace certcast::controller {

// What the CA would refuse to register, in words about the configuration: FailInput when its terms are not agreed to,
// or an external account is missing.
absl::Status CheckRequirements(const AcmeDirectory& directory, const AccountConfig& config);

// Opened for use. Movable.
class AcmeAccount {
 public:
  // Where accounts are kept and how.
  struct Keep {
    Store& store;
    Sealer& sealer;
    Clock& clock;
    uint64_t epoch = 0;
  };

  // Keyed by (whole directory URL, EAB key id). The key is saved, sealed, before the CA hears of it: after a crash in
  // between the same key finds the same account. A change of the key that was interrupted is finished first. Errors:
  // FailInput when the terms are not agreed to or an external account is missing; CA_REFUSED, also for one that was
  // deactivated.
  static absl::StatusOr<AcmeAccount> FindOrCreate(AcmeClient& client, const AccountConfig& config, const Keep& keep);

  // What the account of that configuration is kept by: see AccountRecords::Key.
  static std::string KeyOf(const AccountConfig& config);

  // One that the CA knows, as far as the store does; nullopt when there is none, and none is made. The CA is asked for
  // nothing but which key it takes, where a change of the key was interrupted: that is finished first.
  static absl::StatusOr<std::optional<AcmeAccount>> FindRegistered(AcmeClient& client, const AccountConfig& config,
                                                                   const Keep& keep);

  // Asks the CA again with the same key; for a CA that has forgotten the account (`accountDoesNotExist`).
  absl::Status Register(AcmeClient& client, const AccountConfig& config, const Keep& keep);

  // Takes over one that another client made; false: there is one already, which is kept. An `account_url` that is
  // empty or no URL: the CA is asked for it when it is used first. Asks nobody. FailInput for a key that ACME servers
  // do not take.
  static absl::StatusOr<bool> Adopt(const AccountConfig& config, const Keep& keep, PrivateKey key,
                                    const std::string& account_url);

  // Instead of one that was deactivated: another key, and another account.
  static absl::StatusOr<AcmeAccount> CreateAnew(AcmeClient& client, const AccountConfig& config, const Keep& keep);

  // RFC 8555 section 7.3.2: the configured contacts. False: the CA has them.
  absl::StatusOr<bool> UpdateContact(AcmeClient& client, const AccountConfig& config, const Keep& keep);
  // RFC 8555 section 7.3.5. The new key is saved before the CA hears of it; when no answer comes, the next use of the
  // account finds out which of the two counts. CA_REFUSED where the directory has no keyChange.
  absl::Status RollKey(AcmeClient& client, const Keep& keep);
  // RFC 8555 section 7.3.6. What was issued stays valid.
  absl::Status Deactivate(AcmeClient& client, const Keep& keep);

  const state::v1::Account& record() const { return record_; }
  // What orders refer to it by.
  const std::string& account_key() const { return account_key_; }
  EVP_PKEY* key() const { return key_.get(); }
  AcmeSigner signer() const { return {.key = key_.get(), .account_url = record_.account_url()}; }

 private:
  AcmeAccount(std::string account_key, state::v1::Account record, PrivateKey key)
      : account_key_(std::move(account_key)), record_(std::move(record)), key_(std::move(key)) {}

  static absl::StatusOr<std::optional<AcmeAccount>> Load(const AccountConfig& config, const Keep& keep);
  static absl::StatusOr<AcmeAccount> Make(const AccountConfig& config, const Keep& keep, PrivateKey key);
  absl::Status FinishKeyChange(AcmeClient& client, const Keep& keep);
  absl::Status TakeNextKey(PrivateKey key, const Keep& keep);
  absl::Status DropNextKey(const Keep& keep);

  std::string account_key_;
  state::v1::Account record_;
  PrivateKey key_;
};

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_ACME_ACCOUNT_H_
