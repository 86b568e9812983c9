// One generation, revoked at the CA and in the store.
#ifndef CERTCAST_CONTROLLER_API_REVOKE_GENERATION_H_
#define CERTCAST_CONTROLLER_API_REVOKE_GENERATION_H_

#include "absl/status/statusor.h"
#include "certcast/state/v1/store.pb.h"
#include "controller/acme/revoke.h"
#include "controller/api/machine.h"
#include "controller/api/session.h"
#include "controller/config/config.h"

namespace certcast::controller {

// Saved before the CA is asked: while no answer is known the generation MayBeRevoked, and the next call asks again.
// A refusal is saved as well: it is not revoked. Errors are RevokeAtCa's, and what can't be saved.
absl::StatusOr<RevocationAnswer> RevokeGeneration(const Machine& machine, Session& session,
                                                  const AccountConfig& account, const state::v1::Generation& generation,
                                                  int reason);

// OK, or what the CA said; where it is not known whether it did, with what to do.
absl::Status StatusOfAnswer(const RevocationAnswer& answer);

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_API_REVOKE_GENERATION_H_
