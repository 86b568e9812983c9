#include "node/config/config.h"

#include "absl/strings/ascii.h"
#include "common/listen/listen_address.h"
#include "common/service/read.h"
#include "common/yaml/document.h"
#include "common/yaml/first_seen.h"
#include "common/yaml/value.h"

namespace certcast::node {
namespace {

constexpr int kMaxKeep = 100;

std::string ReadListen(const yaml::Value& value) {
  std::string listen = value.Text("an address and a port to listen on: 0.0.0.0:7444");
  if (!listen.empty()) value.Fail(ParseListenAddress(listen).status());
  return listen;
}

void ReadInto(const yaml::Value& root, Config& config) {
  const yaml::Map map = root.ReadMap("a map with name, state, allow_names and services",
                                     {"name", "state", "listen", "allow_names", "keep", "services", "http_challenge"});
  config.name = map.Require("name").Name();
  config.state = map.Require("state").Path();
  config.listen = ReadListen(map.Find("listen"));
  const yaml::Value allowed =
      map.Require("allow_names", R"(the names that this node accepts certificates for: ["*.example.com"])");
  config.allow_names = ReadAllowedNames(allowed);
  config.keep = map.Find("keep").Integer(1, kMaxKeep, config.keep);
  config.http_challenge = ReadHttpChallengePlace(map.Find("http_challenge"));
  config.services = ReadServices(map.Require("services"), config.state);
}

absl::StatusOr<Config> Finish(absl::StatusOr<std::unique_ptr<yaml::Document>> document) {
  if (!document.ok()) return document.status();
  Config config;
  config.path = (*document)->absolute_path();
  ReadInto((*document)->root(), config);
  if (absl::Status status = (*document)->status(); !status.ok()) return status;
  return config;
}

}  // namespace

absl::StatusOr<Config> ReadConfig(const std::string& path) {
  return Finish(yaml::Document::Read(path, yaml::Limits{}));
}

absl::StatusOr<Config> ParseConfig(absl::string_view text, const std::string& path) {
  return Finish(yaml::Document::Parse(text, path, yaml::Limits{}));
}

}  // namespace certcast::node
