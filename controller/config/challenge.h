// How control over the names of a certificate is shown to the CA (RFC 8555 section 8).
#ifndef CERTCAST_CONTROLLER_CONFIG_CHALLENGE_H_
#define CERTCAST_CONTROLLER_CONFIG_CHALLENGE_H_

#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/time/time.h"
#include "common/secret/reference.h"

namespace certcast::controller {

// --- Who writes the TXT records of dns-01, by the name of the solver. Most are contracts of other ACME clients, so
// that what an operator has for those goes on working.

// `exec`: a command of the operator's, called as lego's exec provider calls one.
struct ExecHook {
  std::vector<std::string> command;
  // lego's EXEC_MODE=RAW.
  bool raw = false;
  absl::Duration timeout = absl::Minutes(2);
};

// `certbot-hook`: commands that were written for certbot's --manual-auth-hook and --manual-cleanup-hook.
struct CertbotHook {
  std::vector<std::string> auth;
  // Empty: nothing is cleaned up.
  std::vector<std::string> cleanup;
  absl::Duration timeout = absl::Minutes(2);
};

// `dehydrated-hook`: a script that was written for dehydrated's HOOK.
struct DehydratedHook {
  std::vector<std::string> command;
  absl::Duration timeout = absl::Minutes(2);
};

// `acme-sh`: one of the DNS APIs of acme.sh, which the operator has unmodified.
struct AcmeShApi {
  // acme.sh itself. Absolute.
  std::string script;
  // `dns_cf`. Its file is NAME.sh in `apis`.
  std::string api;
  // The folder dnsapi. Absolute.
  std::string apis;
  // acme.sh's LE_CONFIG_HOME: what APIs save is read and written there. Absolute.
  std::string home;
  // What the API wants to know (CF_Token): shell variables, which no other process sees.
  std::vector<std::pair<std::string, SecretReference>> variables;
  absl::Duration timeout = absl::Minutes(5);
};

// `httpreq`: lego's, a service that is asked over HTTPS.
struct HttpReqService {
  // Without the final `/present`.
  std::string endpoint;
  // Empty: no authorization.
  std::string username;
  SecretReference password;
  // lego's HTTPREQ_MODE=RAW.
  bool raw = false;
  // For a private CA; empty: the system's roots.
  std::string ca_file;
  absl::Duration timeout = absl::Seconds(30);
};

// `acme-dns`: a server of github.com/joohoi/acme-dns, to which `_acme-challenge` is a CNAME.
struct AcmeDnsService {
  std::string endpoint;
  // JSON as other clients keep it: {"example.com": {"username", "password", "fulldomain", "subdomain"}}.
  SecretReference accounts;
  std::string ca_file;
  absl::Duration timeout = absl::Seconds(30);
};

// `rfc2136`: dynamic updates, signed with TSIG (RFC 8945).
struct Rfc2136Server {
  // host:port.
  std::string server;
  // With the final dot; empty: the server is asked for the lowest zone that the record is in.
  std::string zone;
  struct Tsig {
    // As the server knows it.
    std::string name;
    // `hmac-sha256` or `hmac-sha512`.
    std::string algorithm = "hmac-sha256";
    // Base64, as in named.conf and knot.conf.
    SecretReference secret;
  };
  // Unset: updates are not signed, and the server trusts addresses.
  std::optional<Tsig> tsig;
  int ttl = 60;
  absl::Duration timeout = absl::Seconds(10);
};

// --- Who shows the key authorizations of http-01.

// `webroot`: files below the document root of this machine's web server.
struct HttpWebroot {
  // Absolute.
  std::string path;
};

// `listen`: certcast itself, as long as the CA looks.
struct HttpListener {
  // host:port; the host is digits.
  std::string address;
};

// `fleet`: every node of the certificate.
struct HttpFleet {
  // Each node is looked at before the CA is asked.
  bool check = true;
  absl::Duration timeout = absl::Seconds(30);
  // So many nodes may be out of reach; the CA will not be sent to them either.
  int max_unreachable = 0;
};

using HttpSolver = std::variant<HttpWebroot, HttpListener, HttpFleet>;

struct ChallengeConfig {
  // Set: the type is http-01, and nothing below is used.
  std::optional<HttpSolver> http01;
  // The type is dns-persist-01, and only `propagation` is used.
  bool dns_persist01 = false;

  std::variant<ExecHook, CertbotHook, DehydratedHook, AcmeShApi, HttpReqService, AcmeDnsService, Rfc2136Server> writer;
  // `_acme-challenge` may be a CNAME (RFC 8555 section 8.4 has the CA follow it): records go where it leads.
  bool follow_cname = false;

  struct Propagation {
    // host:port; empty: the zone's own authoritative servers.
    std::vector<std::string> resolvers;
    absl::Duration timeout = absl::Seconds(120);
    bool skip = false;
  };
  Propagation propagation;
};

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_CONFIG_CHALLENGE_H_
