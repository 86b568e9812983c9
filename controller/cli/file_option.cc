#include "controller/cli/file_option.h"

#include "absl/strings/str_cat.h"
#include "common/file/atomic.h"
#include "common/file/file_system.h"
#include "common/secret/reference.h"
#include "common/status/status.h"
#include "controller/cli/absolute_path.h"

namespace certcast::controller::cli {
namespace {

absl::Status Refuse(absl::string_view option, const absl::Status& failed) {
  const std::string hint = FailureOf(failed).hint();
  return FailInput(absl::StrCat(option, ": ", failed.message()),
                   hint.empty() ? absl::StrCat(option, " names a PEM file that can be read") : hint);
}

}  // namespace

absl::StatusOr<std::string> ReadPemOption(absl::string_view option, const std::string& path) {
  constexpr size_t kLimit = size_t{64} * 1024;
  auto text = ReadWholeFile(FileSystem::Real(), AbsolutePath(path), kLimit);
  if (!text.ok()) return Refuse(option, text.status());
  if (text->empty()) return Refuse(option, FailInput(absl::StrCat(path, " is empty")));
  return text;
}

absl::StatusOr<Secret> ReadKeyOption(absl::string_view option, const std::string& path) {
  auto key = ReadSecret({SecretReference::Kind::kFile, AbsolutePath(path)});
  if (!key.ok()) return Refuse(option, key.status());
  return key;
}

}  // namespace certcast::controller::cli
