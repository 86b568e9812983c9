#include "node/engine/layout.h"

#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace certcast::node {
namespace {

constexpr absl::string_view kGenerations = "generations";

absl::string_view LastPart(absl::string_view path) {
  return path.substr(path.rfind('/') + 1);
}

std::optional<uint64_t> ParseNumber(absl::string_view text) {
  uint64_t number = 0;
  // As it is written here alone: no sign, no leading zero, no space.
  if (!absl::SimpleAtoi(text, &number) || absl::StrCat(number) != text) return std::nullopt;
  return number;
}

}  // namespace

Layout::Layout(std::string state) : state_(std::move(state)) {
  while (state_.size() > 1 && state_.back() == '/') state_.pop_back();
}

std::string Layout::Certificate(absl::string_view certificate) const {
  return absl::StrCat(state_, "/certificates/", certificate);
}

std::string Layout::Generations(absl::string_view certificate) const {
  return absl::StrCat(Certificate(certificate), "/", kGenerations);
}

std::string Layout::Generation(absl::string_view certificate, absl::string_view directory) const {
  return absl::StrCat(Generations(certificate), "/", directory);
}

std::string Layout::LinkTarget(const Service& service, const ServiceFile& file) const {
  return absl::StrCat(Certificate(service.CertificateOf(file)), "/", kCurrentLink, "/", service.name, "/",
                      FileNameOf(service, file));
}

std::optional<std::string> StateOfLinkTarget(absl::string_view target) {
  const std::vector<absl::string_view> parts = absl::StrSplit(target, '/');
  // Behind the state: certificates, certificate, current, service, file.
  constexpr size_t kBehind = 5;
  if (!absl::StartsWith(target, "/") || parts.size() < kBehind + 2) return std::nullopt;
  const auto behind = parts.end() - kBehind;
  if (behind[0] != "certificates" || behind[2] != kCurrentLink) return std::nullopt;
  return absl::StrJoin(parts.begin(), behind, "/");
}

std::string GenerationLink(absl::string_view directory) {
  return absl::StrCat(kGenerations, "/", directory);
}

std::optional<std::string> ParseGenerationLink(absl::string_view target) {
  if (!absl::ConsumePrefix(&target, kGenerations) || !absl::ConsumePrefix(&target, "/")) return std::nullopt;
  if (!ParseGenerationDirectoryName(target).has_value()) return std::nullopt;
  return std::string(target);
}

std::string GenerationDirectoryName(uint64_t generation, uint64_t copy) {
  return copy == 0 ? absl::StrCat(generation) : absl::StrCat(generation, ".", copy);
}

std::optional<std::pair<uint64_t, uint64_t>> ParseGenerationDirectoryName(absl::string_view name) {
  const std::vector<absl::string_view> parts = absl::StrSplit(name, '.');
  const std::optional<uint64_t> generation = ParseNumber(parts[0]);
  if (!generation.has_value() || parts.size() > 2) return std::nullopt;
  if (parts.size() == 1) return std::make_pair(*generation, uint64_t{0});
  const std::optional<uint64_t> copy = ParseNumber(parts[1]);
  if (!copy.has_value() || *copy == 0) return std::nullopt;
  return std::make_pair(*generation, *copy);
}

std::string FileNameOf(const Service& service, const ServiceFile& file) {
  const absl::string_view last = LastPart(file.path);
  const auto same = std::count_if(service.files.begin(), service.files.end(),
                                  [&](const ServiceFile& other) { return LastPart(other.path) == last; });
  return absl::StrReplaceAll(same > 1 ? absl::string_view(file.path) : last, {{"%", "%25"}, {"/", "%2F"}});
}

FileAttributes DirectoryAttributes() {
  return {.mode = 0755, .owner = geteuid(), .group = getegid()};
}

FileAttributes PrivateFileAttributes() {
  return {.mode = 0600, .owner = geteuid(), .group = getegid()};
}

}  // namespace certcast::node
