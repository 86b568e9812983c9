// Will a CA take what certcast asks of it? What `doctor` says of an account.
#ifndef CERTCAST_CONTROLLER_API_CHECK_ACCOUNT_H_
#define CERTCAST_CONTROLLER_API_CHECK_ACCOUNT_H_

#include "controller/api/findings.h"
#include "controller/api/machine.h"
#include "controller/config/config.h"

namespace certcast::controller {

// Reads the CA's directory, compares it with what is configured for the account and its certificates, and takes the
// server's Date as a second opinion on the time. Nothing is registered or ordered.
void CheckAccount(const Config& config, const AccountConfig& account, const Machine& machine, Findings& findings);

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_API_CHECK_ACCOUNT_H_
