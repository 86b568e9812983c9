// Network addresses as operators write them: host:port and URLs.
#ifndef CERTCAST_COMMON_PROBE_ADDRESS_H_
#define CERTCAST_COMMON_PROBE_ADDRESS_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace certcast {

struct HostPort {
  // A name or a numeric address, without brackets.
  std::string host;
  uint16_t port = 0;

  // "127.0.0.1:443", "[::1]:443".
  std::string ToString() const;
};

// host:port or [v6]:port, port 1 to 65535. INVALID_ARGUMENT otherwise.
absl::StatusOr<HostPort> ParseHostPort(absl::string_view text);

// An IPv4 or IPv6 address as digits.
bool IsNumericAddress(absl::string_view host);

struct Url {
  bool is_https = false;
  // The port is the scheme's where none is given.
  HostPort to;
  // Host and port as they were written: what a Host header holds.
  std::string authority;
  // With query, without fragment; "/" when empty.
  std::string path;
};

// http or https, without user and password. INVALID_ARGUMENT otherwise.
absl::StatusOr<Url> ParseUrl(absl::string_view text);

}  // namespace certcast

#endif  // CERTCAST_COMMON_PROBE_ADDRESS_H_
