#include "common/http_challenge/webroot.h"

#include <sys/types.h>
#include <unistd.h>

#include <memory>

#include "absl/strings/str_cat.h"
#include "common/http_challenge/token.h"
#include "common/status/status.h"

namespace certcast {
namespace {

FileAttributes Mine(mode_t mode) {
  return {.mode = mode, .owner = geteuid(), .group = getegid()};
}

absl::StatusOr<std::unique_ptr<Directory>> OpenOrMake(Directory& parent, absl::string_view name, bool make) {
  auto opened = parent.OpenDirectory(name);
  if (opened.ok() || !make || !absl::IsNotFound(opened.status())) return opened;
  const absl::Status made = parent.MakeDirectory(name, Mine(0755));
  // Another process may have been faster.
  if (!made.ok() && !absl::IsAlreadyExists(made)) return made;
  RETURN_IF_ERROR(parent.Sync());
  return parent.OpenDirectory(name);
}

// What is not there is gone.
absl::Status RemoveIfThere(Directory& folder, absl::string_view token) {
  const absl::Status removed = folder.Remove(token);
  return absl::IsNotFound(removed) ? absl::OkStatus() : removed;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Directory>> ChallengeWebroot::OpenFolder(bool make) {
  ASSIGN_OR_RETURN(const std::unique_ptr<Directory> root, files_.OpenDirectory(root_));
  ASSIGN_OR_RETURN(const std::unique_ptr<Directory> well_known, OpenOrMake(*root, ".well-known", make));
  return OpenOrMake(*well_known, "acme-challenge", make);
}

absl::Status ChallengeWebroot::Put(absl::string_view token, absl::string_view key_authorization) {
  RETURN_IF_ERROR(CheckHttpChallenge(token, key_authorization));
  auto folder = OpenFolder(/*make=*/true);
  if (absl::IsNotFound(folder.status())) {
    return Fail(Reason::STORAGE_FAILED, absl::StrCat("the webroot ", root_, " is not there"),
                "it is the document root of the web server that answers on port 80");
  }
  RETURN_IF_ERROR(folder.status());
  RETURN_IF_ERROR(RemoveIfThere(**folder, token));
  RETURN_IF_ERROR((*folder)->CreateFile(token, key_authorization, Mine(0644)));
  return (*folder)->Sync();
}

absl::Status ChallengeWebroot::Remove(absl::string_view token) {
  RETURN_IF_ERROR(CheckChallengeToken(token));
  const auto folder = OpenFolder(/*make=*/false);
  if (absl::IsNotFound(folder.status())) return absl::OkStatus();
  RETURN_IF_ERROR(folder.status());
  RETURN_IF_ERROR(RemoveIfThere(**folder, token));
  return (*folder)->Sync();
}

}  // namespace certcast
