#include "controller/keyring/keyring.h"

#include <openssl/rand.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "certcast/state/v1/keyring.pb.h"
#include "certcast/v1/identity.pb.h"
#include "common/clock/timestamp.h"
#include "common/identity/names.h"
#include "common/manifest/manifest.h"
#include "common/status/status.h"
#include "common/x509/openssl_errors.h"
#include "common/x509/pem.h"
#include "controller/keyring/envelope.h"
#include "controller/keyring/fleet_ca.h"
#include "controller/keyring/master_key.h"

namespace certcast::controller {
namespace {

using state::v1::ControllerIdentityRecord;
using state::v1::FleetRecord;
using state::v1::MasterKeyRecord;

constexpr uint32_t kSchema = 1;
constexpr char kMasterKey[] = "keyring/master";
constexpr char kFleetKey[] = "keyring/fleet";
constexpr char kControllerKey[] = "keyring/controller";
constexpr absl::string_view kRestoreHint = "put the state directory back from a backup";

std::string Purpose(absl::string_view fleet_id, absl::string_view key) {
  return absl::StrCat("fleet/", fleet_id, "/", key);
}

// UUID version 4 (RFC 9562 section 5.4).
absl::StatusOr<std::string> NewFleetId() {
  unsigned char bytes[16];
  if (RAND_bytes(bytes, sizeof bytes) != 1)
    return absl::InternalError(absl::StrCat("making a fleet id: ", TakeOpensslErrors()));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const std::string hex = absl::BytesToHexString(absl::string_view(reinterpret_cast<const char*>(bytes), sizeof bytes));
  return absl::StrCat(hex.substr(0, 8), "-", hex.substr(8, 4), "-", hex.substr(12, 4), "-", hex.substr(16, 4), "-",
                      hex.substr(20));
}

// A message and the revision it was read at; 0 where there is none.
template <typename Message>
struct Stored {
  Message message;
  int64_t revision = 0;
  bool exists() const { return revision != 0; }
};

template <typename Message>
absl::StatusOr<Stored<Message>> Read(Store& store, absl::string_view key) {
  Stored<Message> result;
  const absl::StatusOr<StoredRecord> record = store.Get(key);
  if (absl::IsNotFound(record.status())) return result;
  if (!record.ok()) return record.status();
  if (!result.message.ParseFromString(record->value)) {
    return Fail(Reason::STORAGE_FAILED, absl::StrCat("the record ", key, " is damaged"), kRestoreHint);
  }
  if (result.message.schema() > kSchema) {
    return Fail(Reason::STORAGE_FAILED, absl::StrCat("the record ", key, " was written by a newer certcast"),
                "run the newer certcast");
  }
  result.revision = record->revision;
  return result;
}

// Adds `message` under a key that is still as `stored` was.
template <typename Message>
void Replace(const char* key, const Stored<Message>& stored, const Message& message, Transaction& transaction) {
  transaction.compares.push_back({key, stored.revision});
  transaction.writes.push_back({key, message.SerializeAsString()});
}

absl::StatusOr<state::v1::Sealed> SealKey(const Secret& master, absl::string_view purpose, const PrivateKey& key) {
  ASSIGN_OR_RETURN(const Secret pem, key.ToPem());
  return SealUnder(master, purpose, pem);
}

absl::StatusOr<PrivateKey> OpenKey(const Secret& master, absl::string_view purpose, const state::v1::Sealed& sealed) {
  ASSIGN_OR_RETURN(const Secret pem, OpenUnder(master, purpose, sealed));
  return PrivateKey::FromPem(pem.ExposeSecret());
}

absl::StatusOr<FleetRecord> MakeFleet(const Secret& master, absl::Time now) {
  FleetRecord fleet;
  fleet.set_schema(kSchema);
  *fleet.mutable_created_at() = ToTimestamp(now);
  ASSIGN_OR_RETURN(const std::string id, NewFleetId());
  fleet.set_fleet_id(id);
  ASSIGN_OR_RETURN(const PrivateKey ca_key, PrivateKey::Generate(KeyType::kEcdsaP256));
  ASSIGN_OR_RETURN(const Certificate ca, MakeFleetCa(ca_key, id, now));
  fleet.set_ca_certificate(ca.der());
  ASSIGN_OR_RETURN(*fleet.mutable_ca_key(), SealKey(master, Purpose(id, "ca"), ca_key));
  ASSIGN_OR_RETURN(const PrivateKey manifest_key, PrivateKey::Generate(KeyType::kEd25519));
  ASSIGN_OR_RETURN(*fleet.mutable_manifest_key(), SealKey(master, Purpose(id, "manifest"), manifest_key));
  return fleet;
}

// The fleet's keys as they are used; the CA's private key is opened only to sign.
class KeyringImpl : public Keyring {
 public:
  KeyringImpl(Secret master, FleetRecord fleet, Certificate ca, PrivateKey manifest_key,
              const KeyringEnvironment& environment)
      : master_(std::move(master)),
        fleet_(std::move(fleet)),
        ca_(std::move(ca)),
        manifest_key_(std::move(manifest_key)),
        store_(*environment.store),
        clock_(*environment.clock) {}

