#include "controller/keyring/master_key.h"

#include <openssl/evp.h>
#include <openssl/rand.h>
#include <unistd.h>

#include <string>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/clock/timestamp.h"
#include "common/file/atomic.h"
#include "common/status/status.h"
#include "common/x509/openssl_errors.h"
#include "controller/keyring/envelope.h"

namespace certcast::controller {
namespace {

using state::v1::MasterKeyRecord;

constexpr uint32_t kSchema = 1;
constexpr absl::string_view kCheckPurpose = "master-key-check";
constexpr absl::string_view kCheckText = "certcast";
constexpr absl::string_view kBackupHint =
    "put the right one back from a backup: without it nothing that was sealed under it can be opened again";

// 128 MiB and a third of a second for each guess.
constexpr uint64_t kScryptN = uint64_t{1} << 17;
constexpr uint32_t kScryptR = 8;
constexpr uint32_t kScryptP = 1;
constexpr size_t kSaltSize = 32;

const SecretReference& ReferenceOf(const MasterKeyConfig& config) {
  return config.key.empty() ? config.passphrase : config.key;
}

absl::StatusOr<Secret> RandomKey() {
  Secret key = Secret::OfSize(kMasterKeySize);
  if (RAND_priv_bytes(reinterpret_cast<unsigned char*>(key.MutableBytes()), kMasterKeySize) != 1) {
    return absl::InternalError(absl::StrCat("making a master key: ", TakeOpensslErrors()));
  }
  return key;
}

absl::Status WriteKeyFile(Directory& directory, const std::string& name) {
  ASSIGN_OR_RETURN(const Secret key, RandomKey());
  std::string text = absl::Base64Escape(key.ExposeSecret());
  const auto wipe = absl::MakeCleanup([&] { Wipe(text.data(), text.size()); });
  text.reserve(text.size() + 1);
  text.push_back('\n');
  return ReplaceFile(directory, name, text, {0400, geteuid(), getegid()});
}

absl::StatusOr<Secret> DecodeKey(const Secret& text, const SecretReference& reference) {
  std::string bytes;
  const bool decoded = absl::Base64Unescape(text.ExposeSecret(), &bytes);
  const auto wipe = absl::MakeCleanup([&] { Wipe(bytes.data(), bytes.size()); });
  if (!decoded || bytes.size() != kMasterKeySize) {
    return FailInput(absl::StrCat("the master key in ", reference.Describe(), " is not base64 of 32 bytes"),
                     kBackupHint);
  }
  return Secret(bytes);
}

// A key that another user put there, directly or behind a link, is a key that this user knows.
absl::Status CheckOwner(FileSystem& files, const SecretReference& reference) {
  if (reference.kind != SecretReference::Kind::kFile) return absl::OkStatus();
  ASSIGN_OR_RETURN(const PathParts parts, SplitPath(reference.name));
  ASSIGN_OR_RETURN(const std::unique_ptr<Directory> directory, files.OpenDirectory(parts.directory));
  ASSIGN_OR_RETURN(const FileInfo info, directory->Stat(parts.name));
  if (info.attributes.owner == 0 || info.attributes.owner == geteuid()) return absl::OkStatus();
  return Fail(Reason::PERMISSION_DENIED,
              absl::StrCat(info.kind == FileInfo::Kind::kLink ? "the link " : "the master key file ", reference.name,
                           " belongs to user ", info.attributes.owner),
              "it must belong to root or to the user that certcast runs as");
}

absl::StatusOr<Secret> ReadReference(const SecretReference& reference, FileSystem& files, absl::string_view what) {
  absl::Status status = CheckOwner(files, reference);
  absl::StatusOr<Secret> secret = status.ok() ? ReadSecret(reference) : absl::StatusOr<Secret>(status);
  if (absl::IsNotFound(secret.status())) {
    const v1::Failure failure = FailureOf(secret.status());
    return FailInput(absl::StrCat(what, ": ", failure.detail()),
                     failure.hint().empty() ? kBackupHint : absl::string_view(failure.hint()));
  }
  if (!secret.ok()) return Annotate(secret.status(), what);
  return secret;
}

absl::Status CheckScrypt(const MasterKeyRecord::Scrypt& scrypt) {
  const bool power_of_two = scrypt.n() > 1 && (scrypt.n() & (scrypt.n() - 1)) == 0;
  if (power_of_two && scrypt.n() <= (1 << 22) && scrypt.r() >= 1 && scrypt.r() <= 32 && scrypt.p() >= 1 &&
      scrypt.p() <= 16 && scrypt.salt().size() >= 16 && scrypt.salt().size() <= 64) {
    return absl::OkStatus();
  }
  return Fail(Reason::STORAGE_FAILED, "the record keyring/master is damaged: impossible scrypt parameters",
              "put the state directory back from a backup");
}

absl::StatusOr<Secret> DeriveKey(const Secret& passphrase, const MasterKeyRecord::Scrypt& scrypt) {
  RETURN_IF_ERROR(CheckScrypt(scrypt));
  Secret key = Secret::OfSize(kMasterKeySize);
  // 128 N r bytes (RFC 7914 section 6), and as much again for OpenSSL's own.
  const uint64_t memory = scrypt.n() * scrypt.r() * 256;
  if (EVP_PBE_scrypt(passphrase.ExposeSecret().data(), passphrase.size(),
                     reinterpret_cast<const unsigned char*>(scrypt.salt().data()), scrypt.salt().size(), scrypt.n(),
                     scrypt.r(), scrypt.p(), memory, reinterpret_cast<unsigned char*>(key.MutableBytes()),
                     kMasterKeySize) != 1) {
    return absl::ResourceExhaustedError(
        absl::StrCat("making the master key of its passphrase (128 MiB of memory): ", TakeOpensslErrors()));
  }
  return key;
}

absl::Status CheckKind(const MasterKeyConfig& config, const MasterKeyRecord& record) {
  if (config.key.empty() && config.passphrase.empty()) {
    return FailInput("the configuration has no master_key",
                     "give it {file: PATH}, {credential: NAME} or {passphrase: ...}");
  }
  if (record.schema() > kSchema) {
    return Fail(Reason::STORAGE_FAILED, "the record keyring/master was written by a newer certcast",
                "run the newer certcast");
  }
  const bool wants_passphrase = config.key.empty();
  if (wants_passphrase == record.has_scrypt()) return absl::OkStatus();
  return FailInput(wants_passphrase ? "master_key names a passphrase, but this state was sealed under a key"
                                    : "master_key names a key, but this state was sealed under a passphrase",
                   "let master_key name what it named when `certcast init` ran");
}

}  // namespace

absl::StatusOr<bool> MakeMasterKeyFile(const MasterKeyConfig& config, FileSystem& files) {
  if (config.key.kind != SecretReference::Kind::kFile) return false;
  ASSIGN_OR_RETURN(const PathParts parts, SplitPath(config.key.name));
  ASSIGN_OR_RETURN(const std::unique_ptr<Directory> directory,
                   OpenOrMakeDirectory(files, parts.directory, {0700, geteuid(), getegid()}));
  const absl::StatusOr<FileInfo> info = directory->Stat(parts.name);
  if (info.ok()) return false;
  if (!absl::IsNotFound(info.status())) return info.status();
  RETURN_IF_ERROR(RemoveTemporaries(*directory));
  RETURN_IF_ERROR(WriteKeyFile(*directory, parts.name));
  return true;
}

absl::StatusOr<MasterKeyRecord> NewMasterKeyRecord(const MasterKeyConfig& config, absl::Time now) {
  MasterKeyRecord record;
  record.set_schema(kSchema);
  *record.mutable_created_at() = ToTimestamp(now);
  if (!config.key.empty()) return record;
  record.mutable_scrypt()->set_n(kScryptN);
  record.mutable_scrypt()->set_r(kScryptR);
  record.mutable_scrypt()->set_p(kScryptP);
  std::string salt(kSaltSize, '\0');
  if (RAND_bytes(reinterpret_cast<unsigned char*>(salt.data()), kSaltSize) != 1) {
    return absl::InternalError(absl::StrCat("making a salt: ", TakeOpensslErrors()));
  }
  record.mutable_scrypt()->set_salt(std::move(salt));
  return record;
}

absl::StatusOr<Secret> ReadMasterKey(const MasterKeyConfig& config, const MasterKeyRecord& record, FileSystem& files) {
  RETURN_IF_ERROR(CheckKind(config, record));
  const SecretReference& reference = ReferenceOf(config);
  if (config.key.empty()) {
    ASSIGN_OR_RETURN(const Secret passphrase, ReadReference(reference, files, "the master key's passphrase"));
    return DeriveKey(passphrase, record.scrypt());
  }
  ASSIGN_OR_RETURN(const Secret text, ReadReference(reference, files, "the master key"));
  return DecodeKey(text, reference);
}

absl::Status AddCheck(const Secret& master, MasterKeyRecord& record) {
  ASSIGN_OR_RETURN(*record.mutable_check(), SealUnder(master, kCheckPurpose, Secret(kCheckText)));
  return absl::OkStatus();
}

absl::Status VerifyCheck(const Secret& master, const MasterKeyRecord& record, const MasterKeyConfig& config) {
  const absl::StatusOr<Secret> check = OpenUnder(master, kCheckPurpose, record.check());
  if (check.ok() && check->ExposeSecret() == kCheckText) return absl::OkStatus();
  return FailInput(absl::StrCat("the ", config.key.empty() ? "passphrase" : "master key", " in ",
                                ReferenceOf(config).Describe(), " is not the one that this state was sealed under"),
                   kBackupHint);
}

}  // namespace certcast::controller
