// What the files hold that options of the command line name.
#ifndef CERTCAST_CONTROLLER_CLI_FILE_OPTION_H_
#define CERTCAST_CONTROLLER_CLI_FILE_OPTION_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/secret/secret.h"

namespace certcast::controller::cli {

// The text of the PEM file at `path`, which `option` (`--certificate`) names; at most 64 KiB. FailInput, with the
// option and the path, where it can't be read or is empty.
absl::StatusOr<std::string> ReadPemOption(absl::string_view option, const std::string& path);
// The same of a private key: only its owner may read it.
absl::StatusOr<Secret> ReadKeyOption(absl::string_view option, const std::string& path);

}  // namespace certcast::controller::cli

#endif  // CERTCAST_CONTROLLER_CLI_FILE_OPTION_H_