  absl::StatusOr<state::v1::Sealed> Seal(absl::string_view purpose, const Secret& secret) override {
    return SealUnder(master_, purpose, secret);
  }
  absl::StatusOr<Secret> Open(absl::string_view purpose, const state::v1::Sealed& sealed) override {
    return OpenUnder(master_, purpose, sealed);
  }

  const std::string& fleet_id() const override { return fleet_.fleet_id(); }
  const Certificate& fleet_ca() const override { return ca_; }
  const PrivateKey& manifest_key() const override { return manifest_key_; }

  absl::StatusOr<ControllerIdentity> LoadControllerIdentity() override;
  absl::StatusOr<NodeIdentity> SignNode(absl::string_view name, absl::string_view csr_pem) override;

 private:
  absl::StatusOr<Certificate> Sign(EVP_PKEY* key, const IdentityNames& names) const;
  absl::StatusOr<ControllerIdentityRecord> MakeIdentity() const;
  absl::StatusOr<ControllerIdentity> OpenIdentity(const ControllerIdentityRecord& record) const;

  const Secret master_;
  const FleetRecord fleet_;
  const Certificate ca_;
  const PrivateKey manifest_key_;
  Store& store_;
  const Clock& clock_;
};

absl::StatusOr<Certificate> KeyringImpl::Sign(EVP_PKEY* key, const IdentityNames& names) const {
  ASSIGN_OR_RETURN(const PrivateKey ca_key, OpenKey(master_, Purpose(fleet_id(), "ca"), fleet_.ca_key()));
  RETURN_IF_ERROR(CheckKeyMatches(ca_, ca_key));
  return SignIdentity(ca_, ca_key, key, names, clock_.Now());
}

absl::StatusOr<ControllerIdentityRecord> KeyringImpl::MakeIdentity() const {
  ASSIGN_OR_RETURN(const PrivateKey key, PrivateKey::Generate(KeyType::kEcdsaP256));
  ASSIGN_OR_RETURN(const Certificate certificate,
                   Sign(key.get(), {"certcast controller", ControllerDnsName(), ControllerUri(fleet_id())}));
  ControllerIdentityRecord record;
  record.set_schema(kSchema);
  record.set_certificate(certificate.der());
  ASSIGN_OR_RETURN(*record.mutable_private_key(), SealKey(master_, Purpose(fleet_id(), "controller"), key));
  return record;
}

absl::StatusOr<ControllerIdentity> KeyringImpl::OpenIdentity(const ControllerIdentityRecord& record) const {
  ASSIGN_OR_RETURN(const Certificate certificate, Certificate::FromDer(record.certificate()));
  ASSIGN_OR_RETURN(Secret pem, OpenUnder(master_, Purpose(fleet_id(), "controller"), record.private_key()));
  ASSIGN_OR_RETURN(const PrivateKey key, PrivateKey::FromPem(pem.ExposeSecret()));
  RETURN_IF_ERROR(CheckKeyMatches(certificate, key));
  ControllerIdentity identity;
  identity.chain_pem = ChainToPem({certificate, ca_});
  identity.private_key_pem = std::move(pem);
  identity.fleet_ca_pem = ca_.ToPem();
  identity.not_before = certificate.not_before();
  identity.not_after = certificate.not_after();
  ASSIGN_OR_RETURN(const ManifestKey manifest_key, ManifestKey::FromPrivate(manifest_key_));
  identity.manifest_key_pem = manifest_key.ToPem();
  return identity;
}

bool IsValid(const ControllerIdentity& identity, absl::Time now) {
  return identity.not_before <= now && now < identity.not_after;
}

// Also when the clock was set back to before it began.
bool IsDue(const ControllerIdentity& identity, absl::Time now) {
  return now < identity.not_before || now >= identity.not_before + (identity.not_after - identity.not_before) * 2 / 3;
}

absl::StatusOr<ControllerIdentity> KeyringImpl::LoadControllerIdentity() {
  ASSIGN_OR_RETURN(const auto stored, Read<ControllerIdentityRecord>(store_, kControllerKey));
  std::optional<ControllerIdentity> current;
  if (stored.exists()) {
    ASSIGN_OR_RETURN(current, OpenIdentity(stored.message));
    if (!IsDue(*current, clock_.Now())) return *std::move(current);
  }
  ASSIGN_OR_RETURN(const ControllerIdentityRecord renewed, MakeIdentity());
  Transaction transaction;
  Replace(kControllerKey, stored, renewed, transaction);
  const absl::Status saved = store_.Commit(transaction).status();
  if (saved.ok()) return OpenIdentity(renewed);
  if (absl::IsAborted(saved)) {
    // Another process renewed it at the same time: that one counts.
    ASSIGN_OR_RETURN(const auto theirs, Read<ControllerIdentityRecord>(store_, kControllerKey));
    return OpenIdentity(theirs.message);
  }
  if (current.has_value() && IsValid(*current, clock_.Now())) return *std::move(current);
  return Annotate(saved, "renewing the controller's certificate");
}

absl::StatusOr<NodeIdentity> KeyringImpl::SignNode(absl::string_view name, absl::string_view csr_pem) {
  RETURN_IF_ERROR(CheckNodeName(name));
  ASSIGN_OR_RETURN(const SslPtr<EVP_PKEY> key, ReadRequestKey(csr_pem, name));
  ASSIGN_OR_RETURN(const Certificate certificate,
                   Sign(key.get(), {std::string(name), NodeDnsName(name), NodeUri(fleet_id(), name)}));
  ASSIGN_OR_RETURN(const ManifestKey manifest_key, ManifestKey::FromPrivate(manifest_key_));
  v1::FleetIdentity fleet;
  fleet.set_schema(1);
  fleet.set_fleet_id(fleet_id());
  fleet.set_node(std::string(name));
  fleet.set_manifest_key_pem(manifest_key.ToPem());
  NodeIdentity identity;
  identity.pem = absl::StrCat(certificate.ToPem(), ca_.ToPem(), EncodePem("CERTCAST FLEET", fleet.SerializeAsString()));
  identity.sha256 = certificate.sha256();
  identity.not_after = certificate.not_after();
  return identity;
}

absl::StatusOr<std::unique_ptr<KeyringImpl>> OpenFleet(Secret master, const FleetRecord& fleet,
                                                       const KeyringEnvironment& environment) {
  absl::StatusOr<Certificate> ca = Certificate::FromDer(fleet.ca_certificate());
  if (!ca.ok()) return Annotate(WithHint(ca.status(), kRestoreHint), "the fleet CA in keyring/fleet");
  ASSIGN_OR_RETURN(PrivateKey manifest_key,
                   OpenKey(master, Purpose(fleet.fleet_id(), "manifest"), fleet.manifest_key()));
  return std::make_unique<KeyringImpl>(std::move(master), fleet, *std::move(ca), std::move(manifest_key), environment);
}

absl::StatusOr<std::unique_ptr<KeyringImpl>> OpenStored(const MasterKeyConfig& config,
                                                        const KeyringEnvironment& environment,
                                                        const MasterKeyRecord& record) {
  ASSIGN_OR_RETURN(const auto fleet, Read<FleetRecord>(*environment.store, kFleetKey));
  if (!fleet.exists()) return Fail(Reason::STORAGE_FAILED, "the record keyring/fleet is missing", kRestoreHint);
  ASSIGN_OR_RETURN(Secret master, ReadMasterKey(config, record, *environment.files));
  RETURN_IF_ERROR(VerifyCheck(master, record, config));
  return OpenFleet(std::move(master), fleet.message, environment);
}

// Master key record and fleet, in one transaction: one is never there without the other.
absl::StatusOr<std::unique_ptr<KeyringImpl>> MakeStored(const MasterKeyConfig& config,
                                                        const KeyringEnvironment& environment, uint64_t epoch) {
  const absl::Time now = environment.clock->Now();
  ASSIGN_OR_RETURN(MasterKeyRecord record, NewMasterKeyRecord(config, now));
  ASSIGN_OR_RETURN(Secret master, ReadMasterKey(config, record, *environment.files));
  RETURN_IF_ERROR(AddCheck(master, record));
  ASSIGN_OR_RETURN(const FleetRecord fleet, MakeFleet(master, now));
  Transaction transaction;
  transaction.epoch = epoch;
  Replace(kMasterKey, Stored<MasterKeyRecord>(), record, transaction);
  Replace(kFleetKey, Stored<FleetRecord>(), fleet, transaction);
  RETURN_IF_ERROR(environment.store->Commit(transaction).status());
  return OpenFleet(std::move(master), fleet, environment);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Keyring>> Keyring::Init(const MasterKeyConfig& config,
                                                       const KeyringEnvironment& environment, uint64_t epoch,
                                                       std::vector<std::string>* made) {
  const auto note = [&](std::string what) {
    if (made != nullptr) made->push_back(std::move(what));
  };
  ASSIGN_OR_RETURN(const auto record, Read<MasterKeyRecord>(*environment.store, kMasterKey));
  std::unique_ptr<Keyring> keyring;
  if (record.exists()) {
    ASSIGN_OR_RETURN(keyring, OpenStored(config, environment, record.message));
  } else {
    ASSIGN_OR_RETURN(const bool made_file, MakeMasterKeyFile(config, *environment.files));
    if (made_file) note(absl::StrCat("master key ", config.key.name));
    ASSIGN_OR_RETURN(keyring, MakeStored(config, environment, epoch));
    note(absl::StrCat("fleet ", keyring->fleet_id(), " with its CA and manifest key"));
  }
  RETURN_IF_ERROR(keyring->LoadControllerIdentity().status());
  return keyring;
}

absl::StatusOr<std::unique_ptr<Keyring>> Keyring::Open(const MasterKeyConfig& config,
                                                       const KeyringEnvironment& environment) {
  ASSIGN_OR_RETURN(const auto record, Read<MasterKeyRecord>(*environment.store, kMasterKey));
  if (!record.exists()) {
    return WithHint(absl::FailedPreconditionError("this state has no keys yet"), "run `certcast init`");
  }
  return OpenStored(config, environment, record.message);
}

}  // namespace certcast::controller
