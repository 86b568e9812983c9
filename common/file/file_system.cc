#include "common/file/file_system.h"

#include <unistd.h>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/status/status.h"

namespace certcast {

absl::Status CheckFileName(absl::string_view name) {
  constexpr size_t kMaxName = 255;
  if (!name.empty() && name.size() <= kMaxName && name != "." && name != ".." && !absl::StrContains(name, '/') &&
      !absl::StrContains(name, '\0')) {
    return absl::OkStatus();
  }
  return FailInput(absl::StrCat("\"", absl::CHexEscape(name), "\" is not a file name"),
                   "a name has 1 to 255 bytes, no slash, and is not \".\" or \"..\"");
}

bool IsTrustedOwner(uid_t owner) {
  return owner == 0 || owner == geteuid();
}

}  // namespace certcast
