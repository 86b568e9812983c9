#include "common/listen/listen_address.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/status/status.h"

namespace certcast {

absl::StatusOr<HostPort> ParseListenAddress(absl::string_view text) {
  absl::string_view host = text;
  const bool any_port = absl::ConsumeSuffix(&host, ":0");
  ASSIGN_OR_RETURN(HostPort address, ParseHostPort(any_port ? absl::StrCat(host, ":1") : text));
  if (any_port) address.port = 0;
  if (!IsNumericAddress(address.host)) {
    return FailInput(absl::StrCat("\"", text, "\" is not an address to listen on: its host is not an IP address"),
                     "0.0.0.0:7444 listens on every IPv4 address of the machine, [::]:7444 on IPv6 as well");
  }
  return address;
}

}  // namespace certcast
