// The protocols that begin in the clear and change to TLS on the same connection when asked.
#ifndef CERTCAST_COMMON_PROBE_START_TLS_PROTOCOL_H_
#define CERTCAST_COMMON_PROBE_START_TLS_PROTOCOL_H_

#include <vector>

#include "absl/strings/string_view.h"

namespace certcast {

enum class StartTlsProtocol { kNone, kSmtp, kLmtp, kImap, kPop3, kFtp, kLdap, kPostgres, kMysql, kXmpp };

struct StartTlsName {
  // As in the configuration: "smtp".
  absl::string_view name;
  StartTlsProtocol protocol;
};

// All but kNone.
const std::vector<StartTlsName>& StartTlsNames();
// Empty for kNone.
absl::string_view NameOf(StartTlsProtocol protocol);

}  // namespace certcast

#endif  // CERTCAST_COMMON_PROBE_START_TLS_PROTOCOL_H_
