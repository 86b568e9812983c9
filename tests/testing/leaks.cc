#include "tests/testing/leaks.h"

#include <algorithm>
#include <filesystem>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "tests/testing/program.h"

namespace certcast::testing {
namespace {

namespace fs = std::filesystem;

// Short lines occur by chance: the last one of a body may be a few characters.
constexpr size_t kShortestLine = 20;

std::vector<fs::path> RegularFilesBelow(const std::string& folder) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file() && !entry.is_symlink()) files.push_back(entry.path());
  }
  return files;
}

bool OthersMayRead(const fs::path& path) {
  constexpr fs::perms kOthers = fs::perms::group_read | fs::perms::others_read;
  return (fs::status(path).permissions() & kOthers) != fs::perms::none;
}

bool MayHoldNoSecret(const fs::path& path, const std::vector<std::string>& public_suffixes,
                     const std::vector<std::string>& sealed_folders) {
  const std::string name = path.string();
  return OthersMayRead(path) ||
         std::any_of(public_suffixes.begin(), public_suffixes.end(),
                     [&](const std::string& suffix) { return absl::EndsWith(name, suffix); }) ||
         std::any_of(sealed_folders.begin(), sealed_folders.end(),
                     [&](const std::string& sealed) { return absl::StartsWith(name, sealed + "/"); });
}

}  // namespace

std::vector<std::string> PrivateKeyLinesBelow(const std::string& folder) {
  std::vector<std::string> lines;
  for (const fs::path& path : RegularFilesBelow(folder)) {
    bool in_key = false;
    const std::string text = ReadFile(path.string());
    for (absl::string_view line : absl::StrSplit(text, '\n')) {
      if (absl::StartsWith(line, "-----")) {
        in_key = absl::StartsWith(line, "-----BEGIN") && absl::StrContains(line, "PRIVATE KEY");
      } else if (in_key && line.size() >= kShortestLine) {
        lines.emplace_back(line);
      }
    }
  }
  return lines;
}

std::vector<std::string> FindLeaks(const std::string& folder, const std::vector<std::string>& secrets,
                                   const std::vector<std::string>& public_suffixes,
                                   const std::vector<std::string>& sealed_folders) {
  std::vector<std::string> leaks;
  for (const fs::path& path : RegularFilesBelow(folder)) {
    if (!MayHoldNoSecret(path, public_suffixes, sealed_folders)) continue;
    const std::string text = ReadFile(path.string());
    for (const std::string& secret : secrets) {
      if (!secret.empty() && absl::StrContains(text, secret)) {
        leaks.push_back(absl::StrCat(path.string(), " holds a secret that begins with ", secret.substr(0, 8)));
      }
    }
  }
  return leaks;
}

}  // namespace certcast::testing
