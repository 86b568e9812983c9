#include "common/file/accounts.h"

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/file/atomic.h"
#include "common/status/status.h"

namespace certcast {
namespace {

constexpr size_t kMaxDatabase = 16 * 1024 * 1024;

// One of the two databases: both have `name:password:id:...` on each line.
struct Database {
  absl::string_view file;
  // As getent calls it.
  absl::string_view name;
  // For messages.
  absl::string_view what;
};
constexpr Database kUsers = {"/etc/passwd", "passwd", "user"};
constexpr Database kGroups = {"/etc/group", "group", "group"};

// -1 means "leave it" to chown, so it is no id.
std::optional<uint32_t> ParseId(absl::string_view text) {
  uint32_t id = 0;
  if (!absl::SimpleAtoi(text, &id) || id == std::numeric_limits<uint32_t>::max()) return std::nullopt;
  return id;
}

// The third field of a line.
std::optional<uint32_t> IdOf(absl::string_view line) {
  const std::vector<absl::string_view> fields = absl::StrSplit(line, ':');
  return fields.size() < 3 ? std::nullopt : ParseId(fields[2]);
}

std::optional<uint32_t> FindIn(absl::string_view database, absl::string_view name) {
  for (const absl::string_view line : absl::StrSplit(database, '\n')) {
    if (line.substr(0, line.find(':')) != name) continue;
    if (const auto id = IdOf(line)) return id;
  }
  return std::nullopt;
}

bool IsAccountName(absl::string_view name) {
  if (name.empty() || name.size() > 255 || name[0] == '-') return false;
  for (const char c : name) {
    if (!absl::ascii_isgraph(static_cast<unsigned char>(c)) || c == ':' || c == '/') return false;
  }
  return true;
}

absl::StatusOr<uint32_t> Find(const Database& database, FileSystem& files, absl::string_view name,
                              ProcessRunner& processes) {
  if (!name.empty() && absl::ascii_isdigit(static_cast<unsigned char>(name[0]))) {
    if (const auto id = ParseId(name)) return *id;
  }
  const absl::Status unknown = FailInput(absl::StrCat("there is no ", database.what, " \"", name, "\" on this machine"),
                                         absl::StrCat("see `getent ", database.name, "`; a number is accepted too"));
  if (!IsAccountName(name)) return unknown;
  absl::StatusOr<std::string> text = ReadWholeFile(files, database.file, kMaxDatabase);
  if (!text.ok() && !absl::IsNotFound(text.status())) return text.status();
  if (text.ok()) {
    if (const auto id = FindIn(*text, name)) return *id;
  }
  // Where there is no getent (musl, busybox), there is no other database either.
  ProcessRequest getent;
  getent.argv = {"getent", std::string(database.name), std::string(name)};
  getent.timeout = absl::Seconds(10);
  const absl::StatusOr<ProcessResult> answer = processes.Run(getent);
  if (answer.ok() && answer->timed_out) {
    return Fail(Reason::TIMED_OUT,
                absl::StrCat("looking up the ", database.what, " \"", name, "\": getent ", answer->Describe()));
  }
  if (!answer.ok() || !answer->ok()) return unknown;
  // The directory may spell the name in another way than it was asked for.
  if (const auto id = IdOf(answer->output.substr(0, answer->output.find('\n')))) return *id;
  return unknown;
}

}  // namespace

absl::StatusOr<uid_t> FindUser(FileSystem& files, absl::string_view name, ProcessRunner& processes) {
  return Find(kUsers, files, name, processes);
}

absl::StatusOr<gid_t> FindGroup(FileSystem& files, absl::string_view name, ProcessRunner& processes) {
  return Find(kGroups, files, name, processes);
}

}  // namespace certcast
