// Where handshakes go, from YAML: the same words in probes of services and in the controller's `verify`.
#ifndef CERTCAST_COMMON_SERVICE_READ_ENDPOINT_H_
#define CERTCAST_COMMON_SERVICE_READ_ENDPOINT_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "common/probe/start_tls_protocol.h"
#include "common/yaml/value.h"

namespace certcast {

// What one map names: every address is asked for every server name.
struct Endpoints {
  // host:port. Empty after an error alone.
  std::vector<std::string> addresses;
  // Empty after an error, or where none is there and none is required.
  std::vector<std::string> server_names;
  StartTlsProtocol starttls = StartTlsProtocol::kNone;
};

// Where a server listens unless it is told otherwise, as a preset knows it.
struct DefaultEndpoint {
  // host:port
  absl::string_view address;
  StartTlsProtocol starttls = StartTlsProtocol::kNone;
};

// The keys that ReadEndpoints reads; `more` are the caller's own.
std::vector<absl::string_view> EndpointKeys(const std::vector<absl::string_view>& more = {});

// `address` or `addresses`, `server_name` or `server_names`, `starttls`. At most 64 handshakes in all. Without
// `address` and `addresses` it is `standard`, and an error where that is null.
Endpoints ReadEndpoints(const yaml::Map& map, bool requires_name, const DefaultEndpoint* standard = nullptr);

}  // namespace certcast

#endif  // CERTCAST_COMMON_SERVICE_READ_ENDPOINT_H_
