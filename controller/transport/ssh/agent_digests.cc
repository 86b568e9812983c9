#include "controller/transport/ssh/agent_digests.h"

#include <sys/stat.h>
#include <unistd.h>

#include <memory>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/file/atomic.h"

namespace certcast::controller {
namespace {

// Controllers are upgraded rarely, and few have agents for several machines.
constexpr size_t kMostKept = 8;
constexpr size_t kMaxFile = 4096;
constexpr size_t kDigestSize = 64;
constexpr absl::Duration kJustNow = absl::Seconds(2);

// A line is this and the digest.
std::string KeyOf(const struct stat& info) {
  return absl::StrCat(info.st_dev, " ", info.st_ino, " ", info.st_size, " ",
                      absl::ToUnixNanos(absl::TimeFromTimespec(info.st_mtim)), " ",
                      absl::ToUnixNanos(absl::TimeFromTimespec(info.st_ctim)), " ");
}

bool IsDigest(absl::string_view text) {
  return text.size() == kDigestSize && text.find_first_not_of("0123456789abcdef") == absl::string_view::npos;
}

}  // namespace

std::string AgentDigests::Find(const struct stat& info) const {
  const std::string key = KeyOf(info);
  const std::string lines = Read();
  for (absl::string_view line : absl::StrSplit(lines, '\n')) {
    if (absl::StartsWith(line, key) && IsDigest(line.substr(key.size()))) return std::string(line.substr(key.size()));
  }
  return {};
}

void AgentDigests::Keep(const struct stat& info, absl::string_view sha256) const {
  if (absl::TimeFromTimespec(info.st_ctim) + kJustNow > absl::Now()) return;
  const std::string before = Read();
  std::vector<std::string> lines = {absl::StrCat(KeyOf(info), sha256)};
  for (absl::string_view line : absl::StrSplit(before, '\n', absl::SkipEmpty())) {
    if (lines.size() < kMostKept && line != lines[0]) lines.emplace_back(line);
  }
  Write(absl::StrCat(absl::StrJoin(lines, "\n"), "\n"));
}

void AgentDigests::Forget() const {
  if (!Read().empty()) Write("");
}

std::string AgentDigests::Read() const {
  if (file_.empty()) return {};
  return ReadWholeFile(files_, file_, kMaxFile).value_or("");
}

void AgentDigests::Write(absl::string_view lines) const {
  if (file_.empty()) return;
  const absl::StatusOr<PathParts> path = SplitPath(file_);
  if (!path.ok()) return;
  const absl::StatusOr<std::unique_ptr<Directory>> directory = files_.OpenDirectory(path->directory);
  if (!directory.ok()) return;
  ReplaceFile(**directory, path->name, lines, {.mode = 0600, .owner = geteuid(), .group = getegid()}).IgnoreError();
}

}  // namespace certcast::controller
