#include "node/hosted/definition.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "common/http_challenge/place.h"
#include "common/identity/names.h"
#include "common/listen/listen_address.h"
#include "common/manifest/manifest.h"
#include "common/service/read.h"
#include "common/status/status.h"
#include "common/version/version.h"
#include "common/x509/names.h"
#include "common/yaml/document.h"
#include "common/yaml/value.h"

namespace certcast::node {
namespace {

constexpr size_t kMaxServices = 256 << 10;
constexpr size_t kMaxValues = 50'000;
constexpr size_t kMaxPath = 1024;
constexpr size_t kMaxFleetId = 64;
constexpr size_t kMaxKey = 4096;
constexpr int kMaxNames = 1000;
constexpr int kMaxKeep = 100;
constexpr absl::string_view kCleanPath =
    "an absolute path of printable characters, without `.`, `..` and a slash at its end";

absl::Status Malformed(absl::string_view what) {
  return Fail(Reason::MALFORMED, absl::StrCat("the node's definition: ", what),
              "are the controller and its certcast-node of the same version?");
}

bool IsPrintable(absl::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return absl::ascii_isgraph(c); });
}

// Absolute, in the one way to write it, and not the root itself.
bool IsCleanPath(absl::string_view path) {
  if (!absl::StartsWith(path, "/") || path.size() > kMaxPath || !IsPrintable(path)) return false;
  const std::vector<absl::string_view> parts = absl::StrSplit(path.substr(1), '/');
  return std::none_of(parts.begin(), parts.end(),
                      [](absl::string_view part) { return part.empty() || part == "." || part == ".."; });
}

absl::Status CheckAllowedNames(const v1::NodeDefinition& definition) {
  if (definition.allow_names().empty() || definition.allow_names().size() > kMaxNames) {
    return Malformed(absl::StrCat("allow_names has ", definition.allow_names().size(), " names, not 1 to ", kMaxNames));
  }
  for (const std::string& name : definition.allow_names()) {
    if (name == "*") continue;
    const absl::Status good = CheckDnsName(name);
    if (!good.ok()) return Malformed(absl::StrCat("allow_names: ", good.message()));
  }
  return absl::OkStatus();
}

absl::StatusOr<HttpChallengePlace> ReadDefinedPlace(const v1::NodeDefinition& definition) {
  HttpChallengePlace place;
  switch (definition.http_challenge().place_case()) {
    case v1::HttpChallengePlace::kWebroot:
      place.webroot = definition.http_challenge().webroot();
      if (!IsCleanPath(place.webroot)) return Malformed(absl::StrCat("http_challenge: webroot is not ", kCleanPath));
      break;
    case v1::HttpChallengePlace::kListen:
      place.listen = definition.http_challenge().listen();
      if (!ParseListenAddress(place.listen).ok())
        return Malformed("http_challenge: listen is not an IP address and port");
      break;
    case v1::HttpChallengePlace::PLACE_NOT_SET:
      break;
  }
  return place;
}

absl::StatusOr<std::vector<Service>> ReadDefinedServices(const v1::NodeDefinition& definition) {
  auto document =
      yaml::Document::Parse(definition.services_yaml(), "services", {.bytes = kMaxServices, .values = kMaxValues});
  absl::Status status = document.status();
  std::vector<Service> services;
  if (document.ok()) {
    services = ReadServices((*document)->root().WithAbsolutePaths(), definition.state());
    status = (*document)->status();
  }
  if (status.ok()) return services;
  return Malformed(absl::StrReplaceAll(status.message(), {{"\n", "; "}}));
}

}  // namespace

absl::StatusOr<EngineConfig> ReadDefinition(const v1::NodeDefinition& definition) {
  EngineConfig config;
  if (const absl::Status name = CheckNodeName(definition.node()); !name.ok()) {
    return Malformed(absl::StrCat("node: ", name.message()));
  }
  if (!IsCleanPath(definition.state())) return Malformed(absl::StrCat("state is not ", kCleanPath));
  if (definition.fleet_id().empty() || definition.fleet_id().size() > kMaxFleetId ||
      !IsPrintable(definition.fleet_id())) {
    return Malformed(absl::StrCat("fleet_id is not 1 to ", kMaxFleetId, " printable characters"));
  }
  if (definition.manifest_key_pem().size() > kMaxKey) return Malformed("manifest_key_pem is too long");
  absl::StatusOr<ManifestKey> key = ManifestKey::FromPem(definition.manifest_key_pem());
  if (!key.ok()) return Malformed(absl::StrCat("manifest_key_pem: ", key.status().message()));
  RETURN_IF_ERROR(CheckAllowedNames(definition));
  if (definition.keep() < 1 || definition.keep() > kMaxKeep) {
    return Malformed(absl::StrCat("keep is ", definition.keep(), ", not 1 to ", kMaxKeep));
  }
  ASSIGN_OR_RETURN(config.services, ReadDefinedServices(definition));
  ASSIGN_OR_RETURN(config.http_challenge, ReadDefinedPlace(definition));
  config.node = definition.node();
  config.state = definition.state();
  config.allow_names.assign(definition.allow_names().begin(), definition.allow_names().end());
  config.keep = definition.keep();
  config.fleet = EngineConfig::Fleet{definition.fleet_id(), *std::move(key)};
  config.version = kVersion;
  config.hosted = true;
  return config;
}

}  // namespace certcast::node
