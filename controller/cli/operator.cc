#include "controller/cli/operator.h"

#include <pwd.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/clock/clock.h"
#include "common/clock/timestamp.h"
#include "controller/cli/table.h"

namespace certcast::controller::cli {
namespace {

std::string UserName() {
  const uid_t user = getuid();
  // sudo sets it for root alone to believe.
  if (const char* caller = std::getenv("SUDO_USER"); user == 0 && caller != nullptr && *caller != '\0') {
    return absl::StrCat(Printable(std::string(caller).substr(0, 64)), " (sudo)");
  }
  std::array<char, 4096> buffer;
  passwd entry{};
  passwd* found = nullptr;
  if (getpwuid_r(user, &entry, buffer.data(), buffer.size(), &found) != 0 || found == nullptr) {
    return absl::StrCat("uid ", user);
  }
  return found->pw_name;
}

}  // namespace

v1::Operator CurrentOperator() {
  v1::Operator by;
  by.set_user(UserName());
  by.set_pid(getpid());
  *by.mutable_at() = ToTimestamp(Clock::Real().Now());
  return by;
}

}  // namespace certcast::controller::cli
