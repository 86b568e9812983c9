// What servers say that offer TLS in their own protocol, up to the handshake.
#ifndef CERTCAST_TESTS_TESTING_START_TLS_SCRIPTS_H_
#define CERTCAST_TESTS_TESTING_START_TLS_SCRIPTS_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "common/probe/start_tls_protocol.h"
#include "tests/testing/local_tls_server.h"

namespace certcast::testing {

// For LocalTlsServer::TalkFirst. The last one says the go-ahead, where the protocol has one.
std::vector<Exchange> StartTlsScript(StartTlsProtocol protocol);

// A MySQL greeting with these lower capabilities; 0x0800 is TLS.
std::string MysqlGreeting(unsigned capabilities);
// An LDAP answer to message 1: an ExtendedResponse.
std::string LdapExtendedResponse(char result, absl::string_view diagnostic);

}  // namespace certcast::testing

#endif  // CERTCAST_TESTS_TESTING_START_TLS_SCRIPTS_H_
