// What a call of the controller has open: store, keys, and the lease where it changes things.
#ifndef CERTCAST_CONTROLLER_API_SESSION_H_
#define CERTCAST_CONTROLLER_API_SESSION_H_

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "certcast/state/v1/store.pb.h"
#include "controller/api/controller.h"
#include "controller/api/machine.h"
#include "controller/config/config.h"
#include "controller/keyring/keyring.h"
#include "controller/rollout/fleet_status.h"
#include "controller/store/store.h"
#include "controller/transport/link.h"

namespace certcast::controller {

struct Session {
  std::unique_ptr<Store> store;
  std::unique_ptr<Keyring> keyring;
  // nullptr when the call only reads.
  std::unique_ptr<Lease> lease;

  uint64_t epoch() const { return lease == nullptr ? 0 : lease->epoch(); }
};

// For a call that only reads.
absl::StatusOr<Session> OpenToRead(const Config& config, const Machine& machine);
// For a call that changes things; `verb` is what the next one is told that finds the lease taken.
absl::StatusOr<Session> OpenToChange(const Config& config, const Machine& machine, absl::string_view verb);

// Those of the given names, all when there are none; kInvalidArgument names the ones that are not configured.
absl::StatusOr<std::vector<const CertificateConfig*>> SelectCertificates(const Config& config,
                                                                         const std::vector<std::string>& names);

// Why no node may be given a generation that is there: EXPIRED; REVOKED, also when it only may be.
absl::Status CheckUsable(const state::v1::Generation& generation, absl::Time now);

// What nodes have and serve. `wanted` may be of generations that are not there yet.
struct FleetView {
  std::vector<const CertificateConfig*> certificates;
  // By certificate, in the same order; nullopt: none yet.
  std::vector<std::optional<state::v1::Generation>> generations;
  // The latest rollout's head and nodes of each.
  std::vector<std::optional<state::v1::Rollout>> rollouts;
  FleetStatus status;
  // For people: identities that are about to expire, and what was seen but could not be saved.
  std::vector<std::string> warnings;
};

// Asks every node of these certificates, and saves when and with what they were seen. A node is asked once. A node that
// serves a wanted generation which is not usable is FAILED for that reason.
absl::StatusOr<FleetView> ViewFleet(const Config& config, const Machine& machine, Session& session,
                                    std::vector<const CertificateConfig*> certificates,
                                    const OnProgress& on_progress = {});

// The rows of one certificate.
std::vector<const v1::StatusResponse::Node*> RowsOf(const FleetView& view, absl::string_view certificate);

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_API_SESSION_H_
