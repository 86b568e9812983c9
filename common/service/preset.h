// How well-known servers check their configuration, reload it, and where they listen.
#ifndef CERTCAST_COMMON_SERVICE_PRESET_H_
#define CERTCAST_COMMON_SERVICE_PRESET_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "common/probe/start_tls_protocol.h"
#include "common/service/read_endpoint.h"
#include "common/service/service.h"

namespace certcast {

struct Preset {
  absl::string_view name;
  // Empty: the server has no test that sees a wrong certificate or key.
  std::vector<std::string> check;
  decltype(ServiceReload::how) reload;
  // Of a tls probe that names no address.
  DefaultEndpoint endpoint;
};

// With the paths and units of Debian 12's packages. Each has been seen to work there: tests/integration/daemon_test.cc.
const std::vector<Preset>& Presets();

}  // namespace certcast

#endif  // CERTCAST_COMMON_SERVICE_PRESET_H_
