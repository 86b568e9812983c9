// Which of the chains that a CA offers for a certificate (RFC 8555 section 7.4.2) is used.
#ifndef CERTCAST_CONTROLLER_ACME_CHAIN_CHOICE_H_
#define CERTCAST_CONTROLLER_ACME_CHAIN_CHOICE_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/x509/certificate.h"
#include "common/x509/private_key.h"
#include "controller/acme/acme_client.h"
#include "controller/acme/issue_options.h"
#include "controller/config/config.h"

namespace certcast::controller {

struct ChainRequest {
  AcmeClient& client;
  AcmeSigner signer;
  // Where the CA keeps the certificate.
  std::string url;
  const CertificateConfig& certificate;
  const PrivateKey& key;
  absl::Time now;
  const OnIssueProgress& on_progress;
  // PEM: the roots that the machine trusts, in which the one of `preferred_chain` is looked for.
  std::string root_file = "/etc/ssl/certs/ca-certificates.crt";
};

// The certificate and its chain, each one that is considered checked as CheckIssuedChain does: the first that is as
// preferred, or else the CA's own choice (with a line of progress where none is), or else any other that holds. What
// the CA offers beside its own choice is fetched only where it matters. Where none holds, the error is
// CERTIFICATE_UNEXPECTED, unless one could not be fetched for now: then it is why, and the certificate may be good.
//
// `had`: the chain that is in use; without a preference it stays for as long as the CA offers it. Empty: none.
absl::StatusOr<std::vector<Certificate>> FetchChain(const ChainRequest& request,
                                                    const std::vector<Certificate>& had = {});

// Whether a chain is as preferred. `roots` are those that may be meant.
bool IsPreferred(const std::vector<Certificate>& chain, const ChainPreference& preference,
                 const std::vector<Certificate>& roots, absl::Time now);

// Those of a file that have this fingerprint; none where it can't be read. For a file as large as a machine's roots.
std::vector<Certificate> RootsWith(const std::string& sha256, const std::string& file);

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_ACME_CHAIN_CHOICE_H_
