// Looks for an HTTP token as a CA does (RFC 8555 section 8.3), at one of the servers that the domain may lead to.
#ifndef CERTCAST_CONTROLLER_ACME_HTTP01_LOOK_H_
#define CERTCAST_CONTROLLER_ACME_HTTP01_LOOK_H_

#include "absl/status/status.h"
#include "certcast/state/v1/store.pb.h"
#include "common/clock/clock.h"
#include "common/probe/address.h"
#include "common/probe/probe.h"

namespace certcast::controller {

// `server` is asked in place of the domain's port 80. Redirects are followed as CAs do: up to 10, to http and https at
// ports 80 and 443, whatever certificate is served there. One to the challenge's own domain stays on `server`'s host,
// its port 80 being `server`'s, which may be named itself too; any other goes where its host leads from here. All of it
// takes 10 s at most.
//
// CHALLENGE_FAILED with where it was sent, one after the other, and what was wrong at the end of that. Idempotent.
absl::Status LookForToken(Prober& prober, Clock& clock, const HostPort& server,
                          const state::v1::PresentedChallenge& challenge);

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_ACME_HTTP01_LOOK_H_
