// Asks a server for TLS in its own protocol, up to the point where the TLS handshake begins.
//
//   smtp RFC 3207 · lmtp RFC 2033 with 3207 · imap RFC 9051 section 6.2.1 · pop3 RFC 2595 section 4 · ftp RFC 4217
//   ldap RFC 4511 section 4.14 · postgres SSLRequest · mysql SSLRequest packet · xmpp RFC 6120 section 5, as a client
#ifndef CERTCAST_COMMON_PROBE_START_TLS_H_
#define CERTCAST_COMMON_PROBE_START_TLS_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "common/probe/start_tls_protocol.h"
#include "common/probe/stream.h"

namespace certcast {

// After OK the next byte in both directions is TLS's: nothing that came after the server's go-ahead is dropped, since
// it could have been put there by somebody in between; it is an error. kNone: nothing is done. Reads at most 64 KiB.
//
// `host` is the name that XMPP asks for. `peer` is for messages. Errors name protocol and step,
// `10.0.0.1:25: smtp EHLO: the server does not offer STARTTLS`: PROTOCOL for answers that say no or are none; the
// stream's own (TIMED_OUT, LINK_LOST), LINK_LOST also where the server ends the stream; kInvalidArgument for a host
// that is not one.
absl::Status StartTls(Stream& stream, StartTlsProtocol protocol, absl::string_view host, absl::string_view peer);

}  // namespace certcast

#endif  // CERTCAST_COMMON_PROBE_START_TLS_H_
