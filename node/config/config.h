// node.yaml as validated structs. Relative paths are absolute here: they are relative to the file.
#ifndef CERTCAST_NODE_CONFIG_CONFIG_H_
#define CERTCAST_NODE_CONFIG_CONFIG_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/http_challenge/place.h"
#include "common/service/service.h"

namespace certcast::node {

struct Config {
  // The file this was read from, absolute.
  std::string path;
  std::string name;
  std::string state;
  // host:port of the gRPC server; empty: `run` has nothing to listen on, `stdio` is all there is.
  std::string listen;
  std::vector<std::string> allow_names;
  int keep = 2;
  HttpChallengePlace http_challenge;
  std::vector<Service> services;
};

// Errors as in the controller's config: kInvalidArgument, `FILE:LINE:COLUMN: what was found, what was expected`.
absl::StatusOr<Config> ReadConfig(const std::string& path);
absl::StatusOr<Config> ParseConfig(absl::string_view text, const std::string& path);

}  // namespace certcast::node

#endif  // CERTCAST_NODE_CONFIG_CONFIG_H_
