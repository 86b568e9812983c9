// How control over the names of a certificate is shown to the CA (RFC 8555 section 8).
#ifndef CERTCAST_CONTROLLER_CONFIG_CHALLENGE_H_
#define CERTCAST_CONTROLLER_CONFIG_CHALLENGE_H_

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

struct ChallengeConfig {
  std::variant<ExecHook, CertbotHook, DehydratedHook, AcmeShApi, HttpReqService, AcmeDnsService> writer;

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
