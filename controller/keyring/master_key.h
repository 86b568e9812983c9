// Where the master key comes from, and how a wrong one is told from a right one.
#ifndef CERTCAST_CONTROLLER_KEYRING_MASTER_KEY_H_
#define CERTCAST_CONTROLLER_KEYRING_MASTER_KEY_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "certcast/state/v1/keyring.pb.h"
#include "common/file/file_system.h"
#include "common/secret/secret.h"
#include "controller/config/config.h"

namespace certcast::controller {

// Makes the configured key file when there is none: 32 random bytes as base64, 0400; its directory 0700 if that is
// missing too. Written beside it, fsynced, then renamed, so that after a crash it is whole or absent. Whether it was
// made: not when it is there, nor for credentials, variables and passphrases, which are not ours to make.
absl::StatusOr<bool> MakeMasterKeyFile(const MasterKeyConfig& config, FileSystem& files);

// How a master key for `config` is to be had from now on, without the check.
absl::StatusOr<state::v1::MasterKeyRecord> NewMasterKeyRecord(const MasterKeyConfig& config, absl::Time now);

// The 32 bytes: read, or made of the passphrase. kInvalidArgument: missing, malformed, or not of the kind that `record`
// says. PERMISSION_DENIED: not readable, or open to others, or a file or link of another user. STORAGE_FAILED: `record`
// is damaged.
absl::StatusOr<Secret> ReadMasterKey(const MasterKeyConfig& config, const state::v1::MasterKeyRecord& record,
                                     FileSystem& files);

// Seals the constant that later tells whether a master key is the same one.
absl::Status AddCheck(const Secret& master, state::v1::MasterKeyRecord& record);
// kInvalidArgument when `master` is not the one that `record` was made with.
absl::Status VerifyCheck(const Secret& master, const state::v1::MasterKeyRecord& record, const MasterKeyConfig& config);

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_KEYRING_MASTER_KEY_H_
