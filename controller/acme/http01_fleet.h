// `fleet`: http-01 on every node of the certificate, since the CA may be sent to any of them.
#ifndef CERTCAST_CONTROLLER_ACME_HTTP01_FLEET_H_
#define CERTCAST_CONTROLLER_ACME_HTTP01_FLEET_H_

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "certcast/v1/link.pb.h"
#include "common/clock/clock.h"
#include "common/probe/probe.h"
#include "controller/acme/http01_local.h"
#include "controller/config/challenge.h"
#include "controller/config/config.h"
#include "controller/rollout/node_session.h"
#include "controller/transport/link.h"

namespace certcast::controller {

// The fleet as this solver needs it. What it refers to outlives the solver.
struct ChallengeFleet {
  // The certificate's.
  std::vector<const NodeConfig*> nodes;
  // Any node of the configuration; nullptr: there is none of that name.
  std::function<const NodeConfig*(absl::string_view name)> find_node;
  // Called once, before the first node is reached.
  std::function<absl::StatusOr<std::unique_ptr<Transport>>()> open_transport;
  Prober* prober = nullptr;
  // The lease's.
  uint64_t epoch = 0;
};

// Links stay open from Present to CleanUp: a host that is logged in to may answer from the process at the link's end.
// Nodes take tokens away by themselves after a while.
class Http01Fleet final : public Http01Solver {
 public:
  // `clock` must outlive this.
  Http01Fleet(HttpFleet config, ChallengeFleet fleet, Clock& clock);
  ~Http01Fleet() override;

  bool outlives_process() const override { return false; }
  bool looks() const override { return config_.check; }
  // Which nodes are told.
  absl::Status Prepare(Challenge& challenge) override;
  // CHALLENGE_FAILED names the nodes that could not show it. So many as the configuration says may be out of reach.
  absl::Status Present(const Challenge& challenge) override;
  // Until each of those that were told answers, by HTTP from here, what the CA wants to see.
  absl::Status AwaitVisible(const std::vector<Challenge>& challenges,
                            const std::function<void(absl::string_view)>& on_progress) override;
  // A node that the configuration does not have any more is left to itself.
  absl::Status CleanUp(const Challenge& challenge) override;

 private:
  // By node.
  using Errors = std::map<std::string, absl::Status>;

  absl::StatusOr<NodeSession*> SessionWith(const NodeConfig& node);
  // Sends it to each of these nodes, several at once; those that failed.
  Errors Tell(const std::vector<const NodeConfig*>& nodes, const v1::Command& command);
  std::vector<const NodeConfig*> NodesOf(const Challenge& challenge) const;
  // nullopt-like: empty when all is well.
  std::string LookAt(const NodeConfig& node, const std::vector<Challenge>& challenges) const;
  v1::Command NewCommand();

  const HttpFleet config_;
  const ChallengeFleet fleet_;
  Clock& clock_;
  const std::string id_;
  int commands_ = 0;
  std::unique_ptr<Transport> transport_;
  std::map<std::string, std::unique_ptr<NodeSession>> sessions_;
  // Out of reach when they were to be told.
  std::set<std::string> unreachable_;
  // Node and token: it certainly heard nothing of that one.
  std::set<std::pair<std::string, std::string>> untold_;
};

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_ACME_HTTP01_FLEET_H_
