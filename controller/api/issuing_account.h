// Whose CA is asked to revoke a certificate.
#ifndef CERTCAST_CONTROLLER_API_ISSUING_ACCOUNT_H_
#define CERTCAST_CONTROLLER_API_ISSUING_ACCOUNT_H_

#include <string>

#include "absl/status/statusor.h"
#include "certcast/state/v1/store.pb.h"
#include "common/x509/certificate.h"
#include "controller/api/session.h"
#include "controller/config/config.h"

namespace certcast::controller {

// FailInput, with the names that there are.
absl::StatusOr<const AccountConfig*> SelectAccount(const Config& config, const std::string& name);

// Of the account that obtained it. FailInput, with what to do instead, for one that was imported, or whose account is
// no longer in the configuration.
absl::StatusOr<const AccountConfig*> AccountOf(const Config& config, const state::v1::Generation& generation);

// For a certificate that no account is known to have obtained: one that obtained another certificate from the same
// issuer, those of `certificate` first. nullptr: there is none.
absl::StatusOr<const AccountConfig*> AccountAtIssuerOf(const Config& config, Session& session,
                                                       const CertificateConfig& certificate, const Certificate& leaf);

// The same where an operator wants something of its CA: the account where only one CA is configured, or FailInput.
absl::StatusOr<const AccountConfig*> AccountForFile(const Config& config, Session& session,
                                                    const CertificateConfig& certificate, const Certificate& leaf);

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_API_ISSUING_ACCOUNT_H_
