// Will a CA find what it looks for? What `doctor` says of a certificate's challenge.
#ifndef CERTCAST_CONTROLLER_API_CHECK_CHALLENGE_H_
#define CERTCAST_CONTROLLER_API_CHECK_CHALLENGE_H_

#include "absl/status/status.h"
#include "controller/acme/issuer.h"
#include "controller/api/findings.h"
#include "controller/api/machine.h"
#include "controller/api/session.h"
#include "controller/config/config.h"

namespace certcast::controller {

// Its tokens go to the certificate's nodes.
bool IsShownOnNodes(const CertificateConfig& certificate);

// What can be seen without changing anything: programs, files, secrets that can be read, and DNS servers that answer.
void CheckChallenge(const CertificateConfig& certificate, const Machine& machine, Findings& findings);

// Makes what a CA would look for, sees it, and takes it away, under the store's lease. An error: it was not begun.
absl::Status RehearseChallenge(const Config& config, const Machine& machine, const CertificateConfig& certificate,
                               Findings& findings);

// An issuer that reaches the certificate's nodes. All of it outlives the issuer.
Issuer MakeIssuer(const Config& config, const Machine& machine, Session& session, const CertificateConfig& certificate);

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_API_CHECK_CHALLENGE_H_
