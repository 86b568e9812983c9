// What a CA has to say of a certificate that it issued earlier: when to renew it (RFC 9773), and other chains.
#ifndef CERTCAST_CONTROLLER_API_CA_NEWS_H_
#define CERTCAST_CONTROLLER_API_CA_NEWS_H_

#include <functional>
#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "certcast/state/v1/store.pb.h"
#include "controller/api/machine.h"
#include "controller/api/session.h"
#include "controller/config/config.h"

namespace certcast::controller {

// Asks the CA of the latest generation when it should be renewed, and saves it, where the last answer is old enough.
// That the CA can't be asked is in the record; errors are the store's.
absl::Status LearnWhenToRenew(const Config& config, const Machine& machine, Session& session,
                              const CertificateConfig& certificate);

// Once a day, and when `preferred_chain` was changed: the next generation where the CA offers another chain for the
// leaf that is in use, or none of what it has any more. nullopt: it stays. What keeps it from being seen is a line of
// progress; errors are the store's.
absl::StatusOr<std::optional<state::v1::Generation>> RenewChainIfDue(
    const Config& config, const Machine& machine, Session& session, const CertificateConfig& certificate,
    const state::v1::Generation& latest, const std::function<void(absl::string_view)>& on_progress);

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_API_CA_NEWS_H_
