#include "common/probe/start_tls_protocol.h"

namespace certcast {

const std::vector<StartTlsName>& StartTlsNames() {
  static const auto& names = *new std::vector<StartTlsName>{
      {"smtp", StartTlsProtocol::kSmtp},   {"lmtp", StartTlsProtocol::kLmtp},         {"imap", StartTlsProtocol::kImap},
      {"pop3", StartTlsProtocol::kPop3},   {"ftp", StartTlsProtocol::kFtp},           {"ldap", StartTlsProtocol::kLdap},
      {"mysql", StartTlsProtocol::kMysql}, {"postgres", StartTlsProtocol::kPostgres}, {"xmpp", StartTlsProtocol::kXmpp},
  };
  return names;
}

absl::string_view NameOf(StartTlsProtocol protocol) {
  for (const StartTlsName& entry : StartTlsNames()) {
    if (entry.protocol == protocol) return entry.name;
  }
  return "";
}

}  // namespace certcast
