// Key authorizations as files below a web server's document root.
#ifndef CERTCAST_COMMON_HTTP_CHALLENGE_WEBROOT_H_
#define CERTCAST_COMMON_HTTP_CHALLENGE_WEBROOT_H_

#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/file/file_system.h"

namespace certcast {

// ROOT/.well-known/acme-challenge/TOKEN, 0644 and of this process's user. A link on the way to the root is followed
// only where root or this process's user owns it, as FileSystem has it, and none below the root. Thread-safe.
class ChallengeWebroot {
 public:
  // `root` is absolute; `files` must outlive this.
  ChallengeWebroot(FileSystem& files, std::string root) : files_(files), root_(std::move(root)) {}

  // The root must be there; the two directories below it are made where missing, 0755, and stay. Replaces what is there
  // under the token's name. After a crash the file may be there, incomplete.
  absl::Status Put(absl::string_view token, absl::string_view key_authorization);
  // OK also when it is not there.
  absl::Status Remove(absl::string_view token);

 private:
  absl::StatusOr<std::unique_ptr<Directory>> OpenFolder(bool make);

  FileSystem& files_;
  const std::string root_;
};

}  // namespace certcast

#endif  // CERTCAST_COMMON_HTTP_CHALLENGE_WEBROOT_H_
