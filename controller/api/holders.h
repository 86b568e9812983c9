// Who still has a certificate that is to be revoked: asked of the nodes, and seen by the controller's own handshakes.
#ifndef CERTCAST_CONTROLLER_API_HOLDERS_H_
#define CERTCAST_CONTROLLER_API_HOLDERS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "certcast/state/v1/store.pb.h"
#include "certcast/v1/api.pb.h"
#include "controller/api/machine.h"
#include "controller/api/session.h"
#include "controller/config/config.h"
#include "controller/rollout/fleet_status.h"

namespace certcast::controller {

struct DoomedLeaf {
  std::string sha256;
  // 0: certcast does not know it.
  uint64_t generation = 0;
};

struct FleetLook {
  // Of the certificate's nodes, as they stand to `wanted`; then of those that have it although the configuration no
  // longer gives it to them.
  FleetStatus status;
  // Of the rows in `status`, the certificate's own nodes.
  size_t own_nodes = 0;
  // As against `wanted`.
  std::vector<v1::VerifyResponse::Endpoint> endpoints;
  // One a node and one an endpoint, in the order they were asked; nodes first.
  std::vector<v1::Holder> holders;
};

// Probes each node of the certificate, and each that had it when it was last seen; handshakes with each of their verify
// endpoints. Whoever does not answer may have it. A node that is no longer in the configuration is not asked.
// `wanted`: the generation that nodes should have. Changes nothing.
absl::StatusOr<FleetLook> LookForHolders(const Config& config, const Machine& machine, Session& session,
                                         const CertificateConfig& certificate,
                                         const std::optional<state::v1::Generation>& wanted,
                                         const std::vector<DoomedLeaf>& doomed);

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_API_HOLDERS_H_
