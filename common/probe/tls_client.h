// A TLS client (RFC 8446, RFC 5246) that says exactly what it saw and what went wrong: for probes, which look at the
// leaf and trust nobody, and for diagnosing mutual TLS, where gRPC says no more than "handshake failed".
#ifndef CERTCAST_COMMON_PROBE_TLS_CLIENT_H_
#define CERTCAST_COMMON_PROBE_TLS_CLIENT_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/probe/address.h"
#include "common/probe/deadline.h"
#include "common/probe/resolver.h"
#include "common/probe/start_tls_protocol.h"
#include "common/probe/stream.h"
#include "common/x509/certificate.h"
#include "common/x509/private_key.h"

namespace certcast {

// Everything pointed to outlives the call.
struct TlsOptions {
  // Shown to a server that asks: leaf first, and the leaf's key. Both or neither.
  const std::vector<Certificate>* chain = nullptr;
  const PrivateKey* key = nullptr;
  // The server's chain must end at one of these, be valid now, and its leaf name the server name (or, without one, the
  // address's host). Null: whatever is served is accepted.
  const std::vector<Certificate>* roots = nullptr;
  // RFC 7301, in order of preference. gRPC servers end connections without "h2".
  std::vector<std::string> alpn;
  // How long to listen for a refusal after the handshake. In TLS 1.3 the client is done before the server has looked at
  // its certificate, so a refusal comes as an alert after that (RFC 8446 section 4.4.2.4). Zero: not at all.
  absl::Duration listen = absl::ZeroDuration();
  // Null: Resolver::Local().
  Resolver* resolver = nullptr;
  // Asked for in the server's own protocol before the handshake, within the same time (start_tls.h, whose errors it
  // has).
  StartTlsProtocol starttls = StartTlsProtocol::kNone;
};

struct TlsPeer {
  // Of the leaf's DER, lower-case hex.
  std::string leaf_sha256;
  // As served, leaf first, as DER.
  std::vector<std::string> chain_der;
  // "TLSv1.3".
  std::string version;

  // As leaf_sha256, of each.
  std::vector<std::string> ChainSha256() const;
  // MALFORMED as Certificate::FromDer. Most who look want fingerprints alone, which cost less.
  absl::StatusOr<Certificate> Leaf() const;
};

// One handshake on a fresh connection, TLS 1.2 or later, no session resumed. `server_name` is the SNI; empty or a
// numeric address: none is sent. Idempotent.
//
// NO_ROUTE: no connection. TIMED_OUT. LINK_LOST: the peer went away in the middle. AUTH_FAILED: its certificate was
// refused here, or ours there, with what was wrong and whose. PROTOCOL: it doesn't speak TLS, or nothing both can do.
absl::StatusOr<TlsPeer> TlsHandshake(absl::string_view address, absl::string_view server_name,
                                     const TlsOptions& options, absl::Duration timeout);

// The same, and the open stream. Thread-compatible.
class TlsStream : public Stream {
 public:
  static absl::StatusOr<std::unique_ptr<TlsStream>> Connect(const HostPort& to, absl::string_view server_name,
                                                            const TlsOptions& options, Deadline deadline);
  virtual const TlsPeer& peer() const = 0;
};

}  // namespace certcast

#endif  // CERTCAST_COMMON_PROBE_TLS_CLIENT_H_
