// Asks every node what it has and what it serves, and says how that stands to what it should have.
#ifndef CERTCAST_CONTROLLER_ROLLOUT_FLEET_STATUS_H_
#define CERTCAST_CONTROLLER_ROLLOUT_FLEET_STATUS_H_

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "certcast/state/v1/store.pb.h"
#include "certcast/v1/api.pb.h"
#include "certcast/v1/link.pb.h"
#include "common/clock/clock.h"
#include "controller/config/config.h"
#include "controller/transport/link.h"

namespace certcast::controller {

// A certificate and the nodes that should have it.
struct WantedCertificate {
  std::string name;
  // 0: there is none yet; every node is PENDING then.
  uint64_t generation = 0;
  std::string leaf_sha256;
  std::vector<const NodeConfig*> nodes;
  // Its last rollout, if any: a node that it left without the generation is FAILED for the reason that is in there.
  const state::v1::Rollout* latest_rollout = nullptr;
};

// What a node answered.
struct SeenNode {
  std::string name;
  v1::Inventory inventory;
  absl::Time at;
};

// One that did not answer, or refused to.
struct SilentNode {
  std::string name;
  absl::Status why;
  // It said no.
  bool refused = false;
};

struct FleetStatus {
  // A row for each certificate and node, in the order they were given. `last_seen` is of this call, or of the record.
  std::vector<v1::StatusResponse::Node> rows;
  // Nodes that answered, for their records.
  std::vector<SeenNode> seen;
  std::vector<SilentNode> silent;
  int converged = 0;
};

struct FleetStatusOptions {
  // Nodes asked at once.
  int parallel = 64;
  // To connect, and for the node's probes.
  absl::Duration connect_timeout = absl::Seconds(10);
  absl::Duration answer_timeout = absl::Seconds(60);
  uint64_t epoch = 0;
  // When a node was last seen before, by name.
  std::map<std::string, absl::Time> last_seen;
  // How many nodes are asked; then each of them, as it ends. Called from several threads; may be empty.
  std::function<void(size_t nodes)> on_begin = {};
  std::function<void(const std::string& node, bool answered)> on_answer = {};
};

// One link and one Probe a node, however many certificates it has. Changes nothing. A node that can't be asked is a
// row, not an error.
//
//   CONVERGED    the generation is in force and confirmed, every service's files hold it, every probe saw it served
//   DRIFTED      it is in force, but a file or what is served is something else; or a generation above the wanted one
//                is in force
//   PENDING      a lower one is in force, or it waits for Confirm
//   FAILED       as PENDING, and the last rollout of this generation failed there (but for PROBE_INCONCLUSIVE, which is
//                asked again); or the node refuses or doesn't know it
//   UNREACHABLE  no answer
FleetStatus AskFleet(const std::vector<WantedCertificate>& wanted, Transport& transport, Clock& clock,
                     const FleetStatusOptions& options);

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_ROLLOUT_FLEET_STATUS_H_
