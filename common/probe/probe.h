// Looks at a service from outside, on a fresh connection each time: what does it serve now?
#ifndef CERTCAST_COMMON_PROBE_PROBE_H_
#define CERTCAST_COMMON_PROBE_PROBE_H_

#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/probe/body_pattern.h"
#include "common/probe/start_tls_protocol.h"
#include "common/secret/reference.h"

namespace certcast {

class ProcessRunner;
class Resolver;

// Shown to servers that ask for one. Both or neither.
struct ClientCertificate {
  // PEM, leaf first; an absolute path. Both files are read at every look.
  std::string certificate_file;
  SecretReference key;

  bool empty() const { return certificate_file.empty(); }
};

// A TLS handshake; passes when the leaf that is served has the expected fingerprint. Trust in the chain is not the
// question here, identity of the leaf is. A host name is asked at every address that it has: those that accept a
// connection must all serve the same.
struct TlsProbe {
  // host:port or [v6]:port.
  std::string address;
  // SNI (RFC 6066 section 3).
  std::string server_name;
  // Before the handshake.
  StartTlsProtocol starttls = StartTlsProtocol::kNone;
  // The whole chain must be as expected, certificate by certificate.
  bool expects_chain = false;
  ClientCertificate client = {};
};

// GET; passes when the status is the expected one, and the first 64 KiB of the body are. https: the certificate must
// have the expected fingerprint as well.
struct HttpProbe {
  std::string url;
  // Host header and SNI; empty: the URL's.
  std::string host;
  int status = 200;
  BodyPattern body = {};
  ClientCertificate client = {};
};

// Passes when the connection is accepted.
struct TcpProbe {
  std::string address;
};

// Passes when it exits 0.
struct CommandProbe {
  std::vector<std::string> argv;
};

struct ProbeSpec {
  std::variant<TlsProbe, HttpProbe, TcpProbe, CommandProbe> what;
  // From the first try until it is given up: it is tried again until it passes or this is over.
  absl::Duration timeout = absl::Seconds(10);
  // Looks, each on a fresh connection, that must pass one after the other: workers of a service that is being reloaded
  // serve the old certificate and the new one by turns.
  int consecutive = 3;
  // Whose certificate must be seen, where the service has several; empty: the service's `certificate`.
  std::string certificate = {};

  // For messages, and what tells the probes of a service apart: `tls 127.0.0.1:25 mail.example.com starttls smtp`.
  std::string Describe() const;
};

// What one try saw.
struct Observation {
  // Leaf's SHA-256 when there was a handshake.
  std::string served_sha256;
  // Of every certificate as it was served, the leaf's first; up to one that is not well-formed.
  std::vector<std::string> chain_sha256 = {};
  // All but the fingerprint is as expected.
  bool ok = false;
  // What was not, or what kept it from being seen: refused, timed out, alert...
  std::string detail = {};
  // Where an HTTP answer sends to (HttpAnswer::location), which is not followed. Only of a probe that has a `body`.
  std::string location = {};
};

// Thread-safe.
class Prober {
 public:
  virtual ~Prober() = default;
  // One try on a fresh connection, no longer than `timeout` (of spec.timeout nothing is used here). Never throws. A
  // command that ignores SIGTERM may take 2 s more.
  virtual Observation Look(const ProbeSpec& spec, absl::Duration timeout) = 0;

  // Over real sockets, with host names from /etc/hosts alone (see resolver.h); lives for ever.
  static Prober& Real();
  // The same, with what it uses chosen. Both outlive it.
  static std::unique_ptr<Prober> Over(Resolver& resolver, ProcessRunner& processes);
};

}  // namespace certcast

#endif  // CERTCAST_COMMON_PROBE_PROBE_H_
