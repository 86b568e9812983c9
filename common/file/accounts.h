// Users and groups by name, without NSS: a static binary can't load it.
#ifndef CERTCAST_COMMON_FILE_ACCOUNTS_H_
#define CERTCAST_COMMON_FILE_ACCOUNTS_H_

#include <sys/types.h>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/file/file_system.h"
#include "common/process/process.h"

namespace certcast {

// The id of a user or group from /etc/passwd or /etc/group, else from `getent`, which knows LDAP and the like. A number
// is taken as it is, whether it has a name or not. INVALID_ARGUMENT, with a hint, when there is no such account.
absl::StatusOr<uid_t> FindUser(FileSystem& files, absl::string_view name,
                               ProcessRunner& processes = ProcessRunner::Real());
absl::StatusOr<gid_t> FindGroup(FileSystem& files, absl::string_view name,
                                ProcessRunner& processes = ProcessRunner::Real());

}  // namespace certcast

#endif  // CERTCAST_COMMON_FILE_ACCOUNTS_H_
